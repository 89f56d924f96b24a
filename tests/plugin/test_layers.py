"""Video, mask and correspondence layers, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from maskfree.errors import InputError
from maskfree.mask_place import labels_of as flatten
from maskfree.types import InstanceMasks
from napari_maskfree import video_layer
from napari_maskfree.masks_layer import MaskStack, make_layer
from napari_maskfree.video_layer import (
    AxisChoice,
    LazyFrames,
    default_folder,
    frame_of,
    free_folder,
    guess_axes,
    layer_video,
    video_info,
)


def image(*shape: int, **options) -> Image:
    return Image(np.zeros(shape, np.uint8), **options)


@pytest.mark.parametrize(
    ("layer", "expected", "letters", "frames"),
    [
        (image(10, 48, 64), AxisChoice(0), "tyx", 10),
        (image(10, 48, 64, 3, rgb=True), AxisChoice(0), "tyxc", 10),
        (image(48, 64), AxisChoice(None), "yx", 1),
        (image(10, 7, 48, 64), AxisChoice(0, 1), "tzyx", 10),
        (image(10, 2, 48, 64), AxisChoice(0, None, 1), "tcyx", 10),
        (image(3, 10, 48, 64), AxisChoice(1, None, 0), "ctyx", 10),
        (image(10, 7, 2, 48, 64), AxisChoice(0, 1, 2), "tzcyx", 10),
        (image(7, 10, 48, 64, axis_labels=("z", "t", "y", "x")), AxisChoice(1, 0), "ztyx", 10),
    ],
)
def test_axes_are_guessed_and_named(layer, expected, letters, frames):
    choice = guess_axes(layer)
    assert choice == expected
    info = video_info(layer, choice)
    assert (info.axes, info.num_frames, info.height, info.width) == (letters, frames, 48, 64)


def test_axes_that_do_not_add_up_say_what_to_do():
    layer = image(10, 7, 48, 64, name="stack")
    with pytest.raises(InputError, match="Axis 0 of stack cannot be two things at once"):
        video_info(layer, AxisChoice(0, 0))
    with pytest.raises(InputError, match="Axis 1 of stack \\(7 planes\\) has no meaning yet"):
        video_info(layer, AxisChoice(0))
    colour = image(2, 10, 48, 64, 3, rgb=True, name="film")
    with pytest.raises(InputError, match="film is in colour already"):
        video_info(colour, AxisChoice(1, None, 0))


def test_the_chosen_plane_is_what_the_engine_sees():
    data = np.zeros((4, 3, 32, 48), np.uint8)
    data[2, 1] = 200
    layer = Image(data)
    choice = AxisChoice(0, 1, None, depth_index=1)
    video = layer_video(layer, video_info(layer, choice))
    assert len(video) == 4
    assert video[2].mean() == 200
    assert video[1].mean() == 0


def test_frames_follow_the_slider_through_scale_and_other_layers():
    viewer = ViewerModel()
    layer = viewer.add_image(
        np.zeros((10, 48, 64), np.uint8), scale=(2.0, 1, 1), translate=(5.0, 0, 0)
    )
    info = video_info(layer, guess_axes(layer))
    viewer.add_image(np.zeros((3, 40, 48, 64), np.uint8))
    axis, place = video_layer.point_of(layer, info, viewer.dims, 6)
    assert (axis, place) == (1, 17.0)
    viewer.dims.set_point(axis, place)
    assert frame_of(layer, info, viewer.dims.point) == 6
    viewer.dims.set_point(axis, 0)
    assert frame_of(layer, info, viewer.dims.point) == 0, "before the video: its first frame"


def test_lazy_frames_read_only_what_is_asked():
    class Fake:
        shape = (5, 4, 6, 3)

        def __init__(self):
            self.read = []

        def __getitem__(self, index):
            self.read.append(index)
            return np.full((4, 6, 3), index, np.uint8)

    fake = Fake()
    lazy = LazyFrames(fake)
    assert lazy[3].mean() == 3
    assert lazy[1:3, 2:, :, 0].shape == (2, 2, 6)
    assert fake.read == [3, 1, 2]
    assert (len(lazy), lazy.size) == (5, 5 * 4 * 6 * 3)
    assert np.asarray(lazy)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_session_folders_lie_beside_the_video_and_never_over_another(tmp_path):
    source = tmp_path / "walk.mp4"
    info = video_info(image(3, 48, 64), AxisChoice(0))
    import dataclasses

    beside = default_folder(dataclasses.replace(info, source=str(source)))
    assert beside == tmp_path / "walk.maskfree"
    beside.mkdir()
    assert free_folder(beside) == beside
    (beside / "something").touch()
    assert free_folder(beside) == tmp_path / "walk-2.maskfree"
    memory = default_folder(dataclasses.replace(info, name="a/b: c"))
    assert memory.name == "a_b_ c.maskfree"


def test_overlapping_masks_show_the_surer_one():
    masks = np.zeros((2, 4, 4), bool)
    masks[0, :3], masks[1, 1:] = True, True
    labels = flatten(InstanceMasks((7, 3), masks, (0.9, 0.5)), 4, 4)
    assert labels[:, 0].tolist() == [7, 7, 7, 3]
    assert flatten(None, 2, 3).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_the_mask_stack_reads_once_until_told_to_forget():
    class Store:
        reads = 0

        def read(self, frame):
            Store.reads += 1
            return InstanceMasks((1,), np.full((1, 4, 6), frame == 2), (1.0,))

    stack = MaskStack(Store(), (3,), 0, 4, 6)
    assert stack[2].all()
    assert stack[2, 1:, :2].shape == (3, 2)
    assert Store.reads == 1
    stack.forget()
    assert stack[-1].all()
    assert Store.reads == 2
    assert np.asarray(stack).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("planes", "time_axis"), [((3,), 0), ((), None), ((5,), None), ((3, 2), 0), ((2, 3), 1)]
)
def test_masks_lie_on_the_axes_of_the_videos_layer(planes, time_axis):
    class Store:
        def read(self, frame):
            masks = np.zeros((1, 4, 6), bool)
            masks[0, frame, frame:] = True
            return InstanceMasks((7,), masks, (1.0,))

    stack = MaskStack(Store(), planes, time_axis, 4, 6)
    whole = np.asarray(stack)
    assert stack.shape == whole.shape == (*planes, 4, 6)
    assert len(stack) == len(whole)
    assert whole.dtype == stack.dtype
    for place in np.ndindex(planes):
        frame = 0 if time_axis is None else place[time_axis]
        row = (np.arange(6) >= frame) * 7
        assert np.array_equal(whole[place], np.where(np.arange(4)[:, None] == frame, row, 0))
        assert np.array_equal(stack[place], whole[place])
        assert stack[(*place, frame, 5)] == whole[(*place, frame, 5)] == 7
        assert np.array_equal(stack[(*place, slice(1, 3))], whole[(*place, slice(1, 3))])
    whole[whole == 7] = 8  # it is a copy
    assert np.array(stack).max() == 7
    with pytest.raises(IndexError, match="expected at most"):
        stack[(0,) * (len(planes) + 3)]
    whole[whole == 8] = 7
    if planes:
        for key in (slice(1, None), slice(2, 2), -1, (slice(None), *[0] * (len(planes) - 1))):
            assert np.array_equal(stack[key], whole[key])


@pytest.mark.parametrize(
    ("shape", "choice", "at"),
    [
        ((8, 5, 64, 96), AxisChoice(0, 1), (3, 4, 20, 30)),
        ((2, 8, 64, 96), AxisChoice(1, None, 0), (1, 3, 20, 30)),
        ((64, 96), AxisChoice(None), (20, 30)),
    ],
)
def test_the_masks_layer_is_over_the_video_in_the_viewer(shape, choice, at):
    class Store:
        def read(self, frame):
            masks = np.zeros((1, 64, 96), bool)
            masks[0, 20, 30] = True
            return InstanceMasks((frame + 1,), masks, (1.0,))

    viewer = ViewerModel()
    video = viewer.add_image(
        np.zeros(shape, np.uint8),
        scale=np.full(len(shape), 0.5),
        translate=np.full(len(shape), 7.0),
    )
    info = video_info(video, choice)
    layer = make_layer(Store(), video, info, {})
    viewer.add_layer(layer)
    assert viewer.dims.ndim == len(shape)
    viewer.dims.point = video.data_to_world(at)
    frame = 0 if choice.time is None else at[choice.time]
    assert layer.get_value(video.data_to_world(at), world=True) == frame + 1
