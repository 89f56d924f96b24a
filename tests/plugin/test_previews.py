"""The chosen frames: which they are, how they are read and drawn, and the strip in a window."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.chosen_frames import chosen_frames
from maskfree.errors import InputError
from maskfree.preview_files import Measure, Shot
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from napari_maskfree.preview_reader import PreviewReader, draw_preview, score_words
from napari_maskfree.watched import Watched

RUN = 150_000


# ---- the choice


def test_a_person_chooses_up_to_four_frames(clip):
    watched, heard = Watched(), []
    watched.changed.connect(lambda: heard.append(1))
    tracks = clip.boxes(every=3)
    assert not watched.is_chosen
    assert watched.frames(None, 0) == []
    auto = watched.frames(tracks, 4)
    assert 4 in auto
    assert len(auto) == 3
    for frame in (7, 1, 2, 3):
        watched.toggle(frame)
    assert watched.frames(tracks, 4) == [1, 2, 3, 7]
    with pytest.raises(InputError, match=r"^4 frames are watched already: 1, 2, 3, 7\. Go to one"):
        watched.toggle(5)
    watched.toggle(2)
    assert watched.frames(tracks, 4) == [1, 3, 7]
    watched.forget()
    assert watched.frames(tracks, 4) == auto
    assert len(heard) == 6


@pytest.mark.parametrize(
    ("keyframes", "now", "expected"),
    [
        ((), 3, []),
        ((0, 10, 20, 30, 40), None, [0, 20, 40]),
        ((0, 10, 20, 30, 40), 13, [0, 13, 40]),
        ((0, 10, 20, 30, 40), 10, [10, 20, 40]),
        ((9,), None, [9, 29, 49]),  # held to the end
        ((9,), 45, [9, 29, 45]),
        ((9,), 3, [9, 29, 49]),  # no box there
    ],
)
def test_frames_are_chosen_that_have_a_box(keyframes, now, expected):
    boxes = tuple(Keyframe(frame, (1.0, 1.0, 9.0, 9.0)) for frame in keyframes)
    tracks = BoxTracks(50, 32, 48, None, (Track(1, "cell", boxes),))
    assert chosen_frames(tracks, 3, now=now) == expected


# ---- what is read


def masks_at(left, score=0.5):
    masks = np.zeros((1, 32, 48), bool)
    masks[0, 8:24, left : left + 12] = True
    return InstanceMasks((1,), masks, (score,))


@pytest.fixture
def previewed(clip, clip_folder, tmp_path):
    """A session whose run has shown frames 2 and 5: now step 30, best step 20."""
    from maskfree.presets import preset
    from maskfree.session import Session

    session = Session.create(tmp_path / "s", video_source=clip_folder, boxes=clip.boxes(every=2))
    run = session.new_run(preset("tiny"), seed=0)
    run.weights_path.write_bytes(b"last")
    run.best_path.write_bytes(b"best")
    files, measure = run.previews, Measure("confidence", (2, 5))
    files.want([2, 5])
    for frame in (2, 5):
        files.write_picture(frame, np.full((32, 48, 3), 20 * frame, np.uint8))
    both = lambda left: {2: masks_at(left), 5: masks_at(left)}  # noqa: E731
    history = ((10, 0.5), (20, 0.8), (30, 0.75))
    files.write("before", Shot(0, both(0), boxes=frozenset({2, 5})))
    files.write("best", Shot(20, both(10), measure, history[:2]))
    files.write("now", Shot(30, both(20), measure, history))
    return session


def test_what_a_run_has_shown_is_read_once(previewed):
    reader = PreviewReader()
    assert not reader.refresh(None)
    assert reader.refresh(previewed)
    assert not reader.refresh(previewed)
    found = reader.found
    assert found.frames == [2, 5]
    assert found.best_is_earlier
    assert score_words(found) == (
        "The network's confidence in frames 2, 5 (no frame is gold): now 0.750, "
        "best 0.800 at step 20."
    )
    previewed.runs()[-1].keep("best")
    assert reader.refresh(previewed)
    assert reader.found.keeps_best


def test_gold_is_said_to_be_the_measure(previewed):
    files = previewed.runs()[-1].previews
    files.write("now", Shot(40, {2: masks_at(0)}, Measure("gold", (3,)), ((40, 0.91),)))
    reader = PreviewReader()
    reader.refresh(previewed)
    assert score_words(reader.found).startswith("J on gold frame 3: now 0.910, ")


def test_the_first_preview_is_read_whole_between_its_two_files(previewed):
    # a run writes the best first, and the window may look before the last one is written too
    (previewed.runs()[-1].previews.path / "now.json").unlink()
    reader = PreviewReader()
    reader.refresh(previewed)
    assert score_words(reader.found).startswith("The network's confidence in frames 2, 5")
    assert reader.found.frames == [2, 5]


@pytest.mark.parametrize("moment", ["before", "now", "best"])
def test_a_damaged_preview_is_passed_over(previewed, moment):
    (previewed.runs()[-1].previews.path / f"{moment}.json").write_text('{"step": "x"}')
    reader = PreviewReader()
    assert reader.refresh(previewed)
    found = reader.found.shots
    assert set(found) == {"before", "now", "best"} - ({moment} - {"now"})
    assert found["now"].step == (20 if moment == "now" else 30), "the best stands in for the last"
    previewed.runs()[-1].previews._picture(2).write_bytes(b"no picture")
    fresh = PreviewReader()
    fresh.refresh(previewed)
    assert 2 not in fresh.found.pictures


def test_a_mask_is_drawn_as_an_outline_in_its_tracks_colour():
    picture = np.full((32, 48, 3), 128, np.uint8)
    drawn = draw_preview(picture, masks_at(10), {1: (255, 0, 0)}, width=96)
    assert drawn.shape == (64, 96, 3)
    red = (drawn[..., 0] > 200) & (drawn[..., 1] < 60)
    assert red[16:48, 18:23].any()
    dark = drawn.max(2) < 90
    assert dark[14:50, 16:24].any(), "a hem, for pictures of the same colour"
    assert (drawn[30:34, 28:36] == 128).all(), "the inside stays as it is"
    assert (drawn[:8] == 128).all()
    plain = draw_preview(picture, None, {}, width=24)
    assert (plain == 128).all()


# ---- in the window


def test_the_strip_shows_a_reopened_session_and_goes_back_to_the_best(
    viewer, widget, hands, qtbot, previewed, monkeypatch
):
    again = []
    monkeypatch.setattr(widget.finetune, "predict_again", lambda: again.append(1))
    widget.open_session(previewed.path)
    widget.show_section("finetune")
    strip = widget.finetune.strip

    def is_painted(moment):
        widget.scroll_area.ensureWidgetVisible(strip.cells[5, moment])
        return strip.cells[5, moment].drawn is not None

    qtbot.waitUntil(lambda: is_painted("now") and is_painted("best"))
    assert list(strip.cells) == [(f, m) for f in (2, 5) for m in ("before", "now", "best")]
    assert [head.text() for head in strip.heads.values()] == ["Before", "Now · 30", "Best · 20"]
    assert not np.array_equal(strip.cells[5, "now"].drawn, strip.cells[5, "best"].drawn)
    from qtpy.QtCore import Qt

    qtbot.mouseClick(strip.cells[5, "now"], Qt.MouseButton.LeftButton)
    assert widget.state.frame == 5
    run = previewed.runs()[-1]
    assert strip.keep.text() == "Use the best: step 20"
    hands.press(strip.keep)
    assert run.keeps_best
    assert again == [1]
    assert strip.keep.text() == "Use the last: step 30"
    assert strip.scores.text().endswith("Predictions use the best.")
    hands.press(strip.keep)
    assert not run.keeps_best
    viewer.theme = "light"
    qtbot.wait(50)


def test_a_run_redraws_and_a_person_stops_it_with_the_best(
    viewer, widget, hands, qtbot, clip_folder, clip, tmp_path
):
    widget.video.open_path(str(clip_folder))
    strip = widget.finetune.strip
    assert not strip.watch.isEnabled()
    widget.project.load_boxes(clip.boxes(every=2))
    widget.project.go_to(3)
    assert "chosen for you" in strip.about.text()
    hands.press(strip.watch)
    assert strip.about.text() == "Redrawn while it trains: frame 3."
    assert strip.watch.isChecked()
    assert not strip.keep.isVisible()
    widget.finetune.steps.setValue(5000)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: strip.found is not None and "best" in strip.found.shots, timeout=RUN)
    assert strip.found.frames == [3]
    assert "confidence in frame 3" in strip.scores.text()
    widget.project.go_to(6)
    hands.press(strip.watch)
    run = widget.state.session.runs()[-1]
    assert run.previews.wanted(8) == [3, 6]
    assert strip.keep.text() == "Stop, keep best"
    hands.press(strip.keep)
    assert "best" in widget.finetune.status.text()
    qtbot.waitUntil(lambda: not widget.jobs.active, timeout=RUN)
    assert widget.jobs.view.state == "done"
    assert run.keeps_best
    assert widget.project.masks is not None
    assert strip.found.frames == [3, 6], "the last look shows what was wanted meanwhile"


def test_the_run_before_is_not_taken_for_the_one_at_work(widget, previewed, monkeypatch):
    from types import SimpleNamespace

    from napari_maskfree.worker import JobView

    widget.open_session(previewed.path)
    strip, run = widget.finetune.strip, previewed.runs()[-1]
    assert strip.found is not None
    job = SimpleNamespace(view=JobView(stage="finetune"), run_folder=None)
    monkeypatch.setattr(widget.jobs, "job", job)
    strip.refresh()
    assert strip.found is None
    assert not strip.keep.isEnabled()
    widget.project.go_to(3)
    strip.watch.click()
    assert run.previews.wanted(8) == [2, 5]
    job.run_folder = run.path  # its folder is there now, and it hears of the wish
    strip.refresh()
    assert strip.found is not None
    assert 3 in run.previews.wanted(8)
    monkeypatch.setattr(widget.jobs, "job", None)
