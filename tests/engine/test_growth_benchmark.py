"""What is reported of growth with a video's length; no time is asserted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import pytest

import growth
import growth_child
from growth import Failed, rows_of
from growth_scene import boxes_of, make_session, make_video, write_masks
from result_file import write_result

if TYPE_CHECKING:
    from pathlib import Path

MB = 10**6


def one(peak: float, **more: float) -> dict[str, Any]:
    return {"peak": peak * MB, "cpu": 2.0, **more}


def test_peaks_are_held_against_those_of_the_short_video() -> None:
    good, bad = rows_of(
        {
            "predict": {100: one(500), 2000: one(549)},
            "window": {100: one(400), 20100: one(440)},
        },
        {},
    )
    assert good["what"] == "peak memory, predict, 100 to 2,000 frames"
    assert (good["measured"], good["met"], good["why"]) == ("+9.8%: 500 to 549 MB", True, "")
    assert (bad["measured"], bad["met"]) == ("+10.0%: 400 to 440 MB", False)
    assert bad["why"] == "2000 bytes a frame"


def test_the_unannotated_rest_costs_nothing_and_masks_are_small() -> None:
    found = {
        "annotated": {100: one(500, before=4.0), 8000: one(500, before=4.2)},
        "export davis": {100: one(90, share=0.01), 20000: one(90, share=0.03)},
    }
    _, _, before, share = rows_of(found, {})
    assert (before["measured"], before["met"]) == ("1.05×: 4.0 s, 4.2 s", True)
    assert (share["measured"], share["met"]) == ("3.00%", False)
    found["annotated"][8000]["before"] = 5.0
    assert rows_of(found, {})[2]["met"] is False


def test_a_part_that_fails_or_has_no_display_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(part: str, frames: int, *_: Any) -> dict[str, Any]:
        if part == "predict":
            raise Failed("It broke.")
        return one(100 + frames / 1000, before=1.0, share=0.01)

    monkeypatch.setattr(growth, "measured", measured)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    out, plot = tmp_path / "out.json", tmp_path / "some.png"
    assert growth.main(["--json", str(out), "--plot", str(plot)]) == 0
    done = json.loads(out.read_text(encoding="utf-8"))
    rows = {row["what"]: row for row in done["rows"]}
    assert rows["peak memory, predict"]["why"] == "It broke."
    assert rows["peak memory, predict"]["met"] is None
    assert "display" in rows["peak memory, window"]["why"]
    assert rows["peak memory, export boxes, 100 to 20,000 frames"]["met"] is False
    assert "| export boxes | 20,000 | 120 | 2.0 | 1.0 |" in done["text"].splitlines()
    assert "![peak memory over frames](some.png)" in done["text"]
    picture = cv2.imread(str(plot))
    assert picture.shape[:2] == growth.SIDES[::-1]
    assert (picture < 128).any()


def test_what_was_measured_is_written_before_the_next_part_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"

    def measured(part: str, frames: int, *_: Any) -> dict[str, Any]:
        if part == "predict":
            raise KeyboardInterrupt
        return one(100, before=1.0)

    monkeypatch.setattr(growth, "measured", measured)
    plot = tmp_path / "some.png"
    with pytest.raises(KeyboardInterrupt):
        growth.main(["--json", str(out), "--plot", str(plot), "--only", "finetune", "predict"])
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert row["what"] == "peak memory, finetune, 100 to 2,000 frames"


def test_a_broken_child_says_why(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="nowhere"):
        growth._child("export", tmp_path / "nowhere", "davis")


def test_an_export_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    make_video(video, 100)
    session = make_session(tmp_path / "session", video, 100, every=50)
    write_masks(session, 100)
    found = growth._child("export", session.path, "boxes")
    assert found["frames"] == 3
    assert found["peak"] > 10 * MB


def test_boxes_are_as_many_as_are_drawn() -> None:
    for frames, count in ((100, 21), (20000, 21)):
        tracks = boxes_of(frames, every=frames // growth.DRAWN).tracks
        assert [len(track.keyframes) for track in tracks] == [count, count]


def test_what_a_run_keeps_is_bounded_in_proportion_to_its_frames() -> None:
    whole, part = (growth_child.settings(6, area) for area in (448 * 256, 224 * 128))
    assert whole.sampling.frame_area == 4 * part.sampling.frame_area
    assert whole.video.run_bytes == 4 * part.video.run_bytes
    assert whole.evidence.most_distances == 4 * part.evidence.most_distances
    assert part.optimiser.steps == 6


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    write_result(path, "T", [{"what": "x"}], "text")
    with pytest.raises(TypeError):
        write_result(path, "T", [{"what": object()}], "text")
    assert json.loads(path.read_text()) == {"title": "T", "rows": [{"what": "x"}], "text": "text"}
    write_result(None, "T", [], "")
