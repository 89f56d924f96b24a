"""A part of a frame at a scale of its own, and where its pixels lie in the video."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

__all__ = ["Crop"]


@dataclasses.dataclass(frozen=True)
class Crop:
    """A part of a frame at its own scale.

    ``rows``, ``columns``: pixels of the video; ``values``: float ``(h, w)``, what is known there.
    """

    rows: slice
    columns: slice
    values: np.ndarray

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the video's y of each row and x of each column (pixel centres whole)."""
        h, w = self.values.shape
        y = self.rows.start + (np.arange(h) + 0.5) * (self.rows.stop - self.rows.start) / h
        x = self.columns.start + (np.arange(w) + 0.5) * (self.columns.stop - self.columns.start) / w
        return y - 0.5, x - 0.5

    def at(self, x: np.ndarray, y: np.ndarray, outside: float) -> np.ndarray:
        """Return the values at places of the video (pixel centres at whole numbers)."""
        sy = self.values.shape[0] / (self.rows.stop - self.rows.start)
        sx = self.values.shape[1] / (self.columns.stop - self.columns.start)
        map_x = ((x - self.columns.start + 0.5) * sx - 0.5).astype(np.float32)
        map_y = ((y - self.rows.start + 0.5) * sy - 0.5).astype(np.float32)
        found = cv2.remap(
            self.values, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        h, w = self.values.shape
        here = (map_x > -1) & (map_x < w) & (map_y > -1) & (map_y < h)
        return np.where(here, found, outside)

    def belief(self, cell: float) -> Crop:
        """Turn logits into beliefs from -1 to 1, means over cells of ``cell`` video pixels."""
        values = np.tanh(self.values / 2)
        pixels = cell * values.shape[1] / (self.columns.stop - self.columns.start)
        pixels = 2 * round((pixels - 1) / 2) + 1  # odd: around the middle of a pixel
        if pixels > 1:
            values = cv2.blur(values, (pixels, pixels), borderType=cv2.BORDER_REPLICATE)
        return Crop(self.rows, self.columns, values)

    def full(self) -> np.ndarray:
        """Return the values at the video's own pixels."""
        size = (self.columns.stop - self.columns.start, self.rows.stop - self.rows.start)
        return np.asarray(cv2.resize(self.values, size, interpolation=cv2.INTER_LINEAR))
