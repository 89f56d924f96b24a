"""Truth in a file of annotations: which frames are scored, what does not count, whose classes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from maskfree import rle
from maskfree.annotated_truth import AnnotatedTruth, read_annotated
from maskfree.cli import main
from maskfree.errors import InputError, InputWarning
from maskfree.evaluation import evaluate_tracks
from maskfree.formats import Annotations, VideoFacts, export
from maskfree.metrics import evaluate
from maskfree.numbered_names import NumberedNames
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SHAPE = (20, 30)
NAMES = ["a", "b", "c"]
RIGHT = ((5.0, 0.0), (30.0, 0.0), (30.0, 20.0), (5.0, 20.0))
BOX = (Keyframe(0, (0.0, 5.0, 10.0, 15.0)),)


def part(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[5:15, x0:x1] = True
    return mask


def masks(*pairs: tuple[int, np.ndarray]) -> InstanceMasks:
    stack = np.array([mask for _, mask in pairs]).reshape(-1, *SHAPE)
    return InstanceMasks(tuple(i for i, _ in pairs), stack, (1.0,) * len(pairs))


def annotated(
    frames: list[InstanceMasks | None],
    names: Sequence[str] = NAMES,
    labels: tuple[str, ...] = ("cat", "dog"),
    ignore: tuple[IgnoreRegion, ...] = (),
) -> Annotations:
    tracks = tuple(Track(n, label, BOX) for n, label in enumerate(labels, 1))
    boxes = BoxTracks(len(frames), *SHAPE, None, tracks, ignore)
    return Annotations(boxes, names, frames.__getitem__)


def truth(tmp_path: Path, given: Annotations) -> AnnotatedTruth:
    return AnnotatedTruth(tmp_path / "truth.json", given)


WHOLE, HALF = masks((1, part(0, 10))), masks((1, part(0, 5)))


def test_masks_that_overlap_count_each_in_full(tmp_path: Path) -> None:
    both = masks((1, part(0, 10)), (2, part(5, 15)))
    true = truth(tmp_path, annotated([both, None, None]))
    scores = evaluate({0: both}.get, true, NAMES)
    assert (scores.frames, scores.j, scores.f) == (1, 1.0, 1.0)
    assert set(scores.tracks) == {1, 2}


def test_frames_whose_masks_are_not_known_do_not_count(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([WHOLE, None, masks()]))
    found = {0: HALF, 1: HALF, 2: HALF}
    scores = evaluate(found.get, true, NAMES)
    assert (scores.frames, scores.j) == (2, 0.5)
    assert set(scores.by_frame) == {0, 2}


def test_frames_belong_together_by_name(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([WHOLE, HALF], ["c", "a"]))
    found = {0: HALF, 1: HALF, 2: WHOLE}
    scores = evaluate(found.get, true, NAMES)
    assert (scores.frames, scores.j) == (2, 1.0)


def test_frames_without_names_of_their_own_count_from_the_first(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([HALF, WHOLE], NumberedNames(2)))
    found = {0: HALF, 1: WHOLE, 2: masks()}
    assert evaluate(found.get, true, NAMES).j == 1.0
    few = truth(tmp_path, annotated([HALF, HALF, WHOLE, HALF], NumberedNames(4)))
    with pytest.warns(InputWarning, match="3 frames are none of those that are scored"):
        assert evaluate({0: WHOLE}.get, few, ["2"]).j == 1.0


def test_as_many_frames_with_other_names_are_compared_in_order(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([HALF, WHOLE, HALF], ["x", "b", "y"]))
    found = {0: HALF, 1: WHOLE, 2: HALF}
    with pytest.warns(InputWarning, match=r"named x, b, y, .* a, b, c\. They are compared in"):
        assert evaluate(found.get, true, NAMES).j == 1.0
    wrong = truth(tmp_path, annotated([HALF, WHOLE], ["x", "y"]))
    with pytest.raises(InputError, match="no frame of it is one that is scored"):
        evaluate(found.get, wrong, NAMES)


def test_the_ignore_regions_of_the_truth_hold(tmp_path: Path) -> None:
    ignore = (IgnoreRegion(RIGHT, 0, 0),)
    true = truth(tmp_path, annotated([WHOLE, WHOLE, WHOLE], ignore=ignore))
    scores = evaluate(dict.fromkeys(range(3), HALF).get, true, NAMES)
    assert scores.by_frame[0][1].j == 1.0
    assert scores.by_frame[1][1].j == 0.5
    own = (IgnoreRegion(RIGHT, 2, None),)
    frames = dict.fromkeys(range(3), HALF)
    made = evaluate_tracks(frames.get, true, NAMES, annotated([None] * 3, ignore=own).boxes)
    assert [made.scores.by_frame[n][1].j for n in range(3)] == [1.0, 0.5, 1.0]


def test_an_id_that_stands_for_void(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([masks((1, part(0, 5)), (9, part(5, 30))), None, None]))
    scores = evaluate({0: WHOLE}.get, true, NAMES, void=9)
    assert scores.j == 1.0
    assert set(scores.tracks) == {1}


def test_each_side_has_its_own_classes(tmp_path: Path) -> None:
    pytest.importorskip("trackeval")
    true = truth(tmp_path, annotated([WHOLE] * 3, labels=("bird",)))
    found = dict.fromkeys(range(3), WHOLE)
    boxes = annotated([None] * 3, labels=("cat",)).boxes
    made = evaluate_tracks(found.get, true, NAMES, boxes, tracking=True)
    assert made.classes() == {"bird": (1.0, 1.0)}
    assert made.tracking["bird"]["HOTA"] == 0.0
    assert made.tracking["cat"]["HOTA"] is None
    assert made.tracking["all"]["HOTA"] == pytest.approx(1.0)


def test_boxes_alone_are_no_truth(tmp_path: Path) -> None:
    export(annotated([None] * 3), tmp_path / "boxes.json", "boxes")
    true = read_annotated(tmp_path / "boxes.json", "boxes")
    with pytest.raises(InputError, match=r"boxes\.json holds no masks of the video's frames"):
        evaluate({0: WHOLE}.get, true, NAMES)


def test_another_size_is_refused(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([WHOLE] * 3))
    small = InstanceMasks((1,), np.ones((1, 4, 5), bool), (1.0,))
    with pytest.raises(InputError, match=r"truth.json, frame 0, is 30x20, the video is 5x4"):
        evaluate({0: small}.get, true, NAMES)


def test_a_file_that_does_not_say_its_video(tmp_path: Path) -> None:
    export(annotated([WHOLE, HALF, WHOLE]), tmp_path / "truth.labels.tif", "tiff")
    facts = VideoFacts(3, *SHAPE, None, NAMES)
    true = read_annotated(tmp_path / "truth.labels.tif", "tiff", video=facts)
    assert evaluate({0: WHOLE, 1: HALF, 2: WHOLE}.get, true, NAMES).j == 1.0


def test_frames_that_share_a_name_are_told_apart_by_their_order(tmp_path: Path) -> None:
    names = ["rgb"] * 3
    true = truth(tmp_path, annotated([WHOLE] * 3, names))
    found = {0: WHOLE, 1: HALF, 2: HALF}
    made = evaluate_tracks(found.get, true, names, annotated([None] * 3).boxes)
    assert made.scores.j == pytest.approx(2 / 3)
    assert list(made.to_json(full=True)["frames"]) == ["00000", "00001", "00002"]
    with pytest.warns(InputWarning, match="They are compared in order"):
        assert evaluate(found.get, true, NAMES).j == pytest.approx(2 / 3)
    other = truth(tmp_path, annotated([WHOLE] * 2, names[:2]))
    with pytest.raises(InputError, match="cannot be told apart"):
        evaluate({0: WHOLE}.get, other, NAMES)
    folder = tmp_path / "pngs"
    export(annotated([WHOLE] * 3), folder, "davis")
    with pytest.raises(InputError, match=r"Several frames have one name \(rgb, rgb, rgb\)"):
        evaluate({0: WHOLE}.get, folder, names)


def test_a_frame_that_is_not_scored_is_said(tmp_path: Path) -> None:
    true = truth(tmp_path, annotated([WHOLE] * 3, ["b", "x", "c"]))
    with pytest.warns(InputWarning, match="1 frames are none of those that are scored"):
        assert evaluate({1: WHOLE, 2: HALF}.get, true, [*NAMES, "d"]).j == 0.75


# ---- the command


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert main(["evaluate", *map(str, words), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_annotations_against_annotations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(annotated([WHOLE, HALF, None]), tmp_path / "true.json", "ytvis")
    export(annotated([WHOLE, WHOLE, WHOLE]), tmp_path / "found", "davis")
    given = tmp_path / "found", "--from", "davis", "--truth", tmp_path / "true.json"
    said = told(capsys, *given, "--truth-from", "ytvis", "--full")
    assert said["J"] == 0.75
    assert said["classes"]["cat"]["J"] == 0.75
    assert set(said["frames"]) == {"a", "b"}


@pytest.mark.parametrize("named", [["00000", "00001", "00002"], NAMES])
@pytest.mark.parametrize("video", [False, True])
def test_frames_that_were_not_predicted_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], named: list[str], video: bool
) -> None:
    """A folder has no file for them, and says nothing of those after its last."""
    export(annotated([WHOLE] * 3, named), tmp_path / "true", "davis")
    export(annotated([None, WHOLE, None], named), tmp_path / "found", "davis")
    given: list[str | Path] = []
    if video:
        (tmp_path / "video").mkdir()
        for name in named:
            Image.new("RGB", SHAPE[::-1]).save(tmp_path / f"video/{name}.png")
        given = ["--video", tmp_path / "video"]
    words = tmp_path / "found", "--from", "davis", "--truth", tmp_path / "true", *given
    assert told(capsys, *words)["J"] == pytest.approx(1 / 3)


def test_files_that_count_frames_from_1_are_counted_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rle.encode(part(0, 10)[None])[0]
    for name, count in (("found", 10), ("true", 11)):
        lines = "".join(f"{n} 1001 1 {SHAPE[0]} {SHAPE[1]} {run}\n" for n in range(1, count + 1))
        (tmp_path / f"{name}.txt").write_text(lines)
    given = tmp_path / "found.txt", "--from", "mots", "--truth", tmp_path / "true.txt"
    assert told(capsys, *given, "--truth-from", "mots")["J"] == pytest.approx(10 / 11)


@pytest.mark.parametrize(
    ("found", "true"), [("coco", "davis"), ("davis", "coco"), ("tiff", "coco")]
)
def test_formats_without_classes_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], found: str, true: str
) -> None:
    pytest.importorskip("trackeval")
    suffix = {"coco": ".json", "davis": "", "tiff": ".tif"}
    for place, name in (("found", found), ("true", true)):
        given = annotated([WHOLE] * 3, ["00000", "00001", "00002"])
        export(given, tmp_path / f"{place}{suffix[name]}", name)
    words = tmp_path / f"found{suffix[found]}", "--from", found, "--truth"
    words = *words, tmp_path / f"true{suffix[true]}", "--truth-from", true, "--tracking"
    tracking = told(capsys, *words)["tracking"]
    assert [tracking["all"][name] for name in ("AP", "HOTA")] == pytest.approx([1.0, 1.0])


def test_where_a_cvat_object_is_outside_nothing_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trackeval")
    size = f"<original_size><width>{SHAPE[1]}</width><height>{SHAPE[0]}</height></original_size>"
    shapes = "".join(
        f'<polygon frame="{n}" outside="{int(n > 1)}" occluded="0" keyframe="1" '
        'points="0,5;10,5;10,15;0,15"/>'
        for n in range(4)
    )
    (tmp_path / "a.xml").write_text(
        f"<annotations><meta><task><size>4</size>{size}</task></meta>"
        f'<track id="1" label="cat">{shapes}</track></annotations>'
    )
    export(annotated([WHOLE] * 4, NumberedNames(4)), tmp_path / "found.json", "coco")
    given = tmp_path / "found.json", "--from", "coco", "--truth", tmp_path / "a.xml"
    found = told(capsys, *given, "--truth-from", "cvat", "--tracking")
    assert found["tracking"]["cat"]["MOTSA"] == 0.0
    assert found["J"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--truth-from", "ytviz"], 'no format "ytviz"'),
        (["--from", "davies"], 'no format "davies"'),
        (["--video", "clip.mp4"], "--video goes with --from"),
        (["--from", "davis", "--truth-from", "coco"], "true"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    export(annotated([WHOLE, HALF, WHOLE]), tmp_path / "true", "davis")
    export(annotated([WHOLE, HALF, WHOLE]), tmp_path / "found", "davis")
    given = ["evaluate", str(tmp_path / "found"), "--truth", str(tmp_path / "true"), *words]
    assert main(given) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert len(said.err.splitlines()) == 1
