"""AP and AR over a data set: by hand, and against TrackEval's own reading of the same files."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree import rle
from maskfree.datasets.types import DataInstance, DataVideo, VideoDataset
from maskfree.errors import InputError, InputWarning
from maskfree.inference.average_precision import AP_METRICS, AveragePrecision
from maskfree.inference.results import ResultsFile
from maskfree.inference.video_inference import FoundTrack

if TYPE_CHECKING:
    from collections.abc import Sequence

trackeval = pytest.importorskip("trackeval")
FILES = Path(__file__).parent / "files/trackeval"
HEIGHT, WIDTH, FRAMES = 24, 32, 4
CLASSES, IDS = ("cat", "dog", "fox"), (3, 5, 9)


def square(y: int, x: int, side: int = 8) -> str:
    mask = np.zeros((1, HEIGHT, WIDTH), bool)
    mask[0, y : y + side, x : x + side] = True
    return rle.encode(mask)[0]


def true(number: int, label: int, *masks: str | None, crowd: bool = False) -> DataInstance:
    segments = {frame: mask for frame, mask in enumerate(masks) if mask is not None}
    boxes = np.zeros((len(masks), 4), np.float32)
    return DataInstance(number, label, boxes, crowd, segments)


def dataset(*videos: Sequence[DataInstance], frames: int = FRAMES) -> VideoDataset:
    made = [
        DataVideo(
            number + 1,
            f"v{number}",
            HEIGHT,
            WIDTH,
            tuple(f"v{number}/{frame}.jpg" for frame in range(frames)),
            tuple(instances),
        )
        for number, instances in enumerate(videos)
    ]
    return VideoDataset("animals", Path("pictures"), CLASSES, IDS, made)


def scored(data: VideoDataset, found: Sequence[Sequence[FoundTrack]]) -> Any:
    scores = AveragePrecision(data)
    for video, tracks in zip(data.videos, found, strict=True):
        scores.add(video, tracks)
    return scores.scores()


# ---- by hand

HERE, THERE = (square(0, 0),) * FRAMES, (square(12, 20),) * FRAMES


def test_what_is_right_throughout_has_ones() -> None:
    data = dataset([true(1, 0, *HERE), true(2, 1, *THERE)], [true(3, 0, *THERE)])
    found = [[FoundTrack(0, 0.9, HERE), FoundTrack(1, 0.8, THERE)], [FoundTrack(0, 0.7, THERE)]]
    scores = scored(data, found)
    assert scores.mean == dict.fromkeys(AP_METRICS, pytest.approx(1))
    assert scores.classes["cat"] == pytest.approx(scores.mean)
    assert scores.classes["fox"] is None


def test_the_tracks_of_a_class_are_ranked_over_all_videos() -> None:
    """One of two found, after a wrong one of the other video: precision 1/2 up to recall 1/2."""
    data = dataset([true(1, 0, *HERE)], [true(2, 0, *HERE)])
    found = [[FoundTrack(0, 0.9, THERE)], [FoundTrack(0, 0.5, HERE)]]
    scores = scored(data, found).mean
    assert scores["AP"] == pytest.approx(0.5 * 51 / 101)
    assert scores["AR1"] == scores["AR10"] == 0.5
    turned = [[FoundTrack(0, 0.5, THERE)], [FoundTrack(0, 0.9, HERE)]]
    assert scored(data, turned).mean["AP"] == pytest.approx(51 / 101)


def test_the_overlap_is_that_of_the_whole_track() -> None:
    """Three of four frames right, the other one nowhere: IoU 3/4, and 3/5 where it is elsewhere."""
    data = dataset([true(1, 0, *HERE)])
    part = scored(data, [[FoundTrack(0, 0.9, (*HERE[:3], None))]]).mean
    assert (part["AP50"], part["AP75"]) == (pytest.approx(1), pytest.approx(1))
    assert part["AP"] == pytest.approx(6 / 10)  # 0.5, 0.55, …, 0.75
    elsewhere = scored(data, [[FoundTrack(0, 0.9, (*HERE[:3], THERE[0]))]]).mean
    assert elsewhere["AP75"] == 0
    assert elsewhere["AP"] == pytest.approx(3 / 10)


def test_one_track_a_video_counts_for_ar1_and_ten_for_ar10() -> None:
    data = dataset([true(1, 0, *HERE), true(2, 0, *THERE)])
    tracks = [FoundTrack(0, 0.9, HERE), *[FoundTrack(0, 0.8, (square(0, 20),) * FRAMES)] * 9]
    scores = scored(data, [[*tracks, FoundTrack(0, 0.1, THERE)]]).mean
    assert (scores["AR1"], scores["AR10"]) == (0.5, 0.5)
    scores = scored(data, [[*tracks[:9], FoundTrack(0, 0.1, THERE)]]).mean
    assert (scores["AR1"], scores["AR10"]) == (0.5, 1)


def test_a_class_without_truth_has_no_part_but_a_video_without_truth_has() -> None:
    data = dataset([true(1, 0, *HERE)], [])
    right = FoundTrack(0, 0.5, HERE)
    assert scored(data, [[right, FoundTrack(2, 0.9, HERE)], []]).mean["AP"] == pytest.approx(1)
    wrong = scored(data, [[right], [FoundTrack(0, 0.9, HERE)]]).mean
    assert wrong["AP"] == pytest.approx(0.5)


def test_a_crowd_is_neither_missed_nor_wrong() -> None:
    data = dataset([true(1, 0, *HERE), true(2, 0, *THERE, crowd=True)])
    both = [FoundTrack(0, 0.4, HERE), FoundTrack(0, 0.9, THERE)]
    assert scored(data, [both]).mean["AP"] == pytest.approx(1)
    assert scored(data, [both[:1]]).mean["AR1"] == 1


def test_nothing_found_is_nought_and_nothing_true_is_said() -> None:
    data = dataset([true(1, 0, *HERE)])
    assert scored(data, [[]]).mean == dict.fromkeys(AP_METRICS, 0.0)
    unmasked = dataclasses.replace(data.videos[0].instances[0], segments=None)
    with pytest.raises(InputError, match="animals has no true masks, which AP is measured on"):
        AveragePrecision(dataset([unmasked]))
    with pytest.raises(InputError, match="None of the videos has a true track"):
        scored(dataset([true(1, 0, *HERE, crowd=True)]), [[]])


# ---- against TrackEval on files


def test_the_numbers_are_those_of_trackevals_command_line() -> None:
    """Of files kept beside the tests, see their README."""
    truth = json.loads((FILES / "true.json").read_text(encoding="utf-8"))
    video = truth["videos"][0]
    size = video["height"], video["width"]
    instances = []
    for each in truth["annotations"]:
        masks = [
            None if runs is None else rle.encode(_drawn(runs["counts"], size)[None])[0]
            for runs in each["segmentations"]
        ]
        instances.append(true(each["id"], each["category_id"] - 1, *masks))
    names = tuple(category["name"] for category in truth["categories"])
    seen = DataVideo(1, "v", *size, tuple(video["file_names"]), tuple(instances))
    data = VideoDataset("kept", Path("pictures"), names, (1, 2), [seen])
    scores = AveragePrecision(data)
    scores.add(seen, ResultsFile(FILES / "results.json", data).of(seen))
    lines = (FILES / "youtube_vis-mean.txt").read_text(encoding="utf-8").splitlines()
    theirs = dict(zip(lines[0].split(), map(float, lines[1].split()), strict=True))
    found = scores.scores().mean
    assert found["AP"] == pytest.approx(theirs["AP_all"] / 100, abs=1e-5)
    assert found["AR10"] == pytest.approx(theirs["AR_all"] / 100, abs=1e-5)


def _drawn(runs: list[int], size: tuple[int, int]) -> np.ndarray:
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return pixels.reshape(size[1], size[0]).T


def scene(seed: int) -> tuple[VideoDataset, list[list[FoundTrack]]]:
    """Five videos of squares that walk; what is found differs by some pixels, some is missed."""
    rng = np.random.default_rng(seed)
    videos, results = [], []
    for number in range(5):
        instances, found = [], []
        for place in range(int(rng.integers(1, 4))):
            label, side = int(rng.integers(0, 2)), 6 + 2 * place
            ways = [(int(y), int(x)) for y, x in rng.integers(0, 14, (FRAMES, 2))]
            masks = [None if rng.random() < 0.2 else square(*way, side) for way in ways]
            masks[0] = masks[0] or square(*ways[0], side)
            instances.append(true(10 * number + place, label, *masks))
            if rng.random() < 0.8:
                off = int(rng.integers(0, 3))
                near = tuple(
                    m and square(y + off, x, side) for m, (y, x) in zip(masks, ways, strict=True)
                )
                label = label if rng.random() < 0.8 else 2
                found.append(FoundTrack(label, float(rng.random()), near))
        found.append(FoundTrack(0, float(rng.random()), (square(0, 20, 5),) * FRAMES))
        videos.append(instances)
        results.append(found)
    return dataset(*videos), results


def by_trackeval(data: VideoDataset, found: list[list[FoundTrack]], place: Path, most: int) -> Any:
    """Write both as files and let TrackEval read and score them."""
    truth, tracker = place / "gt/youtube_vis_train", place / "tr/youtube_vis_train/ours/data"
    truth.mkdir(parents=True, exist_ok=True)
    tracker.mkdir(parents=True, exist_ok=True)
    size = [HEIGHT, WIDTH]
    content: dict[str, Any] = {
        "videos": [{"id": v.id, "file_names": v.files} for v in data.videos],
        "categories": [{"id": i, "name": n} for i, n in zip(IDS, CLASSES, strict=True)],
        "annotations": [],
    }
    # its track 0 counts as not matched: a track that matches nothing comes first
    results: list[dict[str, Any]] = [
        {"video_id": 1, "category_id": 3, "score": -1.0, "segmentations": [None] * FRAMES}
    ]
    for video, tracks in zip(data.videos, found, strict=True):
        for each in video.instances:
            shown = [(each.segments or {}).get(frame) for frame in range(FRAMES)]
            runs = [s and {"size": size, "counts": rle.run_lengths(s).tolist()} for s in shown]
            areas = [s and int(rle.run_lengths(s)[1::2].sum()) for s in shown]
            content["annotations"].append(
                {
                    "id": each.id,
                    "video_id": video.id,
                    "category_id": IDS[each.class_index],
                    "iscrowd": 0,
                    "height": HEIGHT,
                    "width": WIDTH,
                    "segmentations": runs,
                    "areas": areas,
                }
            )
        for track in tracks:
            masks = [s and {"size": size, "counts": s} for s in track.segments]
            category = IDS[track.class_index]
            entry = {"video_id": video.id, "category_id": category, "score": track.score}
            results.append({**entry, "segmentations": masks})
    (truth / "truth.json").write_text(json.dumps(content), encoding="utf-8")
    (tracker / "found.json").write_text(json.dumps(results), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        folders = {"GT_FOLDER": f"{place}/gt/", "TRACKERS_FOLDER": f"{place}/tr/"}
        read = trackeval.datasets.YouTubeVIS({**folders, "SPLIT_TO_EVAL": "train"})
        settings = {"USE_AREA_RANGES": False, "USE_TIME_RANGES": False, "MAX_DETECTIONS": most}
        evaluator = {"USE_PARALLEL": False, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False}
        evaluator |= {"PLOT_CURVES": False, "BREAK_ON_ERROR": True, "PRINT_RESULTS": False}
        metric = trackeval.metrics.TrackMAP(settings)
        scores, _ = trackeval.Evaluator(evaluator).evaluate([read], [metric])
    return scores["YouTubeVIS"]["ours"]["COMBINED_SEQ"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_numbers_are_those_of_trackeval_from_files(seed: int, tmp_path: Path) -> None:
    data, found = scene(seed)
    ours = scored(data, found)
    theirs = {most: by_trackeval(data, found, tmp_path, most) for most in (0, 1, 10)}
    for name in ("cat", "dog"):
        own = ours.classes[name]
        precision = theirs[0][name]["TrackMAP"]["AP_all"]
        assert own["AP"] == pytest.approx(np.mean(precision))
        assert (own["AP50"], own["AP75"]) == pytest.approx((precision[0], precision[5]))
        assert 0 < own["AP50"] < 1
        for metric, most in (("AR1", 1), ("AR10", 10)):
            recall = theirs[most][name]["TrackMAP"]["AR_all"]
            assert own[metric] == pytest.approx(np.mean(recall))
    assert ours.classes["fox"] is None
    mean = theirs[0]["cls_comb_cls_av"]["TrackMAP"]["AP_all"]
    assert ours.mean["AP"] == pytest.approx(np.mean(mean))


def test_classes_of_one_name_are_told_apart() -> None:
    data = dataclasses.replace(
        dataset([true(1, 0, *HERE), true(2, 1, *THERE)]), classes=("a", "a", "b")
    )
    found = scored(data, [[FoundTrack(0, 0.9, HERE)]])
    assert found.mean["AP"] == pytest.approx(0.5)
    assert list(found.classes) == ["a (3)", "a (5)", "b"]


def test_true_tracks_without_a_mask_are_said() -> None:
    data = dataset([true(1, 0, *HERE), true(2, 1)])
    bare = dataclasses.replace(data.videos[0].instances[1], boxes=np.ones((FRAMES, 4), np.float32))
    video = dataclasses.replace(data.videos[0], instances=(data.videos[0].instances[0], bare))
    with pytest.warns(InputWarning, match="1 videos have true tracks without a mask, .*: v0"):
        AveragePrecision(dataclasses.replace(data, videos=[video]))
