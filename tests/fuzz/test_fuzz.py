"""The readers on faulty files: a few of each here, ten thousand in the slow job, more by hand."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cases
from maskfree.errors import InputError
from readers import READERS, REFUSED_SEEDS
from seeds import make

if TYPE_CHECKING:
    from collections.abc import Callable

FUZZ = Path(__file__).parent / "fuzz.py"
posix = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits need Linux")


def fuzzed(tmp_path: Path, *arguments: str) -> dict[str, object]:
    """Run the harness in a process of its own, which forks as it likes."""
    out = tmp_path / "out.json"
    command = [sys.executable, str(FUZZ), "--cache", str(tmp_path), "--json", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert out.exists(), done.stderr
    found: dict[str, object] = json.loads(out.read_text())
    assert done.returncode == 0, f"{done.stderr}\n{found['text']}"
    return found


@posix
def test_a_hundred_faulty_files_for_each_reader(tmp_path: Path) -> None:
    found = fuzzed(tmp_path, "--count", os.environ.get("FUZZ_SHORT", "100"))
    text = str(found["text"])
    assert all(f"| {name} |" in text for name in READERS)


@pytest.mark.slow
@posix
def test_ten_thousand_faulty_files_for_each_reader(tmp_path: Path) -> None:
    print(fuzzed(tmp_path, "--count", "10000")["text"])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.filterwarnings("ignore")
def test_what_our_writers_make_is_read(reader: str, tmp_path: Path) -> None:
    case = make(reader)
    cases.write(case, tmp_path, case)
    for number in (0, 1):
        call = READERS[reader]
        if reader in REFUSED_SEEDS:
            with pytest.raises(InputError):
                call(tmp_path / cases.entry(case), number)
        else:
            call(tmp_path / cases.entry(case), number)


KEPT = [(reader, name) for reader in READERS for name in cases.kept(reader)]


@pytest.mark.parametrize(("reader", "name"), KEPT, ids=["-".join(each) for each in KEPT])
@pytest.mark.filterwarnings("ignore")
def test_the_kept_cases(reader: str, name: str, tmp_path: Path) -> None:
    """Valid ones are read; the others, each a crash once, are read or refused."""
    case = cases.kept(reader)[name]
    cases.write(case, tmp_path, case)
    for number in (0, 1):
        try:
            READERS[reader](tmp_path / cases.entry(case), number)
        except InputError as error:
            assert not name.startswith(cases.VALID) or reader in REFUSED_SEEDS, error
            assert str(error)
            assert "\n" not in str(error)


def test_every_reader_has_a_kept_case() -> None:
    without = [reader for reader in READERS if not cases.kept(reader)]
    assert len(without) <= 6, f"keep one: tests/fuzz/keep_seeds.py ({without})"


# ---- the harness itself


def crash(path: Path, number: int) -> None:
    raise KeyError("x")


def die(path: Path, number: int) -> None:
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)


def hang(path: Path, number: int) -> None:
    while number == 1:
        pass


def swell(path: Path, number: int) -> None:
    assert len(bytearray(2 << 30))


def refuse(path: Path, number: int) -> None:
    raise InputError("No.")


def two_lines(path: Path, number: int) -> None:
    raise InputError("No.\nNo.")


FAULTS = {
    crash: ("crash", 5, "KeyError at test_fuzz.py"),
    die: ("crash", 1, "signal SIGSEGV"),
    hang: ("hang", 1, "Hang at test_fuzz.py"),
    swell: ("memory", 5, "MemoryError at test_fuzz.py"),
    two_lines: ("crash", 5, "InputError of 2 lines"),
}

IN_A_CHILD = """
import sys
sys.path[:0] = {path!r}
import runner, test_fuzz
runner.SECONDS = 0.3
found = runner.run("x", getattr(test_fuzz, {name!r}), [{{"in.txt": b"a b"}}], range(5))
print(repr((found.done, found.accepted, found.refused, found.faults)))
"""


def harness(name: str) -> tuple[int, int, int, list[tuple[str, str, int]]]:
    """What the harness says of a reader, in a process that forks."""
    code = IN_A_CHILD.format(path=[str(FUZZ.parent)], name=name)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    found: tuple[int, int, int, list[tuple[str, str, int]]] = ast.literal_eval(done.stdout)
    return found


@posix
@pytest.mark.parametrize("reader", FAULTS, ids=lambda reader: reader.__name__)
def test_the_harness_sees_it(reader: Callable[[Path, int], None]) -> None:
    kind, count, what = FAULTS[reader]
    done, accepted, refused, faults = harness(reader.__name__)
    assert (done, accepted + refused) == (5, 5 - count)
    assert [each[0] for each in faults] == [kind] * count
    assert all(each[1].startswith(what) for each in faults)


@posix
def test_the_harness_counts_what_is_refused() -> None:
    assert harness("refuse")[:3] == (5, 0, 5)


@posix
def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    first = fuzzed(tmp_path, "--count", "30", "--reader", "log")
    assert "| log | 30 |" in str(first["text"])
    state = json.loads((tmp_path / "log.json").read_text())
    (tmp_path / "log.json").write_text(json.dumps({**state, "accepted": 1030}))
    second = fuzzed(tmp_path, "--count", "50", "--reader", "log")
    assert "| log | 50 | 1050 |" in str(second["text"])
    (tmp_path / "log.json").write_text(json.dumps({**state, "known_by": "other code"}))
    third = fuzzed(tmp_path, "--count", "20", "--reader", "log")
    assert "| log | 20 | 20 |" in str(third["text"])
