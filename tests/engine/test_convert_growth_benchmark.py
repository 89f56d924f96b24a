"""What is reported of the growth of conversions; no figure is asserted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import convert_growth
from maskfree.formats import FORMATS
from maskfree.formats.base import boxes_in

if TYPE_CHECKING:
    from pathlib import Path


def test_every_pair_is_of_formats_that_hold_the_same() -> None:
    for pair in convert_growth.PAIRS:
        source, target = pair.split()
        assert source in FORMATS
        assert source in convert_growth.MASKS or not FORMATS[target].needs_masks


def test_what_is_converted_is_in_the_frame() -> None:
    made = convert_growth.annotations(30, 4, masks=True)
    masks = made.read_masks(29)
    assert masks is not None
    side = convert_growth.SIDE
    assert masks.masks.sum(axis=(1, 2)).tolist() == [side * side] * 4
    boxed = convert_growth.annotations(30, 4, masks=False)
    boxes = np.array([boxes_in(boxed, t)[n] for t in range(30) for n in range(1, 5)])
    assert boxes.min() >= 0
    assert (boxes[:, 2:] <= (convert_growth.WIDTH, convert_growth.HEIGHT)).all()


def test_a_pair_is_measured_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    arguments = ["--only", "mot cvat", "--frames", "3", "5", "--tracks", "2", "--json", str(out)]
    assert convert_growth.main(arguments) == 0
    found = json.loads(out.read_text())
    assert found["title"] == convert_growth.TITLE
    (row,) = found["rows"]
    assert row["what"] == "peak memory, mot to cvat, 3 to 5 frames of 2 tracks"
    assert set(row) == {"what", "target", "measured", "met", "why"}
    assert "| mot → cvat | 5 |" in found["text"]
    assert capsys.readouterr().out.strip() == found["text"]


@pytest.mark.parametrize(("each", "met"), [(20, True), (300, False)])
def test_what_grows_is_said(each: int, met: bool) -> None:
    sizes: dict[int, dict[str, Any]] = {
        100: {"peak": 50_000_000},
        1100: {"peak": 50_000_000 + each * 1000 * 50},
    }
    (row,) = convert_growth.rows_of({"mot cvat": sizes}, 50)
    assert (row["met"], bool(row["why"])) == (met, not met)
    assert row["measured"].startswith(f"{each} bytes: 50 to ")
