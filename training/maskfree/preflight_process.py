"""A measurement in a process of its own: what it takes is its own, and it may be ended for it.

``python -m maskfree.preflight_process`` reads what to measure as JSON from its input and writes
on which device, then what it found, each as a line of JSON. A system that runs out of memory ends a
process without a word; here that is an answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.config import Config, PreflightConfig
from maskfree.errors import InputError, InputWarning
from maskfree.preflight_figures import Estimate, Exhausted, Measured
from maskfree.settings import from_dict, to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Child", "main"]

_COMMAND = (sys.executable, "-m", "maskfree.preflight_process")
_ENDED_BY_SYSTEM = -int(getattr(signal, "SIGKILL", 9))


class Child:
    """Measures a session, or a video with its boxes; see :func:`maskfree.preflight.preflight`.

    Parameters
    ----------
    source
        ``{"session": folder}``, or ``{"video": path, "boxes": path}``. A session's may also have
        other boxes than its own and what the run begins with, ``"start"``, see
        :func:`maskfree.start.plan_start`.
    command
        What is started; for tests.
    """

    def __init__(
        self,
        source: dict[str, str],
        settings: PreflightConfig | None = None,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._source, self._settings = source, settings or PreflightConfig()
        self._command = tuple(command)

    def __call__(self, config: Config, device: str) -> Measured | Exhausted:
        """Measure one step.

        Raises
        ------
        InputError
            Where a run would refuse.
        RuntimeError
            Where the process ended in another way.
        """
        asked = {
            **self._source,
            "config": to_dict(config),
            "settings": dataclasses.asdict(self._settings),
            "device": device,
        }
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        with subprocess.Popen(self._command, **options) as process:  # type: ignore[call-overload]
            try:
                said, _ = process.communicate(json.dumps(asked))
            except BaseException:  # stopped: the child is not to go on alone
                process.kill()
                raise
        return _understood(said, process.returncode, device)


def _understood(said: str, code: int, device: str) -> Measured | Exhausted:
    answer = dict[str, Any]()
    for line in said.splitlines():
        with contextlib.suppress(ValueError):  # what a library says, or half of a line
            found = json.loads(line)
            answer |= found if isinstance(found, dict) else {}
    for text in answer.get("warnings", ()):
        warnings.warn(text, InputWarning, stacklevel=3)
    if "measured" in answer:
        found = answer["measured"]
        return Measured(**{**found, "seconds": Estimate(**found["seconds"])})
    if "exhausted" in answer:
        return Exhausted(**answer["exhausted"])
    if "input" in answer:
        raise InputError(answer["input"])
    if code == _ENDED_BY_SYSTEM:
        return Exhausted(answer.get("device", device), 0, killed=True)
    raise RuntimeError(answer.get("fault") or f"The measurement ended with exit code {code}.")


def main() -> int:
    """Measure what standard input asks for; return the exit code."""
    import psutil

    began = psutil.Process().create_time()
    asked = json.load(sys.stdin)
    # what libraries print must not come between: only the answer goes where it is read
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(said: dict[str, Any]) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", InputWarning)
        answer, code = _answer(asked, began, lambda device: tell({"device": device}))
    told = [str(w.message) for w in caught if issubclass(w.category, InputWarning)]
    with answers:
        tell({**answer, "warnings": told})
    return code


def _answer(
    asked: dict[str, Any], began: float, tell: Callable[[str], None]
) -> tuple[dict[str, Any], int]:
    try:
        found = _measure(asked, began, tell)
    except InputError as error:
        return {"input": str(error)}, 2
    except Exception as error:  # noqa: BLE001  (the outermost place: it is told, not shown)
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}, line {where.lineno}"
        return {"fault": f"{type(error).__name__}: {error} ({place})"}, 1
    return {
        "measured" if isinstance(found, Measured) else "exhausted": dataclasses.asdict(found)
    }, 0


def _measure(
    asked: dict[str, Any], began: float, tell: Callable[[str], None]
) -> Measured | Exhausted:
    from maskfree.boxes_file import read_boxes
    from maskfree.device import resolve_device
    from maskfree.first_masks import wants_first_masks
    from maskfree.preflight_measure import measure
    from maskfree.session import Session
    from maskfree.start import Start, plan_start
    from maskfree.video import open_video

    config = from_dict(Config, asked["config"])
    device = resolve_device(asked["device"])
    tell(device.type)  # before anything that a system could end it for
    session = Session.open(asked["session"]) if "session" in asked else None
    tracks = session.boxes if session and "boxes" not in asked else read_boxes(asked["boxes"])
    begins = Start(None, config)
    if session is not None:
        begins = plan_start(session, config, asked.get("start", "auto"), boxes=tracks)
        video = session.open_video(config.video)
    else:
        video = open_video(asked["video"], config=config.video)
    with video:
        return measure(
            video,
            tracks,
            begins,
            device=device,
            settings=PreflightConfig(**asked["settings"]),
            start=time.time() - began,
            first_masks=begins.run is None and wants_first_masks(session, begins.config),
        )


if __name__ == "__main__":
    sys.exit(main())
