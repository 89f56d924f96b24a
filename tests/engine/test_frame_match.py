"""A video that was encoded anew, trimmed, cut or replaced, against what was known of it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from filmed import film, scenery
from maskfree.config import FramePrintsConfig
from maskfree.frame_match import match_frames
from maskfree.frame_prints import (
    PRINTS_FILE,
    file_digest,
    make_prints,
    read_prints,
    write_prints,
)
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.frame_match import FrameMatch
    from maskfree.frame_prints import FramePrints

COUNT = 120


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return scenery(COUNT)


@pytest.fixture(scope="module")
def prints(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> FramePrints:
    with open_video(film(tmp_path_factory.mktemp("film") / "original.mp4", frames)) as video:
        return make_prints(video)


@pytest.fixture
def match(prints: FramePrints, tmp_path: Path) -> Callable[..., FrameMatch]:
    """Encode frames, and look for those of the original."""

    def look(other: np.ndarray, *, whole: bool = False, **options: object) -> FrameMatch:
        config = options.pop("config", FramePrintsConfig())
        with open_video(film(tmp_path / "other.mp4", other, **options)) as video:
            return match_frames(prints, video, config=config, whole=whole)

    return look


@pytest.mark.parametrize("quality", [18, 35, 45])
def test_encoded_again_at_any_quality(
    match: Callable[..., FrameMatch], frames: np.ndarray, quality: int
) -> None:
    found = match(frames, quality=quality, gop=50)
    assert (found.kind, found.exact, found.offset) == ("same", False, 0)


@pytest.mark.parametrize(("first", "last"), [(7, 120), (1, 120), (0, 90), (33, 80), (60, 120)])
@pytest.mark.parametrize("quality", [20, 40])
def test_trimmed(
    match: Callable[..., FrameMatch], frames: np.ndarray, first: int, last: int, quality: int
) -> None:
    found = match(frames[first:last], quality=quality)
    assert (found.kind, found.offset, found.num_frames) == ("shifted", -first, last - first)


def test_what_was_cut_off_before(match: Callable[..., FrameMatch], frames: np.ndarray) -> None:
    longer = np.concatenate([scenery(15, seed=5), frames])
    found = match(longer)
    assert (found.kind, found.offset) == ("shifted", 15)


def test_a_part_of_the_same_length_further_on(
    match: Callable[..., FrameMatch], frames: np.ndarray
) -> None:
    moved = np.concatenate([frames[9:], scenery(9, seed=5)])
    found = match(moved)
    assert (found.kind, found.offset, found.num_frames) == ("shifted", -9, COUNT)


def test_cut_in_the_middle(match: Callable[..., FrameMatch], frames: np.ndarray) -> None:
    found = match(np.concatenate([frames[:50], frames[70:]]))
    assert (found.kind, found.offset, found.then) == ("cut", 0, -20)
    assert found.before < 50
    assert found.after >= 70
    found = match(np.concatenate([frames[4:50], scenery(6, seed=7), frames[50:]]))
    assert (found.kind, found.offset, found.then) == ("cut", -4, 2)


@pytest.mark.parametrize(("step", "rate"), [(2, 12), (3, 8)])
def test_another_frame_rate(
    match: Callable[..., FrameMatch], frames: np.ndarray, step: int, rate: int
) -> None:
    assert match(frames[::step], rate=rate).kind == "rate"


def test_the_same_frames_at_another_rate(
    match: Callable[..., FrameMatch], frames: np.ndarray
) -> None:
    found = match(frames, rate=30)
    assert (found.kind, found.fps) == ("same", 30)


def test_resized(match: Callable[..., FrameMatch], frames: np.ndarray) -> None:
    found = match(frames, size=(48, 86))
    assert (found.kind, found.height, found.width) == ("same", 48, 86)
    assert match(frames[7:], size=(48, 86)).offset == -7


def test_other_pictures(match: Callable[..., FrameMatch]) -> None:
    assert match(scenery(COUNT, seed=3)).kind == "other"
    assert match(scenery(40, seed=4)).kind == "other"


def test_a_still_picture_cannot_tell(tmp_path: Path) -> None:
    still = np.repeat(scenery(1), COUNT, axis=0)
    with open_video(film(tmp_path / "a.mp4", still)) as video:
        prints = make_prints(video)
    with open_video(film(tmp_path / "b.mp4", still[7:], quality=35)) as video:
        assert match_frames(prints, video).kind == "unclear"
    with open_video(film(tmp_path / "c.mp4", still, quality=35)) as video:
        assert match_frames(prints, video).kind == "same", "as many: nothing to tell"
    plain = np.full_like(still, 128)
    with open_video(film(tmp_path / "d.mp4", plain)) as video:
        assert match_frames(make_prints(video), video).exact
    with open_video(film(tmp_path / "d.mp4", plain[5:])) as video:
        assert match_frames(prints, video).kind == "other"


def test_a_long_video_is_looked_through_near_its_prints_only(
    match: Callable[..., FrameMatch], frames: np.ndarray
) -> None:
    short = dataclasses.replace(FramePrintsConfig(), whole=20, near=4, anchors=5)
    assert match(frames[3:], config=short).offset == -3
    assert match(frames[9:], config=short).kind == "unfound"
    found = match(frames[9:], config=short, whole=True)
    assert (found.kind, found.offset) == ("shifted", -9)


def test_who_looks_is_told_and_may_end_it(prints: FramePrints, frames: np.ndarray) -> None:
    told: list[tuple[int, int]] = []
    match_frames(prints, open_video(frames[5:]), watch=lambda _, *n: told.append(n))
    assert told[0] == (0, COUNT - 5)
    assert told[-1] == (COUNT - 5, COUNT - 5)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match_frames(prints, open_video(frames[5:]), watch=stop)


def test_the_very_pixels_need_no_search(frames: np.ndarray) -> None:
    video = open_video(frames)
    told: list[object] = []
    found = match_frames(make_prints(video), video, watch=lambda *n: told.append(n))
    assert (found.kind, found.exact) == ("same", True)
    assert not told


def test_prints_are_of_keyframes_where_there_are_many(tmp_path: Path, frames: np.ndarray) -> None:
    with open_video(film(tmp_path / "many.mp4", frames, gop=4)) as video:
        chosen = [each.frame for each in make_prints(video).prints]
        assert all(video.entry(frame) == frame for frame in chosen)
        assert len(chosen) >= 16
        assert chosen[-1] >= COUNT - 4
    few = dataclasses.replace(FramePrintsConfig(), decoded=50)
    with open_video(film(tmp_path / "one.mp4", frames, gop=500)) as video:
        chosen = [each.frame for each in make_prints(video, config=few).prints]
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 49, few.samples)


def test_prints_on_disk(prints: FramePrints, tmp_path: Path) -> None:
    write_prints(tmp_path, prints)
    assert read_prints(tmp_path) == prints
    path = tmp_path / PRINTS_FILE
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["version"] == 1
    assert data["video"] == {"frames": COUNT, "height": 72, "width": 128, "fps": 25.0}
    assert data["prints"][0].keys() == {"frame", "name", "seconds", "pixels", "grey"}
    assert path.stat().st_size < 64 * 2**10
    path.write_text(json.dumps(data | {"note": 1}), encoding="utf-8")
    known = read_prints(tmp_path)
    assert known is not None
    write_prints(tmp_path, known)
    assert json.loads(path.read_text(encoding="utf-8"))["note"] == 1, "what we do not know stays"
    for change in ({"version": 2}, {"prints": []}, {"prints": [{"frame": 0, "grey": "?"}]}, {}):
        broken = {**data, **change} if change else []
        path.write_text(json.dumps(broken), encoding="utf-8")
        assert read_prints(tmp_path) is None
    path.write_bytes(b"\xff\x00")
    assert read_prints(tmp_path) is None


def test_seconds_and_digests(tmp_path: Path, frames: np.ndarray) -> None:
    path = film(tmp_path / "a.mp4", frames[:20], rate=10)
    with open_video(path) as video:
        assert [video.seconds(n) for n in (0, 1, 15)] == pytest.approx([0, 0.1, 1.5])
    assert open_video(frames).seconds(4) is None
    assert open_video(frames, fps=8).seconds(4) == 0.5
    known = file_digest(path)
    (tmp_path / "b.mp4").write_bytes(path.read_bytes())
    assert file_digest(tmp_path / "b.mp4") == known
    (tmp_path / "b.mp4").write_bytes(path.read_bytes() + b"x")
    assert file_digest(tmp_path / "b.mp4") != known
    assert file_digest(tmp_path) is file_digest(tmp_path / "none") is file_digest(None) is None
