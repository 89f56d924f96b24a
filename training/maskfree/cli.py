"""The command ``maskfree``: runs a command and turns every fault into one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
import tempfile
import traceback
import warnings
from typing import TYPE_CHECKING

from maskfree import __version__
from maskfree.cli_parser import parse
from maskfree.errors import InputError, InputWarning
from maskfree.interrupts import Interrupted, Interrupts
from maskfree.out_of_memory import is_out_of_memory
from maskfree.terminal import one_line, say, use_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

__all__ = ["main"]

DONE, OUR_FAULT, INPUT_AT_FAULT, STOPPED = 0, 1, 2, 130
_LOG = "maskfree-error.log"
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_NAME = frozenset((errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP))
_LONGEST_NAME = 80
"""Characters of a name that a message repeats."""
_TORCH_DISK = "PytorchStreamWriter failed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``maskfree`` with ``arguments`` (by default the process's own); return the exit code.

    0 done; 2 the input is at fault; 3 a preflight found nothing that fits; 130 (or 128 + the
    signal) stopped on request; 1 a fault of ours. Never raises.
    """
    use_utf8()
    # Threads that wait for each other by spinning make a step five times slower as soon as another
    # program uses a core (measured); this is read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    folder = ""
    try:
        with _shown_warnings():
            args = parse(arguments)
            folder = getattr(args, "session", "")
            from maskfree.commands import run

            with Interrupts():  # so that a polite request to end cleans up as Ctrl-C does
                code = run(args)
        sys.stdout.flush()
        return code
    except SystemExit as done:  # --help and --version
        return int(done.code or DONE)
    except InputError as error:
        return _fail(_full_disk(error) or str(error))
    except KeyboardInterrupt as stop:
        return _stopped(stop)
    except BrokenPipeError:  # the reader of our output has gone, as in `maskfree settings | head`
        _mute_stdout()
        return DONE
    except Exception as error:  # noqa: BLE001  (the outermost place: nothing may escape as it is)
        known = _full_disk(error) or _out_of_memory(error) or _denied(error) or _no_name(error)
        return _fail(known) if known else _report(error, arguments, folder)


def _fail(text: str) -> int:
    say("error", text)
    return INPUT_AT_FAULT


def _stopped(stop: KeyboardInterrupt) -> int:
    with warnings.catch_warnings():
        # What was cut short goes here and now: zarr's coroutines complain that nobody awaits them.
        warnings.simplefilter("ignore", RuntimeWarning)
        for each in _chain(stop):
            traceback.clear_frames(each.__traceback__)
    say("", "; ".join(["stopped", *getattr(stop, "__notes__", [])]))
    return stop.code if isinstance(stop, Interrupted) else STOPPED


@contextlib.contextmanager
def _shown_warnings() -> Iterator[None]:
    """Print each InputWarning once, on one line; warnings of libraries only when asked with -W."""
    seen: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        told = one_line(message)
        if told in seen:
            return
        seen.add(told)
        if issubclass(category, InputWarning):
            say("warning", told)
        elif sys.warnoptions:
            say("", f"{filename}:{lineno}: {category.__name__}: {told}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = show
        yield


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _full_disk(error: Exception) -> str:
    for each in _chain(error):
        full = isinstance(each, OSError) and each.errno in _FULL
        if full and isinstance(error, InputError):
            return ""  # it says so itself, and where
        if full or _TORCH_DISK in str(each):
            where = getattr(each, "filename", None)
            place = f" ({os.fsdecode(where)} could not be written)" if where else ""
            return f"The disk is full{place}. Free some space there, then try again."
    return ""


def _out_of_memory(error: Exception) -> str:
    if is_out_of_memory(error):
        return (
            "There is not enough memory for this. Take smaller frames with --set "
            "sampling.frame_area=60000 (fine-tuning) or another --device; maskfree preflight "
            "tries what fits (in the window: Estimate)."
        )
    return ""


def _denied(error: Exception) -> str:
    if not isinstance(error, PermissionError) or error.filename is None:
        return ""
    where = os.fsdecode(error.filename)
    return f"{where} may not be opened ({error.strerror}). Check its permissions and try again."


def _no_name(error: Exception) -> str:
    """Return what to say of a path that the system takes for none; empty for other errors."""
    if not isinstance(error, OSError) or error.errno not in _NO_NAME or error.filename is None:
        return ""
    where = os.fsdecode(error.filename)
    short = where if len(where) <= _LONGEST_NAME else f"{where[:_LONGEST_NAME]}…"
    return f"{short} cannot be the name of a file ({error.strerror}). Check the path."


def _mute_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: Exception, arguments: Sequence[str] | None, folder: str) -> int:
    """Write the traceback to a file and say where it is."""
    told = [
        f"maskfree {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {list(sys.argv[1:] if arguments is None else arguments)}",
        "".join(traceback.format_exception(error)),
    ]
    where = ""
    for place in (folder, tempfile.gettempdir()):
        if not where and place and os.path.isdir(place):
            with contextlib.suppress(OSError):
                path = os.path.abspath(os.path.join(place, _LOG))
                with open(path, "w", encoding="utf-8") as file:
                    file.write("\n".join(told))
                where = path
    kept = f"its traceback is in {where}: please send us that file" if where else "please report it"
    say("internal error", f"{type(error).__name__}: {one_line(error)} (our fault; {kept})")
    return OUR_FAULT
