"""``maskfree infer`` where pictures are missing or damaged."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from walking_squares import VIDEOS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_video_without_its_pictures_is_left_out_and_said(
    infer: Callable[..., Any], weights: Path, root: Path
) -> None:
    (root / "valid/JPEGImages/v1/00000.jpg").unlink()
    done = infer(weights, "--kind", "ytvis2021", "--json")
    said = json.loads(done.out)
    assert (said["videos"], said["left_out"]) == (VIDEOS, ["video v1"])
    assert "1 of its 3 pictures are missing, first v1/00000.jpg" in said["unread"]["video v1"]
    assert "nothing of 1 that were skipped: video v1" in infer(weights, "--kind", "ytvis2021").out


def test_a_damaged_picture_ends_nothing_and_what_is_missing_comes_later(
    infer: Callable[..., Any], weights: Path, root: Path, tmp_path: Path
) -> None:
    picture = root / "valid/JPEGImages/v1/00001.jpg"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:300])
    done = infer(weights, "--kind", "ytvis2021", "--json")
    assert done.code == 0, done.err
    assert "video v1 is left out: " in done.err
    said = json.loads(done.out)
    assert (said["left_out"], list(said["unread"])) == (["video v1"], ["video v1"])
    assert "00001.jpg" in said["unread"]["video v1"]
    results = tmp_path / "results.json"
    assert {each["video_id"] for each in json.loads(results.read_text())} == {1, 3}
    picture.write_bytes(whole)
    shutil.move(picture.parent.parent / "v0", tmp_path)  # it is inferred already
    done = infer(weights, "--kind", "ytvis2021", "--json")
    said = json.loads(done.out)
    assert (said["before"], said["left_out"], said["unread"]) == (VIDEOS - 1, [], {})
    assert {each["video_id"] for each in json.loads(results.read_text())} == {1, 2, 3}
    assert not (tmp_path / "results.json.parts").exists()


def test_a_damaged_video_may_be_removed_for_good(
    infer: Callable[..., Any], weights: Path, root: Path, tmp_path: Path
) -> None:
    picture = root / "valid/JPEGImages/v1/00001.jpg"
    picture.write_bytes(b"no picture")
    assert infer(weights).code == 0
    assert (tmp_path / "results.json.parts").is_dir()
    picture.unlink()  # the others' results still hold
    said = json.loads(infer(weights, "--json").out)
    assert (said["before"], said["left_out"]) == (VIDEOS - 1, ["video v1"])
    assert not (tmp_path / "results.json.parts").exists()


def test_a_data_set_of_which_nothing_can_be_read_is_an_error(
    infer: Callable[..., Any], weights: Path, root: Path, tmp_path: Path
) -> None:
    for picture in (root / "valid/JPEGImages").rglob("*.jpg"):
        picture.write_bytes(b"no picture")
    done = infer(weights, "--kind", "ytvis2021")
    assert done.code == 2
    assert "No video of ytvis2021 valid can be read, first video v0: " in done.err
    assert not (tmp_path / "results.json").exists()
