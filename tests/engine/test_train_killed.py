"""A training that is killed at any moment goes on to the same result, bit for bit."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from maskfree.model.checkpoint import read_tensors
from training_run import go, last_run, same, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Run, Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGKILL are POSIX")
CALLS = ("fsync", "replace")


def counted(patch: pytest.MonkeyPatch, then: Callable[[int], None]) -> None:
    """Call ``then`` with its number before and after every flush and rename of a file."""
    number = [0]

    def around(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            number[0] += 1
            then(number[0])
            result = real(*arguments, **options)
            number[0] += 1
            then(number[0])
            return result

        patch.setattr(os, name, call)

    for name in CALLS:
        around(name)


def killed_at(moment: int, session: Session, config: Config) -> None:
    """Train in a process that is killed at a moment; ``moment`` 0: after all."""
    child = os.fork()
    if child == 0:
        try:
            patch = pytest.MonkeyPatch()
            counted(patch, lambda n: n == moment and os.kill(os.getpid(), signal.SIGKILL))
            list(go(session, config, seed=2, resume=True))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was to be killed"


def lines(run: Run) -> dict[int, dict[str, float]]:
    """The losses by step; a step that was taken again has the same."""
    found: dict[int, dict[str, float]] = {}
    for record in steps_of(run):
        assert found.setdefault(record["step"], record["losses"]) == record["losses"]
    return found


@pytest.fixture
def config(small_config: Config) -> Config:
    """Four steps, saved after each second, the network's own masks in the labels from the third."""
    consensus = dataclasses.replace(small_config.consensus, teacher_at=0.5)
    return dataclasses.replace(small_config, consensus=consensus)


def goes_on(session: Session, config: Config, moments: list[int]) -> None:
    whole = last_run(session)
    for moment in moments:
        killed_at(moment, session, config)
    list(go(session, config, seed=2, resume=True))
    run = last_run(session)
    assert run.path != whole.path
    assert run.status == "done"
    assert lines(run) == lines(whole)
    assert same(read_tensors(whole.weights_path), read_tensors(run.weights_path))
    assert whole.memory_path.read_bytes() == run.memory_path.read_bytes()


def moments_of(session: Session, config: Config) -> int:
    """Train undisturbed; return the number of moments at which it can be killed."""
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        counted(patch, seen.append)
        list(go(session, config, seed=2))
    return len(seen)


def test_killed_at_some_moments(small_session: Session, config: Config) -> None:
    count = moments_of(small_session, config)
    assert count > 20
    goes_on(small_session, config, [count // 2 + 1])
    goes_on(small_session, config, [count // 2, 3])


@pytest.mark.slow
def test_killed_at_every_moment(small_session: Session, config: Config) -> None:
    for moment in range(1, moments_of(small_session, config) + 1):
        goes_on(small_session, config, [moment])


def test_killed_before_anything_was_saved(small_session: Session, config: Config) -> None:
    list(go(small_session, config, seed=2))
    whole = last_run(small_session)
    child = os.fork()
    if child == 0:
        try:
            for _ in go(small_session, config, seed=2):
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    killed = last_run(small_session)
    assert (killed.steps_done, killed.state_path.exists()) == (1, False)
    list(go(small_session, config, seed=2, resume=True))
    assert lines(last_run(small_session)) == lines(whole)
