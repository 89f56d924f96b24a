"""Finished jobs on disk, so that a grid goes on where it was stopped and does nothing twice.

One JSON file a job, written whole or not at all. A job is known by its clip (every byte), its
recipe, its seed and the kind of device; its result holds for the code that it ran with. The code's
content stands in for the commit: a commit that changes none of the files that a job runs changes no
number, and changes that are not committed count.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.ablation.job import JobResult
from maskfree.ablation.which_code import DIGITS, code_digest, commit
from maskfree.errors import InputError, InputWarning
from maskfree.json_checks import as_object, show
from maskfree.storage import atomic_write, home_path, make_folder, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.ablation.job import Job

__all__ = ["Cache", "Kept"]

_UNSAFE = re.compile(r"[^\w.-]")
_NAMING = ("model.weights", "model.backbone_weights", "temporal.flow_weights")
"""Settings that may name files, whose content is part of a job."""
_LONGEST_NAME = 60
"""Characters of a clip's name in a file's."""


@dataclasses.dataclass(frozen=True)
class Kept:
    """A job's result and the commit that it was made with, for a person to read."""

    result: JobResult
    commit: str


class Cache:
    """Results in ``folder``; ``any_commit``: those of other code hold as well.

    ``device``: the kind of device that jobs run on.
    """

    def __init__(self, folder: Path, device: str, *, any_commit: bool = False) -> None:
        self.folder = folder
        self._device, self._any = device, any_commit

    def read(self, job: Job) -> Kept | None:
        """Return what is known of a job; None where it is yet to be run.

        A file that is damaged, or another's, is said and passed over.
        """
        own = self._file(job)
        found = self.folder.glob(f"{self._name(job)}-*.json") if self._any else ()
        others = sorted(found, key=lambda path: path.stat().st_mtime)
        for path in (own, *(path for path in reversed(others) if path != own)):
            if path.is_file():
                try:
                    return self._read(path, job)
                except InputError as error:
                    warnings.warn(f"{error} It does not count.", InputWarning, stacklevel=2)
        return None

    def _read(self, path: Path, job: Job) -> Kept:
        where = f"the result {path}"
        content = as_object(read_json(path, "result"), where, "a result", "result")
        if content.get("job") != self._identity(job):
            raise InputError(f"{where} is that of another job.")
        made = content.get("commit")
        if not isinstance(made, str):
            raise InputError(f"{where}: commit must be a text, got {show(made)}.")
        return Kept(JobResult.from_json(content.get("result"), where), made)

    def write(self, job: Job, result: JobResult) -> Kept:
        """Keep the result of a job, and return what is known of it now.

        Raises
        ------
        InputError
            Where the disk is full or the folder may not be written.
        """
        kept = Kept(result, commit())
        content = {
            "job": self._identity(job),
            "code": code_digest(),
            "commit": kept.commit,
            "result": dataclasses.asdict(result),
        }
        make_folder(self.folder)
        atomic_write(self._file(job), json.dumps(content, indent=1) + "\n")
        return kept

    def _file(self, job: Job) -> Path:
        return self.folder / f"{self._name(job)}-{code_digest()}.json"

    def _name(self, job: Job) -> str:
        """Return a name that no other job has: clip and seed to read, a digest of the rest."""
        text = json.dumps(self._identity(job), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
        clip = _UNSAFE.sub("_", job.clip.name)[:_LONGEST_NAME]
        return f"{clip}-seed{job.seed}-{digest}"

    def _identity(self, job: Job) -> dict[str, Any]:
        return {
            **_files_named(job.recipe.settings),
            "clip": job.clip.name,
            "files": job.clip.digest,
            "settings": list(job.recipe.settings),
            "share": job.recipe.share,
            "oracle": job.recipe.oracle,
            "seed": job.seed,
            "device": self._device,
        }


def _files_named(settings: Sequence[str]) -> dict[str, str]:
    """Return digests of what the settings name on the disk: another file is another job."""
    found = {}
    for word in settings:
        key, _, value = word.partition("=")
        path = home_path(value)
        if key in _NAMING and os.path.exists(path):
            sums = hashlib.sha256()
            for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if each.is_file():
                    sums.update(each.name.encode())
                    with each.open("rb") as file:
                        sums.update(hashlib.file_digest(file, "sha256").digest())
            found[key] = sums.hexdigest()
    return found
