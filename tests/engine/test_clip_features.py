from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from maskfree.clip_features import ClipFeatures
from maskfree.model.build import build_model

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.model.mask2former_video import Mask2FormerVideo

FRAMES = torch.rand(9, 3, 64, 96, generator=torch.Generator().manual_seed(0))


class Looking:
    """Counts the frames that a network looks at."""

    def __init__(self, config: Config) -> None:
        torch.manual_seed(0)
        self.model: Mask2FormerVideo = build_model(config.model, num_classes=1, num_queries=2)
        self.model.eval()
        self.seen: list[int] = []

    def read(self, frames: range) -> torch.Tensor:
        self.seen += frames
        return FRAMES[frames.start : frames.stop]

    def features(self, *, mirror: bool = False) -> ClipFeatures:
        return ClipFeatures(self.model, self.read, mirror=mirror)


@pytest.fixture
def looking(small_config: Config) -> Looking:
    return Looking(small_config)


@pytest.mark.parametrize(
    ("clips", "seen"),
    [
        ([(0, 4), (2, 6), (5, 9)], [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ([(0, 4), (4, 8)], [0, 1, 2, 3, 4, 5, 6, 7]),
        ([(0, 2), (5, 7)], [0, 1, 5, 6]),  # some clips of a video
        ([(0, 5), (1, 3), (2, 5)], [0, 1, 2, 3, 4, 3, 4]),
        ([(4, 7), (2, 5)], [4, 5, 6, 2, 3, 4]),  # backwards: nothing is kept
    ],
)
@torch.no_grad()
def test_a_frame_that_clips_share_is_looked_at_once(
    looking: Looking, clips: list[tuple[int, int]], seen: list[int]
) -> None:
    features = looking.features()
    for first, last in clips:
        _, masks = features.clip(first, last).ask(None)
        expected = looking.model(FRAMES[None, first:last])
        torch.testing.assert_close(masks, expected.mask_logits[-1][0], rtol=1e-4, atol=1e-5)
    assert looking.seen == seen


@torch.no_grad()
def test_a_clip_and_its_mirror_image_are_averaged(looking: Looking) -> None:
    features = looking.features(mirror=True)
    prompts = torch.zeros(2, 3, 16, 24, dtype=torch.bool)
    prompts[0, :, 2:9, 3:8] = prompts[1, :, 8:, 12:] = True
    for first in (0, 1):
        clip = FRAMES[None, first : first + 3]
        plain = looking.model(clip, prompts[None])
        turned = looking.model(clip.flip(-1), prompts[None].flip(-1))
        classes, masks = features.clip(first, first + 3).ask(prompts, rows=1)
        expected = (plain.mask_logits[-1] + turned.mask_logits[-1].flip(-1))[0, :1] / 2
        torch.testing.assert_close(masks, expected, rtol=1e-4, atol=1e-5)
        logits = (plain.class_logits[-1] + turned.class_logits[-1])[0] / 2
        torch.testing.assert_close(classes, logits.softmax(-1), rtol=1e-4, atol=1e-5)
    assert looking.seen == [0, 1, 2, 3]
