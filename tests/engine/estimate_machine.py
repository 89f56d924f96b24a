"""Estimates that are made up, and a machine that gives them as ``maskfree preflight`` would."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from maskfree.preflight import Attempt, Preflight
from maskfree.preflight_figures import Estimate, Measured
from napari_maskfree.stages import Stage

if TYPE_CHECKING:
    from pathlib import Path

RUN = 150_000
GIGA = 10**9
FIGURES = Measured("cuda", Estimate(10.0, 130.0, 20.0), 19 * GIGA // 10, 203 * GIGA // 10)
TIMES = (
    "bout 2 min 40 s on cuda: 10 s to look at the video, 2 min 10 s for 7 steps, 20 s for masks. "
    "Memory 1.9 of 20.3 GB."
)

FITS = Preflight((Attempt("", "cuda", (), "fits", "needs 1.9 of 20.3 GB", FIGURES),))


class Machine:
    """Stands in for ``maskfree preflight``: notes what is asked, answers when it may."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.found: Preflight | None = FITS
        self.last_words = ""
        self.go = folder / "go"
        self.go.touch()

    def stage(self, folder: Path, log: Path, **asked: Any) -> Stage:
        self.asked.append({"folder": folder, **asked})
        records = [{"status": "running"}, {"preparing": "shorter clip"}]
        end: dict[str, Any] = {"status": "done"}
        code = f"""
import json, os, sys, time
log = open({str(log)!r}, "w")
def say(record):
    log.write(json.dumps(record) + "\\n"); log.flush()
for record in {records!r}: say(record)
while not os.path.exists({str(self.go)!r}): time.sleep(0.02)
"""
        if self.found is not None:
            end["preflight"] = json.loads(json.dumps(self.found.to_json()))
            code += f"say(json.loads({json.dumps(end)!r}))\n"
            code += f"sys.exit({0 if self.found.fits else 3})\n"
        else:
            code = f"import sys; sys.exit({self.last_words!r})"  # before it writes anything
        return Stage("preflight", (sys.executable, "-c", code), lambda: log)


def estimated(widget, hands, qtbot, machine, found) -> Any:
    panel = widget.finetune.estimate
    machine.found = found
    before = len(machine.asked)
    hands.press(panel.estimate)
    over = lambda: len(machine.asked) > before and not panel.jobs.active  # noqa: E731
    qtbot.waitUntil(over, timeout=RUN)
    return panel
