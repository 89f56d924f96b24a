"""The steps of a run, one after the other: noted, previewed, saved, and stopped when asked to."""

from __future__ import annotations

import dataclasses
import time
import warnings
from typing import TYPE_CHECKING

from maskfree.errors import InputWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.preview import Previewer
    from maskfree.run import Run
    from maskfree.trainer import Trainer

__all__ = ["Progress", "take_steps"]

_NO_BEST = (
    "The best weights were to be kept, but no preview has a score. The last weights are kept. Let "
    "frames with a box be redrawn: --preview auto"
)


@dataclasses.dataclass(frozen=True)
class Progress:
    """One finished optimiser step: losses by name (weighted; they sum to ``total``), seconds."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_left: float

    @property
    def total(self) -> float:
        """The sum of the losses."""
        return sum(self.losses.values())


def take_steps(
    trainer: Trainer, run: Run, first: int, *, previewer: Previewer | None, keep_best: bool
) -> Iterator[Progress]:
    """Take the steps of a run from number ``first`` on, and save what was learnt.

    It stops after a step when the run's stop file appears or the generator is closed. With
    ``keep_best``, or where the stop file asks for it, the weights to predict with are those of the
    best preview.
    """
    steps = trainer.config.optimiser.steps
    done, status, message = first, "stopped", ""
    left_alone = False
    started = time.monotonic()
    try:
        for index in range(first, steps):
            if run.stop_requested:
                break
            losses = trainer.step(index)
            done = index + 1
            left = (time.monotonic() - started) / (done - first) * (steps - done)
            run.append(
                {"step": done, "steps": steps, "losses": losses, "seconds_left": round(left, 1)}
            )
            yield Progress(done, steps, losses, left)
            if done % trainer.config.optimiser.checkpoint_every == 0 and done < steps:
                trainer.save(run, done)
            if previewer is not None and done < steps:
                previewer.after(done)
                if keep_best and run.best_path.is_file() and not run.keeps_best:
                    run.keep("best")  # now, since it may be killed
        left_alone = True
    except Exception as error:
        status, message = "failed", str(error)
        raise
    finally:
        try:
            wants_best = keep_best or run.stop_keeps_best
            if done > first and status != "failed":
                trainer.save(run, done)
                status = "done" if done == steps else status
                if previewer is not None and left_alone:
                    previewer.last(done)
            if wants_best and run.best_path.is_file():
                run.keep("best")
            elif wants_best and status != "failed":
                warnings.warn(_NO_BEST, InputWarning, stacklevel=2)
        except Exception as error:
            status, message = "failed", str(error)
            raise
        finally:
            run.append({"status": status, "step": done, "message": message})
            if status == "done":
                run.drop_state()
