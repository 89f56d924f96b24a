"""A clip and single boxes to try a consensus on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from maskfree.config import ConsensusConfig, EvidenceConfig, GeodesicConfig, SamplingConfig
from maskfree.consensus import Consensus
from maskfree.evidence import collect_evidence
from maskfree.loose_tube import loose_tube
from napari_maskfree.sample_data import generated_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.crop import Crop

CONFIG = ConsensusConfig(bins=12, frames=6)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A generated clip, its boxes every fourth frame, and what is known without a network."""

    frames: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    slack: np.ndarray
    ids: list[int]
    evidence: np.ndarray

    def consensus(self, config: ConsensusConfig = CONFIG, **changed: Any) -> Consensus:
        evidence = changed.pop("evidence", self.evidence)
        frames = changed.pop("frames", self.frames)
        stretch = changed.pop("stretch", 1.0)
        return Consensus(
            frames, self.boxes, self.slack, evidence, stretch=stretch, config=config, **changed
        )

    def present(self) -> list[tuple[int, int]]:
        return [(int(n), int(t)) for n, t in np.argwhere(np.isfinite(self.boxes).all(-1))]

    def true(self, n: int, t: int) -> np.ndarray:
        return np.asarray(self.masks[t] == self.ids[n])

    def filled(self, n: int, t: int) -> np.ndarray:
        mask = np.zeros(self.masks.shape[1:], bool)
        x0, y0, x1, y1 = self.boxes[n, t].round().astype(int)
        mask[max(0, y0) : y1, max(0, x0) : x1] = True
        return mask

    def mean_j(self, mask_of: Callable[[int, int], np.ndarray]) -> float:
        scores = []
        for n, t in self.present():
            found, true = mask_of(n, t), self.true(n, t)
            if true.any():
                scores.append((found & true).sum() / (found | true).sum())
        assert len(scores) > 15
        return float(np.mean(scores))

    def mask(self, consensus: Consensus, n: int, t: int) -> np.ndarray:
        out = np.zeros(self.masks.shape[1:], bool)
        crop = consensus.crop(n, t)
        assert crop is not None
        out[crop.rows, crop.columns] = crop.full() > 0
        return out

    def truth(self, n: int, t: int, crop: Crop) -> np.ndarray:
        """What a network that knows the truth would say."""
        mask = self.true(n, t)[crop.rows, crop.columns].astype(np.float32)
        h, w = crop.values.shape
        return np.asarray(cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA) * 12 - 6)


def make_scene(seed: int) -> Scene:
    clip = generated_clip(num_frames=12, height=64, width=96, seed=seed)
    tracks = clip.boxes(every=4)
    boxes, slack = loose_tube(tracks, range(12), config=SamplingConfig())
    evidence = collect_evidence(clip.frames, boxes, config=EvidenceConfig())
    return Scene(clip.frames, clip.masks, boxes, slack, [t.id for t in tracks.tracks], evidence)


def crops(consensus: Consensus, scene: Scene) -> list[Crop]:
    found = [consensus.crop(n, t) for n, t in scene.present()]
    assert all(found)
    return [crop for crop in found if crop is not None]


def assert_equal(first: Sequence[Crop], second: Sequence[Crop]) -> None:
    for here, there in zip(first, second, strict=True):
        assert (here.rows, here.columns) == (there.rows, there.columns)
        np.testing.assert_array_equal(here.values, there.values)


def assert_alike(first: Sequence[Crop], second: Sequence[Crop]) -> None:
    """The colours are kept in half precision: 0.002 of a logit, which the steps add to."""
    for here, there in zip(first, second, strict=True):
        assert (here.rows, here.columns) == (there.rows, there.columns)
        first_chance, second_chance = (1 / (1 + np.exp(-c.values)) for c in (here, there))
        np.testing.assert_allclose(first_chance, second_chance, atol=5e-3, rtol=0)


def constant(value: float) -> Callable[[int, int, Crop], np.ndarray]:
    return lambda n, t, crop: np.full(crop.values.shape, value, np.float32)


PLAIN = dataclasses.replace(
    CONFIG,
    network=0.0,
    evidence=0.0,
    colour=0.0,
    shape=0.0,
    lean=0.0,
    first_shape=0.0,
    steps=0,
    geodesic=GeodesicConfig(weight=0.0),
)
"""Every cue off."""


def one_box(
    config: ConsensusConfig,
    *,
    frames: np.ndarray | None = None,
    box: Sequence[float] = (20.0, 10, 40, 50),
    slack: float = 0.0,
    evidence: np.ndarray | None = None,
    stretch: float = 1.0,
) -> Consensus:
    if frames is None:
        frames = np.full((1, 64, 96, 3), 90, np.uint8)
    boxes = np.tile(np.array(box, float), (1, len(frames), 1))
    made = Consensus(
        frames, boxes, np.full((1, len(frames)), slack), evidence, stretch=stretch, config=config
    )
    made.fit()
    return made


def crop_of(consensus: Consensus, n: int = 0, t: int = 0) -> Crop:
    crop = consensus.crop(n, t)
    assert crop is not None
    return crop


def inside(crop: Crop, box: Sequence[float] = (20.0, 10, 40, 50)) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (int(v) for v in box)
    top, left = crop.rows.start, crop.columns.start
    return slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
