"""Runs scored on gold frames, worked out by hand on masks of 4 x 6 pixels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from command_line import SMALL
from maskfree.config import Config
from maskfree.corrections import Correction
from maskfree.gold_scores import gold_frames, gold_json, gold_scores, gold_text
from maskfree.kept_masks import keep_masks
from maskfree.session import Session
from maskfree.track_edits import split_track
from maskfree.tracks import empty_tracks
from maskfree.types import Keyframe, Track
from predicted_run import predicted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from command_line import Result
    from maskfree.gold_scores import GoldScores
    from maskfree.types import BoxTracks

H, W, FRAMES = 4, 6, 9
WHOLE = (0.0, 0.0, float(W), float(H))


def area(*rows: int) -> np.ndarray:
    mask = np.zeros((H, W), bool)
    mask[list(rows)] = True
    return mask


def gold(*rows: int) -> Correction:
    return Correction.whole(area(*rows), gold=True)


def boxes(*ids: int) -> BoxTracks:
    tracks = tuple(Track(i, "dog", (Keyframe(0, WHOLE), Keyframe(FRAMES - 1, WHOLE))) for i in ids)
    plain = empty_tracks(FRAMES, H, W, None)
    return type(plain)(FRAMES, H, W, None, tracks)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session.create(tmp_path / "s", video_source=None, boxes=boxes(1, 2))


def numbers(found: list[GoldScores]) -> list[Any]:
    return [
        (each.run, None if each.scores is None else round(each.scores.j, 4), each.frames)
        for each in found
    ]


def test_two_runs_by_hand(session: Session) -> None:
    session.corrections.write(2, {1: gold(0, 1), 2: gold(3)})
    session.corrections.write(5, {1: gold(0)})
    session.corrections.write(6, {1: Correction.whole(area(0))})  # accepted, not gold
    assert gold_frames(session.corrections.read_all()) == [2, 5]
    predicted(session, {2: {1: area(0)}, 5: {1: area(0, 1, 2)}, 6: {1: area(3)}})
    predicted(session, {2: {1: area(0, 1), 2: area(2, 3)}, 5: {1: area(0)}})
    first, second = gold_scores(session)
    assert first.scores is not None
    assert second.scores is not None
    # track 1: 6/12 and 6/18; track 2 was not found
    assert first.scores.tracks[1].j == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert first.scores.tracks[2].j == first.scores.tracks[2].f == 0
    assert first.scores.j == pytest.approx((5 / 12 + 0) / 2)
    assert second.scores.tracks[1].j == second.scores.tracks[1].f == 1
    assert second.scores.tracks[2].j == pytest.approx(6 / 12)
    assert (second.run, second.frames, second.left_out) == ("0002", (2, 5), ())
    # the boundary of rows 0-1 is row 1, of row 0 row 0; the tolerance is one pixel
    assert first.scores.tracks[1].f == pytest.approx((1 + f_of(0, 2)) / 2)


def f_of(true_edge: int, found_edge: int) -> float:
    return float(abs(true_edge - found_edge) <= 1)


def test_a_mask_where_there_is_nothing_counts_as_0_and_none_does_not_count(
    session: Session,
) -> None:
    session.corrections.write(2, {1: gold(0), 2: gold()})
    predicted(session, {2: {1: area(0), 2: area(3)}})
    predicted(session, {2: {1: area(0)}})
    spurious, none = gold_scores(session)
    assert spurious.scores is not None
    assert none.scores is not None
    assert (spurious.scores.j, none.scores.j) == (0.5, 1.0)
    assert list(none.scores.tracks) == [1]
    predicted(session, {2: {}})
    session.corrections.write(2, {2: gold()})
    assert gold_scores(session)[2].scores is None


def test_without_gold_frames_nothing_is_scored_or_written(session: Session) -> None:
    session.corrections.write(2, {1: Correction.whole(area(0))})
    predicted(session, {2: {1: area(0)}})
    assert gold_scores(session) == []
    assert not (session.runs()[0].path / "gold.json").exists()
    assert gold_text([], None, 2) == "2 gold frames: no masks to score"


def test_a_frame_that_the_run_learnt_from_is_left_out(session: Session) -> None:
    session.corrections.write(2, {1: Correction.make(area(0), area(3))})
    predicted(session, {2: {1: area(0)}, 5: {1: area(0)}})
    session.corrections.write(2, {1: gold(0)})
    session.corrections.write(5, {1: gold(0, 1)})
    predicted(session, {2: {1: area(0)}, 5: {1: area(0)}})
    found = gold_scores(session)
    assert numbers(found) == [("0001", 0.5, (5,)), ("0002", 0.75, (2, 5))]
    assert found[0].left_out == ("it was told about frame 2",)
    assert gold_text(found, "0002", 2).startswith("2 gold frames: J 0.750, F 1.000 (run 0002; ")
    assert "left out: it was told about frame 2" in gold_text(found, "0001", 2)


def test_predicting_again_makes_the_masks_the_runs_own(session: Session) -> None:
    predicted(session, {5: {1: area(0)}})
    session.corrections.write(5, {1: Correction.whole(area(0, 1))})
    predicted(session, {5: {1: area(0, 1)}}, fresh=False)
    session.corrections.write(5, {1: gold(0, 1)})
    assert gold_scores(session)[0].scores is None
    predicted(session, {5: {1: area(0)}}, fresh=False)
    assert numbers(gold_scores(session)) == [("0001", 0.5, (5,))]


def test_tracks_that_a_run_knew_elsewhere_are_left_out(session: Session) -> None:
    session.corrections.write(5, {1: gold(0), 2: gold(3)})
    predicted(session, {5: {1: area(0), 2: area(3)}})
    changed, new = split_track(session.boxes, 1, 3)
    session.save_boxes(changed)
    session.corrections.write(5, {new: gold(0), 2: gold(3)})
    predicted(session, {5: {new: area(0, 1), 2: area(3)}})
    found = gold_scores(session)
    assert numbers(found) == [("0001", 1.0, (5,)), ("0002", 0.75, (5,))]
    assert found[0].left_out == ("1 mask of a track that it knew elsewhere or not at all",)
    assert found[0].scores is not None
    assert list(found[0].scores.tracks) == [2]


def test_swapped_tracks_were_elsewhere(session: Session) -> None:
    left, right = (0.0, 0.0, 3.0, 4.0), (3.0, 0.0, 6.0, 4.0)
    tracks = tuple(
        Track(i, "dog", (Keyframe(0, box), Keyframe(8, box))) for i, box in ((1, left), (2, right))
    )
    session.save_boxes(type(session.boxes)(FRAMES, H, W, None, tracks))
    one, two = np.zeros((H, W), bool), np.zeros((H, W), bool)
    one[:, :3], two[:, 3:] = True, True
    predicted(session, {5: {1: one, 2: two}})
    session.corrections.write(
        5, {2: Correction.whole(one, gold=True), 1: Correction.whole(two, gold=True)}
    )
    assert gold_scores(session)[0].left_out == (
        "2 masks of tracks that it knew elsewhere or not at all",
    )
    assert gold_scores(session)[0].scores is None


def test_runs_of_earlier_versions_and_without_masks(session: Session) -> None:
    session.corrections.write(2, {1: gold(0)})
    session.new_run(Config(), seed=0)
    predicted(session, {2: {1: area(0)}})
    (session.runs()[1].path / "told.json").unlink()
    predicted(session, {3: {1: area(0)}})
    old, new = gold_scores(session)
    assert (old.run, old.scores) == ("0002", None)
    assert "earlier version" in old.left_out[0]
    assert new.scores is None
    assert "told about frame 2" in new.left_out[0], "the masks there are the other run's"
    assert gold_text([old, new], "0002", 1).startswith("1 gold frame: no score (run 0002: it was")


def test_only_what_changed_is_scored_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.corrections.write(2, {1: gold(0)})
    session.corrections.write(5, {1: gold(1)})
    predicted(session, {2: {1: area(0)}, 5: {1: area(1)}})
    first = gold_scores(session)
    read: list[int] = []
    whole = type(session.mask_store()).read
    monkeypatch.setattr(
        "maskfree.mask_store.MaskStore.read",
        lambda self, frame: read.append(frame) or whole(self, frame),
    )
    assert gold_scores(session) == first
    assert read == []
    session.corrections.write(5, {1: gold(1, 2)})
    assert numbers(gold_scores(session)) == [("0001", 0.75, (2, 5))]
    assert read == [5]
    keep_masks(session)
    predicted(session, {2: {1: area(0, 1)}, 5: {1: area(1, 2)}}, fresh=True)
    assert numbers(gold_scores(session)) == [("0001", 0.75, (2, 5)), ("0002", 0.75, (2, 5))]
    kept = json.loads((session.runs()[1].path / "gold.json").read_text())
    assert (kept["run"], kept["J"], sorted(kept["frames"])) == ("0002", 0.75, ["2", "5"])
    session.corrections.write(2, {})
    session.corrections.write(5, {})
    assert gold_scores(session) == []
    assert not list(session.path.rglob("gold.json"))


@pytest.mark.parametrize("text", ["{", "[]", '{"frames": {"2": {}}}', '{"frames": {"x": 3}}'])
def test_damaged_scores_are_made_anew(session: Session, text: str) -> None:
    session.corrections.write(2, {1: gold(0)})
    predicted(session, {2: {1: area(0)}})
    path = session.runs()[0].path / "gold.json"
    path.write_text(text)
    assert numbers(gold_scores(session)) == [("0001", 1.0, (2,))]
    assert json.loads(path.read_text())["J"] == 1


def test_damaged_masks_are_no_masks(session: Session) -> None:
    session.corrections.write(2, {1: gold(0)})
    session.corrections.write(5, {1: gold(0)})
    predicted(session, {2: {1: area(0)}, 5: {1: area(0)}})
    (session.mask_store().path / "00002.json").write_text("{")
    (found,) = gold_scores(session)
    assert (found.frames, found.left_out) == ((5,), ("it has no masks of frame 2",))


def test_a_folder_that_may_not_be_written_is_scored_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.corrections.write(2, {1: gold(0)})
    predicted(session, {2: {1: area(0)}})

    def refuse(*_: object) -> Iterator[None]:
        raise PermissionError

    monkeypatch.setattr("maskfree.storage.os.replace", refuse)
    assert numbers(gold_scores(session)) == [("0001", 1.0, (2,))]
    assert not (session.runs()[0].path / "gold.json").exists()


def test_truth_of_another_size_is_passed_over(session: Session) -> None:
    session.corrections.write(2, {1: Correction.whole(np.ones((9, 9), bool), gold=True)})
    predicted(session, {2: {1: area(0)}})
    (found,) = gold_scores(session)
    assert found.scores is None


def test_it_can_be_stopped(session: Session) -> None:
    session.corrections.write(2, {1: gold(0)})
    predicted(session, {2: {1: area(0)}})

    def stop() -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        gold_scores(session, check=stop)


# on the command line


def test_info_names_the_scores(cli: Callable[..., Result], session: Session) -> None:
    assert cli("info", session.path, "--json").json["gold"] == {"frames": [], "runs": []}
    assert "gold" not in cli("info", session.path).out
    session.corrections.write(2, {1: gold(0)})
    predicted(session, {2: {1: area(0, 1)}})
    predicted(session, {2: {1: area(0)}})
    text = cli("info", session.path).out
    assert "gold     1 gold frame: J 1.000, F 1.000 (run 0002; run 0001: J 0.500, F 1.000)" in text
    found = cli("info", session.path, "--json").json["gold"]
    assert found == gold_json(gold_scores(session), [2])
    assert [run["J"] for run in found["runs"]] == [0.5, 1.0]


def test_info_says_what_is_broken_and_tells_the_rest(
    cli: Callable[..., Result], session: Session
) -> None:
    session.corrections.write(2, {1: gold(0)})
    (session.corrections.path / "00002.json").write_text("{")
    found = cli("info", session.path)
    assert found.code == 0
    assert "00002.json" in found.err
    assert "9 frames" in found.out


def test_predict_names_the_scores(cli: Callable[..., Result], clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "session"
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    assert cli(*new, "--steps", 1, *SMALL).code == 0
    predict = ("predict", folder, "--frames", "0:3")
    assert set(cli(*predict, "--json").json) == {"frames", "masks"}
    session = Session.open(folder)
    masks = session.masks.read(1)
    assert masks is not None
    truth = zip(masks.track_ids, masks.masks, strict=True)
    session.corrections.write(1, {i: Correction.whole(m, gold=True) for i, m in truth})
    text = cli(*predict).out
    assert "\n1 gold frame: J 1.000, F 1.000 (run 0001)\nnext: maskfree export" in text
    assert cli(*predict, "--json").json["gold"]["runs"][0]["J"] == 1
