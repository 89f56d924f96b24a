"""The guide: which step it is at, and how it leads a person through the window."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.corrections import Correction
from maskfree.types import InstanceMasks
from napari_maskfree.guide import END, INVITATION, STEPS, Facts, Guide, facts_of

DONE = Facts(
    video=True,
    boxes=2,
    most_keyframes=2,
    masks=True,
    looked_at=1,
    painted=True,
    frames=8,
    runs=2,
    exported=True,
)


@pytest.fixture
def guide():
    return Guide()


def test_every_step_is_done_by_its_own_fact_alone(guide):
    order = [
        "video",
        "boxes",
        "most_keyframes",
        "masks",
        "looked_at",
        "painted",
        "runs",
        "exported",
    ]
    facts = Facts()
    guide.start(facts)
    for number, name in enumerate(order, start=1):
        assert guide.number == number
        facts = dataclasses.replace(facts, **{name: getattr(DONE, name)})
        guide.look(facts)
    assert guide.step is None
    assert guide.number == len(STEPS) + 1


def test_one_keyframe_one_run_is_not_enough(guide):
    guide.start(dataclasses.replace(DONE, most_keyframes=1, runs=1))
    assert guide.step.key == "follow"
    guide.skip()
    assert guide.step.key == "teach"


def test_what_is_undone_stays_ticked_and_what_is_skipped_too(guide):
    told = []
    guide.changed.connect(lambda: told.append(guide.number))
    guide.start(Facts(video=True))
    guide.look(Facts(video=True, boxes=1))
    guide.look(Facts(video=True))
    guide.look(Facts(video=True))
    assert guide.step.key == "follow"
    guide.skip()
    assert guide.step.key == "train"
    assert told == [2, 3, 4]


def test_it_begins_anew_where_things_stand(guide):
    guide.start(DONE)
    assert guide.step is None
    guide.end()
    assert not guide.active
    guide.look(DONE)
    guide.start(Facts(video=True))
    assert guide.step.key == "box"


def test_outside_keyframes_are_no_boxes(widget, clip_folder):
    widget.video.open_path(str(clip_folder))
    state = widget.state
    state.set_box(state.new_track(), (10, 10, 40, 40), frame=0)
    state.set_frame(4)
    state.set_outside(state.selected, True)
    facts = facts_of(state, exported=False, painted=False)
    assert (facts.video, facts.boxes, facts.most_keyframes) == (True, 1, 1)
    assert not facts.masks
    assert facts.runs == 0


def test_it_invites_while_there_is_no_video(widget, hands):
    bar = widget.guide
    assert bar.isVisible()
    assert bar.words.text() == INVITATION
    hands.press(bar.close_)
    assert not bar.isVisible()
    hands.press(bar.open)
    assert bar.isVisible()
    assert bar.place.text() == f"1 of {len(STEPS)}"


def test_it_does_not_stand_in_the_way_of_a_video(widget, clip_folder):
    widget.video.open_path(str(clip_folder))
    assert not widget.guide.isVisible()


def test_it_leads_from_the_sample_to_the_run(widget, hands, qtbot):
    bar = widget.guide
    hands.press(bar.sample)
    assert widget.state.video.name == "Rabbit"
    assert bar.title.text() == "Draw a box"
    assert widget.boxes.new.property("guided")
    assert not bar.sample.isVisible()
    hands.press(widget.boxes.new)
    widget.state.set_box(widget.state.selected, (100, 100, 300, 300))
    assert bar.title.text() == "Box it again further on"
    assert widget.boxes.new.property("guided")
    widget.state.set_box(widget.state.selected, (110, 100, 310, 300), frame=10)
    assert bar.title.text() == "Fine-tune"
    assert not widget.state.undo_name.startswith("guide")
    start = widget.finetune.start
    qtbot.waitUntil(lambda: not start.visibleRegion().isEmpty(), timeout=5000)
    hands.press(bar.close_)
    assert not start.property("guided")


def test_where_the_step_is_is_brought_into_view(widget, hands, clip_folder, qtbot):
    widget.video.open_path(str(clip_folder))
    bar = widget.guide
    hands.press(bar.open)
    for _ in range(len(STEPS) - 2):
        hands.press(bar.skip)
    assert bar.title.text() == "Export"
    assert widget.sections["export"].is_open
    widget.sections["export"].set_open(False)
    hands.press(bar.show_me)
    export = widget.export.export
    qtbot.waitUntil(lambda: not export.visibleRegion().isEmpty(), timeout=5000)
    hands.press(bar.skip)
    assert bar.words.text() == END
    assert not bar.skip.isVisible()


def test_what_is_pointed_at_stays_in_view_while_rows_above_it_grow(
    widget, hands, clip_folder, qtbot
):
    widget.video.open_path(str(clip_folder))
    bar, export = widget.guide, widget.export.export

    def in_view() -> bool:
        return export.visibleRegion().boundingRect().height() == export.height()

    hands.press(bar.open)
    for _ in range(len(STEPS) - 2):
        hands.press(bar.skip)
    qtbot.waitUntil(in_view, timeout=5000)
    qtbot.wait(300)  # until the step itself has scrolled there
    widget.masks.empty.setMinimumHeight(900)  # as when lists of runs and scores come in
    qtbot.wait(200)
    qtbot.waitUntil(in_view, timeout=5000)
    scroll = widget.scroll_area.verticalScrollBar()
    scroll.triggerAction(scroll.SliderAction.SliderToMinimum)  # a person scrolls away
    widget.masks.empty.setMinimumHeight(1000)
    qtbot.wait(200)
    assert not in_view()


def test_an_export_ends_it(widget, hands, clip, clip_folder, tmp_path, qtbot):
    widget.video.open_path(str(clip_folder))
    widget.project.load_boxes(clip.boxes(every=4))
    bar = widget.guide
    hands.press(bar.open)
    while bar.guide.step.key != "export":
        hands.press(bar.skip)
    widget.export.format.setCurrentIndex(widget.export.format.findData("boxes"))
    widget.export.path.setText(str(tmp_path / "boxes.json"))
    widget.export.refresh()
    hands.press(widget.export.export)
    qtbot.waitUntil(lambda: bar.words.text() == END, timeout=10_000)


def test_while_a_run_is_at_work_it_says_so(widget, hands, monkeypatch, clip_folder):
    widget.video.open_path(str(clip_folder))
    bar = widget.guide
    hands.press(bar.open)
    for _ in range(2):
        hands.press(bar.skip)
    train = bar.guide.step
    assert bar.words.text() == train.words
    monkeypatch.setattr(widget.finetune, "preparing", True)
    bar.refresh()
    assert bar.words.text() == train.busy


def test_painting_an_accepted_mask_counts(widget, hands, clip_folder):
    widget.video.open_path(str(clip_folder))
    bar = widget.guide
    hands.press(bar.open)
    while bar.guide.step.key != "correct":
        hands.press(bar.skip)
    state = widget.state
    state.set_box(state.new_track(), (10, 10, 40, 40))
    assert bar.guide.step.key == "correct"
    own = Correction.whole(np.zeros((64, 96), bool))
    state.apply("accept frame 0", state.tracks, {0: {1: own}})
    assert bar.guide.step.key == "correct"
    state.apply("paint track 1 in frame 1", state.tracks, {1: {1: own}})
    assert bar.guide.step.key == "teach"


def test_masks_made_by_hand_before_a_run_are_not_reviewed():
    guide = Guide()
    guide.start(Facts())
    early = Facts(video=True, frames=9, boxes=2, most_keyframes=2, looked_at=1, painted=1)
    guide.look(early)
    guide.look(dataclasses.replace(early, masks=True, runs=1))
    assert guide.step is not None and guide.step.key == "review"
    guide.look(dataclasses.replace(early, masks=True, runs=1, looked_at=2))
    assert guide.step.key == "correct"
    guide.look(dataclasses.replace(early, masks=True, runs=1, looked_at=3, painted=2))
    assert guide.step.key == "teach"


def test_first_masks_do_not_end_the_training(boxed, save_masks, left_half):
    save_masks(*[InstanceMasks((1,), left_half[None], (0.5,))] * 8)
    session, state = boxed.state.session, boxed.state
    run = session.new_run(Config(), seed=0)
    session.predict_log.clear()
    session.predict_log.append({"status": "done", "run": run.name})
    assert facts_of(state, exported=False, painted=False).masks
    (run.path / "told.json").write_text('{"first": [0, 1, 2, 3, 4, 5, 6, 7]}')
    assert not facts_of(state, exported=False, painted=False).masks
    (run.path / "told.json").write_text('{"first": [1, 2, 3, 4, 5, 6, 7]}')
    assert facts_of(state, exported=False, painted=False).masks
