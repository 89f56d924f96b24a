"""Which code a result follows from: a digest of the files that a job runs, and its commit."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import maskfree

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["code_digest", "code_files", "commit"]

_ENGINE = Path(maskfree.__file__).resolve().parent
_FIRST = ("maskfree.ablation.job_process", "maskfree.ablation.groups")
"""What a job is made of; all else of the engine that matters is imported by one of these."""
_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "pillow", "opencv-python-headless")
DIGITS = 12
"""Hexadecimal digits of a digest that are kept."""


@functools.cache
def code_files() -> tuple[Path, ...]:
    """Return the files of the engine that a job may run, sorted: what they import, in turn."""
    found: set[Path] = set()
    waiting = list(_FIRST)
    while waiting:
        path = _file_of(waiting.pop())
        if path is not None and path not in found:
            found.add(path)
            waiting.extend(_imports(path))
    return tuple(sorted(found))


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:  # another of its kinds
        return name


def _file_of(module: str) -> Path | None:
    if module.partition(".")[0] != maskfree.__name__:
        return None
    place = _ENGINE.joinpath(*module.split(".")[1:])
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports anywhere, but for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    passed_over = {inner for node in typing_only for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def code_digest() -> str:
    """Return a digest of those files as they were when first asked, and of the libraries' versions
    that numbers depend on.
    """
    sums = hashlib.sha256(" ".join(map(_version, _LIBRARIES)).encode())
    for path in code_files():
        sums.update(f"\n{path.relative_to(_ENGINE).as_posix()}\n".encode())
        sums.update(path.read_bytes())
    return sums.hexdigest()[:DIGITS]


@functools.cache
def commit() -> str:
    """Return the commit, with a word where the engine differs from it, or the package's version."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return f"{name} with changes" if _git("status", "--porcelain", "--", ".") else name
    except (OSError, subprocess.CalledProcessError):
        return f"version {maskfree.__version__}"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ENGINE, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()
