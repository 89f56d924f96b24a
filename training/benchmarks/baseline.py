"""The state that speed is compared with: an older commit, checked out into a temporary folder.

A benchmark runs its own modules against the old engine in a subprocess whose path names the old
folders first. It may then use only what the old engine has as well. Where git is missing, or the
commit is (a downloaded archive, a shallow clone), there is nothing to compare with: None.

    with baseline.worktree() as root:
        for old in (None, root):  # None: this checkout
            subprocess.run([sys.executable, SCRIPT, …], env=baseline.environment(old))
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BASELINE", "MISSING", "ROOT", "environment", "trainer_class", "worktree"]

BASELINE = "ca409b7"
"""The state of the project before it was made fast."""
ROOT = Path(__file__).resolve().parents[2]
"""This checkout."""
BENCHMARKS = Path(__file__).resolve().parent
MISSING = (
    f"Commit {BASELINE} is not at hand (no git, or a shallow clone), so nothing is said of the "
    "state before. Get it: git fetch --unshallow"
)
"""What a report says where there is nothing to compare with."""


@contextlib.contextmanager
def worktree(commit: str = BASELINE) -> Iterator[Path | None]:
    """Check a commit out into a temporary folder and yield it; None where that cannot be done."""
    with tempfile.TemporaryDirectory(prefix="maskfree-", ignore_cleanup_errors=True) as folder:
        place = Path(folder).resolve() / commit
        if not _git("worktree", "add", "--detach", str(place), commit):
            yield None
            return
        try:
            yield place
        finally:
            _git("worktree", "remove", "--force", str(place))


def environment(root: Path | None = None) -> dict[str, str]:
    """Return the environment of a process that imports the packages in ``root``.

    None: those of this checkout, also where another one is installed. The benchmark's own modules
    are this checkout's for both, and the folder it is started in counts for nothing. Modules are
    compiled once and kept, as they are where a package is installed.
    """
    where = ROOT if root is None else root
    own = [str(ROOT), str(ROOT / "training"), str(BENCHMARKS)]
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [entry for entry in path if entry and os.path.abspath(entry) not in own]
    first = [str(where / "training"), str(where), str(BENCHMARKS)]
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(first + others),
        "PYTHONSAFEPATH": "1",  # else `python -m` would look into the current folder first
    }


def trainer_class() -> Any:
    """Return ``Trainer`` of the engine that this process imports, wherever that one has it."""
    # a module that it lacks may be found all the same: in the engine that is installed
    own = getattr(importlib.import_module("maskfree.train"), "Trainer", None)
    return own or importlib.import_module("maskfree.trainer").Trainer


def _git(*arguments: str) -> bool:
    """Say whether git did as it was told."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:  # there is no git
        return False
