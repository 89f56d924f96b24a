"""Training clips drawn from a data set: what they hold, and that a number always gives the same."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from dataset_clips import clips, same
from maskfree import rle
from maskfree.datasets.padding import FILL
from maskfree.datasets.seen import look
from maskfree.datasets.types import DataInstance
from maskfree.datasets.views import View
from maskfree.errors import InputError, InputWarning
from maskfree.lab import to_lab
from small_datasets import HEIGHT, WIDTH, dataset, painted, save, xyxy_in

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.datasets.types import VideoDataset


def test_a_plain_clip_by_hand(tmp_path: Path) -> None:
    clip = clips(dataset(tmp_path)).clip(0)
    first, second = clip.clip.frames
    assert first < second <= first + 2
    assert clip.clip.rgb.shape == (2, 3, 64, 96)
    frames = np.stack([painted(first), painted(second)])
    expected = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(clip.clip.rgb[:, :, :HEIGHT, :WIDTH], expected)
    fill = torch.tensor(FILL)[:, None]
    torch.testing.assert_close(clip.clip.rgb[0, :, HEIGHT:, 0], fill.expand(3, 16))
    torch.testing.assert_close(clip.clip.lab, to_lab(clip.clip.rgb))
    for t, frame in enumerate((first, second)):
        x0, y0, x1, y1 = (value / 4 for value in xyxy_in(frame))
        inside = torch.zeros(16, 24)
        # a cell's centre in the box
        inside[round(y0) : round(y1), int(np.ceil(x0 - 0.5)) : int(np.ceil(x1 - 0.5))] = 1
        assert torch.equal(clip.targets.box_masks[0, t], inside)
    assert clip.targets.trust.tolist() == [[1, 1]]
    assert clip.classes is not None and clip.classes.tolist() == [1]
    assert clip.classes.dtype == torch.long
    assert torch.equal(clip.labels, torch.zeros(1, 2, 16, 24))
    assert clip.hand is None
    padding = torch.zeros(2, 16, 24, dtype=torch.bool)
    padding[:, 12:], padding[:, :, 20:] = True, True
    assert clip.ignored is not None and torch.equal(clip.ignored, padding)


def test_nothing_is_ignored_where_there_is_no_padding_and_no_crowd(tmp_path: Path) -> None:
    clip = clips(dataset(tmp_path), short_sides=(96,)).clip(0)
    assert clip.clip.rgb.shape == (2, 3, 96, 160)
    assert clip.ignored is None


FULL: dict[str, Any] = {
    "short_sides": (40, 64, 90),
    "flip": True,
    "shuffle": True,
    "crop": True,
    "crop_short_sides": (60,),
    "crop_sides": (40, 60),
    "rotation": 10.0,
    "colour_jitter": 0.2,
}


def test_a_clip_is_a_function_of_seed_and_number_alone(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, masks=True)
    one, other = clips(data_set, **FULL), clips(data_set, **FULL)
    drawn = {number: one.clip(number) for number in range(9)}
    for number in (8, 3, 0, 5, 3):
        assert same(drawn[number], other.clip(number))
    assert not same(drawn[0], clips(data_set, seed=1, **FULL).clip(0))
    pictures = [clip.clip.rgb.flatten()[:500].sum().item() for clip in drawn.values()]
    assert len(set(pictures)) > 5


def test_clips_are_the_same_in_another_process(tmp_path: Path) -> None:
    drawn = clips(dataset(tmp_path, masks=True), **FULL)
    sent = pickle.loads(pickle.dumps(drawn))
    assert all(same(drawn.clip(number), sent.clip(number)) for number in (0, 5))


def test_an_epoch_goes_over_every_video_in_another_order(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, videos=6, length=2)
    for n, video in enumerate(data_set.videos):
        (instance,) = video.instances
        own = dataclasses.replace(instance, class_index=n)
        data_set.videos[n] = dataclasses.replace(video, instances=(own,))  # type: ignore[index]
    drawn = clips(data_set)
    assert len(drawn) == 6
    order = [int(drawn.clip(number).classes[0]) for number in range(18)]  # type: ignore[index]
    epochs = [order[at : at + 6] for at in (0, 6, 12)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_frames_lie_near_each_other_and_in_order_unless_shuffled(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, videos=1, length=12)
    orders = set()
    for shuffle in (False, True):
        drawn = clips(data_set, clip_length=3, frame_range=2, shuffle=shuffle)
        for number in range(40):
            frames = drawn.clip(number).clip.frames
            assert len(set(frames)) == 3
            assert max(frames) - min(frames) <= 4
            orders.add((shuffle, list(frames) == sorted(frames)))
    assert orders == {(False, True), (True, True), (True, False)}


def test_a_video_shorter_than_a_clip_repeats_frames(tmp_path: Path) -> None:
    drawn = clips(dataset(tmp_path, length=2), clip_length=5)
    frames = drawn.clip(0).clip.frames
    assert len(frames) == 5 and set(frames) <= {0, 1}
    one = dataset(tmp_path, videos=2, length=2)
    short = dataclasses.replace(one.videos[0], files=one.videos[0].files[:1])
    (instance,) = short.instances
    own = dataclasses.replace(instance, boxes=instance.boxes[:1])
    one = dataclasses.replace(
        one, videos=[dataclasses.replace(short, instances=(own,)), one.videos[1]]
    )
    assert {clips(one, clip_length=3).clip(n).clip.frames for n in range(2)} >= {(0, 0, 0)}


def test_every_clip_shows_an_object(tmp_path: Path) -> None:
    boxes = np.full((12, 4), np.nan, np.float32)
    boxes[7] = (16, 8, 40, 28)
    data_set = dataset(tmp_path, 1, 12, instances=[DataInstance(1, 0, boxes)])
    drawn = clips(data_set, frame_range=1)
    for number in range(20):
        clip = drawn.clip(number)
        assert 7 in clip.clip.frames
        assert clip.targets.trust.sum() == 1


@pytest.mark.parametrize("seed", range(6))
def test_masks_and_boxes_agree_through_every_change(tmp_path: Path, seed: int) -> None:
    clip = clips(dataset(tmp_path, masks=True), seed=seed, **FULL).clip(0)
    assert clip.hand is not None and clip.ignored is not None
    assert clip.hand.shape == clip.targets.box_masks.shape
    assert clip.hand.min() >= -1 and clip.hand.max() <= 1
    assert not clip.hand[:, clip.ignored].any()
    red = clip.clip.lab[:, 1] > 20  # a of Lab: the object's red
    sure = (clip.hand[0].abs() > 0.9) & ~clip.ignored
    agree = (clip.hand[0] > 0) == red
    assert agree[sure].float().mean() > 0.97
    box = clip.targets.box_masks[0] > 0
    assert not (clip.hand[0] > 0.9)[~clip.targets.reach[0]].any()
    if (box & ~clip.ignored).sum() > 40:
        assert (clip.hand[0] > 0)[box & ~clip.ignored].float().mean() > 0.5


def test_a_turned_masks_box_is_its_own(tmp_path: Path) -> None:
    """A disc of radius 12 stays one when it is turned by 45 degrees; its box's corners move out."""
    c = np.sqrt(0.5)
    y, x = np.indices((HEIGHT, WIDTH)) + 0.5
    disc = np.hypot(x - 40, y - 24) < 12
    boxes = np.array([[28, 12, 52, 36]], np.float32)
    view = View(np.array([[[c, c, 40 - 64 * c], [-c, c, 24 + 16 * c]]]), (HEIGHT, WIDTH))
    for segments, half in (({0: rle.encode(disc[None])[0]}, 12), (None, 24 * c)):
        own = DataInstance(1, 0, boxes, segments=segments)
        (video,) = dataset(tmp_path, 1, 1, instances=[own]).videos
        seen = look(video, (0,), view, (12, 20))
        expected = [40 - half, 24 - half, 40 + half, 24 + half]
        np.testing.assert_allclose(seen.boxes[0, 0], expected, atol=1)
        assert seen.cut.tolist() == [[0]]


def test_a_box_without_a_mask_says_nothing_of_its_cells(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, 1, 2, masks=True)
    (instance,) = data_set.videos[0].instances
    segments = {0: instance.segments[0]}  # type: ignore[index]
    video = dataclasses.replace(
        data_set.videos[0], instances=(dataclasses.replace(instance, segments=segments),)
    )
    clip = clips(dataclasses.replace(data_set, videos=[video])).clip(0)
    assert clip.clip.frames == (0, 1) and clip.hand is not None
    assert clip.hand[0, 0].abs().sum() > 0
    assert not clip.hand[0, 1].any()


def test_crowds_are_ignored_but_not_in_an_objects_box(tmp_path: Path) -> None:
    own = np.array([[16, 8, 40, 28]] * 2, np.float32)
    crowd = np.array([[0, 0, 80, 16], [np.nan] * 4], np.float32)
    instances = [DataInstance(1, 0, own), DataInstance(2, 0, crowd, crowd=True)]
    clip = clips(dataset(tmp_path, 1, 2, instances=instances)).clip(0)
    assert len(clip.targets.trust) == 1
    expected = torch.zeros(2, 16, 24, dtype=torch.bool)
    expected[:, 12:], expected[:, :, 20:] = True, True
    expected[0, :4] = True
    expected[0, 2:4, 4:10] = False
    assert clip.ignored is not None and torch.equal(clip.ignored, expected)


def test_what_a_view_cuts_off_is_absent_or_ignored(tmp_path: Path) -> None:
    """The frame's left half, 40 x 48 pixels: one box is cut, one a sliver, one gone, one whole."""
    boxes = [(30, 8, 60, 28), (38, 32, 70, 44), (44, 4, 70, 20), (4, 4, 20, 20)]
    instances = [
        DataInstance(n, 0, np.array([box, box], np.float32)) for n, box in enumerate(boxes)
    ]
    (video,) = dataset(tmp_path, 1, 2, instances=instances).videos
    view = View(np.array([[[1.0, 0, 0], [0, 1, 0]]] * 2), (48, 40))
    seen = look(video, (0, 1), view, (16, 16))
    assert seen.instances == (0, 3)
    np.testing.assert_allclose(seen.boxes[:, 0], [(30, 8, 40, 28), (4, 4, 20, 20)])
    np.testing.assert_allclose(seen.cut, [[1, 1], [0, 0]])
    expected = np.zeros((2, 16, 16), bool)
    expected[:, 12:], expected[:, :, 10:] = True, True
    expected[:, 8:11, 9] = True
    np.testing.assert_array_equal(seen.ignored, expected)


def test_a_cut_box_is_not_projected(tmp_path: Path) -> None:
    boxes = [(0, 0, 40, 40), (44, 8, 80, 28)]
    instances = [
        DataInstance(n, 0, np.array([box, box], np.float32)) for n, box in enumerate(boxes)
    ]
    drawn = clips(
        dataset(tmp_path, 1, 2, instances=instances),
        short_sides=(40,),
        crop=True,
        crop_share=1.0,
        crop_short_sides=(48,),
        crop_sides=(40, 40),
    )
    trust = [drawn.clip(number).targets.trust for number in range(20)]
    assert any((each == 0).any() for each in trust)
    assert any(len(each) == 1 for each in trust)
    for each in trust:
        assert torch.equal(each[:, 0], each[:, 1])


def test_a_crop_without_an_object_is_not_made(tmp_path: Path) -> None:
    boxes = np.array([[0, 0, 8, 8]] * 2, np.float32)
    data_set = dataset(tmp_path, 1, 2, instances=[DataInstance(1, 0, boxes)])
    drawn = clips(data_set, crop=True, crop_share=1.0, crop_short_sides=(48,), crop_sides=(32, 32))
    sizes = set()
    for number in range(30):
        clip = drawn.clip(number)
        assert len(clip.targets.trust) == 1
        sizes.add(tuple(clip.clip.rgb.shape[-2:]))
    assert sizes == {(64, 64), (64, 96)}


def test_instances_of_other_frames_are_left_out(tmp_path: Path) -> None:
    boxes = np.full((2, 6, 4), np.nan, np.float32)
    boxes[0, :3] = boxes[1, 3:] = (16, 8, 40, 28)
    instances = [DataInstance(n, n, own) for n, own in enumerate(boxes)]
    drawn = clips(dataset(tmp_path, 1, 6, instances=instances), frame_range=1)
    for number in range(12):
        clip = drawn.clip(number)
        expected = sorted({int(frame >= 3) for frame in clip.clip.frames})
        assert clip.classes is not None and clip.classes.tolist() == expected
        assert clip.targets.box_masks.flatten(2).any(-1).sum() == 2


# ---- pictures


def pictures(tmp_path: Path, count: int = 3) -> VideoDataset:
    return dataset(tmp_path, videos=count, length=1)


def test_a_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    clip = clips(pictures(tmp_path), clip_length=3).clip(0)
    assert clip.clip.frames == (0,)
    assert clip.clip.rgb.shape[0] == clip.targets.box_masks.shape[1] == 1


def test_a_pseudo_video_moves_and_its_boxes_with_it(tmp_path: Path) -> None:
    drawn = clips(
        pictures(tmp_path),
        pseudo_frames=4,
        rotation=15.0,
        short_sides=(96,),
        crop=True,
        crop_short_sides=(48,),
        crop_sides=(40, 44),
    )
    for number in range(6):
        clip = drawn.clip(number)
        assert clip.clip.frames == (0, 1, 2, 3)
        assert not torch.equal(clip.clip.rgb[0], clip.clip.rgb[3])
        red = clip.clip.lab[:, 1] > 30
        assert not red[~clip.targets.reach[0]].any()


# ---- parts, faults


def test_only_the_part_that_is_asked_for_is_drawn(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, videos=4, length=8)
    assert len(clips(data_set, video_share=0.5)) == 2
    drawn = clips(data_set, frame_share=0.25, clip_length=2)
    seen = {frame for number in range(20) for frame in drawn.clip(number).clip.frames}
    assert seen == {0, 4}


def test_a_video_without_a_box_in_its_part_is_skipped(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, videos=2, length=4)
    boxes = np.full((4, 4), np.nan, np.float32)
    boxes[1] = (16, 8, 40, 28)
    own = (DataInstance(1, 0, boxes),)
    videos = [dataclasses.replace(data_set.videos[0], instances=own), data_set.videos[1]]
    drawn = clips(dataclasses.replace(data_set, videos=videos), frame_share=0.25)
    assert len(drawn) == 1
    assert [(each.what, each.why) for each in drawn.skipped] == [
        ("video 00", "it has no box of an object in the frames that are used")
    ]
    with pytest.raises(InputError, match="painted has no video with a box in the frames"):
        clips(dataclasses.replace(data_set, videos=videos[:1]), frame_share=0.25)


def test_a_damaged_picture_is_passed_over_and_counted(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, videos=3, length=2)
    whole = [clips(data_set).clip(number) for number in range(3)]
    (tmp_path / "00" / "00001.png").write_bytes(b"\x89PNG nothing")
    (tmp_path / "01" / "00000.png").unlink()
    save(tmp_path / "01" / "00001.png", painted(1, 32, 32))
    drawn = clips(data_set)
    with pytest.warns(InputWarning, match=r"Another video is taken instead\.$"):
        found = [drawn.draw(number) for number in range(3)]
    assert sorted({skipped.what for _, each in found for skipped in each}) == [
        "video 00",
        "video 01",
    ]
    again = clips(data_set)
    with pytest.warns(InputWarning):
        assert all(same(clip, again.clip(n)) for n, (clip, _) in enumerate(found))
    untouched = [n for n, (_, damaged) in enumerate(found) if not damaged]
    assert len(untouched) == 1 and same(found[untouched[0]][0], whole[untouched[0]])


def test_pictures_of_another_size_or_depth_are_said(tmp_path: Path) -> None:
    data_set = dataset(tmp_path, videos=1, length=2)
    for frame in range(2):
        save(tmp_path / "00" / f"{frame:05d}.png", painted(0, 32, 96))
    with pytest.warns(InputWarning), pytest.raises(InputError) as said:
        clips(data_set, most_tries=3).clip(0)
    assert "no clip could be read in 3 tries, last video 00" in str(said.value)
    assert "is 96 x 32 pixels, its annotations are for 80 x 48" in str(said.value)
    deep = painted(0).astype(np.uint16) * 256
    for frame in range(2):
        save(tmp_path / "00" / f"{frame:05d}.png", deep)
    with pytest.warns(InputWarning), pytest.raises(InputError, match="holds uint16, not 8 bits"):
        clips(data_set, most_tries=1).clip(0)
