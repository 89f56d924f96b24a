"""What the newest run of a session was made with stands in section 3 when the session is opened."""

from __future__ import annotations

import dataclasses
import sys

import imageio.v3 as iio
import pytest

from estimate_machine import FITS, RUN, estimated
from maskfree.presets import preset
from maskfree.session import Session
from maskfree.settings import override
from maskfree.start import plan_start, shortened
from napari_maskfree.stages import Stage
from napari_maskfree.worker import Job

CHANGED = {
    "optimiser.steps": "77",
    "sampling.frame_area": "50000",
    "temporal.weight": "3",
    "model.weights": "somebody/mask2former",
}


@pytest.fixture
def session(boxed, clip_folder, tmp_path):
    """Beside the one that the window works on."""
    return Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxed.state.boxed())


def made_run(session, config, start=None):
    run = session.new_run(config, seed=0, start=start)
    run.weights_path.write_bytes(b"")
    return run


def form(widget):
    panel = widget.finetune
    return (panel.preset.currentData(), panel.steps.value(), widget.state.plan.settings)


def test_a_session_is_opened_with_what_its_newest_run_had(boxed, session):
    asked = override(preset("paper"), CHANGED)
    made_run(session, preset("tiny"))
    first = made_run(session, asked)
    second = made_run(session, shortened(asked), first.name)
    made_run(session, shortened(asked), second.name)
    boxed.open_session(session.path)
    wanted = ("sampling.frame_area=50000", "model.weights=somebody/mask2former")
    assert form(boxed) == ("paper", 77, wanted)
    panel = boxed.finetune
    assert panel.estimate.changed.text() == "Changed for this run: sampling.frame_area=50000"
    assert panel.weights.text.text() == "somebody/mask2former"
    panel.preset.setCurrentIndex(panel.preset.findData("tiny"))
    assert form(boxed) == ("tiny", 77, wanted[1:])


def test_the_run_after_it_goes_on_from_it(boxed, session):
    """The settings that the form then stands for are those that the run had."""
    run = made_run(session, shortened(preset("paper")), made_run(session, preset("paper")).name)
    boxed.open_session(session.path)
    name, steps, settings = form(boxed)
    words = dict(word.split("=", 1) for word in settings)
    config = override(preset(name), {"optimiser.steps": str(steps), **words})
    assert shortened(config) == run.config
    assert plan_start(session, config, "fresh").config == preset("paper")


def test_what_a_person_chose_since_stays(boxed, session):
    made_run(session, preset("paper"))
    boxed.open_session(session.path)
    panel = boxed.finetune
    panel.preset.setCurrentIndex(panel.preset.findData("tiny"))
    panel.steps.setValue(5)
    boxed.open_session(session.path)
    assert form(boxed) == ("tiny", 5, ())

    other = Session.create(
        session.path.parent / "o", video_source=str(session.video_source), boxes=session.boxes
    )
    boxed.open_session(other.path)
    assert form(boxed) == ("tiny", 5, ()), "it has no run"
    own = made_run(other, preset("paper"))
    code = "import time; time.sleep(600)"
    stage = Stage("finetune", (sys.executable, "-c", code), lambda: own.log.path)
    boxed.jobs.start(Job([stage], other.path))
    boxed.jobs.kill()
    boxed.open_session(other.path)
    assert form(boxed) == ("tiny", 5, ()), "the run was started here"
    made_run(other, preset("paper"))
    boxed.open_session(other.path)
    assert form(boxed)[0] == "paper", "the run was started elsewhere"
    boxed.open_session(session.path)
    assert form(boxed)[:2] == ("paper", preset("paper").optimiser.steps)


@pytest.fixture
def other_video(clip, tmp_path):
    (tmp_path / "other").mkdir()
    for index, frame in enumerate(clip.frames):
        iio.imwrite(tmp_path / f"other/{index:05d}.png", frame[:32])
    return str(tmp_path / "other")


def test_of_another_video_only_the_weights_stay(boxed, session, other_video):
    made_run(session, override(preset("tiny"), CHANGED))
    boxed.open_session(session.path)
    assert boxed.state.plan.settings[0] == "sampling.frame_area=50000"
    boxed.video.open_path(other_video)
    assert boxed.state.plan.settings == ("model.weights=somebody/mask2former",)
    boxed.open_session(session.path)
    assert boxed.state.plan.settings[0] == "sampling.frame_area=50000", "it is about this one again"


def test_the_newest_run_counts_before_it_has_learnt_anything(boxed, session):
    made_run(session, preset("tiny"))
    session.new_run(override(preset("paper"), {"optimiser.steps": "77"}), seed=0)
    boxed.open_session(session.path)
    assert form(boxed) == ("paper", 77, ())
    boxed.finetune.steps.setValue(9)
    made_run(session, preset("paper"))  # by another program
    boxed.open_session(session.path)
    assert form(boxed) == ("paper", preset("paper").optimiser.steps, ())


def test_a_measurement_of_the_next_video_is_its_own(
    boxed, session, other_video, hands, qtbot, machine
):
    made_run(session, preset("tiny"))
    boxed.open_session(session.path)
    boxed.video.open_path(other_video)
    boxed.project.show_boxes()
    boxed.state.set_box(1, (10, 5, 40, 30), 0)
    boxed.show_section("finetune")
    boxed.scroll_area.ensureWidgetVisible(boxed.finetune.estimate)
    panel = estimated(boxed, hands, qtbot, machine, FITS)
    assert panel.line.text().startswith("About 2 min 40 s on cuda")


def test_a_measurement_ends_once_when_the_video_changes(
    boxed, session, other_video, hands, qtbot, machine
):
    made_run(session, preset("tiny"))
    boxed.open_session(session.path)
    boxed.show_section("finetune")
    panel = boxed.finetune.estimate
    boxed.scroll_area.ensureWidgetVisible(panel)
    machine.go.unlink()
    hands.press(panel.estimate)
    qtbot.waitUntil(lambda: panel.jobs.active, timeout=RUN)
    boxed.video.open_path(other_video)
    qtbot.waitUntil(lambda: not panel.jobs.active, timeout=RUN)
    assert panel.jobs.view.state == "stopped"
    assert panel.line.text() == ""


@pytest.mark.parametrize("fault", ["broken", "preset"])
def test_a_run_that_cannot_be_read_changes_nothing(boxed, session, fault):
    run = made_run(session, dataclasses.replace(preset("paper"), preset="of-tomorrow"))
    if fault == "broken":
        run.config_path.write_text("{")
    boxed.open_session(session.path)
    assert boxed.state.session.path == session.path
    assert form(boxed)[0] == "tiny"
