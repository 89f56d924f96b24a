"""Clips with true masks for the ablation, as small as they may be, and results that are made up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from maskfree.ablation.clips import AblationClip
from maskfree.ablation.job import Job, JobResult
from maskfree.formats.indexed_png import encode_ids

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RESULT", "Stand", "clip_named", "write_clip"]

RESULT = JobResult(0.5, 0.4, 0.3, 60.0, 7.0, 2_000_000)


def write_clip(folder: Path, frames: int = 4, masks: tuple[int, ...] | None = None) -> Path:
    """A disc that goes to the right over noise; ``masks``: frames that have one, or all."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    rows, columns = np.mgrid[:64, :64]
    for part in ("frames", "masks"):
        (folder / part).mkdir(parents=True)
    for t in range(frames):
        picture, ids = noise.copy(), np.zeros((64, 64), np.uint8)
        inside = (rows + 0.5 - 28) ** 2 + (columns + 0.5 - 12 - 4 * t) ** 2 < 12**2
        picture[inside], ids[inside] = (200, 40, 40), 1
        cv2.imwrite(str(folder / "frames" / f"{t:05d}.png"), picture)
        if masks is None or t in masks:
            (folder / "masks" / f"{t:05d}.png").write_bytes(encode_ids(ids))
    return folder


@dataclasses.dataclass
class Stand:
    """Stands in for the process of a job: notes what is asked for; J and bytes as these say."""

    j: Any = lambda job: 0.5
    size: Any = lambda job: RESULT.loss_bytes
    asked: list[Job] = dataclasses.field(default_factory=list)

    def __call__(self, job: Job) -> JobResult:
        self.asked.append(job)
        return dataclasses.replace(RESULT, j=self.j(job), loss_bytes=self.size(job))


def clip_named(name: str, folder: Path) -> AblationClip:
    return AblationClip(name, folder, f"digest of {name}")
