"""The frame index kept on disk: it is the one that was built, or none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from decoded import decoded_truth, digest, shuffled
from maskfree import video_file
from maskfree.config import VideoConfig
from maskfree.errors import InputError, InputWarning
from maskfree.session import Session
from maskfree.types import BoxTracks
from maskfree.video import open_video
from maskfree.video_file import first_frame
from maskfree.video_index_file import INDEX_FILE, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NO_CACHE = VideoConfig(cache_bytes=0, max_decode_ahead=3)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "by time": ("a.mp4", {}),
    "by packet": ("a.webm", {"codec": "libvpx", "b_frames": 0}),
    "by packet, B-frames": ("c.avi", {}),
    "program stream": ("a.mpg", {"codec": "mpeg2video", "b_frames": 2}),
    "edit list": ("n.mp4", {"pts": [2 * i - 20 for i in range(40)]}),
    "variable rate": ("v.mkv", {"pts": [int(i * 1.7) for i in range(40)]}),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "kept"
    made.mkdir()
    return made


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one each time that an index is built from the file."""
    count, build = [], video_file.build_index

    def counted(*arguments: Any) -> Any:
        count.append(1)
        return build(*arguments)

    monkeypatch.setattr(video_file, "build_index", counted)
    return count


@pytest.mark.parametrize("name", CASES)
def test_a_kept_index_gives_the_same_frames(
    name: str, encode: Callable[..., Path], tmp_path: Path, folder: Path, built: list[int]
) -> None:
    file_name, arguments = CASES[name]
    path = encode(tmp_path / file_name, **arguments)
    truth = decoded_truth(path)
    with open_video(path, config=NO_CACHE, index_folder=folder) as video:
        first = video._frames._index
    with open_video(path, config=NO_CACHE, index_folder=folder) as video:
        again = video._frames._index
        assert [digest(video[i]) for i in shuffled(len(truth))] == [
            truth[i] for i in shuffled(len(truth))
        ]
        assert video.fps == open_video(path).fps
    assert len(built) == 2  # the first, and the one for its rate
    assert again.identify is first.identify
    assert again.numbers == first.numbers
    for field in ("keys", "starts", "start_times"):
        assert np.array_equal(getattr(again, field), getattr(first, field))


def test_damage_is_told_again(encode: Callable[..., Path], tmp_path: Path, folder: Path) -> None:
    path = encode(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    with pytest.warns(InputWarning, match="is cut off or damaged") as first:
        length = len(open_video(path, index_folder=folder))
    with pytest.warns(InputWarning, match="is cut off or damaged") as again:
        video = open_video(path, index_folder=folder)
    assert str(first[0].message) == str(again[0].message)
    assert len(video) == length
    assert video[-1].shape == (48, 64, 3)


def other_size(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def other_time(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def other_head(path: Path) -> None:
    time = path.stat().st_mtime_ns
    data = bytearray(path.read_bytes())
    data[data.index(b"isom")] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(time, time))


@pytest.mark.parametrize("change", [other_size, other_time, other_head])
def test_another_file_is_never_mistaken(
    change: Any, encode: Callable[..., Path], tmp_path: Path, folder: Path, built: list[int]
) -> None:
    path = encode(tmp_path / "a.mp4", frames=5)
    open_video(path, index_folder=folder).close()
    change(path)
    open_video(path, index_folder=folder).close()
    open_video(path, index_folder=folder).close()
    assert len(built) == 2


def test_the_end_of_a_large_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(2**18))
    before, time = fingerprint(path, VideoConfig()), path.stat().st_mtime_ns
    data = bytearray(2**18)
    data[-1] = 1
    path.write_bytes(data)
    os.utime(path, ns=(time, time))
    assert fingerprint(path, VideoConfig()) != before
    assert fingerprint(path, VideoConfig()) != fingerprint(path, VideoConfig(index_checks=3))


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.99])
def test_a_cut_off_index_is_built_again(
    part: float, encode: Callable[..., Path], tmp_path: Path, folder: Path, built: list[int]
) -> None:
    path, kept = encode(tmp_path / "a.mp4"), folder / INDEX_FILE
    open_video(path, index_folder=folder).close()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: int(len(whole) * part)])
    assert len(open_video(path, index_folder=folder)) == 40
    assert len(built) == 2
    open_video(path, index_folder=folder).close()
    assert len(built) == 2


def test_a_changed_byte_is_never_believed(
    encode: Callable[..., Path], tmp_path: Path, folder: Path
) -> None:
    path, kept = encode(tmp_path / "a.mp4"), folder / INDEX_FILE
    with open_video(path, index_folder=folder) as video:
        keys, starts = video._frames._index.keys, video._frames._index.starts
    whole = kept.read_bytes()
    for place in range(0, len(whole), 37):
        data = bytearray(whole)
        data[place] ^= 0x55
        kept.write_bytes(data)
        with open_video(path, index_folder=folder) as video:
            assert np.array_equal(video._frames._index.keys, keys)
            assert np.array_equal(video._frames._index.starts, starts)


def test_a_folder_that_cannot_be_written_is_no_matter(
    encode: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "a.mp4", frames=5)
    assert len(open_video(path, index_folder=tmp_path / "none")) == 5
    assert not (tmp_path / "none").exists()

    def refuse(*_: Any) -> None:
        raise InputError("The disk is full")

    monkeypatch.setattr("maskfree.video_index_file.atomic_write", refuse)
    assert len(open_video(path, index_folder=tmp_path)) == 5


def test_a_session_keeps_it(encode: Callable[..., Path], tmp_path: Path, built: list[int]) -> None:
    path = encode(tmp_path / "a.mp4", frames=5)
    boxes = BoxTracks(5, 48, 64, None, ())
    session = Session.create(tmp_path / "s", video_source=path, boxes=boxes)
    session.open_video().close()
    assert (session.path / INDEX_FILE).is_file()
    session.open_video().close()
    assert len(built) == 1
    with open_video(path) as video:
        (session.path / INDEX_FILE).unlink()
        video.keep_index(session.path)
    session.open_video().close()
    assert len(built) == 2
    open_video(np.zeros((2, 4, 4), np.uint8)).keep_index(tmp_path)  # nothing to keep
    assert not (tmp_path / INDEX_FILE).exists()


def test_progress_and_its_end(
    encode: Callable[..., Path],
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("maskfree.video_index.TOLD_EVERY", 8)
    told: list[float] = []
    path = encode(tmp_path / "a.mp4", frames=40)
    open_video(path, index_folder=folder, progress=told.append).close()
    assert told[0] == 0.0
    assert told == sorted(told)
    assert len(told) == 6
    assert told[-1] <= 1.0
    told.clear()
    open_video(path, index_folder=folder, progress=told.append).close()
    assert told == []

    class Enough(Exception):
        pass

    def stop(part: float) -> None:
        if part > 0:
            raise Enough

    for name in ("b.mp4", "b.webm"):
        vp8 = {"codec": "libvpx", "b_frames": 0} if name == "b.webm" else {}
        path = encode(tmp_path / name, **vp8)
        with pytest.raises(Enough):
            open_video(path, progress=stop)
        path.unlink()  # nobody holds it


@pytest.mark.parametrize("rotation", [0, 90])
def test_first_frame(rotation: int, encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=3, rotation=rotation)
    assert np.array_equal(first_frame(path), open_video(path)[0])


def test_first_frame_of_none(tmp_path: Path, encode: Callable[..., Path]) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"nothing" * 100)
    with pytest.raises(InputError, match="is not a video, or it is damaged"):
        first_frame(path)
