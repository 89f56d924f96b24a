"""Bounds on what a file of annotations may ask for; they are told in :mod:`maskfree.limits`."""

from __future__ import annotations

from maskfree.limits import check_masks, check_size

__all__ = ["MOST_ID", "check_masks", "check_size"]

MOST_ID = 10**18 - 1
"""The largest id that is read where ids are text: 18 digits."""
