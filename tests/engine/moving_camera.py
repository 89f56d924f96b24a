"""What a moving camera sees of a random picture."""

from __future__ import annotations

import cv2
import numpy as np

from maskfree.config import EvidenceConfig

HEIGHT, WIDTH = 96, 128
CONFIG = EvidenceConfig(max_corners=200, min_inliers=12, ransac_threshold=1.0)
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)


def texture(seed: int = 0) -> np.ndarray:
    """A smooth random picture, larger than a frame."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (48, 64)).astype(np.float32)
    return cv2.resize(small, (256, 192), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def seen_through(to_picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """What a camera sees whose pixels are mapped to the picture's by ``to_picture``."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    frame = cv2.warpPerspective(texture(seed), to_picture, (WIDTH, HEIGHT), flags=flags)
    return frame.clip(0, 255).astype(np.uint8)


def pan(dx: float, dy: float) -> np.ndarray:
    return np.array([[1, 0, 60 + dx], [0, 1, 45 + dy], [0, 0, 1.0]])
