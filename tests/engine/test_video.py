"""Opening a video, the bounded cache, threads, dask, and what is said of wrong input."""

from __future__ import annotations

import builtins
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskfree.config import VideoConfig
from maskfree.errors import InputError
from maskfree.video import FrameCache, as_dask, open_video

FRAME = 4 * 6 * 3


class CountedArray:
    """An array that is not numpy's and counts how often it is read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.reads: list[Any] = []

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads.append(key)
        return self.array[key]


def colours(frames: int = 8, height: int = 4, width: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (frames, height, width, 3), dtype=np.uint8)


def error_of(source: Any, **arguments: Any) -> str:
    with pytest.raises(InputError) as raised:
        open_video(source, **arguments)
    message = str(raised.value)
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------------ cache


def test_cache_drops_the_least_recently_used() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    cache = FrameCache(3 * frame.nbytes)
    for i in range(3):
        cache.put(i, frame)
    assert cache.get(0) is frame
    cache.put(3, frame)
    assert [i for i in range(4) if i in cache] == [0, 2, 3]
    assert cache.nbytes == 3 * frame.nbytes
    assert cache.get(1) is None
    assert (cache.hits, cache.misses) == (1, 1)


def test_a_frame_kept_twice_counts_once() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    cache = FrameCache(100)
    cache.put(0, frame)
    cache.put(0, frame)
    assert cache.nbytes == frame.nbytes


def test_a_cache_shrinks_at_once_and_never_grows() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    cache = FrameCache(3 * frame.nbytes)
    for i in range(3):
        cache.put(i, frame)
    cache.shrink(2 * frame.nbytes)
    assert [i for i in range(3) if i in cache] == [1, 2]
    cache.shrink(9 * frame.nbytes)
    assert cache.limit == 2 * frame.nbytes


def test_of_a_shrunk_cache_the_first_put_goes_first_however_often_it_was_asked_for() -> None:
    frame = np.zeros((2, 2, 3), np.uint8)
    cache = FrameCache(4 * frame.nbytes)
    cache.shrink(3 * frame.nbytes)
    for i in range(3):
        cache.put(i, frame)
    assert cache.get(0) is frame
    cache.put(3, frame)
    assert [i for i in range(4) if i in cache] == [1, 2, 3]


def test_video_stays_within_the_cache_and_reads_again_what_it_dropped() -> None:
    array = CountedArray(colours())
    video = open_video(array, config=VideoConfig(cache_bytes=3 * FRAME))
    for i in range(8):
        video[i]
        assert video.cache.nbytes <= 3 * FRAME
    assert len(array.reads) == 8
    video[7], video[6], video[5]
    assert len(array.reads) == 8
    video[0]
    assert len(array.reads) == 9
    assert len(video.cache) == 3


def test_frames_larger_than_the_cache_are_read_but_not_kept() -> None:
    video = open_video(CountedArray(colours()), config=VideoConfig(cache_bytes=FRAME - 1))
    assert np.array_equal(video[2], colours()[2])
    assert (len(video.cache), video.cache.nbytes) == (0, 0)


def test_cached_frames_hold_no_larger_array() -> None:
    rgba = np.zeros((5, 4, 6, 4), np.uint8)
    video = open_video(CountedArray(rgba))
    assert video[0].base is None
    assert video[0].nbytes == FRAME


def test_numpy_arrays_are_not_copied_into_the_cache() -> None:
    array = colours()
    video = open_video(array)
    assert np.shares_memory(video[3], array)
    assert len(video.cache) == 0
    assert array.flags.writeable


# ------------------------------------------------------------------------------ access


def test_indexing() -> None:
    array = colours()
    video = open_video(array)
    assert len(video) == 8
    assert video.shape == (8, 4, 6, 3)
    assert np.array_equal(video[-1], array[7])
    assert np.array_equal(video[np.int64(2)], array[2])
    assert np.array_equal(np.stack(list(video)), array)
    assert video.source is None
    assert video.fps is None
    assert open_video(array, fps=12).fps == 12
    assert "array: 8 frames of 6 x 4" in repr(video)
    for beyond in (8, -9):
        with pytest.raises(IndexError, match=f"^frame {beyond} of a video of 8 frames$"):
            video[beyond]
    with pytest.raises(TypeError):
        video["0"]  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        video[0][0, 0] = 0


def test_closed_video_says_so() -> None:
    with open_video(colours()) as video:
        video[0]
    with pytest.raises(RuntimeError, match=r"^This video was closed; open it again with open_"):
        video[0]


def test_threads_read_one_at_a_time() -> None:
    inside = threading.Semaphore(1)
    overlaps: list[int] = []

    class OneAtATime(CountedArray):
        def __getitem__(self, key: Any) -> np.ndarray:
            if not inside.acquire(blocking=False):
                overlaps.append(1)
            try:
                time.sleep(1e-3)
                return super().__getitem__(key)
            finally:
                inside.release()

    array = OneAtATime(colours(40, 64, 64))
    video = open_video(array, config=VideoConfig(cache_bytes=0))
    wrong: list[int] = []

    def read(start: int) -> None:
        for i in range(start, 40, 2):
            if not np.array_equal(video[i], array.array[i]):
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(n % 2,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not overlaps


# ------------------------------------------------------------------------------ dask


def test_as_dask_is_lazy_one_chunk_a_frame() -> None:
    array = CountedArray(colours())
    lazy = as_dask(open_video(array))
    assert lazy.shape == (8, 4, 6, 3)
    assert lazy.dtype == np.uint8
    assert lazy.chunks == ((1,) * 8, (4,), (6,), (3,))
    assert array.reads == []
    assert np.array_equal(lazy[5].compute(), array.array[5])
    assert len(array.reads) == 1
    assert np.array_equal(lazy.compute(), array.array)


def test_as_dask_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_dask(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("dask"):
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.startswith("dask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_dask)
    with pytest.raises(InputError, match=r"^Lazy layers need dask\. Install it: pip install dask$"):
        as_dask(open_video(colours()))


# ------------------------------------------------------------------------------ wrong input


def test_missing_file_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "rabbit.mp4").write_bytes(b"x")
    assert error_of(tmp_path / "rabit.mp4") == (
        f'There is no file or folder {tmp_path / "rabit.mp4"}. Did you mean "rabbit.mp4"?'
    )
    assert error_of(tmp_path / "none" / "a.mp4") == (
        f"There is no file or folder {tmp_path / 'none' / 'a.mp4'}. Check the path."
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.tif", "a.txt"])
def test_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert error_of(tmp_path / name) == (
        f"{tmp_path / name} is an empty file. Copy or record it again."
    )


def test_unsupported_kind(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello", encoding="utf-8")
    message = error_of(path)
    assert message.startswith(f"{path} is of a kind that is not read. Pass a video file (.3gp .avi")
    assert message.endswith("), a folder of images, a TIFF stack or a zarr.")


def test_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "00000.png"
    path.write_bytes(b"\x89PNG")
    assert error_of(path) == (
        f"{path} is one picture. Pass the folder that holds the frames ({tmp_path})."
    )


def test_web_address() -> None:
    assert error_of("https://example.org/a.mp4") == (
        "https://example.org/a.mp4 is a web address. Download it and pass the file."
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.tif"])
def test_permission(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")

    def refuse(self: Path, *_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert error_of(path) == (
        f"{path} may not be read (permission denied). Ask its owner, or copy it to a place that "
        "you may read."
    )


def test_file_that_is_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")

    def fail(self: Path, *_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error", str(self))

    monkeypatch.setattr(Path, "open", fail)
    assert error_of(path) == (
        f"{path} cannot be read (Input/output error). Copy it to this computer and try again."
    )


def test_axes_are_for_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x")
    expected = (
        f"{path} has no axes to choose from: axes, depth and channels are for TIFF stacks, zarr "
        "and arrays. Leave them out."
    )
    assert error_of(path, axes="tyx") == expected
    assert error_of(path, depth=1) == expected
    assert error_of(path, channels=(0,)) == expected


def test_neither_path_nor_array() -> None:
    assert error_of([colours()]) == (
        "A video is a path or an array, got list. Stack a list of frames with numpy.stack()."
    )


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_rate_must_be_a_number(fps: float) -> None:
    assert error_of(colours(), fps=fps) == (
        f"fps must be a number above 0, got {fps}. Leave it out if unknown."
    )
