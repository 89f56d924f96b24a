"""``maskfree preflight`` with a measurement that is made up, and once with a real one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from command_line import SMALL, Result
from maskfree import preflight_command
from maskfree.preflight import Preflight
from maskfree.preflight_figures import Estimate, Exhausted, Measured
from maskfree.session import Session
from maskfree.tracks import read_boxes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config

GIGA = 10**9


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A machine on which only three frames at a time fit; what it was asked to measure."""
    seen: list[Any] = []

    def measured(config: Config, device: str) -> Measured | Exhausted:
        seen.append((config, device))
        if config.predict.clip_length > 3:
            return Exhausted("cpu", 2 * GIGA)
        return Measured("cpu", Estimate(10.0, 130.0, 20.0), int(0.8 * GIGA), 2 * GIGA)

    def child(source: dict[str, str]) -> Any:
        seen.append(source)
        return measured

    defaults = preflight_command.preflight_source.__kwdefaults__
    monkeypatch.setitem(defaults, "child", child)
    return seen


def test_a_table_of_what_was_tried_and_what_to_do(
    cli: Callable[..., Result], clip: Path, asked: list[Any]
) -> None:
    result = cli("preflight", clip / "frames", "--boxes", clip / "boxes.json")
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        "settings         device  look  train  masks  total  memory  result",
        "as it is         cpu     -     -      -      -      -       out of memory",
        "mixed precision  cpu     -     -      -      -      -       not here",
        "shorter clip     cpu     0:10  2:10   0:20   2:40   0.8 GB  fits",
        "",
        "as it is: ran out of the memory of 2.0 GB that is free",
        "mixed precision: it is on already, or this is no NVIDIA GPU",
        "shorter clip: needs 0.8 of 2.0 GB",
        "",
        "It fits with: --set predict.clip_length=3 --device cpu",
    ]
    assert result.err.splitlines() == [
        "maskfree: measuring a step: as it is",
        "maskfree: measuring a step: shorter clip",
    ]
    assert asked[0] == {"video": str(clip / "frames"), "boxes": str(clip / "boxes.json")}


def test_settings_reach_the_measurement_and_what_fits_is_said(
    cli: Callable[..., Result], clip: Path, asked: list[Any]
) -> None:
    words = ("preflight", clip / "frames", "--boxes", clip / "boxes.json", "--device", "cpu")
    result = cli(*words, "--steps", 7, "--preset", "paper", "--set", "predict.clip_length=3")
    assert result.out.endswith("\n\nIt fits as it is.\n")
    config, device = asked[1]
    assert (config.preset, config.optimiser.steps, device) == ("paper", 7, "cpu")
    assert config.predict.clip_length == 3


def test_nothing_fits_has_an_exit_code_of_its_own(
    cli: Callable[..., Result], clip: Path, asked: list[Any], tmp_path: Path
) -> None:
    words = ("preflight", clip / "frames", "--boxes", clip / "boxes.json")
    log = tmp_path / "log.jsonl"
    log.write_text('{"of": "another one"}\n', encoding="utf-8")
    result = cli(*words, "--fallbacks", "none", "--log", log, "--json")
    assert result.code == 3
    told = json.loads(result.out)
    assert (told["fits"], told["set"], told["device"]) == (False, [], None)
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert records[:2] == [{"status": "running"}, {"preparing": "as it is"}]
    assert records[2]["status"] == "done"
    assert not Preflight.from_json(records[2]["preflight"]).fits
    assert len(asked) == 2
    assert "Nothing of this fits" in cli(*words, "--fallbacks", "frame,amp").out
    as_json = cli(*words, "--json").json
    assert as_json["set"] == ["predict.clip_length=3"]


def test_what_is_wrong_is_said_before_anything_is_measured(
    refuses: Callable[..., str], clip: Path, asked: list[Any], tmp_path: Path
) -> None:
    frames, boxes = clip / "frames", clip / "boxes.json"
    assert "its boxes are missing" in refuses("preflight", frames)
    assert "no setting" in refuses("preflight", frames, "--boxes", boxes, "--set", "a.b=1")
    assert "Check the path" in refuses("preflight", tmp_path / "no", "--boxes", boxes)
    log = tmp_path / "no" / "log.jsonl"
    assert str(log) in refuses("preflight", frames, "--boxes", boxes, "--log", log)
    assert not [each for each in asked if not isinstance(each, dict)]
    wrong = ("preflight", frames, "--boxes", boxes, "--fallbacks", "clips")
    assert 'no fallback "clips"' in refuses(*wrong)


def test_it_says_what_a_run_goes_on_from(
    cli: Callable[..., Result],
    refuses: Callable[..., str],
    clip: Path,
    tmp_path: Path,
    asked: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boxes = read_boxes(clip / "boxes.json")
    session = Session.create(tmp_path / "session", video_source=clip / "frames", boxes=boxes)
    last = ("preflight", session.path, "--start", "last")
    assert "cannot go on from the newest: there is no finished run" in refuses(*last)
    new = ("preflight", clip / "frames", "--boxes", clip / "boxes.json")
    assert "has no run to go on from" in refuses(*new, "--start", "last")
    assert not asked, "it is said before anything is measured"
    cli("preflight", session.path, "--start", "fresh")
    assert asked[0] == {"session": str(session.path), "start": "fresh"}
    cli("preflight", session.path)
    assert asked[3] == {"session": str(session.path), "start": "auto"}

    def goes_on(config: Config, _device: str) -> Measured:
        fits = config.predict.clip_length <= 3  # the same run no more: it begins afresh
        how: dict[str, Any] = {"steps": 120} if fits else {"start": "0001", "steps": 12}
        return Measured(
            "cpu", Estimate(10.0, 130.0, 20.0), (1 if fits else 3) * GIGA, 2 * GIGA, **how
        )

    defaults = preflight_command.preflight_source.__kwdefaults__
    monkeypatch.setitem(defaults, "child", lambda _: goes_on)
    found = cli("preflight", session.path, "--fallbacks", "clip")
    assert found.out.splitlines()[4:6] == [
        "as it is: needs 3.0 of 2.0 GB, of which 90% may be used; it goes on from run 0001, in 12 "
        "steps",
        "shorter clip: needs 1.0 of 2.0 GB",
    ]
    told = cli("preflight", session.path, "--fallbacks", "clip", "--json").json
    starts = [(a["measured"]["start"], a["measured"]["steps"]) for a in told["attempts"]]
    assert starts == [("0001", 12), (None, 120)]
    assert told["start"] is None
    monkeypatch.setitem(
        defaults,
        "child",
        lambda _: (
            lambda *_: Measured(
                "cpu", Estimate(1.0, 2.0, 3.0), GIGA, 2 * GIGA, start="0001", steps=12
            )
        ),
    )
    assert cli("preflight", session.path, "--json").json["start"] == "0001"


def test_a_session_really(cli: Callable[..., Result], clip: Path, tmp_path: Path) -> None:
    boxes = read_boxes(clip / "boxes.json")
    session = Session.create(tmp_path / "session", video_source=clip / "frames", boxes=boxes)
    before = sorted(p.name for p in session.path.rglob("*"))
    told = cli("preflight", session.path, "--device", "cpu", "--steps", 3, *SMALL, "--json").json
    assert told["fits"]
    seconds = told["attempts"][0]["measured"]["seconds"]
    assert min(seconds.values()) > 0
    assert sorted(p.name for p in session.path.rglob("*")) == before, "it only looks"
