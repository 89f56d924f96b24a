"""Bounds on what a file of annotations may ask for; they are told in :mod:`maskfree.limits`."""

from __future__ import annotations

from maskfree.limits import check_masks, check_size

__all__ = ["check_masks", "check_size"]
