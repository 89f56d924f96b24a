"""Imports, the click and long sessions: what is reported of them; no time is asserted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import import_time
import window_speed
from import_time import Import, Imported, modules_of, slowest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LISTED = f"""import time: self [us] | cumulative | imported package
import time:       900 |        900 | before
{import_time.MARK}
import time:       300 |        300 |     torch._C
import time:      1500 |       1800 |   torch
import time:       200 |       2000 | maskfree.train
"""


def test_modules_after_the_mark_are_listed_by_their_own_time() -> None:
    modules = modules_of(LISTED)
    assert modules == [("torch", 1.5), ("torch._C", 0.3), ("maskfree.train", 0.2)]
    most, packages = slowest(modules, 2)
    assert most == [("torch", 1.5), ("torch._C", 0.3)]
    assert packages == [("torch", 1.8), ("our own", 0.2)]


def test_an_import_is_measured_in_fresh_processes_and_what_came_wrongly_is_named() -> None:
    plain = Import("settings", "import json", "import maskfree.settings", 1e6, ("napari",))
    found = import_time.imported(plain, 2)
    assert len(found.milliseconds) == 2
    assert found.wrongly == []
    names = [name for name, _ in found.modules]
    assert "maskfree.settings" in names
    assert "json" not in names  # was there before
    caught = Import("wrong", "", "import sys; sys.modules['torch'] = None", 1e6, ("torch",))
    assert import_time.imported(caught, 1).wrongly == ["torch"]


def test_what_is_over_its_budget_says_what_it_consists_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whats = (Import("good", "", "", 100), Import("bad", "", "", 100, ("torch", "qtpy.QtWidgets")))
    found = {
        "good": Imported([90, 80, 300], [], [("json", 5.0)]),
        "bad": Imported([120], ["torch"], [("torch", 90.0), ("maskfree.train", 20.0)]),
    }
    monkeypatch.setattr(window_speed, "IMPORTS", whats)
    monkeypatch.setattr(window_speed, "imported", lambda what, _: found[what.name])
    (good, bad), text = window_speed.imports(3)
    assert (good["met"], good["measured"], good["why"]) == (True, "90 ms", "")
    assert bad["met"] is False
    assert bad["target"] == "under 100 ms of computing, without torch, Qt"
    assert bad["why"] == "torch came in with it. Mostly: torch 90 ms, our own 20 ms (on the clock)."
    assert "| bad | 120 | 120 to 120 | 100 | 2 | 20 |" in text.splitlines()
    assert "- bad, modules: `torch` 90, `maskfree.train` 20" in text.splitlines()


def test_a_long_session_is_made_and_opened_without_its_whole(tmp_path: Path) -> None:
    folder = window_speed.long_session(tmp_path / "some", 30)
    found = window_speed.shown(folder, 30)
    assert found["frames"] == 30
    assert 0 < found["boxes"] < found["keyframes"]
    assert found["step"] > 0
    assert found["shown"] > 0


def test_memory_is_held_against_all_masks_as_pixels() -> None:
    own = {
        **dict.fromkeys(("shown", "shown, computing", "step", "step, computing"), 40.0),
        "rise": 20.0 * 2**20,
        "boxes": 150.0,
        "keyframes": 50000.0,
        "frames": 20000.0,
    }
    (boxes, masks), text = window_speed.long_report({200: own, 20000: own})
    assert boxes["what"] == "50,000 boxes"
    assert boxes["met"] is True
    assert masks["target"] == "memory under 10% of its 1,465 MiB"
    assert masks["met"] is True
    assert "| 20,000 frames | 50,000 | 150 | 40 | 40 | 40.0 | 40.0 | 20 |" in text.splitlines()
    (boxes, masks), _ = window_speed.long_report({20000: own | {"rise": 0.0, "boxes": 50000.0}})
    assert boxes["met"] is False
    assert masks["met"] is None
    (_, masks), _ = window_speed.long_report({20000: own | {"rise": 2.0**30}})
    assert masks["met"] is False
