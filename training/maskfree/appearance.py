"""What colours a track and its background have, pooled over the whole video.

Two histograms in Lab, of the object and of what surrounds it; their ratio says for each colour
which of the two it belongs to. GrabCut (Rother and others, SIGGRAPH 2004) does this within one
picture; here all frames of a video share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import ConsensusConfig

__all__ = ["ColourModel"]

_TAIL = 0.5
"""Percent of the colours beyond each end of the histogram's range."""
_NARROWEST = 1.0
"""Lab: bins are never narrower than this."""


class ColourModel:
    """Log ratio of how likely a colour is on the object and around it.

    Parameters
    ----------
    colours
        Lab pictures, float ``(H, W, 3)`` or ``(P, 3)`` each, that say which range the bins cover.
    config
        Number of bins, smoothing and limits.
    """

    def __init__(self, colours: Sequence[np.ndarray], config: ConsensusConfig) -> None:
        self._config = config
        flat = np.concatenate([c.reshape(-1, 3) for c in colours])
        flat = flat if len(flat) else np.zeros((1, 3), np.float32)  # all of it is ignored
        low, high = np.percentile(flat, [_TAIL, 100 - _TAIL], axis=0)
        self._width = np.maximum((high - low) / config.bins, _NARROWEST).astype(np.float32)
        self._low = ((low + high - self._width * config.bins) / 2).astype(np.float32)
        self._table = np.zeros(config.bins**3, np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Return everything learnt, as arrays."""
        table = self._table.astype(np.float16)
        return {"low": self._low, "width": self._width, "table": table}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], config: ConsensusConfig) -> ColourModel:
        """Return the model whose :meth:`state` this is.

        Raises
        ------
        ValueError
            When the arrays are not of this config's shapes.
        """
        made = cls.__new__(cls)
        made._config = config
        made._low, made._width = state["low"], state["width"]
        made._table = state["table"].astype(np.float32)
        for name in ("low", "width"):
            if state[name].shape != (3,):
                raise ValueError(f"{name}: expected 3 axes of colour, got {state[name].shape}")
        if made._table.shape != (config.bins**3,):
            raise ValueError(f"expected {config.bins} bins, got a table {made._table.shape}")
        return made

    def bins(self, lab: np.ndarray) -> np.ndarray:
        """Return the bin of each colour: int ``(H, W)`` for ``lab (H, W, 3)``."""
        last = self._config.bins - 1
        place = np.clip((lab - self._low) / self._width, 0, last).astype(np.int64)
        return np.asarray((place[..., 0] * (last + 1) + place[..., 1]) * (last + 1) + place[..., 2])

    def fit(self, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Learn from bins and the probability of object, of one shape: ``(H, W)`` or ``(P,)``."""
        size = self._config.bins**3
        counts = np.zeros((2, size))
        for bins, probability in samples:
            clear = probability > 0.5
            counts[0] += np.bincount(bins[clear], probability[clear], size)
            counts[1] += np.bincount(bins[~clear], 1 - probability[~clear], size)
        shape = (self._config.bins,) * 3
        share = np.stack([gaussian_filter(c.reshape(shape), 1.0).ravel() for c in counts])
        share /= np.maximum(share.sum(1, keepdims=True), 1e-9)
        unseen = self._config.unseen_share / size
        ratio = np.log((share[0] + unseen) / (share[1] + unseen))
        limit = self._config.colour_limit
        self._table = np.clip(ratio, -limit, limit).astype(np.float32)

    def __call__(self, bins: np.ndarray) -> np.ndarray:
        """Return the log ratio of object to background, float ``(H, W)``, for ``bins (H, W)``."""
        return np.asarray(self._table[bins])
