"""Weights on disk: safetensors, with what is needed to build the model in a JSON file beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import safetensors.torch

from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.json_checks import as_list, as_object, as_whole
from maskfree.model.build import build_model
from maskfree.model.tensors_file import read_tensors
from maskfree.settings import from_dict, to_dict
from maskfree.storage import atomic_write, read_json

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from maskfree.config import ModelConfig
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["load_model", "read_tensors", "save_model"]

_FORMAT = 1
_ALWAYS = 1 << 24
"""Numbers that a network may have whatever its file holds: 64 MB."""


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
        config, classes, track_ids, queries = _described(about_path)
    except InputError as error:
        raise InputError(
            f"{about_path} should describe the weights beside it and cannot be read: {error} "
            "Fine-tune again to make a new run."
        ) from error
    tensors = read_tensors(path)
    _check_size(config.model, len(classes), queries, tensors, path)
    model = build_model(config.model, num_classes=len(classes), num_queries=queries)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    wrong = [k for k, v in expected.items() if k not in tensors or tuple(tensors[k].shape) != v]
    wrong += [k for k in tensors if k not in expected]
    if wrong:
        raise InputError(
            f"{path} holds other weights than {about_path.name} describes ({len(wrong)} tensors "
            f"differ, first {wrong[0]}). Fine-tune again to make a new run."
        )
    ruined = [k for k, tensor in tensors.items() if not tensor.isfinite().all()]
    if ruined:
        raise InputError(
            f'"{ruined[0]}" of {path} holds numbers that are none (NaN or infinite): the training '
            "failed. Take an earlier run or checkpoint."
        )
    model.load_state_dict(tensors)
    return model.to(device), config, classes, track_ids


def _described(path: Path) -> tuple[Config, list[str], list[int], int]:
    """Return config, classes, track ids and number of queries."""
    where = str(path)
    about = as_object(read_json(path, "description"), where, "a description", "format")
    found = as_whole(about.get("format"), where, "format")
    if found != _FORMAT:
        raise InputError(f"format {found} is not {_FORMAT}, update napari-maskfree.")
    classes = as_list(about.get("classes"), where, "classes")
    if not all(isinstance(name, str) for name in classes):
        raise InputError(f"{where}: classes must be a list of text.")
    listed = as_list(about.get("track_ids"), where, "track_ids")
    settings = as_object(about.get("config"), where, "config", "preset")
    return (
        from_dict(Config, settings, path.name, kept=True),
        classes,
        [as_whole(each, where, "track_ids") for each in listed],
        as_whole(about.get("num_queries"), where, "num_queries", low=1),
    )


def _check_size(
    config: ModelConfig, classes: int, queries: int, tensors: dict[str, Any], path: Path
) -> None:
    """Check, before a network of that size is made, that the file could hold its weights."""
    sizes = zip(config.backbone_sizes, config.backbone_depths, strict=False)
    least = sum(depth * size**2 for size, depth in sizes)
    least += 2 * config.encoder_layers * config.hidden_size * config.feedforward_size
    least += config.hidden_size * (max(queries, config.num_queries) + classes)
    found = sum(tensor.numel() for tensor in tensors.values())
    if least > max(found, _ALWAYS):
        raise InputError(
            f"{path} holds {found} numbers, the network that {path.with_suffix('.json').name} "
            f"describes has more than {least}. Fine-tune again to make a new run."
        )
