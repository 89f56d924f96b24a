"""The older state that benchmarks compare with: its folder, its packages, and that it goes away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import baseline

WHERE = "import maskfree, napari_maskfree; print(maskfree.__file__, napari_maskfree.__file__)"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a repository whose first commit has packages of its own; return that commit."""
    root = tmp_path / "checkout"
    for package in (root / "training" / "maskfree", root / "napari_maskfree"):
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
    monkeypatch.setattr(baseline, "ROOT", root)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        name = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        subprocess.run(["git", "-C", str(root), *name, *arguments], check=True)
    asked = ["git", "-C", str(root), "rev-parse", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    (root / "napari_maskfree" / "later.py").write_text("")
    return commit


def test_a_subprocess_imports_the_old_packages(repository: str) -> None:
    with baseline.worktree(repository) as root:
        assert root is not None
        assert not (root / "napari_maskfree" / "later.py").exists()
        done = subprocess.run(
            [sys.executable, "-c", WHERE],
            env=baseline.environment(root),
            cwd=baseline.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        engine, plugin = map(Path, done.stdout.split())
        assert engine == root / "training" / "maskfree" / "__init__.py"
        assert plugin == root / "napari_maskfree" / "__init__.py"


def test_the_folder_goes_away_after_a_fault_as_well(repository: str) -> None:
    with pytest.raises(KeyboardInterrupt), baseline.worktree(repository) as root:
        raise KeyboardInterrupt
    assert root is not None
    assert not root.parent.exists()
    listed = ["git", "-C", str(baseline.ROOT), "worktree", "list"]
    left = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    assert len(left.splitlines()) == 1


def test_a_missing_commit_or_git_is_none(repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with baseline.worktree("0" * 40) as root:
        assert root is None
    monkeypatch.setenv("PATH", "")
    with baseline.worktree(repository) as root:
        assert root is None


def test_this_checkout_stands_before_what_else_is_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [str(baseline.ROOT / "training"), str(baseline.ROOT), str(baseline.BENCHMARKS)]
    path = [str(tmp_path / "other"), *ours]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    found = baseline.environment()["PYTHONPATH"].split(os.pathsep)
    assert found == [*ours, str(tmp_path / "other")]
    old = baseline.environment(tmp_path)["PYTHONPATH"].split(os.pathsep)
    olds = [str(tmp_path / "training"), str(tmp_path), str(baseline.BENCHMARKS)]
    assert old == [*olds, str(tmp_path / "other")]
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in baseline.environment()


def test_the_trainer_is_the_engines_own_wherever_it_has_it(tmp_path: Path) -> None:
    # an old engine lacks maskfree.trainer, which is then found in the one that is installed
    code = "import baseline; print(baseline.trainer_class().__module__)"
    old = tmp_path / "training" / "maskfree"
    old.mkdir(parents=True)
    (old / "__init__.py").write_text("")
    (old / "train.py").write_text("class Trainer: ...\n")
    for root, module in ((tmp_path, "maskfree.train"), (None, "maskfree.trainer")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=baseline.environment(root),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == module
