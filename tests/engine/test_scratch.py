from __future__ import annotations

import errno
import gc
import io
import mmap
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskfree import scratch as module
from maskfree.errors import InputError
from maskfree.scratch import scratch

LINKS = Path("/proc/self/fd")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


@pytest.mark.parametrize("dtype", [np.int8, np.bool_, np.uint8, np.float32])
@pytest.mark.parametrize("most_bytes", [0, 10**6])
def test_zeros_that_can_be_written(folder: Path, dtype: Any, most_bytes: int) -> None:
    array = scratch((5, 3, 2), dtype, most_bytes=most_bytes)
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype) == ((5, 3, 2), np.dtype(dtype))
    assert is_mapped(array) is (most_bytes == 0)
    assert not array.any()
    array[3, 1:] = 1
    assert array.sum() == array[3].sum() == 4


def test_the_budget_counts_bytes(folder: Path) -> None:
    assert not is_mapped(scratch((10, 10), np.float32, most_bytes=400))
    assert is_mapped(scratch((10, 10), np.float32, most_bytes=399))
    assert scratch((0, 7), np.float32, most_bytes=0).shape == (0, 7)


def test_a_mapped_array_is_pickled_and_saved_as_any_other(folder: Path) -> None:
    array = scratch((4, 6), np.int8, most_bytes=0)
    array[:] = np.arange(24).reshape(4, 6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)), array)
    file = io.BytesIO()
    np.savez_compressed(file, array=array)
    file.seek(0)
    np.testing.assert_array_equal(np.load(file)["array"], array)


def files_in(folder: Path) -> list[str]:
    """Files of the folder that this process has open, named or not."""
    found = []
    for link in LINKS.iterdir():
        if link.is_symlink():
            found.append(os.readlink(link))
    return [f for f in found if f.startswith(str(folder))]


@pytest.mark.skipif(not LINKS.exists(), reason="asks the system which files are open")
def test_the_file_lives_as_long_as_the_array(folder: Path) -> None:
    array = scratch((1000,), np.int8, most_bytes=0)
    part = array[10:20].reshape(2, 5)
    assert list(folder.iterdir()) == []  # it has no name
    assert len(files_in(folder)) == 1
    del array
    gc.collect()
    part[:] = 7
    assert len(files_in(folder)) == 1
    del part
    gc.collect()
    assert files_in(folder) == []


def test_no_file_is_left_behind(folder: Path) -> None:
    array = scratch((1000,), np.int8, most_bytes=0)
    del array
    gc.collect()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("size", [1, 7, 8, 9, 24])
def test_every_byte_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", 8)
    path = tmp_path / "file"
    with path.open("w+b") as file:
        module._fill(file, size)
        assert path.read_bytes() == bytes(size)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOENT, errno.EACCES, errno.ENOMEM])
def test_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, "_fill", full)
    with pytest.raises(InputError) as caught:
        scratch((3, 2**20), np.uint8, most_bytes=2**20)
    assert str(caught.value) == (
        f"3 MB of working data cannot be kept in {folder} ({os.strerror(code)}). Set the "
        "environment variable TMPDIR to a folder with room, then try again."
    )
    assert list(folder.iterdir()) == []


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    with pytest.raises(
        InputError, match=r"kept in the folder for temporary files \(No usable temp"
    ):
        scratch((3,), np.uint8, most_bytes=0)
