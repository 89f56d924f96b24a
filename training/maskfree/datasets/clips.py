"""Training clips from a data set, by number: the same seed and number give the same clip anywhere.

The numbers go over the videos again and again, each time in another order, so that a run can go on
from any number, and several processes share one order by taking different numbers.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

from maskfree.colour_jitter import jittered
from maskfree.datasets.padding import padded_pixels, whole_size
from maskfree.datasets.pictures import read_frame
from maskfree.datasets.seen import look
from maskfree.datasets.subsets import frame_part, video_part
from maskfree.datasets.types import Skipped
from maskfree.datasets.views import check_view, draw_view, warp
from maskfree.errors import InputError, InputWarning
from maskfree.lab import GRID_STRIDE, to_lab
from maskfree.sampling import TrainingClip
from maskfree.targets import box_targets
from maskfree.types import Clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import DataConfig, SamplingConfig
    from maskfree.datasets.seen import Seen
    from maskfree.datasets.types import DataVideo, VideoDataset
    from maskfree.datasets.views import View

__all__ = ["DatasetClips"]

_ORDER, _CLIP = 0, 1
"""What a generator is for: each has numbers of its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Item:
    """A video, its frames that may be drawn, and those among them that show an object."""

    video: DataVideo
    frames: np.ndarray
    shown: np.ndarray


class DatasetClips:
    """The clips of a data set.

    Parameters
    ----------
    dataset
        Opened with masks: `TrainingClip.hand` holds them, and boxes are theirs.
    data
        Which videos and frames, and how they are changed.
    sampling
        How boxes are laid on the mask grid.
    seed
        At least 0.

    Raises
    ------
    InputError
        Where no video has a box in a frame that is used, or the settings do not fit together.

    Notes
    -----
    ``skipped``: what of the part that is used cannot be drawn, beside ``VideoDataset.skipped``.
    """

    def __init__(
        self, dataset: VideoDataset, data: DataConfig, sampling: SamplingConfig, *, seed: int
    ) -> None:
        check_view(data)
        self.dataset, self.data, self.sampling, self.seed = dataset, data, sampling, seed
        self.skipped: list[Skipped] = []
        self._pictures = all(len(video.files) == 1 for video in dataset.videos)
        names = [video.name for video in dataset.videos]
        videos = video_part(dataset.videos, names, data.video_share)
        self._items = [item for video in videos if (item := self._item(video)) is not None]
        if not self._items:
            raise InputError(
                f"{dataset.name} has no video with a box in the frames that are used. Use a larger "
                "share of it, or annotate it."
            )
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self._warned: set[str] = set()

    def __len__(self) -> int:
        """Return how many videos are drawn from: so many clips go once over all of them."""
        return len(self._items)

    def clip(self, number: int) -> TrainingClip:
        """Return clip ``number``, from 0 on; see `draw`."""
        return self.draw(number)[0]

    def draw(self, number: int) -> tuple[TrainingClip, tuple[Skipped, ...]]:
        """Return clip ``number``, and which pictures could not be read on the way to it.

        A clip with such a picture is drawn anew from another video.

        Raises
        ------
        InputError
            Where that happened ``DataConfig.most_tries`` times.
        """
        damaged: list[Skipped] = []
        for turn in range(self.data.most_tries):
            rng = np.random.default_rng([self.seed, _CLIP, number, turn])
            item = self._items[self._place(number) if turn == 0 else rng.integers(len(self))]
            chosen = self._draw_frames(item, rng)
            try:
                frames = self._read(item.video, chosen)
            except InputError as error:
                damaged.append(Skipped(f"video {item.video.name}", str(error)))
                self._warn(damaged[-1])
                continue
            return self._made(item.video, chosen, frames, rng), tuple(damaged)
        raise InputError(
            f"{self.dataset.name}: no clip could be read in {self.data.most_tries} tries, last "
            f"{damaged[-1].what}: {damaged[-1].why}"
        )

    def _item(self, video: DataVideo) -> _Item | None:
        frames = frame_part(len(video.files), self.data.frame_share)
        boxes = [each.boxes for each in video.instances if not each.crowd]
        here = np.zeros(len(video.files), bool)
        for each in boxes:
            here |= np.isfinite(each).all(-1)
        shown = np.flatnonzero(here[frames])
        if not len(shown):
            why = "it has no box of an object in the frames that are used"
            self.skipped.append(Skipped(f"video {video.name}", why))
            return None
        return _Item(video, frames, shown)

    def _place(self, number: int) -> int:
        epoch, place = divmod(number, len(self._items))
        if self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, _ORDER, epoch])
            self._order = epoch, rng.permutation(len(self._items))
        return int(self._order[1][place])

    def _draw_frames(self, item: _Item, rng: np.random.Generator) -> list[int]:
        """Return T frames: one that shows an object, others near it, again where there are few."""
        if self._pictures:
            return [int(item.frames[0])] * self.data.pseudo_frames
        anchor = int(rng.choice(item.shown))
        low, high = anchor - self.data.frame_range, anchor + self.data.frame_range + 1
        near = np.arange(max(0, low), min(len(item.frames), high))
        others = near[near != anchor]
        missing = self.data.clip_length - 1 - len(others)
        if missing <= 0:
            drawn = rng.choice(others, self.data.clip_length - 1, replace=False)
        else:
            drawn = np.concatenate([others, rng.choice(near, missing)])
        chosen = np.sort(np.append(drawn, anchor))
        if self.data.shuffle:
            chosen = rng.permutation(chosen)
        return [int(frame) for frame in item.frames[chosen]]

    def _read(self, video: DataVideo, frames: Sequence[int]) -> list[np.ndarray]:
        pictures = {frame: read_frame(self.dataset.root, video, frame) for frame in set(frames)}
        return [pictures[frame] for frame in frames]

    def _warn(self, damaged: Skipped) -> None:
        if damaged.why not in self._warned:
            self._warned.add(damaged.why)
            warnings.warn(
                f"{self.dataset.name}: {damaged.why} Another video is taken instead.",
                InputWarning,
                stacklevel=4,
            )

    def _made(
        self,
        video: DataVideo,
        chosen: Sequence[int],
        frames: Sequence[np.ndarray],
        rng: np.random.Generator,
    ) -> TrainingClip:
        view, seen = self._view(video, chosen, rng)
        pictures = [warp(f, m, view.size) for f, m in zip(frames, view.matrices, strict=True)]
        clean = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        rgb = jittered(clean, self.data.colour_jitter, rng) if self.data.colour_jitter else clean
        size = whole_size(*view.size)
        numbers = tuple(range(len(chosen))) if self._pictures else tuple(chosen)
        clip = Clip(padded_pixels(rgb, size), to_lab(padded_pixels(clean, size)), numbers)
        grid = size[0] // GRID_STRIDE, size[1] // GRID_STRIDE
        slack = np.zeros(seen.boxes.shape[:2])
        targets = box_targets(seen.boxes / GRID_STRIDE, slack, *grid, config=self.sampling)
        trust = targets.trust.masked_fill(torch.from_numpy(seen.cut > self.sampling.max_cut), 0)
        ignored = torch.from_numpy(seen.ignored) if seen.ignored.any() else None
        hand = None if seen.masks is None else torch.from_numpy(seen.masks)
        if ignored is not None and hand is not None:
            hand = hand.masked_fill(ignored, 0)
        classes = [video.instances[n].class_index for n in seen.instances]
        return TrainingClip(
            clip,
            dataclasses.replace(targets, trust=trust),
            torch.zeros(targets.box_masks.shape),
            hand,
            ignored,
            torch.tensor(classes, dtype=torch.long),
        )

    def _view(
        self, video: DataVideo, frames: Sequence[int], rng: np.random.Generator
    ) -> tuple[View, Seen]:
        """Draw a view that shows an instance: nothing is cut out where it would show none."""
        for crop in (True, False):
            view = draw_view(
                video.height,
                video.width,
                len(frames),
                self.data,
                rng,
                moving=self._pictures,
                crop=crop,
            )
            size = whole_size(*view.size)
            seen = look(video, frames, view, (size[0] // GRID_STRIDE, size[1] // GRID_STRIDE))
            if seen.instances:
                break
        return view, seen
