"""The frame index of a video file kept on disk, so that a long file is read through only once.

It belongs to the file's size, time of change, first and last bytes, to the version of FFmpeg that
made up what the file does not say, and to the settings. One that is damaged, or of another file, is
taken for none.

On disk: what it belongs to (32 bytes), a checksum of the rest (32 bytes), numpy's npz. Timestamps
are kept as differences, which compress to a few bytes a frame.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from typing import TYPE_CHECKING

import av
import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.safe_npz import DAMAGE, read_arrays
from maskfree.storage import atomic_write
from maskfree.video_decode import Identify
from maskfree.video_index import FrameIndex

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from maskfree.config import VideoConfig

__all__ = ["INDEX_FILE", "fingerprint", "read_index", "write_index"]

INDEX_FILE = "frame_index.bin"
VERSION = 1
_ENDS = 2**16
"""Bytes at the file's start and at its end that tell it from others."""


def fingerprint(path: Path, config: VideoConfig) -> bytes:
    """Return what an index of the file in its present state is known by, 32 bytes."""
    state = path.stat()
    told = [VERSION, state.st_size, state.st_mtime_ns, config.index_checks, config.end_slack]
    found = hashlib.sha256(json.dumps([told, av.library_versions]).encode())
    with path.open("rb") as file:
        found.update(file.read(_ENDS))
        file.seek(max(0, state.st_size - _ENDS))
        found.update(file.read(_ENDS))
    return found.digest()


def write_index(folder: Path, index: FrameIndex, known_by: bytes) -> None:
    """Keep the index in ``folder``; nothing happens where it cannot be written."""
    numbers = np.array([*index.numbers.items()], dtype=np.int64).reshape(-1, 2)
    payload = io.BytesIO()
    np.savez_compressed(
        payload,
        identify=np.array(index.identify.name),
        facts=np.array([index.announced, index.cut], dtype=np.int64),
        keys=_differences(index.keys),
        starts=_differences(index.starts),
        start_times=_differences(index.start_times),
        numbers=_differences(numbers),
    )
    data = payload.getvalue()
    with contextlib.suppress(InputError, OSError):
        if folder.is_dir():
            atomic_write(folder / INDEX_FILE, known_by + hashlib.sha256(data).digest() + data)


def read_index(folder: Path, known_by: bytes) -> FrameIndex | None:
    """Return the index in ``folder``; None where there is none, another one, or a damaged one."""
    most = FormatConfig().array_bytes
    try:
        with (folder / INDEX_FILE).open("rb") as file:
            kept = file.read(most + 1)
    except OSError:
        return None
    data = kept[2 * len(known_by) :]
    head = known_by + hashlib.sha256(data).digest()
    if len(kept) > most or kept[: len(head)] != head:
        return None
    try:
        return _index(read_arrays(io.BytesIO(data)))
    except (*DAMAGE, IndexError):
        return None


def _index(arrays: Mapping[str, np.ndarray]) -> FrameIndex:
    """Return the index that arrays hold; ValueError or KeyError where they do not."""
    announced, cut = arrays["facts"].tolist()
    keys, starts = np.cumsum(arrays["keys"], axis=0), np.cumsum(arrays["starts"], axis=0)
    times = np.cumsum(arrays["start_times"], axis=0)
    whole = keys.ndim == starts.ndim == 1 and times.shape == (len(starts), 2) and len(keys)
    inside = not len(starts) or 0 <= starts.min() <= starts.max() < len(keys)
    if not whole or not inside or any(each.dtype != np.int64 for each in (keys, starts, times)):
        raise ValueError("no index of frames")
    return FrameIndex(
        Identify[str(arrays["identify"])],
        keys,
        starts=starts,
        start_times=times,
        numbers=dict(np.cumsum(arrays["numbers"], axis=0).tolist()),
        announced=announced,
        cut=bool(cut),
    )


def _differences(values: np.ndarray) -> np.ndarray:
    """Return each value less the one before it, along the first axis; the first stays."""
    return np.diff(values, axis=0, prepend=np.zeros_like(values[:1]))
