"""Ignore regions in the boxes file: read, checked, cut to the frame, edited, written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from maskfree.errors import InputError, InputWarning
from maskfree.ignore_regions import (
    add_region,
    box_of_region,
    holds_at,
    rectangle,
    regions_at,
    remove_regions,
    replace_region,
)
from maskfree.part import part_of_tracks
from maskfree.tracks import boxes_from_json, boxes_to_json, empty_tracks, read_boxes, write_boxes
from maskfree.types import IgnoreRegion

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import BoxTracks

VIDEO = empty_tracks(10, 48, 64, None)
TRIANGLE = ((10.0, 10.0), (30.0, 10.0), (20.0, 25.5))


def read(*items: Any) -> BoxTracks:
    data = {**boxes_to_json(VIDEO), "ignore": list(items)}
    return boxes_from_json(data, where="b.json", allow_empty=True)


def test_a_region_holds_in_its_frame_up_to_another_or_to_the_end() -> None:
    tracks = read(
        {"frame": 3, "xyxy": [0, 0, 10, 10]},
        {"frame": 3, "until": 5, "polygon": [[10, 10], [30, 10], [20, 25.5]]},
        {"frame": 0, "until": "end", "xyxy": [0, 40, 20, 48], "why": "time stamp"},
    )
    here, span, always = tracks.ignore
    assert here == IgnoreRegion(rectangle((0, 0, 10, 10)), 3, 3)
    assert span == IgnoreRegion(TRIANGLE, 3, 5)
    assert always == IgnoreRegion(rectangle((0, 40, 20, 48)), 0, None, {"why": "time stamp"})
    held = {f: sorted(regions_at(tracks, f)) for f in (2, 3, 4, 5, 6, 99)}
    assert held == {2: [2], 3: [0, 1, 2], 4: [1, 2], 5: [1, 2], 6: [2], 99: [2]}


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    items = [
        {"frame": 3, "xyxy": [0.0, 0.0, 10.0, 10.5]},
        {"frame": 3, "until": 5, "polygon": [[10.0, 10.0], [30.0, 10.0], [20.0, 25.5]]},
        {"frame": 0, "until": "end", "xyxy": [0.0, 40.0, 20.0, 48.0], "why": {"by": "ann"}},
    ]
    assert boxes_to_json(read(*items))["ignore"] == items
    write_boxes(tmp_path / "b.json", read(*items))
    assert read_boxes(tmp_path / "b.json", allow_empty=True) == read(*items)
    assert "ignore" not in boxes_to_json(VIDEO)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (3, 'ignore[0]: expected an ignore region as an object {"frame": …}, got 3'),
        ({"xyxy": [0, 0, 1, 1]}, "ignore[0]: frame must be a whole number, got nothing"),
        ({"frame": 10, "xyxy": [0, 0, 1, 1]}, "ignore[0]: frame must lie in 0 to 9"),
        ({"frame": 4, "until": 3, "xyxy": [0, 0, 1, 1]}, "until must lie in 4 to 9"),
        ({"frame": 4, "until": 10, "xyxy": [0, 0, 1, 1]}, "until must lie in 4 to 9"),
        ({"frame": 4, "until": "last", "xyxy": [0, 0, 1, 1]}, 'or "end", got "last"'),
        ({"frame": 4, "until": None, "xyxy": [0, 0, 1, 1]}, "until must be a whole number"),
        ({"frame": 4}, "expected either xyxy [x0, y0, x1, y1] or polygon [[x, y], …], got neither"),
        ({"frame": 4, "xyxy": [0, 0, 1, 1], "polygon": []}, "got both"),
        ({"frame": 4, "xyxy": [0, 0, 1]}, "xyxy must be four finite numbers"),
        ({"frame": 4, "xyxy": [5, 0, 1, 9]}, "with x0 < x1 and y0 < y1, got [5, 0, 1, 9]"),
        ({"frame": 4, "polygon": {}}, "polygon must be a list, got {}"),
        ({"frame": 4, "polygon": [[1, 2], [3]]}, "must be two finite numbers [x, y], got [3]"),
        ({"frame": 4, "polygon": [[1, 2], [3, 4]]}, "3 corners or more that are not on one line"),
        ({"frame": 4, "polygon": [[1, 1], [2, 2], [9, 9]]}, "that are not on one line"),
        ({"frame": 4, "xyxy": [70, 0, 80, 9]}, "must overlap the frame of 64 x 48 pixels"),
        ({"frame": 4, "polygon": [[-9, -9], [-1, -9], [-1, 99]]}, "wholly outside"),
    ],
)
def test_faults_say_what_was_expected(item: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read(item)
    assert str(error.value).startswith("b.json: ignore[0]")
    assert "\n" not in str(error.value)


def test_what_reaches_beyond_the_frame_is_cut() -> None:
    with pytest.warns(InputWarning, match=r"b.json: ignore\[0\], frame 4: the region reached beyo"):
        (region,) = read({"frame": 4, "xyxy": [-5, 40, 10, 60]}).ignore
    assert box_of_region(region) == (0.0, 40.0, 10.0, 48.0)
    with pytest.warns(InputWarning, match="reached beyond"):
        (region,) = read({"frame": 4, "polygon": [[60, 10], [68, 20], [60, 30]]}).ignore
    assert box_of_region(region) is None
    assert set(region.polygon) == {(60.0, 10.0), (64.0, 15.0), (64.0, 25.0), (60.0, 30.0)}


def test_adding_replacing_and_removing() -> None:
    one = IgnoreRegion(rectangle((0, 0, 5, 5)), 2, 2)
    tracks = add_region(VIDEO, one)
    assert (tracks.ignore, VIDEO.ignore) == ((one,), ())
    always = IgnoreRegion(one.polygon, 0, None)
    assert replace_region(tracks, 0, always).ignore == (always,)
    assert all(holds_at(always, f) for f in range(20))
    both = add_region(tracks, IgnoreRegion(TRIANGLE, 0, 1))
    assert remove_regions(both, [0]).ignore == (both.ignore[1],)
    with pytest.raises(InputError, match="no ignore region number 3, only 2"):
        remove_regions(both, [2])
    with pytest.raises(InputError, match="an ignore region: it must overlap the frame"):
        add_region(VIDEO, IgnoreRegion(rectangle((-9, -9, -1, -1)), 0, 0))
    with pytest.raises(InputError, match="an ignore region: a polygon must have 3 corners"):
        add_region(VIDEO, IgnoreRegion(((1, 1), (5, 1), (9, 1)), 0, 0))


def test_a_part_of_the_video_has_the_regions_that_hold_in_it() -> None:
    spans: list[tuple[int, int | None]] = [(0, None), (0, 2), (3, 3), (4, 9), (6, 8)]
    tracks = VIDEO
    for frame, until in spans:
        tracks = add_region(tracks, IgnoreRegion(TRIANGLE, frame, until))
    part = part_of_tracks(tracks, 3, 6)
    assert [(r.frame, r.until) for r in part.ignore] == [(0, None), (0, 0), (1, 2)]
