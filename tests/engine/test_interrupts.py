from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from maskfree.interrupts import Interrupted, Interrupts, follow

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups")


@pytest.fixture(autouse=True)
def _usual_handlers() -> Iterator[None]:
    """Ctrl-C as a person at a terminal has it, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "put back"
    signal.signal(signal.SIGINT, before)


def interrupt(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


class Steps:
    """Five steps; Ctrl-C comes in the middle of the ones named; notes what happened."""

    def __init__(self, *interrupted: int, number: int = signal.SIGINT) -> None:
        self.interrupted, self.number = interrupted, number
        self.finished: list[int] = []
        self.saved = False

    def __iter__(self) -> Iterator[int]:
        try:
            for step in range(5):
                if step in self.interrupted:
                    interrupt(self.number)
                self.finished.append(step)
                yield step
        finally:
            self.saved = True


def test_an_undisturbed_run_ends_by_itself() -> None:
    steps, seen = Steps(), []
    follow(iter(steps), seen.append)
    assert seen == [0, 1, 2, 3, 4]
    assert steps.saved


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_step_in_progress_is_finished_and_saved(number: int, code: int) -> None:
    steps, seen = Steps(2, number=number), []
    with pytest.raises(Interrupted) as stop:
        follow(iter(steps), seen.append)
    assert stop.value.code == code
    assert seen == steps.finished == [0, 1, 2]
    assert steps.saved


def test_before_the_first_step_it_stops_at_once() -> None:
    steps = Steps(0)
    with pytest.raises(Interrupted):
        follow(iter(steps), print)
    assert steps.finished == []


def test_the_second_one_does_not_wait() -> None:
    def twice() -> Iterator[int]:
        yield 0
        interrupt()
        interrupt()
        raise AssertionError("still at work")

    with pytest.raises(Interrupted):
        follow(twice(), lambda _: None)


def test_what_a_launcher_passes_on_is_the_same_request() -> None:
    with Interrupts(patience=60.0) as patient:
        patient.armed = True
        assert patient.code == 0
        for _ in range(3):
            interrupt()
        assert patient.asked
        assert patient.code == 130
        with pytest.raises(Interrupted):
            patient.check()


def test_what_the_shell_switched_off_stays_off() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        steps = Steps(2)
        follow(iter(steps), lambda _: None)
        assert steps.finished == [0, 1, 2, 3, 4]
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_thread_of_a_notebook_can_follow_too() -> None:
    seen: list[int] = []
    thread = threading.Thread(target=follow, args=(iter(Steps()), seen.append))
    thread.start()
    thread.join(10)
    assert seen == [0, 1, 2, 3, 4]
