from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from maskfree import storage
from maskfree.errors import InputError
from maskfree.storage import append_line, atomic_file, atomic_write, make_folder, read_json

FULL = {"ENOSPC": errno.ENOSPC, "EDQUOT": getattr(errno, "EDQUOT", errno.ENOSPC)}


def failing(number: int):
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_atomic_write_replaces_the_whole_file_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic_write(path, "a much longer text than the next")
    atomic_write(path, "ü\n")
    assert path.read_bytes() == b"\xc3\xbc\n"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", FULL.values(), ids=FULL.keys())
@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_keeps_the_previous_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    path = tmp_path / "boxes.json"
    atomic_write(path, b"old")
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", failing(number))
    else:
        monkeypatch.setattr(Path, "write_bytes", failing(number))
    with pytest.raises(InputError) as caught:
        atomic_write(path, b"new")
    assert str(caught.value) == (
        f"The disk is full: {path} could not be written and nothing was changed. "
        "Free some space there, then try again."
    )
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["boxes.json"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_read_only_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(Path, "write_bytes", failing(number))
    path = tmp_path / "a"
    with pytest.raises(InputError, match=f"{re.escape(str(path))} may not be written .*Choose a"):
        atomic_write(path, b"")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_truly_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"may not be written"):
        atomic_write(tmp_path / "a", b"")


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not be written .*Check that its folder exists"):
        atomic_write(tmp_path / "none" / "a", b"")


def test_an_exception_in_the_writer_passes_and_removes_the_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "m.npz") as temporary:
        assert temporary.suffix == ".npz"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_windows_tries_again_while_a_reader_has_the_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, calls = tmp_path / "a", os.replace, []

    def busy_twice(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) <= 2:
            raise PermissionError(errno.EACCES, "in use")
        real(source, target)

    monkeypatch.setattr(os, "replace", busy_twice)
    monkeypatch.setattr(storage, "REPLACE_PAUSE", 0.0)
    with pytest.raises(InputError, match=r"close the program that has the file open"):
        atomic_write(path, b"1")  # elsewhere one try is all
    calls.clear()
    monkeypatch.setattr(storage, "_is_windows", lambda: True)
    atomic_write(path, b"2")
    assert path.read_bytes() == b"2"
    assert len(calls) == 3


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "a.json")
    atomic_write(link, b"1")
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.json").read_bytes() == b"1"


def test_append_line_closes_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(path, "1")
    with path.open("ab") as file:
        file.write(b'{"step": ')
    append_line(path, "2")
    assert path.read_bytes() == b'1\n{"step": \n2\n'


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
def test_append_line_on_a_device_that_is_full() -> None:
    with pytest.raises(InputError, match=r"The disk is full: /dev/full"):
        append_line("/dev/full", "1")


def test_append_line_cuts_a_part_that_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    append_line(path, "first")

    def part_then_full(file, payload: bytes) -> None:
        file.write(payload[:3])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(storage, "write_all", part_then_full)
    with pytest.raises(InputError, match=r"The disk is full"):
        append_line(path, "second")
    assert path.read_bytes() == b"first\n"


def test_make_folder_with_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(InputError, match=r"cannot be a folder: a file is in the way"):
            make_folder(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Give another"),
        (b" \n", "is empty. Give another"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8 text (byte 0)"),
        (b'{"a": 1,\n "b" 2}', "is not JSON: Expecting ':' delimiter at line 2, column 6. Mend"),
        (b'{"a": 1, "a": 2}', 'the field "a" comes twice in one object'),
        (b"[" * 200_000, "is nested too deeply"),
        (b"1" * 5000, "cannot be read: Exceeds the limit"),
    ],
)
def test_read_json_names_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path, "boxes file")
    assert str(caught.value).startswith(f"The boxes file {path} ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_json_of_nothing_and_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no boxes file .*Check the path"):
        read_json(tmp_path / "none.json", "boxes file")
    with pytest.raises(InputError, match=r"Expected a boxes file, but .* is a folder"):
        read_json(tmp_path, "boxes file")


def test_read_json_drops_the_mark_that_windows_editors_write(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a") == [1]


def test_these_modules_start_without_torch() -> None:
    code = (
        "import sys, maskfree.storage, maskfree.tracks, maskfree.session, maskfree.colours;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
