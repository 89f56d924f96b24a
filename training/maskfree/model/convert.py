"""Foreign checkpoints to safetensors, without running any code that a file may hold."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch

from maskfree.errors import InputError, InputWarning
from maskfree.model.detectron2_names import is_detectron2
from maskfree.model.known_weights import check_digest
from maskfree.model.pickled_arrays import BUILDERS, WORDS, PickledArray
from maskfree.model.plain_pickle import Forbidden, read_pickle
from maskfree.model.tensors_file import read_tensors
from maskfree.model.torch_file import Script, is_torch_file, read_torch_file
from maskfree.model.weights_about import about, classes_of
from maskfree.storage import atomic_write

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from maskfree.model.from_detectron2 import Converted

__all__ = ["convert_checkpoint", "convert_weights", "read_weights"]

WEIGHT_KEYS = ("model", "state_dict", "model_state_dict")
"""Where training tools keep the weights in a checkpoint that holds more than those."""
_SAFE = ".safetensors"
_FLOOR, _SHARED = 1 << 24, 4
"""Bytes that the tensors may take however small the file is; times of its bytes that they may."""
_HEAD = 64
"""Bytes that tell the kind of a file."""


def convert_weights(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> dict[str, torch.Tensor]:
    """Write the tensors of ``source`` to the safetensors file ``target``; return them.

    As :func:`convert_checkpoint`.
    """
    return convert_checkpoint(source, target)[0]


def convert_checkpoint(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    classes: Sequence[str] = (),
) -> tuple[dict[str, torch.Tensor], Converted | None]:
    """Write the tensors of ``source`` to the safetensors file ``target``; return them.

    As :func:`read_weights`. Those of a Mask2Former or MaskFreeVIS checkpoint of detectron2 are
    written by our own names, and with them it is returned what became of each; else None.

    Parameters
    ----------
    classes
        Names of the class outputs, kept in the file for whoever begins with it; empty: those that
        ``source`` names, COCO's where a checkpoint of detectron2 has as many, else unknown.

    Raises
    ------
    InputError
        As there and as `from_detectron2`; where ``target`` cannot be written, and for another
        number of classes than there are outputs.
    """
    out = Path(target)
    if out.suffix != _SAFE:
        raise InputError(f"OUT must end in {_SAFE}, got {out}. Try {out.with_suffix(_SAFE)}")
    tensors, converted = read_weights(Path(source)), None
    if is_detectron2(set(tensors)):
        from maskfree.model.from_detectron2 import from_detectron2  # transformers takes seconds

        converted = from_detectron2(tensors)
        tensors = converted.weights
        classes = classes or converted.classes
    head = tensors.get("class_predictor.weight")
    outputs = len(head) - 1 if head is not None and head.ndim else 0
    classes = classes or classes_of(Path(source), outputs)
    if classes and len(classes) != outputs:
        raise InputError(
            f"--classes must name as many classes as {source} has outputs, got {len(classes)} for "
            f"{outputs or 'none'}. Give the list that it was trained on."
        )
    atomic_write(out, safetensors.torch.save(tensors, metadata=about(classes)))
    return tensors, converted


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, each with memory of its own.

    ``path`` is what ``torch.save`` wrote, or a pickle of numpy arrays (detectron2's ``.pkl``):
    tensors by name, alone or under "model" or "state_dict" among other things, which are left out;
    or a safetensors file. Nothing that a file names is imported or called.

    Raises
    ------
    InputError
        For a file that would run code (naming what), is missing, damaged, no checkpoint or not the
        one that its name says, or holds no tensors.
    """
    if path.is_dir():
        raise InputError(f"Expected a checkpoint file, but {path} is a folder. Give the file.")
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}. Check the path.")
    if path.stat().st_size == 0:
        raise InputError(f"The checkpoint {path} is empty. Download it again.")
    check_digest(path)
    return read_tensors(path) if path.suffix == _SAFE else _tensors(_load(path), path)


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            if is_torch_file(file.read(_HEAD)):
                return read_torch_file(path)
            file.seek(0)
            return read_pickle(io.BytesIO(file.read()), BUILDERS, words=WORDS)
    except Forbidden as error:
        raise InputError(
            f"{path} would run code when loaded (it calls {error.name}); it was refused and "
            "nothing of it was run. Ask its maker for safetensors, or for the plain state_dict()."
        ) from None
    except Script:
        raise InputError(
            f"{path} is a TorchScript archive, which holds code; it was refused. Save the model's "
            "state_dict() with torch.save instead."
        ) from None
    except ValueError as error:
        raise InputError(
            f"{path} is damaged, incomplete or no checkpoint that torch.save wrote. Download it "
            "again, or give a .pth, .pt, .bin, .pkl or .safetensors file that holds tensors by "
            "name."
        ) from error


def _tensors(content: Any, path: Path) -> dict[str, torch.Tensor]:
    for key in WEIGHT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {type(content).__name__}, not tensors by name. Give a checkpoint that "
            "holds a state_dict."
        )
    tensors = {}
    left_out = []
    room = max(_FLOOR, _SHARED * path.stat().st_size)
    for name, value in content.items():
        if isinstance(value, PickledArray) and value.value is not None:
            value = _as_tensor(value, name, path)
        if isinstance(value, torch.Tensor):
            room -= value.numel() * value.element_size()
            if room < 0:
                raise InputError(
                    f"{path} holds tensors that are much larger than the file: one stands in it "
                    "under many names. It is no checkpoint; download it again."
                )
            # a copy, since safetensors holds no two tensors that share their memory
            tensors[str(name)] = value.detach().clone(memory_format=torch.contiguous_format)
        else:
            left_out.append(str(name))
    if not tensors:
        raise InputError(
            f"{path} holds no tensors by name (only {', '.join(left_out) or 'nothing'}). Give a "
            "checkpoint that holds a state_dict."
        )
    if left_out:
        warnings.warn(
            f"{path}: {len(left_out)} entries are no tensors and were left out, first "
            f'"{left_out[0]}".',
            InputWarning,
            stacklevel=3,
        )
    return tensors


def _as_tensor(array: PickledArray, name: object, path: Path) -> torch.Tensor:
    try:
        return torch.from_numpy(array.value)
    except TypeError as error:
        raise InputError(f'{path}: "{name}" cannot be a tensor ({error}). Leave it out.') from None
