"""One part of the benchmark: a script in a process of its own, with a limit, and what it found.

A part is run as ``NAME.py --json FILE [--clips CLIP …]`` and writes one JSON object: its title,
rows of what was promised and measured, and its text. It may do so again and again, as it goes on:
where its time is up, that counts. Exit code 2 says that something it needs is
not there; its last line on stderr says what. A finished part is kept on disk, by the code it ran
with.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline import BENCHMARKS, ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Kept", "Outcome", "Part", "code_digest", "run_part"]

MISSING_INPUT = 2
"""Exit code of a part that cannot be measured here; that is no fault."""
GRACE = 20.0
"""Seconds that a part has to end after it was asked to."""
DIGITS = 12
"""Hexadecimal digits of a digest that name a folder."""
FOLDERS = ("training", "napari_maskfree", "sample_data")
"""What a figure follows from."""
ROW = {"what": str, "target": str, "measured": str, "why": str}


@dataclasses.dataclass(frozen=True)
class Part:
    """A part: its name (of its script), what it is about, its share of the time in minutes.

    ``window``: it opens one, and needs a display. ``clips``: it takes clip folders.
    """

    name: str
    about: str
    minutes: float
    window: bool = False
    clips: bool = False
    folder: Path = BENCHMARKS

    @property
    def script(self) -> Path:
        """Its script."""
        return self.folder / f"{self.name}.py"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a part: its result, or in words why there is none.

    ``result``: ``{"title", "rows", "text"}``, None where there is none, or what there was of it
    when it was stopped; ``failed``: there is a fault (of the part, or that it took too long), not a
    missing input. ``load``: the machine's, at its start and at its end. ``minutes``: what it took.
    """

    part: str
    result: dict[str, Any] | None
    minutes: float
    load: tuple[float, float]
    problem: str = ""
    failed: bool = False


class Kept:
    """Finished parts in ``folder``, in one folder a state of the code; each as a file of JSON."""

    def __init__(self, folder: Path, clips: Sequence[Path]) -> None:
        self.folder = folder / code_digest()
        self._clips = [clip.name for clip in clips]

    def _path(self, part: Part) -> Path:
        return self.folder / f"{part.name}.json"

    def read(self, part: Part) -> Outcome | None:
        """Return what a part found before, None where it is to be run."""
        try:
            content = json.loads(self._path(part).read_text(encoding="utf-8"))
            if part.clips and content["clips"] != self._clips:
                return None
            outcome = Outcome(**content["outcome"])
            return dataclasses.replace(outcome, load=tuple(outcome.load))
        except (OSError, ValueError, KeyError, TypeError):  # none, or another's file
            return None

    def write(self, part: Part, outcome: Outcome) -> None:
        """Keep what a part found; one that found nothing, or was stopped, is run again."""
        if outcome.result is None or outcome.failed:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"clips": self._clips, "outcome": dataclasses.asdict(outcome)}
        temporary = self._path(part).with_suffix(".part")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self._path(part))


def code_digest() -> str:
    """Digest of the code: it stands for the commit, and uncommitted changes count."""
    sums = hashlib.sha256()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            sums.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
            sums.update(path.read_bytes())
    return sums.hexdigest()[:DIGITS]


def run_part(part: Part, clips: Sequence[Path], seconds: float) -> Outcome:
    """Run a part for so many seconds at most; a fault becomes words.

    Raises
    ------
    KeyboardInterrupt
        After the part was stopped.
    """
    started, load = time.monotonic(), _load()
    if not part.script.is_file():
        return Outcome(part.name, None, 0.0, (load, load), f"There is no {part.name}.py.", True)
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        found, said = Path(folder) / "found.json", Path(folder) / "said.txt"
        code = _run(_command(part, clips, found), said, seconds)
        words = said.read_text(encoding="utf-8", errors="replace")
        took = (time.monotonic() - started) / 60
        result, problem = None, ""
        if code is None:
            problem = f"It was stopped after {took:.1f} minutes, its share of the time."
            result, _ = _read(found)
        elif code:
            problem = _last_line(words, folder) or f"It ended with code {code}."
        else:
            result, problem = _read(found)
    failed = code is None or (result is None and code != MISSING_INPUT)
    return Outcome(part.name, result, took, (load, _load()), problem, failed)


def _command(part: Part, clips: Sequence[Path], found: Path) -> list[str]:
    shown = [sys.executable, str(ROOT / ".ci" / "window.py")] if part.window else []
    given = ["--clips", *map(str, clips)] if part.clips and clips else []
    return [*shown, sys.executable, str(part.script), "--json", str(found), *given]


def _run(command: list[str], said: Path, seconds: float) -> int | None:
    """Run a command, its stderr into a file; return its exit code, None where it took too long."""
    env = {**environment(), "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # so that all it has started ends with it
        ) as process,
    ):
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started: first asked, as with Ctrl-C, then made to."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _read(found: Path) -> tuple[dict[str, Any] | None, str]:
    """Return a part's result, or what is wrong with it."""
    try:
        content = json.loads(found.read_text(encoding="utf-8"))
        rows = content["rows"]
        good = all(isinstance(row.get(key), kind) for row in rows for key, kind in ROW.items())
        good = good and all(row.get("met") in (True, False, None) for row in rows)
        good = good and isinstance(content["title"], str) and isinstance(content["text"], str)
    except OSError:
        return None, "It ended without a result."
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"Its result cannot be read: {error!r}."
    return (content, "") if good else (None, "Its result is not {title, rows, text}.")


def _last_line(words: str, folder: str) -> str:
    """Return the last line of what a part said, without the folders of this machine."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    line = lines[-1] if lines else ""
    for place in (f"{ROOT}{os.sep}", f"{folder}{os.sep}"):
        line = line.replace(place, "")
    line = line.replace(str(Path.home()), "~")
    return re.sub(r"^\w+: error: ", "", line)


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
