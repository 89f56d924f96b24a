"""J and F against hand-made cases and a slow reference; evaluate against the contract."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage.morphology import dilation, disk

from maskfree.errors import InputError, InputWarning
from maskfree.metrics import boundary, boundary_f, evaluate, region_similarity
from maskfree.truth_masks import match_names, read_truth
from maskfree.types import InstanceMasks

CLIP = Path(__file__).parents[2] / "../shared/videos/quad/masks"


def square(y: int, x: int, side: int, shape: tuple[int, int] = (100, 100)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def instances(**masks: np.ndarray) -> InstanceMasks:
    ids = tuple(int(name[1:]) for name in masks)
    return InstanceMasks(ids, np.stack(list(masks.values())), (1.0,) * len(ids))


def save_ids(path: Path, ids: np.ndarray) -> None:
    Image.fromarray(ids.astype(np.uint8)).save(path)


# --- J ---------------------------------------------------------------------------------------


def test_j_by_hand() -> None:
    assert region_similarity(square(0, 0, 10), square(0, 5, 10)) == 50 / 150
    assert region_similarity(square(3, 3, 7), square(3, 3, 7)) == 1.0
    assert region_similarity(square(0, 0, 10), square(50, 50, 10)) == 0.0


def test_j_of_empty_masks() -> None:
    empty = square(0, 0, 0)
    assert region_similarity(empty, empty) == 1.0
    assert region_similarity(empty, square(0, 0, 3)) == 0.0


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"one size, got \(100, 100\) and \(100, 90\)"):
        region_similarity(square(0, 0, 3), square(0, 0, 3, (100, 90)))
    with pytest.raises(InputError, match=r"must be \(H, W\)"):
        boundary_f(np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), bool))


# --- F ---------------------------------------------------------------------------------------


def test_boundary_by_hand() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2:4, 2:4] = True
    expected = np.zeros((5, 5), bool)
    expected[1, 1:4] = expected[3, 1:4] = True
    expected[2, 1] = expected[2, 3] = True
    np.testing.assert_array_equal(boundary(mask), expected)


def test_boundary_stops_at_the_frame() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:, 2:] = True
    expected = np.zeros((4, 4), bool)
    expected[:, 1] = True
    np.testing.assert_array_equal(boundary(mask), expected)
    assert not boundary(np.ones((4, 4), bool)).any()


def test_f_of_shifted_squares() -> None:
    truth = square(30, 30, 40)
    # The diagonal of 100x100 is 141.4 pixels: DAVIS's tolerance is ceil(1.13) = 2 pixels.
    assert boundary_f(truth, truth) == 1.0
    assert boundary_f(square(30, 32, 40), truth) == 1.0
    # Shifted by 3 the left and right edges miss (3 > 2) but for the ends that turn the corner.
    shifted = boundary_f(square(30, 33, 40), truth)
    assert shifted == pytest.approx(slow_f(square(30, 33, 40), truth, 2))
    assert 0.4 < shifted < 0.65
    assert boundary_f(square(5, 5, 10), square(80, 80, 10)) == 0.0


def test_f_by_hand_of_two_lines() -> None:
    # Straight edges right across the frame: 20 boundary pixels each, at columns 4 and 4 + shift.
    truth = np.zeros((20, 20), bool)
    truth[:, 5:] = True
    for shift, tolerance, expected in [(2, 2, 1.0), (3, 2, 0.0), (3, 3, 1.0)]:
        pred = np.zeros((20, 20), bool)
        pred[:, 5 + shift :] = True
        assert boundary_f(pred, truth, tolerance) == expected


def test_f_weighs_precision_and_recall() -> None:
    truth = square(10, 10, 20)
    pred = truth | square(60, 60, 20)  # one right boundary, one of the same length that is wrong
    assert boundary_f(pred, truth) == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert boundary_f(truth, pred) == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_f_of_empty_masks() -> None:
    empty = square(0, 0, 0)
    assert boundary_f(empty, empty) == 1.0
    assert boundary_f(empty, square(4, 4, 3)) == 0.0
    assert boundary_f(square(4, 4, 3), empty) == 0.0


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    edge = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            below, right = min(y + 1, height - 1), min(x + 1, width - 1)
            around = (mask[y, right], mask[below, x], mask[below, right])
            edge[y, x] = any(value != mask[y, x] for value in around)
    return edge


def slow_f(pred: np.ndarray, truth: np.ndarray, radius: int) -> float:
    """DAVIS's procedure: boundaries dilated by a disc, precision and recall, harmonic mean."""
    pred_edge, truth_edge = slow_boundary(pred), slow_boundary(truth)
    if not pred_edge.any() and not truth_edge.any():
        return 1.0
    if not pred_edge.any() or not truth_edge.any():
        return 0.0
    near_pred, near_truth = dilation(pred_edge, disk(radius)), dilation(truth_edge, disk(radius))
    precision = (pred_edge & near_truth).sum() / pred_edge.sum()
    recall = (truth_edge & near_pred).sum() / truth_edge.sum()
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


@given(data=st.data(), height=st.integers(2, 14), width=st.integers(2, 14))
@settings(max_examples=40, deadline=None)
def test_f_agrees_with_slow_reference(data: st.DataObject, height: int, width: int) -> None:
    masks = hnp.arrays(bool, (height, width))
    pred, truth = data.draw(masks), data.draw(masks)
    np.testing.assert_array_equal(boundary(pred), slow_boundary(pred))
    for radius in (1, 2, 4):
        assert boundary_f(pred, truth, radius) == pytest.approx(slow_f(pred, truth, radius))
    radius = math.ceil(0.008 * math.hypot(height, width))
    assert boundary_f(pred, truth) == pytest.approx(slow_f(pred, truth, radius))


# --- evaluate --------------------------------------------------------------------------------


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Masks for frames 0 and 2 of three: track 1 in both, track 2 in frame 2 only."""
    folder = tmp_path / "truth"
    folder.mkdir()
    save_ids(folder / "00000.png", 1 * square(10, 10, 20))
    save_ids(folder / "00002.png", 1 * square(10, 10, 20) + 2 * square(50, 50, 20))
    return folder


NAMES = ("00000", "00001", "00002")


def test_evaluate_by_hand(truth: Path) -> None:
    predictions = [
        instances(t1=square(10, 20, 20), t7=square(0, 0, 9)),  # J of 1: 200 / 600
        instances(t1=square(0, 0, 5)),  # no truth: does not count
        instances(t1=square(10, 10, 20)),  # track 2 is not predicted here: 0
    ]
    scores = evaluate(predictions.__getitem__, truth, NAMES)
    f = boundary_f(square(10, 20, 20), square(10, 10, 20))
    assert 0 < f < 1
    assert scores.frames == 2
    assert scores.to_json() == {
        "J": pytest.approx((2 / 3 + 0) / 2),
        "F": pytest.approx(((f + 1) / 2 + 0) / 2),
        "JF": pytest.approx(((f + 1) / 4 + 1 / 3) / 2),
        "tracks": {
            "1": {"J": pytest.approx(2 / 3), "F": pytest.approx((f + 1) / 2)},
            "2": {"J": 0.0, "F": 0.0},
        },
    }
    assert json.loads(json.dumps(scores.to_json())) == scores.to_json()
    assert scores.to_text().splitlines()[0].split() == ["track", "J", "F", "J&F"]
    assert scores.to_text().splitlines()[1].split()[:2] == ["1", "0.667"]
    assert scores.to_text().splitlines()[-1].split()[:2] == ["mean", "0.333"]


def test_swapped_ids_score_zero(truth: Path) -> None:
    (truth / "00000.png").unlink()
    swapped = instances(t2=square(10, 10, 20), t1=square(50, 50, 20))
    assert evaluate(lambda _: swapped, truth, NAMES).jf == 0.0


def test_frames_never_predicted_count_zero_with_a_warning(truth: Path) -> None:
    def read(frame: int) -> InstanceMasks | None:
        return instances(t1=square(10, 10, 20)) if frame == 0 else None

    with pytest.warns(InputWarning, match="1 of the 2 scored frames were never predicted"):
        scores = evaluate(read, truth, NAMES)
    assert scores.tracks[1].j == 0.5
    with pytest.raises(InputError, match=r"None of the 2 frames .* Run `maskfree predict` first"):
        evaluate(lambda _: None, truth, NAMES)


def test_other_files_do_not_matter(truth: Path) -> None:
    (truth / "notes.txt").write_text("hello", encoding="utf-8")
    (truth / "._00000.png").write_bytes(b"a Mac's shadow file")
    assert list(read_truth(truth).files) == ["00000", "00002"]


@pytest.mark.parametrize(
    ("files", "frames", "expected"),
    [
        (["00000", "00001"], ["00000", "00001"], {0: "00000", 1: "00001"}),
        (["2", "10"], ["00001", "00002", "00010"], {1: "2", 2: "10"}),
        (["b", "a"], ["a", "b"], {0: "a", 1: "b"}),
        (["frame10", "frame2"], ["frame2", "frame3", "frame10"], {0: "frame2", 2: "frame10"}),
        (["7"], ["07", "7"], {1: "7"}),
    ],
)
def test_masks_match_frames_by_name_then_number(
    tmp_path: Path, files: list[str], frames: list[str], expected: dict[int, str]
) -> None:
    for name in files:
        save_ids(tmp_path / f"{name}.png", np.zeros((2, 2)))
    matched = match_names(read_truth(tmp_path), frames)
    assert matched == expected
    assert list(matched) == sorted(matched)


def test_masks_that_fit_no_frame(truth: Path) -> None:
    with pytest.warns(InputWarning, match="1 masks are named after no frame .* 00002"):
        assert match_names(read_truth(truth), NAMES[:2]) == {0: "00000"}
    with pytest.raises(InputError) as error:
        match_names(read_truth(truth), ["shot_1", "shot_2"])
    assert str(error.value) == (
        f"{truth}: no mask is named after a frame. The masks are named 00000, 00002, the frames "
        "shot_1, shot_2. Rename the masks."
    )


def test_two_masks_of_one_frame(truth: Path) -> None:
    save_ids(truth / "2.png", np.zeros((100, 100)))
    with pytest.raises(InputError, match='"00002" and "2" are both masks of frame "00002"'):
        match_names(read_truth(truth), NAMES)


def test_truth_folder_at_fault(tmp_path: Path, truth: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        read_truth(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"00000\.png is a file"):
        read_truth(truth / "00000.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no PNG"):
        read_truth(tmp_path / "empty")


def test_size_at_fault(truth: Path) -> None:
    small = instances(t1=square(0, 0, 5, (50, 60)))
    with pytest.raises(InputError, match=r"00000\.png is 100x100, the video is 60x50"):
        evaluate(lambda _: small, truth, NAMES)
    save_ids(truth / "00002.png", np.ones((50, 60)))
    with pytest.raises(InputError, match=r"00002\.png is 60x50, the masks before it are 100x100"):
        evaluate(lambda _: instances(t1=square(0, 0, 5)), truth, NAMES)


def test_truth_without_object(tmp_path: Path) -> None:
    save_ids(tmp_path / "00000.png", np.zeros((100, 100)))
    with pytest.raises(InputError, match="hold no object"):
        evaluate(lambda _: instances(t1=square(0, 0, 5)), tmp_path, NAMES)


def test_255_is_an_id_that_is_asked_about(tmp_path: Path) -> None:
    save_ids(tmp_path / "00000.png", 255 * square(0, 0, 5))
    with pytest.warns(InputWarning, match="255 is scored as track 255"):
        assert evaluate(lambda _: instances(t1=square(0, 0, 5)), tmp_path, NAMES).j == 0.0
    assert evaluate(lambda _: instances(t255=square(0, 0, 5)), tmp_path, NAMES).jf == 1.0


@pytest.mark.skipif(not CLIP.is_dir(), reason="the shared clips are not beside the repository")
def test_real_masks_score_one_against_themselves() -> None:
    def read(frame: int) -> InstanceMasks:
        ids = np.array(Image.open(CLIP / f"{frame:05d}.png"))
        found = [int(track_id) for track_id in np.unique(ids) if track_id]
        return InstanceMasks(tuple(found), np.stack([ids == i for i in found]), (1.0,) * len(found))

    names = [f"{frame:05d}" for frame in range(40)]
    with pytest.warns(InputWarning, match="32 masks are named after no frame"):
        scores = evaluate(read, CLIP, names[:8])
    assert scores.jf == 1.0
    assert list(scores.tracks) == [1, 2, 3, 4]
