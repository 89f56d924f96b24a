"""HOTA and the others against hand-made cases, and against TrackEval's own reading of files."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree import rle
from maskfree.errors import InputError
from maskfree.formats import Annotations, export
from maskfree.track_eval import TRACK_METRICS, FrameMasks, track_metrics
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (24, 32)
LABELS = {1: "cat", 2: "cat", 3: "dog", 4: "dog", 5: "cat"}
trackeval = pytest.importorskip("trackeval")


def cell(y: int, x: int, side: int = 8) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def frame(
    truth: dict[int, np.ndarray], found: dict[int, np.ndarray], score: float = 1.0
) -> FrameMasks:
    return FrameMasks(truth, found, dict.fromkeys(found, score))


def still(_: int) -> str:
    return "object"


# ---- by hand


def test_what_is_right_throughout_has_ones() -> None:
    masks = {1: cell(0, 0), 2: cell(12, 12)}
    found = track_metrics([frame(masks, masks)] * 4, still)
    assert list(found) == ["all", "object"]
    for scores in found.values():
        assert set(scores) == set(TRACK_METRICS)
        assert scores.pop("AR1") == 0.5  # one of the two
        assert all(value == pytest.approx(1) for value in scores.values())


def test_ids_need_not_be_the_same_but_must_stay() -> None:
    truth = {1: cell(0, 0), 2: cell(12, 12)}
    other = {8: truth[1], 5: truth[2]}
    turned = {8: truth[2], 5: truth[1]}
    kept = track_metrics([frame(truth, other)] * 4, still)["all"]
    swapped = track_metrics([*[frame(truth, other)] * 2, *[frame(truth, turned)] * 2], still)["all"]
    assert kept["HOTA"] == kept["IDF1"] == kept["MOTSA"] == pytest.approx(1)
    assert swapped["DetA"] == pytest.approx(1)
    assert swapped["AssA"] == pytest.approx(1 / 3)  # 2 of the 6 that either track has
    assert swapped["HOTA"] == pytest.approx((1 / 3) ** 0.5)
    assert swapped["IDF1"] == pytest.approx(0.5)
    assert swapped["MOTSA"] == pytest.approx(1 - 2 / 8)  # each of two tracks once


def test_what_was_not_there_and_what_was_not_found_count() -> None:
    truth = {1: cell(0, 0)}
    frames = [frame(truth, truth), frame(truth, {}), frame({}, truth), frame({}, {})]
    found = track_metrics(frames, still)["all"]
    assert found["MOTSA"] == pytest.approx((1 - 1) / 2)
    assert found["IDF1"] == pytest.approx(1 / 2)
    assert found["DetA"] == pytest.approx(1 / 3)
    assert found["AP50"] == 0  # the tracks share one of three masks


def test_the_surest_tracks_count_first() -> None:
    truth = {1: cell(0, 0)}
    wrong, right = cell(12, 12), truth[1]
    for first, expected in ((0.9, 1.0), (0.1, 0.5)):
        frames = [FrameMasks(truth, {7: wrong, 8: right}, {7: 0.5, 8: first})] * 3
        found = track_metrics(frames, still)["all"]
        assert found["AP"] == pytest.approx(expected, abs=0.01)
        assert found["AR1"] == (1.0 if first > 0.5 else 0.0)
        assert found["AR10"] == pytest.approx(1)


def test_a_class_without_truth_has_no_scores_and_no_part_in_the_mean() -> None:
    truth, found = {1: cell(0, 0)}, {1: cell(0, 0), 3: cell(12, 12)}
    scores = track_metrics([frame(truth, found)] * 2, LABELS.__getitem__)
    assert list(scores) == ["all", "cat", "dog"]
    assert set(scores["dog"].values()) == {None}
    assert scores["all"]["AP"] == scores["cat"]["AP"] == pytest.approx(1)
    assert scores["all"]["DetA"] == pytest.approx(1 / 2)  # the dog is one too many


def test_nothing_predicted_and_nothing_true() -> None:
    truth = {1: cell(0, 0)}
    nothing = track_metrics([frame(truth, {})] * 2, still)["all"]
    assert all(value == 0 for value in nothing.values())
    assert set(track_metrics([frame({}, truth)], still)["all"].values()) == {None}
    assert track_metrics([], still) == {"all": dict.fromkeys(TRACK_METRICS)}


def test_without_trackeval_an_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackeval", None)
    with pytest.raises(InputError, match="pip install --no-deps trackeval"):
        track_metrics([], still)


# ---- TrackEval's own way, from files


def scene(seed: int, jitter: int) -> list[InstanceMasks]:
    """Five cells that walk about; some are missed, one changes its id."""
    rng = np.random.default_rng(seed)
    frames = []
    for t in range(9):
        masks, ids, scores = [], [], []
        for number, track_id in enumerate(LABELS):
            y, x = (4 * number + t) % 14, (6 * number + 2 * t) % 22
            if jitter:
                if rng.random() < 0.15:
                    continue
                y, x = y + rng.integers(0, jitter), x + rng.integers(0, jitter)
                track_id = 1 if track_id == 5 and t > 6 and 1 not in ids else track_id
            masks.append(cell(int(y), int(x), 5 + number))
            ids.append(track_id)
            scores.append(round(1 - 0.1 * number, 2))
        frames.append(InstanceMasks(tuple(ids), np.array(masks), tuple(scores)))
    return frames


def annotations(frames: list[InstanceMasks]) -> Annotations:
    tracks = tuple(
        Track(i, LABELS[i], (Keyframe(0, (0.0, 0.0, 8.0, 8.0)),)) for i in sorted(LABELS)
    )
    boxes = BoxTracks(len(frames), *SHAPE, None, tracks)
    return Annotations(boxes, [f"v/{n}" for n in range(len(frames))], frames.__getitem__)


def plain_counts(path: Path) -> None:
    """Write the runs as lists of numbers: TrackEval reads true masks in that form alone."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for each in content["annotations"]:
        for run in filter(None, each["segmentations"]):
            run["counts"] = rle.run_lengths(run["counts"]).tolist()
    path.write_text(json.dumps(content), encoding="utf-8")


def by_trackeval(truth: list[InstanceMasks], found: list[InstanceMasks], place: Path) -> Any:
    """Write both as files and let TrackEval read and score them."""
    gt, data = place / "gt/youtube_vis_train", place / "trackers/youtube_vis_train/ours/data"
    data.mkdir(parents=True)
    export(annotations(truth), gt / "truth.json", "ytvis")
    plain_counts(gt / "truth.json")
    export(annotations(found), place / "found.json", "ytvis")
    content = json.loads((place / "found.json").read_text(encoding="utf-8"))
    # its track 0 counts as not matched: a track that matches nothing comes first
    results = [
        {"video_id": 1, "category_id": 1, "score": 0.0, "segmentations": [None] * len(truth)}
    ]
    for each in content["annotations"]:
        here = [f.scores[f.track_ids.index(each["id"])] for f in found if each["id"] in f.track_ids]
        kept = {key: each[key] for key in ("video_id", "category_id", "segmentations")}
        results.append({**kept, "score": float(np.mean(here)) if here else 0.0})
    (data / "found.json").write_text(json.dumps(results), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = trackeval.datasets.YouTubeVIS(
            {
                "GT_FOLDER": f"{place}/gt/",
                "TRACKERS_FOLDER": f"{place}/trackers/",
                "SPLIT_TO_EVAL": "train",
            }
        )
        metrics = [
            trackeval.metrics.HOTA(),
            trackeval.metrics.CLEAR(),
            trackeval.metrics.Identity(),
            trackeval.metrics.TrackMAP({"USE_AREA_RANGES": False, "USE_TIME_RANGES": False}),
        ]
        settings = {"USE_PARALLEL": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False}
        settings |= {"PLOT_CURVES": False, "OUTPUT_EMPTY_CLASSES": False, "BREAK_ON_ERROR": True}
        scored, _ = trackeval.Evaluator(settings).evaluate([dataset], metrics)
    return scored["YouTubeVIS"]["ours"]["COMBINED_SEQ"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_numbers_are_those_of_trackeval_from_files(seed: int, tmp_path: Path) -> None:
    truth, found = scene(seed, 0), scene(seed, 3)
    theirs = by_trackeval(truth, found, tmp_path)
    frames = [
        FrameMasks(
            dict(zip(t.track_ids, t.masks, strict=True)),
            dict(zip(f.track_ids, f.masks, strict=True)),
            dict(zip(f.track_ids, f.scores, strict=True)),
        )
        for t, f in zip(truth, found, strict=True)
    ]
    ours = track_metrics(frames, LABELS.__getitem__)
    for name in ("cat", "dog"):
        hota, own = theirs[name]["HOTA"], ours[name]
        for metric in ("HOTA", "DetA", "AssA"):
            assert own[metric] == pytest.approx(np.mean(hota[metric]))
        assert own["IDF1"] == pytest.approx(theirs[name]["Identity"]["IDF1"])
        assert own["MOTSA"] == pytest.approx(theirs[name]["CLEAR"]["MOTA"])
        precision = theirs[name]["TrackMAP"]["AP_all"]
        assert own["AP"] == pytest.approx(np.mean(precision))
        assert (own["AP50"], own["AP75"]) == pytest.approx((precision[0], precision[5]))
        assert 0 < own["HOTA"] < 1
