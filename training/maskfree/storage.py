"""Reading and writing files so that nothing is half-written and every fault is one clear line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "append_line",
    "atomic_file",
    "atomic_write",
    "make_folder",
    "read_json",
    "read_text",
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
        As `writing`.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".tmp-{secrets.token_hex(_TOKEN_BYTES)}{target.suffix}")
    try:
        with writing(path):
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
            _write_all(file, payload)
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise


def _ends_line(file: Any, size: int) -> bool:
    file.seek(size - 1)
    return bool(file.read(1) == b"\n")


def _write_all(file: Any, payload: bytes) -> None:
    # An unbuffered file may take only a part of the bytes, above all when the disk fills up.
    view = memoryview(payload)
    while view:
        view = view[file.write(view) :]


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


def read_text(path: str | os.PathLike[str], what: str = "file") -> str:
    """Return the UTF-8 text of ``path`` (a byte-order mark is dropped); ``what`` names its kind.

    Raises
    ------
    InputError
        Where it is missing, a folder, unreadable, empty, or no UTF-8 text.
    """
    where = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(f"Expected a {what}, but {where} is a folder. Give the file itself.")
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no {what} {where}. Check the path.") from None
    except OSError as error:
        raise InputError(
            f"The {what} {where} could not be read ({error.strerror}). Check its permissions."
        ) from error
    if not raw.strip():
        raise InputError(f"The {what} {where} is empty. Give another, or make it anew.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The {what} {where} is not UTF-8 text (byte {error.start}). Check that it is the file "
            "you meant."
        ) from None


def read_json(path: str | os.PathLike[str], what: str = "file") -> Any:
    """Return the content of a JSON file; ``what`` names its kind in messages.

    Raises
    ------
    InputError
        As `read_text`; where it is not JSON (line and column are named); where one object holds a
        field twice, since one of the two would be lost.
    """
    where = f"{what} {os.fspath(path)}"
    text = read_text(path, what)
    try:
        return json.loads(text, object_pairs_hook=_unique_fields)
    except json.JSONDecodeError as error:
        raise InputError(
            f"The {where} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}. "
            "Mend that place in a text editor."
        ) from None
    except RecursionError:
        raise InputError(
            f"The {where} is nested too deeply. Check that it is the file you meant."
        ) from None
    except ValueError as error:
        raise InputError(
            f"The {where} cannot be read: {error}. Mend it in a text editor."
        ) from None


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the field "{twice}" comes twice in one object')
    return fields
