"""The same few frames, predicted again and again while a run goes on, and the best of them kept.

A preview changes nothing of the run: not the weights, the batch norms' statistics or any random
number. What goes wrong in one is said and ends no run. It costs time: previews wait until those
before them took no more than their share of it (`config.PreviewConfig`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import warnings
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from maskfree.config import PreviewConfig
from maskfree.consensus import Consensus
from maskfree.errors import InputError, InputWarning
from maskfree.hand_pixels import HandPixels
from maskfree.ignore_masks import IgnoreMasks, without_ignored
from maskfree.network_pass import network_pass
from maskfree.predict import boxed_masks
from maskfree.preview_files import MOMENTS, Shot
from maskfree.preview_score import choose_measure, is_measurable, score_preview
from maskfree.types import InstanceMasks
from maskfree.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.corrections import Correction
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.trainer import Trainer
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["Previewer"]

_COVERED = 0.5
"""Part of a picture's pixel that a mask must cover to be drawn there."""


class Previewer:
    """Looks at the chosen frames of a run every so often; see :meth:`after`.

    Parameters
    ----------
    trainer, run, session
        Who learns, where it is noted, and what masks there were before.
    video, tracks, corrections
        What the trainer learns from.
    frames
        The chosen frames, see :func:`check_frames`. The run's list of them may change meanwhile.
    first
        The steps that were taken before, by a run that is resumed.
    clock
        Seconds.
    """

    def __init__(
        self,
        trainer: Trainer,
        run: Run,
        session: Session,
        *,
        video: Video,
        tracks: BoxTracks,
        corrections: Mapping[int, Mapping[int, Correction]],
        frames: Sequence[int],
        first: int = 0,
        settings: PreviewConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trainer, self._run, self._session = trainer, run, session
        self._video, self._tracks, self._corrections = video, tracks, corrections
        self._settings, self._clock = settings or PreviewConfig(), clock
        self._files = run.previews
        self._frames = list(frames)
        self._measure = choose_measure(run, corrections, frames, most_gold=self._settings.most_gold)
        self._history: tuple[tuple[int, float], ...] = ()
        self._best: float | None = None
        self._before: dict[int, InstanceMasks] = {}
        self._boxed: set[int] = set()
        self._last, self._began = first, clock()
        self._spent = self._cost = 0.0
        self._told: set[str] = set()
        self._guarded(lambda: self._begin(first))

    @property
    def seconds(self) -> float:
        """What the previews took so far."""
        return self._spent

    def after(self, step: int) -> None:
        """Look, if it is time to, when so many steps are done."""
        soon = step - self._last < self._settings.every
        if not soon and self._spent + self._cost <= self._allowed():
            self._timed(step, measured=False)

    def last(self, step: int) -> None:
        """Look after the last step, with the batch norms as they were just measured."""
        if step != self._last:
            self._timed(step, measured=True)

    # ---- inside

    def _allowed(self) -> float:
        """Return the seconds that previews may have taken by now."""
        return self._settings.share * (self._clock() - self._began - self._spent)

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  (a preview is never worth a run)
            text = f"The chosen frames could not be redrawn: {error} The run goes on."
            if text not in self._told:
                self._told.add(text)
                warnings.warn(text, InputWarning, stacklevel=2)

    def _timed(self, step: int, *, measured: bool) -> None:
        started = self._clock()
        self._last = step
        self._guarded(lambda: self._look(step, measured=measured))
        self._cost = self._clock() - started
        self._spent += self._cost

    def _begin(self, first: int) -> None:
        """Write what there is before the first step; a resumed run goes on with what it has."""
        self._files.want(self._frames)
        if first:
            self._take_up(first)
        self._show_before(self._frames)

    def _take_up(self, first: int) -> None:
        """Go on with the scores there are; where nothing can be scored like that, begin anew."""
        before, now, best = (self._found(moment) for moment in MOMENTS)
        if before is not None:
            self._before = dict(before.masks)
            self._boxed = set(before.boxes & before.masks.keys())
        old = best or now
        if old is not None and old.measure is not None:
            if is_measurable(old.measure, self._run, self._corrections, len(self._video)):
                self._measure = old.measure
        if now is not None and now.measure == self._measure:
            self._history = tuple(pair for pair in now.history if pair[0] <= first)
        if best is not None and best.measure == self._measure and self._run.best_path.is_file():
            self._best = best.score
            self._files.write("best", best)
        else:
            self._run.put_best_aside()

    def _found(self, moment: str) -> Shot | None:
        """Return a moment with the frames whose pictures show what they would now."""
        try:
            shot = self._files.read(moment)
        except InputError:  # damaged: as if there were none
            return None
        if shot is None:
            return None
        frames = [f for f in shot.masks if f < len(self._video) and self._is_current(shot, f)]
        return dataclasses.replace(
            shot,
            masks={frame: shot.masks[frame] for frame in frames},
            windows={frame: shot.windows[frame] for frame in frames},
        )

    def _is_current(self, shot: Shot, frame: int) -> bool:
        return (
            shot.windows.get(frame) == self._xyxy(frame)
            and shot.masks[frame].masks.shape[1:] == self._window(frame)[1]
        )

    def _xyxy(self, frame: int) -> tuple[int, ...]:
        (rows, columns), _ = self._window(frame)
        return columns.start, rows.start, columns.stop, rows.stop

    def _shot(self, step: int, masks: Mapping[int, InstanceMasks], **more: Any) -> Shot:
        return Shot(step, masks, windows={frame: self._xyxy(frame) for frame in masks}, **more)

    def _show_before(self, frames: Sequence[int]) -> None:
        """Keep the masks that the session has of frames, or their boxes, and what they show."""
        new = [frame for frame in frames if frame not in self._before]
        for frame in new:
            found = None
            with contextlib.suppress(InputError):  # damaged: said where the masks are shown
                found = self._session.masks.read(frame)
            if found is None or found.masks.shape[1:] != self._video.shape[1:3]:
                found = self._filled(frame)
                self._boxed.add(frame)
            window, size = self._window(frame)
            picture = np.asarray(self._video[frame])[window]
            small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
            self._files.write_picture(frame, small)
            self._before[frame] = self._small(frame, found)
        if new:
            self._files.write("before", self._shot(0, self._before, boxes=frozenset(self._boxed)))

    def _look(self, step: int, *, measured: bool) -> None:
        frames = self._wanted()
        self._show_before(frames)
        with undisturbed(self._trainer.model):
            if not measured:
                self._trainer.measure_norms()
            found, own = self._predict(sorted({*frames, *self._measure.frames}))
            scored = found if self._measure.kind == "gold" else own
            boxed = {frame: self._ids(frame) for frame in scored}
            score = score_preview(self._measure, scored, self._corrections, self._tracks, boxed)
            small = {frame: self._small(frame, found[frame]) for frame in frames}
            if score is not None:
                self._history = (*self._history, (step, score))
            shot = self._shot(step, small, measure=self._measure, history=self._history)
            if score is not None and (self._best is None or score >= self._best):
                self._trainer.save_best(self._run)
                self._files.write("best", shot)
                self._best = score
        self._files.write("now", shot)

    def _wanted(self) -> list[int]:
        """Return the frames that a person wants to see now; a broken list changes nothing."""
        try:
            wanted = self._files.wanted(len(self._video))[: self._settings.most_frames]
        except InputError:
            wanted = []
        self._frames = wanted or self._frames
        return self._frames

    def _predict(
        self, frames: Sequence[int]
    ) -> tuple[dict[int, InstanceMasks], dict[int, InstanceMasks]]:
        """Return the masks of frames as the network is now, each from a clip around it.

        Refined, as a prediction's are; and the network's own.
        """
        trainer, config, size = self._trainer, self._trainer.config, self._video.shape[1:3]
        boxes, slack = trainer.tube
        consensus, ignore = None, IgnoreMasks(self._tracks)
        if config.consensus.refine:
            consensus = Consensus.recall(
                without_ignored(self._video, ignore, config),
                boxes,
                slack,
                trainer.track_ids,
                trainer.memory,
                config=config.consensus,
                hand=HandPixels.of(self._corrections, self._tracks, self._video),
                ignore=ignore,
            )
        found, own = {}, {}
        for frame in frames:
            grids = network_pass(
                self._video,
                self._tracks,
                trainer.model,
                config,
                track_ids=trainer.bound_ids,
                device=trainer.device,
                frames=self._clip(frame),
                mirror=False,
                tube=trainer.tube,
            )
            grid = next(grid for grid in grids if grid.frame == frame)
            masks_of = functools.partial(
                boxed_masks,
                grid,
                trainer.tube,
                trainer.track_ids,
                ignore.at(frame),
                size,
                config,
            )
            own[frame] = masks_of()
            found[frame] = own[frame] if consensus is None else masks_of(consensus)
        return found, own

    def _clip(self, frame: int) -> tuple[int, int]:
        length = min(self._settings.clip_length, len(self._video))
        start = min(max(0, frame - length // 2), len(self._video) - length)
        return start, start + length

    def _ids(self, frame: int) -> list[int]:
        here = np.isfinite(self._trainer.tube[0][:, frame]).all(1)
        return [i for i, is_there in zip(self._trainer.track_ids, here, strict=True) if is_there]

    # ---- pictures

    def _filled(self, frame: int) -> InstanceMasks:
        """Return a frame's boxes, filled."""
        _, height, width, _ = self._video.shape
        ids = self._ids(frame)
        masks = np.zeros((len(ids), height, width), bool)
        boxes = self._trainer.tube[0][:, frame]
        for mask, box in zip(masks, boxes[np.isfinite(boxes).all(1)], strict=True):
            x0, y0, x1, y1 = np.maximum(np.round(box), 0).astype(int)
            mask[y0:y1, x0:x1] = True
        return InstanceMasks(tuple(ids), masks, (0.0,) * len(ids))

    def _window(self, frame: int) -> tuple[tuple[slice, slice], tuple[int, int]]:
        """Return the rows and columns around a frame's boxes, and the size of their picture.

        The whole frame where it has no box.
        """
        frame_size = np.array(self._video.shape[1:3])
        boxes = self._trainer.tube[0][:, frame]
        boxes = boxes[np.isfinite(boxes).all(1)]
        side, middle = frame_size, frame_size / 2
        if len(boxes):
            low, high = boxes[:, 1::-1].min(0), boxes[:, :1:-1].max(0)
            grown = (high - low) * (1 + 2 * self._settings.margin)
            shape = self._settings.picture_shape
            wanted = np.maximum(grown, [grown[1] / shape, grown[0] * shape])
            side = np.clip(np.round(wanted), 1, frame_size).astype(int)
            middle = (low + high) / 2
        start = np.clip(np.round(middle - side / 2), 0, frame_size - side).astype(int)
        rows, columns = (slice(int(a), int(a + n)) for a, n in zip(start, side, strict=True))
        scale = min(1.0, self._settings.picture_side / max(side))
        return (rows, columns), (max(1, round(side[0] * scale)), max(1, round(side[1] * scale)))

    def _small(self, frame: int, masks: InstanceMasks) -> InstanceMasks:
        """Return a frame's masks as they lie on its picture."""
        (rows, columns), size = self._window(frame)
        parts = masks.masks[:, rows, columns].astype(np.float32)
        small = [cv2.resize(p, size[::-1], interpolation=cv2.INTER_AREA) >= _COVERED for p in parts]
        stacked = np.stack(small) if small else np.zeros((0, *size), bool)
        return dataclasses.replace(masks, masks=stacked)
