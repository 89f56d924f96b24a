"""``maskfree runs``: the runs of a session, and back to one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.kept_masks import keep_masks, shown_run
from maskfree.session import Session
from maskfree.tracks import empty_tracks
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Result


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Two runs with masks of one frame, and one that was stopped before it had any."""
    made = Session.create(tmp_path / "s", video_source=None, boxes=empty_tracks(9, 4, 6, None))
    for name, score in (("0001", 0.5), ("0002", 0.75)):
        made.new_run(Config(), seed=0)
        keep_masks(made)
        made.predict_log.clear()
        made.predict_log.append({"status": "done", "run": name})
        made.mask_store().write(0, InstanceMasks((1,), np.ones((1, 4, 6), bool), (score,)))
    made.new_run(Config(), seed=0).append({"step": 7, "steps": 180, "losses": {}})
    return made


def test_runs_are_listed(cli: Callable[..., Result], session: Session) -> None:
    found = cli("runs", session.path, "--json").json
    assert [(r["name"], r["frames"], r["score"], r["shown"]) for r in found] == [
        ("0001", 1, pytest.approx(0.5), False),
        ("0002", 1, pytest.approx(0.75), True),
        ("0003", 0, None, False),
    ]
    lines = cli("runs", session.path).out.splitlines()
    assert lines[0].split() == ["run", "started", "preset", "steps", "masks", "score"]
    assert [line[0] for line in lines[1:]] == [" ", "*", " "]
    assert lines[3].split()[1:] != lines[1].split()[1:]
    assert "7 of" in lines[3]
    assert "    runs " in cli("--help").out


def test_first_masks_are_marked(cli: Callable[..., Result], session: Session) -> None:
    note = {"trained": [], "masks": [], "first": [0]}
    (session.runs()[1].path / "told.json").write_text(json.dumps(note))
    assert [r["untrained"] for r in cli("runs", session.path, "--json").json] == [0, 1, 0]
    lines = cli("runs", session.path).out.splitlines()
    assert "1, 1 first" in lines[2]
    assert "first" not in lines[1]


def test_back_to_a_run(cli: Callable[..., Result], session: Session) -> None:
    found = cli("runs", session.path, "--show", "0001", "--json").json
    assert [r["shown"] for r in found] == [True, False, False]
    assert shown_run(session) == "0001"
    assert session.mask_store().read_scores(0) == {1: 0.5}


def test_what_is_wrong_is_one_line(
    cli: Callable[..., Result], session: Session, tmp_path: Path
) -> None:
    for run in ("0003", "0009"):
        result = cli("runs", session.path, "--show", run)
        assert result.code == 2
        assert f'no masks of a run "{run}". Runs with masks: 0001, 0002' in result.err
    assert cli("runs", tmp_path / "nothing").code == 2
    empty = Session.create(tmp_path / "e", video_source=None, boxes=session.boxes)
    assert cli("runs", empty.path).out.startswith("no run yet; next: maskfree finetune")
    assert cli("runs", empty.path, "--json").json == []
