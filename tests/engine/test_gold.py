"""Gold corrections: kept on disk, painted on, renamed, and never learnt from."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction, apply_corrections, from_labels, is_gold, rename_tracks
from maskfree.errors import InputError
from maskfree.hand_pixels import HandPixels
from maskfree.predict import predict
from maskfree.told_frames import told_frames
from test_hand_pixels import SAID, SIZE, make_sampler, said
from training_run import go, last_run, losses_of, same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.session import Session
    from maskfree.types import BoxTracks

SHAPE = (4, 6)


def area(*rows: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[list(rows)] = True
    return mask


def gold(*rows: int) -> Correction:
    return Correction.whole(area(*rows), gold=True)


# as corrections


def test_gold_is_the_frames_when_it_is_any_tracks() -> None:
    assert is_gold({1: Correction.whole(area(0)), 2: gold(1)})
    assert not is_gold({1: Correction.whole(area(0))})
    assert not is_gold({})
    assert gold(0) != Correction.whole(area(0))
    assert gold(0).accepted


def test_what_is_painted_on_a_gold_frame_changes_its_truth() -> None:
    known = {1: gold(0, 1), 2: gold(2)}
    before = np.repeat(np.array([[1], [1], [2], [0]], np.uint16), SHAPE[1], 1)
    after = before.copy()
    after[1], after[3] = 2, 2
    assert from_labels(before, after, known) == {1: gold(0), 2: gold(1, 2, 3)}


def test_a_track_that_is_new_to_a_gold_frame_is_gold_with_the_mask_that_it_has_now() -> None:
    before = np.repeat(np.array([[1], [0], [3], [0]], np.uint16), SHAPE[1], 1)
    after = before.copy()
    after[3], after[1] = 3, 4
    found = from_labels(before, after, {1: gold(0)})
    assert found == {1: gold(0), 3: gold(2, 3), 4: gold(1)}
    assert not is_gold(from_labels(before, after, {1: Correction.whole(area(0))}))


def test_what_is_shown_is_the_truth() -> None:
    shown = apply_corrections(None, {1: gold(0), 2: gold()})
    assert shown is not None
    assert (shown.track_ids, shown.scores) == ((1,), (1.0,))


def test_split_merge_and_swap_take_it_along() -> None:
    frames = {3: {1: gold(0)}, 8: {1: gold(1), 2: gold(2)}}
    assert rename_tracks(frames, {1: 7}, 5) == {8: {7: gold(1), 2: gold(2)}}
    assert rename_tracks(frames, {1: 2, 2: 1}, 0)[8] == {2: gold(1), 1: gold(2)}
    assert rename_tracks(frames, {2: 1}, 0) == {8: {1: gold(2)}}


@pytest.mark.parametrize("absent", [1, 2])
def test_where_one_of_two_merged_tracks_is_nowhere_the_other_stays(absent: int) -> None:
    frames = {8: {1: gold(1), 2: gold(1), absent: gold()}}
    assert rename_tracks(frames, {2: 1}, 0) == {8: {1: gold(1)}}


# on disk


def test_it_is_kept_and_files_without_it_are_read(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path / "corrections")
    plain = Correction.make(area(0), area(3))
    store.write(5, {1: gold(0, 2), 4: gold(), 6: plain})
    assert store.read(5) == {1: gold(0, 2), 4: gold(), 6: plain}
    tracks = json.loads((store.path / "00005.json").read_text())["tracks"]
    assert [track.get("gold") for track in tracks] == [True, True, None]
    store.write(6, {6: plain})
    assert "gold" not in (store.path / "00006.json").read_text(), "as before there was gold"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gold": "yes"}, 'track 1: gold must be true or false, got "yes"'),
        ({"gold": 1}, "track 1: gold must be true or false, got 1"),
    ],
)
def test_a_damaged_mark_is_an_error(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    store = CorrectionStore(tmp_path)
    store.write(5, {1: gold(0)})
    path = tmp_path / "00005.json"
    data = json.loads(path.read_text())
    data["tracks"][0].update(change)
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=words):
        store.read(5)


def test_what_leaves_pixels_open_cannot_be_gold(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path)
    store.write(5, {1: Correction.make(area(0), area(3))})
    path = tmp_path / "00005.json"
    data = json.loads(path.read_text())
    data["tracks"][0]["gold"] = True
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match="a gold mask leaves no pixel open, got 12 open ones"):
        store.read(5)


# kept out of training


def test_gold_pixels_are_not_looked_up() -> None:
    truth = Correction.whole(np.ones(SIZE, bool), gold=True)
    hand = HandPixels({2: {7: truth, 3: SAID}, 8: {7: truth}}, [7, 3], num_frames=12, size=SIZE)
    assert (hand.frames(), hand.frames(0), hand.frames(1)) == ([2], [], [2])
    assert hand.at(0, 2) is None
    assert hand.crop(0, 8, slice(0, 8), slice(0, 8), (4, 4)) is None
    assert not HandPixels({8: {7: truth}}, [7, 3], num_frames=12, size=SIZE)


def test_clips_are_drawn_as_if_nothing_had_been_said(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({0: (8, 4, 40, 44)})
    truth = Correction.whole(np.ones(SIZE, bool), gold=True)
    marked = HandPixels({8: {7: truth}}, [7], num_frames=12, size=SIZE)
    one, other = make_sampler(tracks, None), make_sampler(tracks, marked, share=1.0)
    for _ in range(5):
        first, second = one.draw(), other.draw()
        assert first.clip.frames == second.clip.frames
        assert second.hand is None


def masks_of(session: Session, frame: int) -> dict[int, np.ndarray]:
    found = session.mask_store().read(frame)
    assert found is not None
    return dict(zip(found.track_ids, found.masks, strict=True))


def test_a_run_with_gold_frames_is_bit_for_bit_the_run_without(
    make_session: Any, small_clip: Any, small_config: Config
) -> None:
    from safetensors.torch import load_file

    plain, marked = (make_session(small_clip.frames, small_clip.boxes(every=4)) for _ in range(2))
    upside_down = {i: Correction.whole(small_clip.masks[2] != i, gold=True) for i in (1, 2)}
    marked.corrections.write(2, upside_down)
    runs = []
    for session in (plain, marked):
        list(go(session, small_config, seed=3))
        list(predict(session, device="cpu"))
        runs.append(last_run(session))
    assert losses_of(runs[0]) == losses_of(runs[1])
    assert same(*(load_file(run.weights_path) for run in runs))
    assert runs[0].memory_path.read_bytes() == runs[1].memory_path.read_bytes()
    for frame in range(12):
        own, other = (masks_of(session, frame) for session in (plain, marked))
        assert own.keys() == other.keys()
        assert all(np.array_equal(own[i], other[i]) for i in own), frame
    assert all(np.array_equal(masks, small_clip.masks[2] != i) for i, masks in _shown(marked, 2))
    assert [told_frames(run) for run in runs] == [frozenset(), frozenset()]


def _shown(session: Session, frame: int) -> list[tuple[int, np.ndarray]]:
    found = session.masks.read(frame)
    assert found is not None
    assert found.track_ids == (1, 2)
    return list(zip(found.track_ids, found.masks, strict=True))


# what a run was told


def test_runs_note_what_they_were_told(small_session: Session, small_config: Config) -> None:
    upper = said((slice(0, 16), slice(None)), (slice(48, 64), slice(None)))
    small_session.corrections.write(2, {1: upper})
    list(go(small_session, small_config))
    run = last_run(small_session)
    assert told_frames(run) is None, "it has predicted nothing"
    small_session.corrections.write(5, {1: upper})
    list(predict(small_session, device="cpu", frames=(0, 7)))
    assert told_frames(run) == {2, 5}
    truth = Correction.whole(np.ones(SIZE, bool), gold=True)
    for frame in (2, 5, 6):
        small_session.corrections.write(frame, {1: truth})
    list(predict(small_session, device="cpu", frames=(4, 7)))
    assert told_frames(run) == {2}, "5 is the run's own now, 2 was learnt from"
    list(go(small_session, dataclasses.replace(small_config, preset="other")))
    list(predict(small_session, device="cpu", frames=(6, 7)))
    assert told_frames(last_run(small_session)) == {0, 1, 2, 3, 4, 5}, "the other run's masks"
    assert told_frames(run) == {2}


def test_a_resumed_run_was_told_both_times(small_session: Session, small_config: Config) -> None:
    upper = said((slice(0, 16), slice(None)), (slice(48, 64), slice(None)))
    small_session.corrections.write(2, {1: upper})
    steps = go(small_session, small_config)
    next(steps)
    steps.close()
    small_session.corrections.write(2, {})
    small_session.corrections.write(3, {1: upper})
    list(go(small_session, small_config, resume=True))
    run = last_run(small_session)
    assert json.loads((run.path / "told.json").read_text()) == {"trained": [2, 3]}
    (run.path / "told.json").unlink()  # begun by an earlier version
    list(predict(small_session, device="cpu", frames=(0, 2)))
    assert told_frames(run) is None


def test_a_damaged_note_is_no_note(small_session: Session, small_config: Config) -> None:
    steps = go(small_session, small_config)
    next(steps)
    steps.close()
    run = last_run(small_session)
    for text in ("{", "[]", '{"trained": [-1], "masks": []}', '{"trained": "2", "masks": []}'):
        (run.path / "told.json").write_text(text)
        assert told_frames(run) is None
