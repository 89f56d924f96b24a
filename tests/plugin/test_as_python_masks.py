"""What *Copy as Python* copies does to masks and runs what the action does."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.belief import Belief
from maskfree.clicks import Click
from maskfree.config import Config
from maskfree.consensus_memory import ConsensusMemory
from maskfree.corrections import Correction
from maskfree.kept_masks import keep_masks, show_run, shown_run
from maskfree.mask_place import labels_of
from maskfree.preflight_figures import Estimate, Measured
from maskfree.types import InstanceMasks
from napari_maskfree import gold
from napari_maskfree.box_again import box_from_mask
from napari_maskfree.clicking import Clicks
from napari_maskfree.correct import accept, paint_frames, take_back
from napari_maskfree.tidy import apply_tidied, tidied

H, W = 64, 96


def block(rows: slice = slice(None), columns: slice = slice(0, 48)) -> np.ndarray:
    mask = np.zeros((H, W), bool)
    mask[rows, columns] = True
    return mask


def on_disk(state) -> dict:
    return state.session.corrections.read_all()


def said_by(state, copied, name, change, **more) -> None:
    """Run an action's Python, then the action: they must have said the same."""
    state.corrections.save()
    before = {f: state.session.corrections.read(f) for f in range(8)}
    copied(name, **more)
    by_python = on_disk(state)
    for frame, own in before.items():
        state.session.corrections.write(frame, own)
    change()
    assert by_python == state.corrections.items()
    state.corrections.save()


def test_it_accepts_and_takes_back(saved, copied):
    said_by(saved, copied, "accept", lambda: accept(saved, 3, saved.session.masks.read(3)))
    assert saved.corrections[3][1].accepted
    said_by(saved, copied, "take_back", lambda: take_back(saved, 3))
    assert not len(saved.corrections)


def test_masks_that_lie_elsewhere_are_not_accepted(saved, copied, capsys):
    masks = np.stack([block(columns=slice(70, 90)), block(columns=slice(52, 60))])
    away = InstanceMasks((1, 2), masks, (0.5, 0.5))
    saved.session.mask_store().write(3, away)
    said_by(saved, copied, "accept", lambda: accept(saved, 3, saved.session.masks.read(3)))
    assert saved.corrections[3].keys() == {2}
    assert "[1]" in capsys.readouterr().out


def test_it_accepts_and_lists_the_rest(saved, copied, capsys):
    copied("accept_next")
    assert saved.session.corrections.read(3)[1].accepted
    said = capsys.readouterr().out
    assert "frame 0, track 1: 0.50" in said
    assert "frame 3" not in said


def test_gold_is_marked_and_taken_back(saved, copied):
    masks = saved.session.masks.read(3)
    said_by(saved, copied, "gold", lambda: gold.mark(saved, 3, masks))
    assert saved.corrections[3].keys() == {1, 2}  # of the second track is said that it is nowhere
    said_by(saved, copied, "gold", lambda: gold.unmark(saved, 3), gold=True)


def test_paint_is_a_correction(saved, copied):
    before = labels_of(saved.session.masks.read(3), H, W)
    after = before.copy()
    after[10:18, 60:68] = 1
    said_by(
        saved, copied, "correct", lambda: paint_frames(saved, {3: (before, after)}), yx=(10, 60)
    )


@pytest.mark.parametrize(
    ("name", "belongs"), [("click_belongs", True), ("click_not", False), ("click_mode", True)]
)
def test_a_click_is_a_correction(saved, copied, name, belongs):
    labels = labels_of(saved.session.masks.read(3), H, W)
    with saved.session.open_video() as video:
        picture = np.ascontiguousarray(video[3])
    click = Click(20, 30, belongs)
    said_by(
        saved,
        copied,
        name,
        lambda: Clicks().apply(saved, 3, picture, labels, click),
        yx=(20, 30),
    )


def test_a_click_knows_of_those_before(saved, copied):
    labels = labels_of(saved.session.masks.read(3), H, W)
    with saved.session.open_video() as video:
        picture = np.ascontiguousarray(video[3])
    clicks = Clicks()
    clicks.apply(saved, 3, picture, labels, Click(20, 30, True))
    saved.corrections.save()
    earlier = [(c.y, c.x, c.belongs) for c in clicks.of(saved, 3, 1)]
    assert earlier == [(20, 30, True)]
    said_by(
        saved,
        copied,
        "click_not",
        lambda: clicks.apply(
            saved, 3, picture, labels_of(saved.session.masks.read(3), H, W), Click(25, 40, False)
        ),
        yx=(25, 40),
        clicks=tuple(earlier),
    )


def test_the_box_is_made_from_the_mask(saved, copied):
    copied("box_from_mask")
    box_from_mask(saved, 3, saved.session.masks.read(3))
    assert saved.session.boxes == saved.tracks


def test_holes_and_specks_go(saved, copied):
    mask = block()
    mask[20:23, 20:23], mask[5, 70] = False, True
    saved.session.mask_store().write(3, InstanceMasks((1,), mask[None], (0.5,)))

    def press() -> None:
        found = tidied(3, saved.session.masks.read(3), {}, track_id=1, max_size=9)
        apply_tidied(saved, found)

    said_by(saved, copied, "tidy_masks", press, size=9)
    assert saved.corrections[3][1].is_object.sum() == 9


def test_it_carries_on_and_tells_what_changed(saved, copied, capsys):
    corner, store = block(slice(0, 20), slice(0, 20)), saved.session.corrections
    store.write(3, {1: Correction.make(~block() & corner, corner)})
    store.write(5, {1: Correction.whole(block())})
    copied("carry_on")
    assert {2, 4} <= set(store.frames())
    assert store.read(4)[1].carried == 3
    assert store.read(5) == {1: Correction.whole(block())}
    assert 6 not in store.frames()
    capsys.readouterr()
    copied("next_changed", source=3)
    assert "FrameChange(frame=4" in capsys.readouterr().out


# ---- what explains the masks


def test_scores_and_reasons_are_printed(saved, copied, capsys):
    copied("next_review")
    assert "frame 0, track 1: 0.50" in capsys.readouterr().out
    copied("confidence")
    assert "track 1: 0.53" in capsys.readouterr().out
    copied("disagreement")
    assert "(64, 96)" in capsys.readouterr().out
    copied("categories")
    assert "{" in capsys.readouterr().out


def test_a_pixel_has_look_alikes(copied, capsys):
    found = copied("pick_pixel", yx=(30, 30), each_side=2)
    assert sorted(found["frames"]) == [1, 2, 3, 4, 5]
    assert "TOO_FAR" in capsys.readouterr().out
    assert copied("follow_cursor", yx=(30, 30))["cell"] == found["cell"]
    assert copied("tube", yx=(30, 30), tube=3)["path"].wanted == 3


def test_evidence_is_that_of_the_weights_that_are_kept(saved, copied, capsys):
    run = saved.session.new_run(Config(), seed=0)
    run.best_path.write_bytes(b"")
    run.keep("best")
    memory = ConsensusMemory(Belief.of(np.zeros((8, 4, 5), np.int8)), 1.0, {})
    run.best_memory_path.write_bytes(memory.to_bytes())
    copied("evidence")
    assert "(8, 4, 5)" in capsys.readouterr().out


# ---- runs


def add_run(session, columns: int) -> str:
    run = session.new_run(Config(), seed=0)
    keep_masks(session)
    session.predict_log.clear()
    session.predict_log.append({"status": "done", "run": run.name})
    for frame in range(8):
        masks = InstanceMasks((1,), block(columns=slice(0, columns))[None], (0.5,))
        session.mask_store().write(frame, masks)
    return run.name


@pytest.fixture
def two_runs(saved):
    add_run(saved.session, 20)
    add_run(saved.session, 60)
    return saved


def test_one_goes_back_to_a_run(two_runs, copied, capsys):
    session = two_runs.session
    copied("show_run", run="0001")
    assert shown_run(session) == "0001"
    assert session.masks.read(3).masks.sum() == 20 * H
    show_run(session, "0002")
    copied("runs")
    assert "name='0002'" in capsys.readouterr().out


def test_two_runs_are_compared(two_runs, copied, capsys):
    assert copied("compare", run="0001")["found"].mean == pytest.approx(1 / 3)
    copied("next_changed")
    assert f"FrameChange(frame=0, pixels={40 * H}" in capsys.readouterr().out


def test_runs_are_scored_on_gold_frames(two_runs, copied, capsys):
    two_runs.session.corrections.write(3, {1: Correction.whole(block(), gold=True)})
    copied("gold_scores")
    assert "0002" in capsys.readouterr().out


def test_it_trains_and_predicts(saved, copied, monkeypatch):
    asked = []

    def finetune(session, config, *, device, seed, start="auto", previews=None):
        asked.append((session.path, config.optimiser.steps, device, seed, start, previews))
        return iter(())

    monkeypatch.setattr("maskfree.train.finetune", finetune)
    monkeypatch.setattr("maskfree.predict.predict", lambda s, device: asked.append(device) or ())
    now = {"preset": "paper", "steps": 7, "device": "cpu", "seed": 3}
    copied("fine_tune", **now)
    copied("predict_again", **now)
    copied("watch_frame", **now, start="fresh", previews=(2, 5))
    path = saved.session.path
    assert asked == [
        (path, 7, "cpu", 3, "auto", None),
        "cpu",
        "cpu",
        (path, 7, "cpu", 3, "fresh", [2, 5]),
        "cpu",
    ]


def test_a_run_at_work_is_told(saved, copied):
    run = saved.session.new_run(Config(), seed=0)
    copied("watch_frame", training=True, previews=(2, 5))
    assert run.previews.wanted(8) == [2, 5]
    copied("keep_best", training=True)
    assert run.stop_keeps_best
    run.clear_stop()
    copied("cancel")
    assert run.stop_requested
    assert not run.stop_keeps_best


def test_the_best_is_used_and_the_last_again(saved, copied, monkeypatch):
    monkeypatch.setattr("maskfree.predict.predict", lambda _, device: ())
    run = saved.session.new_run(Config(), seed=0)
    run.best_path.write_bytes(b"")
    run.weights_path.write_bytes(b"")
    copied("keep_best")
    assert run.keeps_best
    copied("keep_best", keeps_best=True)
    assert not run.keeps_best
    killed = saved.session.new_run(Config(), seed=0)  # all that is left of it are its best weights
    killed.best_path.write_bytes(b"")
    copied("keep_best")
    assert killed.keeps_best
    assert not run.keeps_best


def test_a_run_is_estimated(saved, copied, capsys, monkeypatch):
    asked = []

    class Child:
        def __init__(self, source):
            asked.append(source)

        def __call__(self, config, device):
            asked.append(config.optimiser.steps)
            return Measured("cpu", Estimate(1.0, 2.0, 3.0), 10, 100)

    monkeypatch.setattr("maskfree.preflight_process.Child", Child)
    copied("estimate", steps=7, fallbacks=("clip", "cpu"))
    assert asked == [{"session": str(saved.session.path)}, 7]
    assert "It fits as it is" in capsys.readouterr().out
    copied("estimate", start="last")
    assert asked[2] == {"session": str(saved.session.path), "start": "last"}


def test_it_exports_and_tells_what_there_is(saved, copied, tmp_path, capsys):
    copied("export", target=str(tmp_path / "out"), format="davis")
    assert len([*(tmp_path / "out").rglob("*.png")]) == 8
    copied("open_video")
    assert "(8, 64, 96, 3)" in capsys.readouterr().out
    copied("open_session")
    assert "'masks': {'frames': 8}" in capsys.readouterr().out
