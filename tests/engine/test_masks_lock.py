"""One process at a time changes the masks of a session."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.kept_masks import show_run, shown_run
from maskfree.masks_lock import masks_lock
from maskfree.predict import predict
from maskfree.session import Session
from maskfree.tracks import empty_tracks
from maskfree.types import InstanceMasks
from training_run import go

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from command_line import Result

HOLD = """
import sys, time
from maskfree.masks_lock import masks_lock
from maskfree.session import Session
session = Session.open(sys.argv[1])
with masks_lock(session):
    session.predict_log.append({"status": "running", "run": "0002", "pid": int(sys.argv[2])})
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Run 0002 is shown, run 0001 keeps the masks of one frame."""
    made = Session.create(tmp_path / "s", video_source=None, boxes=empty_tracks(9, 4, 6, None))
    for name in ("0001", "0002"):
        run = made.new_run(Config(), seed=0)
        masks = InstanceMasks((1,), np.ones((1, 4, 6), bool), (0.5,))
        (made.mask_store() if name == "0002" else run_store(run.path)).write(0, masks)
    made.predict_log.append({"status": "done", "run": "0002"})
    return made


def run_store(path: Path) -> object:
    from maskfree.mask_store import MaskStore

    return MaskStore(path / "masks")


@pytest.fixture
def holder(session: Session) -> Iterator[subprocess.Popen[str]]:
    """Another process that predicts."""
    command = [sys.executable, "-c", HOLD, str(session.path), "4711"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_while_another_process_predicts_no_run_is_gone_back_to(
    session: Session, holder: subprocess.Popen[str], cli: Callable[..., Result]
) -> None:
    with pytest.raises(InputError) as caught:
        show_run(session, "0001")
    assert str(caught.value) == (
        f"Process 4711 is writing the masks of {session.path} now, so they were left as they are. "
        "Wait until it is done, or stop it, and try again."
    )
    result = cli("runs", session.path, "--show", "0001")
    assert (result.code, result.out) == (2, "")
    assert "Process 4711" in result.err
    assert shown_run(session) == "0002"
    holder.kill()  # however it ends, the lock ends with it
    holder.wait()
    show_run(session, "0001")
    assert shown_run(session) == "0001"


def test_two_windows_of_one_process(session: Session) -> None:
    with masks_lock(session), pytest.raises(InputError, match="Another process is writing"):
        show_run(Session.open(session.path), "0001")
    show_run(session, "0001")


def test_two_predictions_at_once(small_session: Session, small_config: Config) -> None:
    list(go(small_session, small_config))
    first = predict(small_session, device="cpu")
    next(first)
    with pytest.raises(InputError, match="is writing the masks"):
        next(predict(small_session, device="cpu"))
    assert len(list(first)) == 11
    assert small_session.predict_log.status == "done"


def test_a_disk_that_knows_no_locks(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from maskfree import masks_lock as module

    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module, "lock_now", refuse)
    show_run(session, "0001")
    assert shown_run(session) == "0001"
