from __future__ import annotations

import errno
import gc
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskfree import scratch as module
from maskfree.errors import InputError
from maskfree.scratch import Scratch

LINKS = Path("/proc/self/fd")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def some(count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    kinds = (np.int8, np.bool_, np.uint8, np.float32)
    return [rng.normal(0, 50, (3, n)).astype(kinds[n % 4]) for n in range(count)]


@pytest.mark.parametrize("most_bytes", [0, 20, 10**6])
def test_what_was_put_away(folder: Path, most_bytes: int) -> None:
    kept, arrays = Scratch(most_bytes=most_bytes), some()
    for number, array in enumerate(arrays):
        kept.append(array)
        assert len(kept) == number + 1
        for place in (0, number):  # while it goes on
            np.testing.assert_array_equal(kept[place], arrays[place])
    for place in (5, 0, 3):
        found = kept[place]
        assert (found.shape, found.dtype) == (arrays[place].shape, arrays[place].dtype)
        found[:] = 1
        np.testing.assert_array_equal(kept[place], arrays[place])


def test_it_is_a_copy_also_of_a_part(folder: Path) -> None:
    kept, array = Scratch(most_bytes=100), np.arange(12).reshape(3, 4)
    kept.append(array[:, 1:3])
    array[:] = 0
    np.testing.assert_array_equal(kept[0], [[1, 2], [5, 6], [9, 10]])


def files_in(folder: Path) -> list[str]:
    """Files of the folder that this process has open, named or not."""
    found = []
    for link in LINKS.iterdir():
        if link.is_symlink():
            found.append(os.readlink(link))
    return [f for f in found if f.startswith(str(folder))]


@pytest.mark.skipif(not LINKS.exists(), reason="asks the system which files are open")
def test_the_budget_counts_bytes_and_the_file_lives_as_long_as_it(folder: Path) -> None:
    kept = Scratch(most_bytes=800)
    kept.append(np.zeros(100))
    assert files_in(folder) == []
    kept.append(np.zeros(1, np.int8))
    assert list(folder.iterdir()) == []  # it has no name
    assert len(files_in(folder)) == 1
    del kept
    gc.collect()
    assert files_in(folder) == []


class Halting(io.BytesIO):
    """A file that takes and gives three bytes at a time."""

    def write(self, values: Any) -> int:
        return super().write(bytes(values[:3]))

    def readinto(self, values: Any) -> int:
        return super().readinto(values[:3])


def test_a_file_that_takes_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Halting())
    kept, arrays = Scratch(most_bytes=30), some()
    for array in arrays:
        kept.append(array)
    for place, array in enumerate(arrays):
        np.testing.assert_array_equal(kept[place], array)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.ENOENT, errno.EACCES, errno.ENOMEM])
def test_no_room(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, "_write", full)
    kept = Scratch(most_bytes=2**20)
    with pytest.raises(InputError) as caught:
        kept.append(np.zeros((3, 2**20), np.uint8))
    assert str(caught.value) == (
        f"3 MB of working data cannot be kept in {folder} ({os.strerror(code)}). Set the "
        "environment variable TMPDIR to a folder with room, then try again."
    )
    assert list(folder.iterdir()) == []


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(**_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    with pytest.raises(
        InputError, match=r"kept in the folder for temporary files \(No usable temp"
    ):
        Scratch(most_bytes=0).append(np.zeros(3, np.uint8))
