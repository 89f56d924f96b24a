"""A measurement in a process of its own: what it answers, and what its end means."""

from __future__ import annotations

import dataclasses
import json
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree import preflight_process
from maskfree.boxes_file import write_boxes
from maskfree.config import Config, PreflightConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError, InputWarning
from maskfree.predict import predict
from maskfree.preflight_figures import Estimate, Exhausted, Measured
from maskfree.preflight_process import Child
from maskfree.settings import from_dict, to_dict
from training_run import go

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.session import Session
    from maskfree.start import Start
    from maskfree.types import BoxTracks

FOUND = {
    "device": "cuda",
    "seconds": {"prepare": 1.0, "train": 2.0, "predict": 3.0},
    "needed": 4,
    "there": 5,
}


def child(code: str, **options: Any) -> Child:
    return Child({"session": "s"}, command=(sys.executable, "-c", dedent(code)), **options)


def says(answer: dict[str, Any]) -> Child:
    return child(f"print('a library talks')\nprint({json.dumps(answer)!r})")


def test_what_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "asked"
    code = f"import sys; open({str(path)!r}, 'w').write(sys.stdin.read()); print('{{}}')"
    with pytest.raises(RuntimeError, match="exit code 0"):
        child(code, settings=PreflightConfig(frames=3))(Config(preset="paper"), "auto")
    asked = json.loads(path.read_text(encoding="utf-8"))
    assert from_dict(Config, asked["config"]) == Config(preset="paper")
    assert (asked["session"], asked["device"], asked["settings"]["frames"]) == ("s", "auto", 3)


def test_what_it_answers() -> None:
    measured = Measured("cuda", Estimate(1.0, 2.0, 3.0), 4, 5)
    assert says({"measured": FOUND, "warnings": []})(Config(), "auto") == measured
    exhausted = {"exhausted": {"device": "cuda", "there": 9}, "warnings": []}
    assert says(exhausted)(Config(), "cuda") == Exhausted("cuda", 9)
    with pytest.raises(InputError, match=r"^Draw a box\.$"):
        says({"input": "Draw a box.", "warnings": []})(Config(), "cpu")
    with pytest.raises(RuntimeError, match=r"^KeyError: 3$"):
        says({"fault": "KeyError: 3", "warnings": []})(Config(), "cpu")
    with pytest.warns(InputWarning, match="Fresh weights"):
        says({"measured": FOUND, "warnings": ["Fresh weights."]})(Config(), "auto")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_process_that_the_system_ends_ran_out_of_memory() -> None:
    killed = child("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert killed(Config(), "auto") == Exhausted("auto", 0, killed=True)
    assert killed(Config(), "cuda") == Exhausted("cuda", 0, killed=True)
    code = 'import os, signal; print(\'{"device": "cuda"}\\n{"mea\', flush=True)'
    told = child(f"{code}; os.kill(os.getpid(), signal.SIGKILL)")
    assert told(Config(), "auto") == Exhausted("cuda", 0, killed=True)
    with pytest.raises(RuntimeError, match="exit code 7"):
        child("raise SystemExit(7)")(Config(), "cpu")


def test_a_stopped_measurement_leaves_no_process(tmp_path: Path) -> None:
    import psutil

    made = []

    class Stopped(preflight_process.subprocess.Popen):  # type: ignore[type-arg]
        def communicate(self, *_: Any, **__: Any) -> Any:
            made.append(self.pid)
            raise KeyboardInterrupt

    slow = child("import time; time.sleep(600)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight_process.subprocess, "Popen", Stopped)
        with pytest.raises(KeyboardInterrupt):
            slow(Config(), "cpu")
    assert len(made) == 1
    assert not psutil.pid_exists(made[0])


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str | None, int, bool, int]]:
    """Ask the process; return what is measured: run, steps, first masks, tracks."""
    from maskfree import preflight_measure

    found: list[tuple[str | None, int, bool, int]] = []

    def measured(_video: Any, tracks: BoxTracks, begins: Start, **how: Any) -> Measured:
        name = begins.run.name if begins.run else None
        steps = begins.config.optimiser.steps
        found.append((name, steps, how["first_masks"], len(tracks.tracks)))
        return Measured("cpu", Estimate(1.0, 2.0, 3.0), 4, 5)

    monkeypatch.setattr(preflight_measure, "measure", measured)

    def ask(config: Config, **what: str) -> tuple[str | None, int, bool, int]:
        asked = {**what, "config": to_dict(config), "settings": {}, "device": "cpu"}
        preflight_process._measure(asked, 0.0, lambda _: None)
        return found[-1]

    return ask


def test_it_measures_the_run_that_would_be_begun(
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    asked_for: Callable[..., tuple[str | None, int, bool, int]],
    tmp_path: Path,
) -> None:
    config = settings_of(small_config, "consensus", first_boxes=600)
    config = settings_of(config, "restart", steps=3)
    here = {"session": str(small_session.path)}
    assert asked_for(config, **here) == (None, 4, True, 2)
    assert asked_for(small_config, **here) == (None, 4, False, 2)
    boxes = small_session.boxes
    one = tmp_path / "one.json"
    write_boxes(one, dataclasses.replace(boxes, tracks=boxes.tracks[:1]))
    film = {"video": str(small_session.video_source), "boxes": str(one)}
    assert asked_for(config, **film) == (None, 4, True, 1)

    list(go(small_session, config))
    small_session.mask_store().clear()
    assert asked_for(config, **here) == (None, 4, True, 2)
    assert asked_for(config, **here, start="last") == ("0001", 3, False, 2)
    list(predict(small_session, device="cpu"))
    assert asked_for(config, **here) == (None, 4, False, 2), "a trained run's masks are shown"
    mask = np.zeros((64, 96), bool)
    mask[15:35, 10:40] = True
    small_session.corrections.write(5, {1: Correction.whole(mask)})
    assert asked_for(config, **here) == ("0001", 3, False, 2)
    assert asked_for(config, **here, start="fresh") == (None, 4, False, 2)
    assert asked_for(config, **here, boxes=str(one)) == (None, 4, False, 1), "other boxes"
    smaller = settings_of(config, "predict", clip_length=2)
    assert asked_for(smaller, **here) == (None, 4, False, 2)
    assert asked_for(smaller, **here, start="last") == ("0001", 3, False, 2)
    with pytest.raises(InputError, match="tracks or labels have changed"):
        asked_for(config, **here, boxes=str(one), start="last")


def test_a_real_one(small_session: Session, small_config: Config) -> None:
    source = {"session": str(small_session.path)}
    before = sorted(p.name for p in small_session.path.rglob("*"))
    found = Child(source, PreflightConfig(frames=4, steps=1))(small_config, "cpu")
    assert isinstance(found, Measured)
    assert (found.device, found.start, found.steps) == ("cpu", None, 4)
    assert 50 * 2**20 < found.needed < found.there
    assert 0 < found.seconds.train < found.seconds.total
    assert sorted(p.name for p in small_session.path.rglob("*")) == before
    with pytest.raises(InputError, match="no session folder"):
        Child({"session": str(small_session.path / "no")})(small_config, "cpu")
