"""What a preflight measures and what follows for a whole run. No torch here.

A run takes ``start + prepare + first * refine + steps * step + norms * norm + taught * look / views
+ settle``, its prediction ``start + clips * look + frames * refine``; see `Rates` and `Counts` for
the letters.
"""

from __future__ import annotations

import dataclasses

__all__ = ["Counts", "Estimate", "Exhausted", "Measured", "Rates", "estimate"]


@dataclasses.dataclass(frozen=True)
class Rates:
    """Seconds, measured.

    ``start``: until a process can begin, with the network at hand; ``prepare``: the look at the
    whole video, of which ``settle`` learns the tracks' colours; ``step``: an optimiser step;
    ``norm``: a clip for the batch norms; ``look``: a prediction clip through the network;
    ``refine``: a frame's masks after that.
    """

    start: float
    prepare: float
    settle: float
    step: float
    norm: float
    look: float
    refine: float


@dataclasses.dataclass(frozen=True)
class Counts:
    """How often each of it is done.

    ``norms``: clips for the batch norms over the run; ``taught``: clips from which the network
    teaches, 0 where it does not; ``views``: how often prediction looks at a clip, 2 with its mirror
    image; ``clips``: prediction clips; ``first``: frames whose masks are shown before the first
    step.
    """

    frames: int
    steps: int
    norms: int
    taught: int
    views: int
    clips: int
    first: int = 0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Seconds for the look at the video, for the steps, and for the masks of every frame."""

    prepare: float
    train: float
    predict: float

    @property
    def total(self) -> float:
        """Seconds for all of it."""
        return self.prepare + self.train + self.predict


@dataclasses.dataclass(frozen=True)
class Measured:
    """A step that worked: on which device, how long a run takes, bytes needed and there.

    ``start``: the name of the run that it goes on from, None: it begins with fresh weights;
    ``steps``: how many it takes, None where an earlier version measured it.
    """

    device: str
    seconds: Estimate
    needed: int
    there: int
    start: str | None = None
    steps: int | None = None


@dataclasses.dataclass(frozen=True)
class Exhausted:
    """A step for which the device had not enough memory; ``there``: bytes, 0 where not known.

    ``killed``: the system ended the measurement; ``device`` is "auto" where that was too early to
    know which one is taken.
    """

    device: str
    there: int
    killed: bool = False


def estimate(rates: Rates, counts: Counts) -> Estimate:
    """Return the time of a run and its prediction; each has a process of its own."""
    train = counts.steps * rates.step + counts.norms * rates.norm
    if counts.taught:
        train += counts.taught * rates.look / counts.views + rates.settle
    return Estimate(
        prepare=rates.start + rates.prepare + counts.first * rates.refine,
        train=train,
        predict=rates.start + counts.clips * rates.look + counts.frames * rates.refine,
    )
