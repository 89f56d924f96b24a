"""Estimate where the next run goes on from the one before: what it is about, and until when."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from estimate_machine import FIGURES, FITS, TIMES, estimated
from maskfree.corrections import Correction
from maskfree.preflight import Attempt, Preflight
from maskfree.presets import preset
from maskfree.told_frames import note_training
from napari_maskfree.goes_on import GoesOn


@pytest.fixture
def ready(boxed):
    """The window with a video and a box, 7 steps and the estimate in view."""
    boxed.finetune.steps.setValue(7)
    boxed.scroll_area.ensureWidgetVisible(boxed.finetune.estimate)
    return boxed


def correct(widget, frame: int, left: int) -> None:
    mask = np.zeros((64, 96), bool)
    mask[12:38, left:58] = True
    widget.state.corrections.put({frame: {1: Correction.whole(mask)}})
    widget.state.corrections.save()


def made_run(session) -> Any:
    """A run that is done, as far as anybody looks at it here."""
    run = session.new_run(preset("tiny"), seed=0)
    run.weights_path.write_bytes(b"")
    note_training(run, session.corrections.read_all(), resumed=False)
    run.append({"status": "done"})
    return run


def test_it_is_about_the_run_that_goes_on_where_one_would(ready, hands, qtbot, machine):
    widget = ready
    panel = estimated(widget, hands, qtbot, machine, FITS)
    first = f"A{TIMES}"
    correct(widget, 2, 22)
    assert panel.line.text() == first, "no run yet that one could go on from"
    session = widget.state.session
    made_run(session)
    panel.refresh()
    assert panel.line.text() == first, "the run learnt from that: the next begins afresh again"
    correct(widget, 3, 24)
    assert panel.line.text() == f"For other settings: {first} Press Estimate again."

    goes_on = dataclasses.replace(FIGURES, start="0001", steps=12)
    found = Preflight((Attempt("", "cuda", (), "fits", "needs 1.9 of 20.3 GB", goes_on),))
    estimated(widget, hands, qtbot, machine, found)
    short = first.replace("for 7 steps", "for 12 steps from run 0001")
    assert panel.line.text() == short
    correct(widget, 4, 26)
    assert panel.line.text() == short, "it would go on from the same run"
    other = f"For other settings: {short} Press Estimate again."
    for frame in (3, 4):
        widget.state.corrections.put({frame: {}})
    assert panel.line.text() == other, "nothing is new any more"
    correct(widget, 3, 24)
    assert panel.line.text() == short
    made_run(session)
    panel.refresh()
    assert panel.line.text() == other, "there is a newer run"


def test_what_the_person_lets_it_begin_with_counts(ready, hands, qtbot, machine):
    widget, form = ready, ready.finetune
    panel = estimated(widget, hands, qtbot, machine, FITS)
    first = f"A{TIMES}"
    for place in (1, 2):
        form.begin.setCurrentIndex(place)
        assert panel.line.text() == f"For other settings: {first} Press Estimate again."
    estimated(widget, hands, qtbot, machine, FITS)
    assert machine.asked[-1]["start"] == "fresh"
    made_run(widget.state.session)
    correct(widget, 3, 24)
    assert panel.line.text() == first, "fresh weights whatever was corrected"
    form.begin.setCurrentIndex(1)
    estimated(widget, hands, qtbot, machine, FITS)
    assert machine.asked[-1]["start"] == "last"
    correct(widget, 4, 24)
    assert panel.line.text() == first, "the newest run whatever was corrected"
    made_run(widget.state.session)
    panel.refresh()
    assert panel.line.text() == f"For other settings: {first} Press Estimate again."


def test_what_is_known_of_corrections_is_what_a_run_would_read(ready, hands, qtbot, machine):
    """The digest of those in memory is that of those on disk, and they are looked at once."""
    widget = ready
    estimated(widget, hands, qtbot, machine, FITS)
    session = widget.state.session
    made_run(session)
    asks = GoesOn(widget.state.corrections)
    correct(widget, 3, 24)
    assert asks(session, "auto") == "0001"
    note_training(session.runs()[-1], session.corrections.read_all(), resumed=False)
    assert asks(session, "auto") is None
    assert asks(session, "last") == "0001"
    assert asks(session, "fresh") is None
    assert asks(None, "auto") is None
    assert asks(None, "last") is None
    (session.runs()[-1].path / "taught.sha256").unlink()  # as of an earlier version
    assert asks(session, "auto") is None
    asks.close()
    widget.state.corrections.put({3: {}})
    assert asks._digest is not None, "it hears nothing more"
