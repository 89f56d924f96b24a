"""Which clips of a step a process takes, read ahead by processes of their own.

Step s of a run with B clips a batch has the numbers s B to s B + B - 1, however many processes
there are; each takes a stretch of them. A clip is a pure function of its number, so that a run goes
on anywhere as if it had never stopped.
"""

from __future__ import annotations

import dataclasses
import signal
import warnings
from typing import TYPE_CHECKING, Any, Protocol

import cv2
from torch.utils.data import DataLoader, Dataset

from maskfree.distributed.packed import packed, unpacked
from maskfree.errors import InputError, InputWarning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from maskfree.config import ScheduleConfig
    from maskfree.datasets.types import Skipped
    from maskfree.sampling import TrainingClip

__all__ = ["Clips", "Share", "StepShares", "numbers_of", "read_shares"]


class Clips(Protocol):
    """Training clips by number, see `maskfree.datasets.clips.DatasetClips`."""

    def draw(self, number: int) -> tuple[TrainingClip, tuple[Skipped, ...]]:
        """Return a clip, always the same for a number, and what could not be read for it."""
        ...


@dataclasses.dataclass(frozen=True)
class Share:
    """A process's clips of one step, with their numbers.

    ``damaged``: what could not be read, in whose place something else was taken; ``fault``: why
    there are no clips; empty where there are.
    """

    numbers: tuple[int, ...]
    clips: tuple[TrainingClip, ...] = ()
    damaged: tuple[Skipped, ...] = ()
    fault: str = ""


def numbers_of(step: int, batch_size: int, rank: int, size: int) -> range:
    """Return the numbers of the clips that a process takes in a step: its stretch of the batch."""
    first = step * batch_size
    return range(first + batch_size * rank // size, first + batch_size * (rank + 1) // size)


class StepShares(Dataset[Share]):
    """The shares of a process by step.

    Parameters
    ----------
    clips
        Where the clips come from.
    batch_size
        Clips of a step, over all processes.
    rank, size
        Which process of how many.
    """

    def __init__(self, clips: Clips, batch_size: int, rank: int, size: int) -> None:
        self._clips, self._batch_size = clips, batch_size
        self._rank, self._size = rank, size

    def __getitem__(self, step: int) -> Share:
        numbers = tuple(numbers_of(step, self._batch_size, self._rank, self._size))
        try:
            with warnings.catch_warnings():  # what is damaged is told by the process that speaks
                warnings.simplefilter("ignore", InputWarning)
                drawn = [self._clips.draw(number) for number in numbers]
            damaged = tuple(each for _, found in drawn for each in found)
            return Share(numbers, tuple(clip for clip, _ in drawn), damaged)
        except InputError as error:  # as a word: out of a process an error comes as a traceback
            return Share(numbers, fault=str(error))


def read_shares(
    shares: StepShares, steps: Sequence[int], schedule: ScheduleConfig
) -> Iterator[Share]:
    """Return the shares of some steps in their order, read ahead as the schedule says."""
    workers = min(schedule.workers, len(steps))
    if not workers:
        yield from (shares[step] for step in steps)
        return
    waiting: DataLoader[Any] = DataLoader(
        shares,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        collate_fn=packed,
        worker_init_fn=_begin_worker,
        prefetch_factor=schedule.read_ahead,
    )
    for each in waiting:
        yield unpacked(each)


def _begin_worker(_: int) -> None:
    # Ctrl-C, and a launcher that ends, reach the whole group of processes: the one that trains
    # decides when it is safe, and ends its readers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_next_time)
    cv2.setNumThreads(0)


def _end_next_time(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
