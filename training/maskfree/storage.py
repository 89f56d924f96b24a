"""Reading and writing files so that nothing is half-written and every fault is one clear line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.json_faults import not_json, unique_fields, unreadable
from maskfree.limits import check_json

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "append_line",
    "atomic_file",
    "atomic_write",
    "make_folder",
    "not_text",
    "nothing_in",
    "open_bytes",
    "read_json",
    "read_text",
    "reading",
    "write_all",
    "writing",
]

REPLACE_TRIES = 20
"""Windows: how often a file that another process has open is tried again."""
REPLACE_PAUSE = 0.05
"""Windows: seconds between two tries."""
_TOKEN_BYTES = 6
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError raised inside into an `InputError` that names ``path`` and the remedy.

    Raises
    ------
    InputError
        For a full disk or quota, a folder that may not be written, and any other OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(_explain(error, path)) from error


def _explain(error: OSError, path: str | os.PathLike[str]) -> str:
    where = os.fspath(path)
    if error.errno in _FULL:
        return (
            f"The disk is full: {where} could not be written and nothing was changed. "
            "Free some space there, then try again."
        )
    if error.errno in _DENIED:
        return (
            f"{where} may not be written ({error.strerror}). "
            "Choose a folder that you may write to, or close the program that has the file open."
        )
    reason = error.strerror or str(error)
    return f"{where} could not be written ({reason}). Check that its folder exists and try again."


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it is flushed and replaces ``path``.

    A reader sees the old file or the new one, never a part; on any failure the temporary file is
    removed and the old one stays. The temporary name keeps the suffix of ``path``.

    Raises
    ------
    InputError
        As `writing`, and where something else than a file has that name.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".tmp-{secrets.token_hex(_TOKEN_BYTES)}{target.suffix}")
    try:
        with writing(path):
            if target.exists() and not target.is_file():
                raise InputError(
                    f"{path} is no file, but a folder or a device. Name a file to be written."
                )
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            _replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) to ``path``, whole or not at all.

    Raises
    ------
    InputError
        As `writing`; the previous file is then untouched.
    """
    payload = data.encode("utf-8") if isinstance(data, str) else data
    with atomic_file(path) as temporary:
        temporary.write_bytes(payload)


def _is_windows() -> bool:
    return os.name == "nt"


def _replace(temporary: Path, target: Path) -> None:
    # Windows refuses to replace a file while another process (a reader, a virus scanner) has it
    # open, for a moment; elsewhere a PermissionError is final.
    tries = REPLACE_TRIES if _is_windows() else 1
    for left in range(tries - 1, -1, -1):
        try:
            os.replace(temporary, target)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(REPLACE_PAUSE)


def _sync_folder(folder: Path) -> None:
    # Makes the rename itself survive a power cut; Windows cannot open a folder, and some network
    # file systems cannot sync one. The file is in place either way.
    if _is_windows():
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def append_line(path: str | os.PathLike[str], line: str) -> None:
    """Append ``line`` and a line break to a log, and flush it to other readers.

    A last line that a killed process left half-written is closed first; where the disk fills up
    the file is cut back to what it was.

    Raises
    ------
    InputError
        As `writing`.
    """
    with writing(path), open(path, "a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        payload = line.encode("utf-8") + b"\n"
        if size and not _ends_line(file, size):
            payload = b"\n" + payload
        try:
            write_all(file, payload)
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise


def _ends_line(file: Any, size: int) -> bool:
    file.seek(size - 1)
    return bool(file.read(1) == b"\n")


def write_all(file: Any, payload: bytes) -> None:
    """Write all bytes into an unbuffered file."""
    # An unbuffered file may take only a part of the bytes, above all when the disk fills up.
    view = memoryview(payload)
    while view:
        view = view[file.write(view) :]


def home_path(text: str) -> Path:
    """Return a path with ~ spelt out; as it is where that is nobody's."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make the folder ``path`` and its parents where absent.

    Raises
    ------
    InputError
        As `writing`, and where a file is in the way.
    """
    try:
        with writing(path):
            os.makedirs(path, exist_ok=True)
    except InputError as error:
        if isinstance(error.__cause__, FileExistsError | NotADirectoryError):
            raise InputError(
                f"{os.fspath(path)} cannot be a folder: a file is in the way. Choose another path."
            ) from error
        raise


def open_bytes(path: str | os.PathLike[str], what: str = "file") -> BinaryIO:
    """Return the file ``path`` opened for reading; ``what`` names its kind in messages.

    Raises
    ------
    InputError
        Where it is missing, a folder, or unreadable.
    """
    if os.path.isdir(path):
        raise InputError(
            f"Expected a {what}, but {os.fspath(path)} is a folder. Give the file itself."
        )
    with reading(f"{what} {os.fspath(path)}"):
        return open(path, "rb")


@contextlib.contextmanager
def reading(where: str) -> Iterator[None]:
    """Turn an OSError raised inside into an `InputError`; ``where``: the file's kind and path.

    Raises
    ------
    InputError
        Where there is no such file, or it cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"There is no {where}. Check the path.") from None
    except OSError as error:
        raise InputError(
            f"The {where} could not be read ({error.strerror}). Check its permissions."
        ) from error


def nothing_in(where: str) -> InputError:
    """Return the error for an empty file; ``where``: its kind and path."""
    return InputError(f"The {where} is empty. Give another, or make it anew.")


def not_text(where: str, byte: int) -> InputError:
    """Return the error for a file that is no UTF-8 text at a ``byte``, counted from 0."""
    return InputError(
        f"The {where} is not UTF-8 text (byte {byte}). Check that it is the file you meant."
    )


def read_text(path: str | os.PathLike[str], what: str = "file") -> str:
    """Return the UTF-8 text of ``path`` (a byte-order mark is dropped); ``what`` names its kind.

    Raises
    ------
    InputError
        As `open_bytes`, and where it is empty, no UTF-8 text, or longer than
        ``FormatConfig.json_bytes``.
    """
    where, most = f"{what} {os.fspath(path)}", FormatConfig().json_bytes
    with open_bytes(path, what) as file, reading(where):
        raw = file.read(most + 1)
    if len(raw) > most:
        raise InputError(
            f"The {where} is longer than {most} bytes. Check that it is the file you meant."
        )
    if not raw.strip():
        raise nothing_in(where)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_text(where, error.start) from None


def read_json(path: str | os.PathLike[str], what: str = "file") -> Any:
    """Return the content of a JSON file; ``what`` names its kind in messages.

    Raises
    ------
    InputError
        As `read_text`; where it is not JSON (line and column are named); where one object holds a
        field twice, since one of the two would be lost; where its values would take more memory
        than ``FormatConfig.json_memory``.
    """
    where = f"{what} {os.fspath(path)}"
    text = read_text(path, what)
    check_json(text, where)
    try:
        return json.loads(text, object_pairs_hook=unique_fields)
    except json.JSONDecodeError as error:
        raise not_json(where, error.msg, error.lineno, error.colno) from None
    except (ValueError, RecursionError) as error:
        raise unreadable(where, error) from None
