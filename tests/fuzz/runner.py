"""Running a reader on many faulty files, in a child that may crash, hang or ask for too much.

The child is a fork of this process, which has imported everything; it works through a range of
numbers, each the seed of one input. It may use 1 GB of addresses more than at its start, and 10 s
of computing an input. Where it dies, another one goes on behind the input that killed it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cases import Case, entry, write
from maskfree.errors import InputError
from mutators import mutate

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY = 1 << 30
"""Bytes that an input may take beyond what the process has: more is a failure."""
SECONDS = 10
"""Of computing that an input may take: more is a hang."""
PATIENCE = 60
"""Seconds after which a child that says nothing is killed: it waits for something."""
SHARED = struct.Struct("<4Q")
"""What a child tells: the input it is at, accepted, refused, bytes at the peak."""
KINDS = ("crash", "hang", "memory")


class Hang(BaseException):
    """An input takes too long."""


@dataclasses.dataclass
class Outcome:
    """What came of a range of inputs; ``faults``: kind, what, number of the input."""

    done: int = 0
    accepted: int = 0
    refused: int = 0
    peak: int = 0
    seconds: float = 0.0
    faults: list[tuple[str, str, int]] = dataclasses.field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(each == kind for each, _, _ in self.faults)


def input_of(reader: str, number: int, seeds: list[Case]) -> tuple[Case, Case, set[str]]:
    """The seed that an input is made of, the input, and the files in which they differ."""
    rng = random.Random(f"{reader} {number}")
    seed = seeds[rng.randrange(len(seeds))]
    return seed, *mutate(seed, rng)


def scratch_folder() -> str:
    """A new folder in memory, where there is one."""
    memory = Path("/dev/shm")
    return tempfile.mkdtemp(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None)


def run(
    reader: str,
    call: Callable[[Path, int], None],
    seeds: list[Case],
    numbers: range,
    *,
    memory: int = MEMORY,
) -> Outcome:
    """Give the inputs of these numbers to a reader."""
    found, start = Outcome(), time.monotonic()
    shared, at = mmap.mmap(-1, SHARED.size), numbers.start
    while at < numbers.stop:
        shared[:] = SHARED.pack(at, 0, 0, 0)
        scratch = scratch_folder()
        log = Path(scratch) / "faults"
        try:
            left = range(at, numbers.stop)
            work = functools.partial(_work, reader, call, seeds, left, shared, log, memory)
            died = _forked(work, shared)
            reached, accepted, refused, peak = SHARED.unpack(shared[:])
            lines = log.read_text("utf-8").splitlines() if log.exists() else []
            found.faults += [tuple(json.loads(line)) for line in lines]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        found.accepted += accepted
        found.refused += refused
        found.peak = max(found.peak, peak)
        if died:
            kind = "hang" if died == "it said nothing" else "crash"
            found.faults.append((kind, died, reached))
            reached += 1
        at = reached
    found.done = len(numbers)
    found.seconds = time.monotonic() - start
    return found


def _forked(work: Callable[[], None], shared: mmap.mmap) -> str:
    """Run ``work`` in a child; empty where it came to its end, else what it died of."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001  (a child must not go on as its parent)
            os._exit(17)
    before, since = shared[:8], time.monotonic()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if shared[:8] != before:
            before, since = shared[:8], time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "it said nothing"
        time.sleep(0.02)
    if os.WIFSIGNALED(status):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return "" if os.WEXITSTATUS(status) == 0 else f"exit {os.WEXITSTATUS(status)}"


def _work(
    reader: str,
    call: Callable[[Path, int], None],
    seeds: list[Case],
    numbers: range,
    shared: mmap.mmap,
    log: Path,
    memory: int,
) -> None:
    base = _prepare(memory)
    accepted = refused = 0
    folder, there = Path(f"{log}-in"), None
    for number in numbers:
        shared[:] = SHARED.pack(number, accepted, refused, 0)
        seed, case, touched = input_of(reader, number, seeds)
        if there is not seed:
            shutil.rmtree(folder, ignore_errors=True)
            write(seed, folder, seed)
            there = seed
        write(case, folder, touched)
        ended, what = _outcome(call, folder / entry(seed), number)
        accepted += ended == "accepted"
        refused += ended == "refused"
        if ended in KINDS:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps([ended, what, number]) + "\n")
        write(seed, folder, touched)
    shared[:] = SHARED.pack(numbers.stop, accepted, refused, max(0, _memory("VmHWM") - base))


def _prepare(memory: int) -> int:
    """Set the limits, and be silent; return the bytes that the process takes already."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    limit = _memory("VmSize") + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a reader has to forget at the end must not be found by the next.
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    signal.signal(signal.SIGPROF, _too_long)
    warnings.simplefilter("ignore")
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    return _memory("VmRSS")


def _too_long(*_: Any) -> None:
    raise Hang


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def _outcome(call: Callable[[Path, int], None], path: Path, number: int) -> tuple[str, str]:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        call(path, number)
    except InputError as error:
        text = str(error)
        if not text or "\n" in text:
            return "crash", f"InputError of {text.count(chr(10)) + 1} lines"
        return "refused", ""
    except Hang as error:
        return "hang", _place(error)
    except MemoryError as error:
        return "memory", _place(error)
    except BaseException as error:  # noqa: BLE001  (that is what is looked for)
        return "crash", _place(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "accepted", ""


def _place(error: BaseException) -> str:
    """The kind of an error, and where in our own code it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename != __file__] or frames
    ours = [frame for frame in theirs if "maskfree" in frame.filename] or theirs
    last = ours[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
