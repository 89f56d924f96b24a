"""Weights on disk: safetensors, with what is needed to build the model in a JSON file beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch

from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.model.mask2former_video import Mask2FormerVideo, build_model
from maskfree.settings import from_dict, to_dict
from maskfree.storage import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["load_model", "read_tensors", "save_model"]

_FORMAT = 1


def save_model(
    path: Path, model: Mask2FormerVideo, config: Config, *, classes: list[str], track_ids: list[int]
) -> None:
    """Write ``path`` (safetensors) and ``path`` with the suffix .json, each in one atomic step.

    ``classes`` names the class outputs; ``track_ids`` says which track each of the first queries
    is bound to (empty when queries are not bound).
    """
    about = {
        "format": _FORMAT,
        "config": to_dict(config),
        "classes": classes,
        "track_ids": track_ids,
        "num_queries": model.config.num_queries,
    }
    atomic_write(path, safetensors.torch.save(model.state_dict()))
    atomic_write(path.with_suffix(".json"), json.dumps(about, indent=1))


def load_model(
    path: Path, device: torch.device
) -> tuple[Mask2FormerVideo, Config, list[str], list[int]]:
    """Read what :func:`save_model` wrote: the model, its config, classes and track ids.

    Raises
    ------
    InputError
        When a file is missing, unreadable, or its tensors are not this model's.
    """
    about_path = path.with_suffix(".json")
    try:
        about = json.loads(about_path.read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise ValueError(f"format {about['format']} is not {_FORMAT}, update napari-maskfree")
        config = from_dict(Config, about["config"], about_path.name, kept=True)
        classes, track_ids = list(about["classes"]), [int(i) for i in about["track_ids"]]
        queries = int(about["num_queries"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{about_path} should describe the weights beside it and cannot be read: {error}. "
            "Fine-tune again to make a new run."
        ) from error
    model = build_model(config.model, num_classes=len(classes), num_queries=queries)
    tensors = read_tensors(path)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    wrong = [k for k, v in expected.items() if k not in tensors or tuple(tensors[k].shape) != v]
    wrong += [k for k in tensors if k not in expected]
    if wrong:
        raise InputError(
            f"{path} holds other weights than {about_path.name} describes ({len(wrong)} tensors "
            f"differ, first {wrong[0]}). Fine-tune again to make a new run."
        )
    model.load_state_dict(tensors)
    return model.to(device), config, classes, track_ids


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file.

    Raises
    ------
    InputError
        When the file is missing, truncated or something else.
    """
    try:
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
        return tensors
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{path} is not a readable safetensors file: {error}. Fine-tune again, or convert "
            "foreign weights with: maskfree convert-weights IN OUT"
        ) from error
