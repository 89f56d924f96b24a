"""Foreign checkpoints to safetensors, without running any code that a file may hold."""

from __future__ import annotations

import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch

from maskfree.errors import InputError, InputWarning
from maskfree.model.checkpoint import read_tensors
from maskfree.storage import atomic_write

if TYPE_CHECKING:
    import os

__all__ = ["convert_weights"]

WEIGHT_KEYS = ("model", "state_dict", "model_state_dict")
"""Where training tools keep the weights in a checkpoint that holds more than those."""
_SAFE = ".safetensors"
_NAMED = re.compile(r"GLOBAL ([\w.]+)")
_SCRIPT = "TorchScript"


def convert_weights(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> dict[str, torch.Tensor]:
    """Write the tensors of ``source`` to the safetensors file ``target``; return them.

    ``source`` is what ``torch.save`` wrote: tensors by name, alone or under "model" or
    "state_dict" among other things, which are left out; or a safetensors file. It is read by
    torch's restricted reader, which builds tensors and plain values and calls nothing.

    Raises
    ------
    InputError
        For a file that would run code (naming what), is missing, damaged or no checkpoint, or
        holds no tensors; where ``target`` cannot be written.
    """
    path, out = Path(source), Path(target)
    if out.suffix != _SAFE:
        raise InputError(f"OUT must end in {_SAFE}, got {out}. Try {out.with_suffix(_SAFE)}")
    if path.is_dir():
        raise InputError(f"Expected a checkpoint file, but {path} is a folder. Give the file.")
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}. Check the path.")
    if path.stat().st_size == 0:
        raise InputError(f"The checkpoint {path} is empty. Download it again.")
    tensors = read_tensors(path) if path.suffix == _SAFE else _tensors(_load(path), path)
    atomic_write(out, safetensors.torch.save(tensors))
    return tensors


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_globals()):
            warnings.simplefilter("ignore")  # torch's, about how the file was pickled
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if isinstance(error, MemoryError | PermissionError):
            raise
        raise InputError(_refusal(path, str(error))) from error


def _numpy_globals() -> list[Any]:
    """Return what arrays are rebuilt with, under the names of numpy 2 and numpy 1."""
    rebuild = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"]}
    return [
        (rebuild, "numpy._core.multiarray._reconstruct"),
        (rebuild, "numpy.core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        *kinds,
    ]


def _refusal(path: Path, why: str) -> str:
    """Say why torch's restricted reader did not read a file."""
    archive = zipfile.is_zipfile(path)
    told = _NAMED.search(why)
    called = told.group(1) if told else _called(path.read_bytes()) if not archive else ""
    if called:
        return (
            f"{path} would run code when loaded (it calls {called}); it was refused and nothing of "
            "it was run. Ask its maker for safetensors, or for the plain state_dict()."
        )
    if _SCRIPT in why:
        return (
            f"{path} is a TorchScript archive, which holds code; it was refused. Save the model's "
            "state_dict() with torch.save instead."
        )
    return (
        f"{path} is damaged, incomplete or no checkpoint that torch.save wrote. Download it again, "
        "or give a .pth, .pt, .bin or .safetensors file that holds tensors by name."
    )


def _called(data: bytes) -> str:
    """Return the first function or class that a pickle would call, by reading its opcodes only."""
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in {"GLOBAL", "INST"}:
                return str(argument).replace(" ", ".")
            if opcode.name == "STACK_GLOBAL":
                return ".".join(texts[-2:])
            if isinstance(argument, str):
                texts.append(argument)
    except ValueError:  # not a pickle, or not a whole one
        pass
    return ""


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
    for name, value in content.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if isinstance(value, torch.Tensor):
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
