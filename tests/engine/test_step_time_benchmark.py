"""Where a step's time goes: stages, the split of the backward pass, the report, the picture."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
import torch

import step_clock
import step_time
from flame import Graph, flame_svg
from step_clock import BACKWARD, REST, Clock

if TYPE_CHECKING:
    from pathlib import Path

    from napari_maskfree.sample_data import GeneratedClip


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a clock that a test turns: seconds."""
    now = [0.0]
    monkeypatch.setattr(step_clock.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(step_clock.time, "process_time", lambda: 2 * now[0])
    return now


def test_a_stage_is_without_the_stages_inside_it(ticking: list[float]) -> None:
    clock = Clock()

    def inner() -> None:
        ticking[0] += 1

    inside = clock.wrap("inner", inner)

    def outer() -> None:
        ticking[0] += 2
        inside()
        ticking[0] += 4
        inside()

    clock.wrap("outer", outer)()
    assert dict(clock.totals) == {"outer": [6.0, 12.0], "inner": [2.0, 4.0]}


def test_the_backward_pass_is_split_where_gradients_arrive(ticking: list[float]) -> None:
    clock = Clock()

    def slow(seconds: float, seen: list[list[str]]) -> type[torch.autograd.Function]:
        class Slow(torch.autograd.Function):
            @staticmethod
            def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
                return x * 2

            @staticmethod
            def backward(_: Any, gradient: torch.Tensor) -> torch.Tensor:
                ticking[0] += seconds
                seen.append(clock.stack())
                return gradient * 2

        return Slow

    seen: list[list[str]] = []
    first = clock.wrap("first", slow(5, seen).apply)
    second = clock.wrap("second", slow(3, seen).apply)
    x = torch.ones(2, requires_grad=True)
    loss = second(first(x)).sum()
    clock.totals.clear()
    clock.backward(torch.autograd.backward)(loss)
    assert x.grad is not None
    assert x.grad.tolist() == [4, 4]
    walls = {name: own[0] for name, own in clock.totals.items()}
    assert walls[BACKWARD + "second"] == 3
    assert walls[BACKWARD + "first"] == 5
    assert seen == [["second"], ["first"]]
    assert clock.stack() == []


def test_what_is_missing_in_a_state_is_left_out_and_what_is_there_is_found_everywhere() -> None:
    import maskfree.correspondence
    import maskfree.temporal_term

    plain = maskfree.correspondence.match_clip
    calls: list[str] = []

    def wrap(function: Any) -> Any:
        return lambda *a, **k: (calls.append("match"), function(*a, **k))[1]

    try:
        step_clock._replace("no_such_module", "anything", wrap)
        step_clock._replace("correspondence", "no_such_function", wrap)
        step_clock._replace("correspondence", "match_clip", wrap)
        assert maskfree.temporal_term.match_clip is maskfree.correspondence.match_clip is not plain
    finally:
        step_clock._replace("correspondence", "match_clip", lambda _: plain)
    assert maskfree.temporal_term.match_clip is plain
    assert calls == []


def test_it_measures_a_run_and_writes_table_and_picture(
    small_clip: GeneratedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, in a process of its own; without the older commit."""
    small_clip.write(tmp_path / "made")
    monkeypatch.setattr(step_time.baseline, "worktree", lambda: contextlib.nullcontext(None))
    monkeypatch.setattr(step_time, "SAMPLED", 1)
    out, flame = tmp_path / "step.json", tmp_path / "flame.svg"
    given = ["--clips", str(tmp_path / "made"), "--rounds", "1", "--steps", "1", "--frames", "4"]
    assert step_time.main([*given, "--flame", str(flame), "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    (row,) = found["rows"]
    assert row["met"] is None
    assert "git fetch --unshallow" in row["why"]
    assert "ms of computing" in row["measured"]
    lines = found["text"].splitlines()
    assert "| stage | now: forward | backward | share |" in lines
    stages = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    for name in ("backbone", "deformable encoder", "transformer decoder", "pixel decoder"):
        _, _, forward, backward, _, _ = stages[name].split("|")
        assert float(forward) > 0
        assert float(backward) > 0
    for name in ("match", "loss: pairwise", "loss: temporal", "optimiser", "Lab"):
        assert float(stages[name].split("|")[2]) > 0
    ET.fromstring(flame.read_text())
    assert str(tmp_path) not in flame.read_text() + out.read_text()


def steps(computing: float) -> list[list[step_time.Step]]:
    step = {
        REST: [1.0, computing - 60],
        "match": [9.0, 20.0],
        "backbone": [5.0, 10.0],
        BACKWARD + "backbone": [15.0, 30.0],
    }
    return [[step, step], [step, step]]


def test_both_states_stand_side_by_side() -> None:
    found = {"clip": "bear", "frames": 12, "steps": {"before": steps(300), "now": steps(100)}}
    result = step_time.report(found)
    lines = result["text"].splitlines()
    assert "| backbone | 10.0 | 30.0 | 13% | 10.0 | 30.0 | 40% |" in lines
    assert "| match | 20.0 | – | 7% | 20.0 | – | 20% |" in lines
    assert (
        "- Computing: before 300 ms, now 100 ms; before / now 3.00× (3.00 to 3.00 over 2 turns)"
    ) in lines
    (row,) = result["rows"]
    assert row["measured"] == "100 ms of computing, before 300 ms: 3.00×"
    assert row["met"] is True


def test_boxes_are_as_wide_as_their_part_of_the_time() -> None:
    stacks = [(["train", "<lambda> & more"], 3), (["train"], 1)]
    graphs = [Graph("before", 100.0, stacks), Graph("now", 50.0, stacks)]
    root = ET.fromstring(flame_svg(graphs))
    boxes = {}
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        title, rect, *_ = group
        boxes.setdefault(title.text, []).append(float(rect.get("width", 0)))
    (whole,), (half,) = boxes["step: 100.0 ms"], boxes["step: 50.0 ms"]
    assert half == pytest.approx(whole / 2)
    assert boxes["<lambda> & more: 75.0 ms"] == [pytest.approx(0.75 * whole, abs=0.1)]
    assert boxes["<lambda> & more: 37.5 ms"] == [pytest.approx(0.75 * half, abs=0.1)]
