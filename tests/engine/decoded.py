"""Plain sequential decoding of a video file, and an order to read it in."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def digest(picture: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture)).hexdigest()


def decoded_truth(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [digest(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def shuffled(length: int) -> list[int]:
    order = list(range(length)) * 2
    random.Random(0).shuffle(order)
    return order
