"""Results of a data set: layouts, the file, going on after a kill, what others wrote."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskfree import rle
from maskfree.config import InferenceConfig
from maskfree.datasets.types import DataVideo, VideoDataset
from maskfree.errors import InputError, InputWarning
from maskfree.formats import VideoFacts, read
from maskfree.inference.layouts import layout_of, require_tracks
from maskfree.inference.results import ResultsFile
from maskfree.inference.shared_classes import shared_classes
from maskfree.inference.spool import ResultsSpool
from maskfree.inference.video_inference import FoundTrack

SIZE = (6, 8)
FILES = ("v/0000.jpg", "v/0001.jpg")
VIDEO = DataVideo(41, "v", *SIZE, FILES, ())
OTHER = DataVideo(42, "w", *SIZE, ("w/0.jpg",), ())
DATASET = VideoDataset("animals", Path("pictures"), ("cat", "dog"), (3, 7), [VIDEO, OTHER])
ABOUT = {"weights": "abc", "data": ["animals", 2]}


def mask(y: int, x: int, side: int = 3) -> np.ndarray:
    made = np.zeros(SIZE, bool)
    made[y : y + side, x : x + side] = True
    return made


def counts(made: np.ndarray) -> str:
    return rle.encode(made[None])[0]


FOUND = [
    FoundTrack(1, 0.75, (counts(mask(0, 0)), None)),
    FoundTrack(0, 0.5, (counts(mask(1, 1)), counts(mask(2, 2)))),
]


def entries(kind: str, video: DataVideo = VIDEO, found: list[FoundTrack] | None = None) -> Any:
    made = layout_of(kind)(FOUND if found is None else found, video, DATASET, InferenceConfig())
    assert json.loads(json.dumps(made)) == made
    return made


# ---- layouts


@pytest.mark.parametrize("kind", ["ytvis2019", "ytvis2021", "ovis"])
def test_a_track_is_an_entry_with_the_published_ids(kind: str) -> None:
    first, second = entries(kind)
    assert first == {
        "video_id": 41,
        "category_id": 7,
        "score": 0.75,
        "segmentations": [{"size": [6, 8], "counts": counts(mask(0, 0))}, None],
    }
    assert second["category_id"] == 3
    assert entries(kind, found=[]) == []


def test_of_an_image_what_is_not_there_is_no_entry() -> None:
    found = [FoundTrack(1, 0.75, (counts(mask(0, 0)),)), FoundTrack(0, 0.5, (None,))]
    assert entries("coco", OTHER, found) == [
        {
            "image_id": 42,
            "category_id": 7,
            "score": 0.75,
            "segmentation": {"size": [6, 8], "counts": counts(mask(0, 0))},
        }
    ]


def test_bdd100k_has_frames_whose_masks_do_not_overlap() -> None:
    unsure = FoundTrack(0, 0.29, (counts(mask(3, 5)), None))
    first, second = entries("bdd100k", found=[FOUND[1], unsure, FOUND[0]])
    assert (first["name"], first["videoName"], first["frameIndex"]) == ("0000.jpg", "v", 0)
    assert second["frameIndex"] == 1
    assert [(each["id"], each["category"]) for each in first["labels"]] == [
        ("1", "dog"),
        ("2", "cat"),
    ]
    assert [each["id"] for each in second["labels"]] == ["2"]
    masks = [rle.decode(each["rle"]["counts"], *SIZE) for each in first["labels"]]
    assert (masks[0] == mask(0, 0)).all()
    assert (masks[1] == (mask(1, 1) & ~mask(0, 0))).all()
    hidden = FoundTrack(0, 0.5, (counts(mask(0, 0, 2)), None))
    assert len(entries("bdd100k", found=[FOUND[0], hidden])[0]["labels"]) == 1


def test_bdd100ks_frames_are_what_the_format_bdd100k_reads(tmp_path: Path) -> None:
    path = written(tmp_path / "frames.json", entries("bdd100k"))
    facts = VideoFacts(2, *SIZE, None, ["0000", "0001"])
    back = read(path, "bdd100k", video=facts)
    assert [track.label for track in back.boxes.tracks] == ["dog", "cat"]
    masks = back.read_masks(1)
    assert masks is not None
    assert masks.track_ids == (2,)
    assert (masks.masks[0] == mask(2, 2)).all()


def test_ap_of_others_is_measured_with_their_tools() -> None:
    require_tracks("ovis")
    with pytest.raises(InputError, match=r"bdd100k are scored with bdd100k\.eval"):
        require_tracks("bdd100k")


# ---- the file


@pytest.mark.parametrize("name", ["results.json", "results.zip"])
def test_the_file_holds_what_was_put_in_the_order_of_the_videos(name: str, tmp_path: Path) -> None:
    spool = ResultsSpool(tmp_path / name, ABOUT)
    spool.put(10, [{"c": 3}])
    spool.put(2, [{"a": 1}, {"b": None}])
    spool.put(3, [])
    assert spool.finish() == 3
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.namelist() == ["results.json"]
            text = archive.read("results.json")
    else:
        text = (tmp_path / name).read_bytes()
    assert json.loads(text) == [{"a": 1}, {"b": None}, {"c": 3}]


def test_no_results_are_an_empty_list(tmp_path: Path) -> None:
    assert ResultsSpool(tmp_path / "r.json", ABOUT).finish() == 0
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == []


def test_what_was_done_before_a_kill_is_kept(tmp_path: Path) -> None:
    ResultsSpool(tmp_path / "r.json", ABOUT).put(0, [{"a": 1}])
    assert not (tmp_path / "r.json").exists()
    spool = ResultsSpool(tmp_path / "r.json", ABOUT)
    (spool.folder / ".tmp-0a.json").write_text("{", encoding="utf-8")  # cut short
    assert spool.done() == {0}
    spool.put(1, [{"b": 2}])
    assert spool.finish() == 2


def test_results_of_something_else_are_not_gone_on_with(tmp_path: Path) -> None:
    ResultsSpool(tmp_path / "r.json", ABOUT).put(0, [{"a": 1}])
    with pytest.raises(InputError, match=r"parts holds results of other weights, data or settings"):
        ResultsSpool(tmp_path / "r.json", {**ABOUT, "weights": "xyz"})
    (tmp_path / "s.json.parts").mkdir()
    (tmp_path / "s.json.parts/mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds something else"):
        ResultsSpool(tmp_path / "s.json", ABOUT)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    spool = ResultsSpool(tmp_path / "r.json", ABOUT)
    spool.put(0, [])
    (spool.folder / "000000.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"000000\.json is damaged. Remove it and try again"):
        spool.finish()


# ---- reading


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    other = [FoundTrack(0, 0.25, (counts(mask(0, 0)),))]
    first, second = entries("ovis")
    mixed = [first, *entries("ovis", OTHER, other), second]
    results = ResultsFile(written(tmp_path / "r.json", mixed), DATASET)
    assert results.of(VIDEO) == FOUND
    assert results.of(OTHER) == other
    assert ResultsFile(written(tmp_path / "e.json", []), DATASET).of(VIDEO) == []


def test_other_forms_of_masks_are_read(tmp_path: Path) -> None:
    plain = {"size": [6, 8], "counts": rle.run_lengths(counts(mask(0, 0))).tolist()}
    polygon = [[0.0, 0.0, 3.0, 0.0, 3.0, 3.0, 0.0, 3.0]]
    entry = {**entries("ovis")[0], "segmentations": [plain, polygon]}
    (track,) = ResultsFile(written(tmp_path / "r.json", [entry]), DATASET).of(VIDEO)
    assert track.segments[0] == counts(mask(0, 0))
    assert rle.decode(str(track.segments[1]), *SIZE).sum() == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_id": 5}, "result 0 is of a video 5, which animals does not have. Check --kind"),
        ({"video_id": "v"}, "result 0: video_id must be a whole number"),
        ({"category_id": 1}, r"result 0: there is no category 1, only \[3, 7\]"),
        ({"score": None}, "result 0: score must be a finite number, got nothing"),
        ({"segmentations": [None]}, "must have one entry for each of the 2 frames, got 1"),
        (
            {"segmentations": [{"size": [6, 9], "counts": "0"}, None]},
            r"result 0, frame 0: the size of the RLE must be \[height, width\] = \[6, 8\]",
        ),
    ],
)
def test_a_wrong_result_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "r.json", [{**entries("ovis")[0], **change}])
    with pytest.raises(InputError, match=message):
        ResultsFile(path, DATASET).of(VIDEO)


@pytest.mark.parametrize("content", ['{"video_id": 1}', "[1]", "[", ""])
def test_a_file_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"r\.json"):
        ResultsFile(path, DATASET)
    with pytest.raises(InputError, match=r"r\.zip is an archive for a server. Give the results"):
        ResultsFile(tmp_path / "r.zip", DATASET)


# ---- classes


def test_classes_belong_together_by_name() -> None:
    assert shared_classes(["dog", "cat"], DATASET) == [(1, 0), (0, 1)]
    with pytest.warns(InputWarning, match=r'not know 1 of the 2 classes of animals: \["cat"\]'):
        assert shared_classes(["ox", "dog"], DATASET) == [(1, 1)]
    with pytest.raises(InputError, match="no class is common"):
        shared_classes(["ox"], DATASET)
