"""What `growth.py` measures, each in a fresh process: prints one JSON object and ends.

usage: python training/benchmarks/growth_child.py finetune SESSION STEPS AREA
       python training/benchmarks/growth_child.py export SESSION FORMAT
       python training/benchmarks/growth_child.py predict|window SESSION
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config

__all__ = ["main", "peak_bytes"]

STATUS = Path("/proc/self/status")
SETTINGS = {"consensus.teacher_at": 0.5, "sampling.object_size": 8.0}
"""So that the teacher comes in few steps, and no frame is enlarged for its small objects."""
BOUNDS = ("video.run_bytes", "video.working_bytes", "consensus.kept_bytes")
BOUNDS += ("evidence.most_bytes", "evidence.most_distances")
"""Of what a run keeps in memory; they shrink with the working frames."""
SHOWN = (0.0, 0.25, 0.5, 0.75, 0.999)
"""The frames that are looked at in the window, as parts of the video."""


def peak_bytes() -> dict[str, int]:
    """Return the most memory that this process had, and how much of it now is no file's.

    Linux counts ``ru_maxrss`` on from the process that started this one; ``VmHWM`` does not.
    """
    if STATUS.is_file():
        lines = (line.split() for line in STATUS.read_text().splitlines())
        found = {line[0][:-1]: line[1] for line in lines if len(line) > 1}
        return {"peak": int(found["VmHWM"]) * 1024, "file": int(found["RssFile"]) * 1024}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "file": 0}


def settings(steps: int, area: int) -> Config:
    """Return a run's settings: the default ones, frames and what is kept of them scaled down.

    With smaller frames alone what is kept would fill up later than in a short video, and a bounded
    memory would look like one that grows.
    """
    from maskfree.presets import preset
    from maskfree.settings import override

    plain = preset("tiny")
    part = area / plain.sampling.frame_area
    chosen: dict[str, Any] = {"optimiser.steps": steps, "sampling.frame_area": area}
    for name in BOUNDS:
        section, _, key = name.partition(".")
        chosen[name] = round(part * getattr(getattr(plain, section), key))
    return override(plain, {**SETTINGS, **chosen})


def _finetune(folder: str, steps: str, area: str) -> dict[str, Any]:
    from maskfree.session import Session
    from maskfree.train import finetune

    config = settings(int(steps), int(area))
    started, before = time.process_time(), 0.0
    prepared = peak_bytes()["peak"]
    for progress in finetune(Session.open(folder), config, device="cpu"):
        if progress.step == 1:
            before, prepared = time.process_time() - started, peak_bytes()["peak"]
    return {"before": before, "prepared": prepared}


def _predict(folder: str) -> dict[str, Any]:
    from maskfree.predict import predict
    from maskfree.session import Session

    return {"frames": sum(1 for _ in predict(Session.open(folder), device="cpu"))}


def _export(folder: str, name: str) -> dict[str, Any]:
    from maskfree.commands import annotations_of
    from maskfree.formats import export
    from maskfree.session import Session

    session = Session.open(folder)
    with tempfile.TemporaryDirectory() as out, session.open_video() as video:
        report = export(annotations_of(session, video.names), Path(out) / "out", name)
        # Before the folder goes: listing many files to remove them takes memory of its own.
        return {"frames": report.frames, **peak_bytes()}


def _window(folder: str) -> dict[str, Any]:
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_maskfree._commands import dock

    viewer = napari.Viewer(show=True)
    widget = dock(viewer)
    QApplication.processEvents()
    started, empty = time.process_time(), peak_bytes()["peak"]
    widget.project.open_session(folder)
    QApplication.processEvents()
    shown = time.process_time() - started
    _live(2.0)
    total = len(widget.project.video())
    for part in SHOWN:
        widget.project.go_to(int(part * total))
        _live(0.2)
    layers = [layer.name for layer in viewer.layers]
    found = {"opening": shown, "empty": empty, "layers": layers, **peak_bytes()}
    widget.ask_save = lambda _: "discard"
    viewer.close()
    return found


def _live(seconds: float) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "finetune": _finetune,
    "predict": _predict,
    "export": _export,
    "window": _window,
}


def main(arguments: list[str] | None = None) -> int:
    """Do one part and print what it took; return the exit code."""
    what, folder, *more = sys.argv[1:] if arguments is None else arguments
    found = PARTS[what](folder, *more)
    print(json.dumps({"cpu": time.process_time(), **peak_bytes(), **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
