"""The state from which a run is resumed, as a file that holds no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.model.torch_file import read_torch_file

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

__all__ = ["load_state", "plain_rng", "wide_rng"]


def load_state(path: Path) -> Any:
    """Read what the trainer saved; tensors are on the CPU.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    try:
        return read_torch_file(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be resumed: it is damaged or incomplete. Fine-tune without --resume."
        ) from error


def plain_rng(rng: np.random.Generator) -> dict[str, Any]:
    """Return the generator's state with its 128-bit numbers as text (torch stores 64 bits)."""
    state = rng.bit_generator.state
    words = {k: str(v) for k, v in state["state"].items()}
    return {**state, "state": words}


def wide_rng(state: dict[str, Any]) -> dict[str, Any]:
    """Return what :func:`plain_rng` made plain as a generator takes it."""
    return {**state, "state": {k: int(v) for k, v in state["state"].items()}}
