"""Some of many, evenly spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["evenly"]

T = TypeVar("T")


def evenly(items: Sequence[T], at_most: int) -> list[T]:
    """Return at most ``at_most`` of the items in order, first and last among them."""
    if len(items) <= at_most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, at_most).round().astype(int).tolist()]
