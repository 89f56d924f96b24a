"""Stacks of pictures to open, and what comes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskfree.config import VideoConfig
from maskfree.errors import InputError
from maskfree.video import open_video

RNG = np.random.default_rng(0)
T, H, W = 5, 14, 16
FULL = VideoConfig(intensity_low=0, intensity_high=100)


def eight_bit(*shape: int) -> np.ndarray:
    return RNG.integers(0, 255, shape, dtype=np.uint8)


def frames_of(source: Any, **arguments: Any) -> np.ndarray:
    with open_video(source, **arguments) as video:
        return np.stack(list(video))


def grey(stack: np.ndarray) -> np.ndarray:
    return np.repeat(stack[..., None], 3, axis=-1)


def error_of(source: Any, **arguments: Any) -> str:
    with pytest.raises(InputError) as raised:
        open_video(source, **arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)
