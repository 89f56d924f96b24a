"""Finished jobs on disk, so that a series of runs goes on where it was interrupted.

One JSON file a job, written whole or not at all. A job is known by what its result follows from:
the code (content of the engine and of the benchmark's own modules), the clip, every setting, the
seed, torch's version and the kind of device. Where any of them changes, it is run again. The code's
content stands in for the commit: a commit that touches neither changes no number, and uncommitted
changes count.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import torch

import maskfree
from job import Job, Result
from maskfree.device import resolve_device
from maskfree.errors import InputError
from maskfree.settings import to_dict
from maskfree.storage import atomic_write, make_folder, read_json

__all__ = ["Cache", "code_digest", "commit"]

ENGINE = Path(maskfree.__file__).resolve().parent
BENCHMARKS = Path(__file__).resolve().parent
MODULES = ("clips.py", "job.py", "oracle.py", "refinement.py", "scores.py")
"""The benchmark's modules that a result follows from; the others only print it."""
DIGITS = 12
"""Hexadecimal digits of a digest that are shown and used in a file's name."""


class Cache:
    """Results in ``folder``; None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def read(self, job: Job) -> Result | None:
        """Return the result of a job that was run before, None where it was not."""
        if self.folder is None:
            return None
        path = self.folder / f"{job_name(job)}.json"
        if not path.is_file():
            return None
        try:
            return Result.from_json(read_json(path, "result")["result"])
        except (InputError, KeyError, TypeError, ValueError):  # another's file: run the job
            return None

    def write(self, job: Job, result: Result) -> None:
        """Keep the result of a job."""
        if self.folder is None:
            return
        content = {"key": job_key(job), "commit": commit(), "result": dataclasses.asdict(result)}
        make_folder(self.folder)
        atomic_write(self.folder / f"{job_name(job)}.json", json.dumps(content, indent=1) + "\n")


def job_key(job: Job) -> dict[str, Any]:
    """Return all that a job's result follows from, as plain values."""
    return {
        "code": code_digest(),
        "torch": torch.__version__,
        "device": resolve_device(job.device).type,
        "clip": job.clip.name,
        "files": _listing(job.clip),
        "kind": job.kind,
        "every": job.every,
        "jitter": job.jitter,
        "first_only": job.first_only,
        "seed": job.seed,
        "config": to_dict(job.config),
    }


def job_name(job: Job) -> str:
    """Return a name that no other job has: clip, kind and seed to read, a digest of the rest."""
    digest = hashlib.sha256(json.dumps(job_key(job), sort_keys=True).encode()).hexdigest()
    return f"{job.clip.name}-{job.kind}-seed{job.seed}-{digest[:DIGITS]}"


def _listing(clip: Path) -> str:
    """Digest of the names and sizes of a clip's files: two clips of one name are told apart."""
    sums = hashlib.sha256()
    for path in sorted(p for part in ("frames", "masks") for p in (clip / part).glob("*")):
        sums.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
    return sums.hexdigest()[:DIGITS]


@functools.cache
def code_digest() -> str:
    """Digest of the code as it was when this process first asked."""
    sums = hashlib.sha256()
    for path in [*sorted(ENGINE.rglob("*.py")), *(BENCHMARKS / name for name in MODULES)]:
        sums.update(f"{path.parent.name}/{path.name}\n".encode())
        sums.update(path.read_bytes())
    return sums.hexdigest()[:DIGITS]


@functools.cache
def commit() -> str:
    """Return the commit for a person to read, with a word where the engine differs from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return f"{name} with changes" if _git("status", "--porcelain", "--", str(ENGINE)) else name
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
