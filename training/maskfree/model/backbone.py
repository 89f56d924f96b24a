"""The backbone: a ResNet, with fresh weights or with pretrained ones from a hub or a folder.

Pretrained weights are used where they can be fetched and are never needed. How much better masks
get with them was not measured: the machines that we build on have no network.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils import validate_repo_id
from transformers import ResNetBackbone, ResNetConfig
from transformers.utils import logging as transformers_logging

from maskfree.errors import InputError, InputWarning
from maskfree.model.convert import read_weights
from maskfree.model.known_weights import check_digest, check_hub
from maskfree.model.tensors_file import check_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.config import ModelConfig

__all__ = ["backbone_config", "pretrained_backbone", "quiet"]

_STAGES = 4
_REDUCTION = 4
"""A bottleneck's inner width is its outer one divided by this, fixed in the library."""
_TIMEOUT = 5.0
"""Seconds that the hub has for its first answer; the library alone goes on for minutes."""
_CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_DECISIVE = (
    "num_channels",
    "embedding_size",
    "hidden_sizes",
    "depths",
    "layer_type",
    "hidden_act",
    "downsample_in_first_stage",
    "downsample_in_bottleneck",
)
"""What makes a ResNet the same function of its weights."""
_COUNTER = "num_batches_tracked"
"""Of a batch norm; checkpoints of old torch have none, and nothing here reads it."""
_LONGEST = 200
"""Characters of a name that a message repeats."""


def backbone_config(config: ModelConfig) -> ResNetConfig:
    """Return transformers' configuration of the backbone.

    The stem is as wide as the first stage, of bottlenecks as its inner width: 64 in the published
    ResNets.

    Raises
    ------
    InputError
        For sizes that make no ResNet.
    """
    for name in ("backbone_sizes", "backbone_depths"):
        values = getattr(config, name)
        if len(values) != _STAGES or min(values) < 1:
            raise InputError(
                f"model.{name} must be {_STAGES} numbers above 0, one for each stage, got "
                f"{','.join(map(str, values))}."
            )
    inner = _REDUCTION if config.backbone_layer == "bottleneck" else 1
    if any(size % inner for size in config.backbone_sizes):
        raise InputError(
            f"model.backbone_sizes must be multiples of {inner} with bottlenecks, got "
            f"{','.join(map(str, config.backbone_sizes))}."
        )
    return ResNetConfig(
        embedding_size=config.backbone_sizes[0] // inner,
        hidden_sizes=list(config.backbone_sizes),
        depths=list(config.backbone_depths),
        layer_type=config.backbone_layer,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def pretrained_backbone(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Return the backbone's pretrained weights by name, running statistics included.

    Empty where ``config.backbone_weights`` names none, and, with an InputWarning, where it names
    some that cannot be fetched, for whatever reason. No code of a file is run.

    Raises
    ------
    InputError
        For a folder that is missing, damaged or of another network, and for a name that the hub
        does not know or the system cannot look up.
    """
    if not config.backbone_weights:
        return {}
    expected = backbone_config(config)
    with quiet():
        folder = _find(config.backbone_weights)
        if folder is None:
            return {}
        _check(folder, expected)
        return _read(folder, expected)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars and hints of transformers and the hub off the terminal."""
    bars = transformers_logging.is_progress_bar_enabled()
    levels = transformers_logging.get_verbosity(), hub_logging.get_verbosity()
    with warnings.catch_warnings():  # where HF_HUB_DISABLE_PROGRESS_BARS=0 insists on the hub's
        warnings.simplefilter("ignore", UserWarning)
        transformers_logging.disable_progress_bar()  # the hub's too
    transformers_logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(levels[0])
        hub_logging.set_verbosity(levels[1])
        if bars:
            transformers_logging.enable_progress_bar()


def _find(weights: str) -> Path | None:
    """Return the folder that holds ``weights``; None, after a warning, where none can be had."""
    folder = _folder(weights)
    if folder is not None:
        return folder
    try:
        validate_repo_id(weights)
    except HFValidationError:
        raise InputError(
            f"There is no folder {Path(weights).expanduser()} with pretrained weights. Check "
            "model.backbone_weights, or leave it empty to begin with fresh ones."
        ) from None
    try:
        folder = _cached(weights) or _downloaded(weights)
        check_hub(weights, folder)
    except (InputError, MemoryError):
        raise
    except RepositoryNotFoundError as error:
        raise InputError(
            f"There is neither a folder {weights} here nor a hub repository of that name that is "
            "open to you. Check model.backbone_weights."
        ) from error
    except Exception as error:  # noqa: BLE001  (network, proxy, disk: each raises what it likes)
        warnings.warn(
            f"The backbone was to begin with the pretrained weights {weights}, but there is no "
            f"folder {weights} here, and they could not be fetched from the hub or its cache "
            f"({_reason(error)}). It begins with fresh weights, which learn at the full rate in "
            "this run and for which the preset tiny is made. To use pretrained ones, download "
            f"{_CONFIG} and {_WEIGHTS[0]} of {weights} elsewhere and name their folder: --set "
            "model.backbone_weights=FOLDER",
            InputWarning,
            stacklevel=3,
        )
        return None
    return folder


def _folder(weights: str) -> Path | None:
    """Return the folder of that name; None where there is none."""
    try:
        folder = Path(weights).expanduser()
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~ of nobody
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise InputError(
            f"model.backbone_weights must be a folder or a hub id, and {_short(weights)} cannot be "
            f"looked up ({reason}). Give the folder that holds {_CONFIG} and {_WEIGHTS[0]}, or "
            "leave it empty to begin with fresh weights."
        ) from error
    if not is_folder:
        raise InputError(
            f"model.backbone_weights must be a folder or a hub id, but {folder} is a file. Give "
            f"the folder that holds {_CONFIG} and {_WEIGHTS[0]}."
        )
    return folder


def _cached(hub_id: str) -> Path | None:
    if isinstance(try_to_load_from_cache(hub_id, _CONFIG), str):
        for name in _WEIGHTS:
            found = try_to_load_from_cache(hub_id, name)
            if isinstance(found, str):
                return Path(found).parent
    return None


def _downloaded(hub_id: str) -> Path:
    # asked first, since downloading tries again and again where nobody answers
    listed = HfApi().model_info(hub_id, timeout=_TIMEOUT).siblings or ()
    files = {each.rfilename for each in listed}
    for name in _WEIGHTS:
        if {name, _CONFIG} <= files:
            hf_hub_download(hub_id, _CONFIG, etag_timeout=_TIMEOUT)
            return Path(hf_hub_download(hub_id, name, etag_timeout=_TIMEOUT)).parent
    raise InputError(
        f"The hub repository {hub_id} holds no {_CONFIG} with {' or '.join(_WEIGHTS)}. Name that "
        "of a ResNet for transformers."
    )


def _check(folder: Path, expected: ResNetConfig) -> None:
    """Check that ``folder`` says it holds the ResNet ``expected``."""
    path = folder / _CONFIG
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        kind = about.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} should describe a ResNet and cannot be read: {_first_line(error)}. Give a "
            f"folder with {_CONFIG} and {_WEIGHTS[0]}, as a hub has them."
        ) from error
    if kind != ResNetConfig.model_type:
        raise InputError(
            f"{folder} should hold a ResNet for transformers (model_type "
            f'"{ResNetConfig.model_type}"), got "{kind}". Give the folder of a ResNet.'
        )
    usual = json.loads(ResNetConfig().to_json_string(use_diff=False))
    found = {key: about.get(key, usual[key]) for key in _DECISIVE}
    wanted = {key: getattr(expected, key) for key in _DECISIVE}
    differ = [f"{k} {found[k]}, not {wanted[k]}" for k in _DECISIVE if found[k] != wanted[k]]
    if differ:
        raise InputError(
            f"{folder} holds another ResNet than the settings describe: {'; '.join(differ)}. Set "
            "model.backbone_sizes, model.backbone_depths and model.backbone_layer to fit, or give "
            "other weights."
        )


def _read(folder: Path, expected: ResNetConfig) -> dict[str, torch.Tensor]:
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise InputError(
            f"{folder} holds no weights: there is no {' and no '.join(_WEIGHTS)}. Download the "
            f"first of them beside its {_CONFIG}."
        )
    try:
        with _safe_weights(folder) as safe:
            backbone, told = ResNetBackbone.from_pretrained(
                safe,
                config=expected,
                dtype=torch.float32,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise InputError(
            f"The weights in {folder} cannot be read ({_first_line(error)}): they are damaged, "
            f"incomplete or more than weights. Download {_WEIGHTS[0]} again."
        ) from error
    wrong = sorted(key for key in told["missing_keys"] if not key.endswith(_COUNTER))
    wrong += sorted(key for key, *_ in told["mismatched_keys"])
    if wrong:
        raise InputError(
            f"The weights in {folder} are not those that its {_CONFIG} describes ({len(wrong)} "
            f"tensors are missing or of another size, first {wrong[0]}). Download both again."
        )
    weights: dict[str, torch.Tensor] = backbone.state_dict()
    return weights


@contextlib.contextmanager
def _safe_weights(folder: Path) -> Iterator[Path]:
    """Yield a folder whose weights are safetensors: ``folder`` itself, or one with those of it.

    What torch saved is read by our own reader: transformers would have torch's read it.
    """
    safe, saved = (folder / name for name in _WEIGHTS)
    if safe.is_file():
        check_digest(safe)
        check_header(safe)
        yield folder
        return
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        tensors = read_weights(saved)
        safetensors.torch.save_file(tensors, Path(made) / safe.name, metadata={"format": "pt"})
        shutil.copyfile(folder / _CONFIG, Path(made) / _CONFIG)
        yield Path(made)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):  # as of a network that wants a login first
        return f"what answered is not the hub: {_first_line(error)}"
    return _first_line(error)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
