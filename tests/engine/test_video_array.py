"""Arrays: axes, channels, depth of bits, laziness, wrong input."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from maskfree.config import VideoConfig
from maskfree.errors import InputError, InputWarning
from maskfree.video import open_video
from maskfree.video_axes import guess_axes, plan_layout
from stacks import FULL, RNG, H, T, W, eight_bit, error_of, frames_of, grey

# ------------------------------------------------------------------------------ axes


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9, 40, 50), "tyx"),
        ((2, 40, 3), "tyx"),
        ((2, 40, 50), "tyx"),
        ((9, 40, 50, 3), "tyxc"),
        ((9, 40, 50, 4), "tyxc"),
        ((9, 40, 50, 1), "tyxc"),
        ((9, 2, 40, 50), "tcyx"),
        ((9, 12, 40, 50), "tzyx"),
        ((9, 12, 40, 50, 3), "tzyxc"),
        ((9, 2, 12, 40, 50), "tczyx"),
        ((9, 12, 2, 40, 50), "tzcyx"),
        ((9, 2, 3, 40, 50), "tczyx"),
    ],
)
def test_guessed_axes(shape: tuple[int, ...], axes: str) -> None:
    assert guess_axes(shape, "it") == axes


def test_any_order_of_axes() -> None:
    stack = eight_bit(T, 2, 3, H, W)  # t z c y x
    expected = np.moveaxis(stack[:, 1], 1, -1)
    for axes in ("tzcyx", "xyzct", "cztyx", "ytxzc"):
        array = stack.transpose(["tzcyx".index(letter) for letter in axes])
        assert np.array_equal(frames_of(array, axes=axes, depth=1), expected)


def test_no_time_axis_is_one_frame() -> None:
    picture = eight_bit(H, W)
    assert np.array_equal(frames_of(picture, axes="yx"), grey(picture[None]))


def test_channels_are_chosen_in_order() -> None:
    stack = eight_bit(T, 6, H, W)
    as_axes = {"axes": "tcyx"}
    assert np.array_equal(frames_of(stack, channels=(4,), **as_axes), grey(stack[:, 4]))
    chosen = frames_of(stack, channels=(5, 0, 3), **as_axes)
    assert np.array_equal(chosen, np.moveaxis(stack[:, [5, 0, 3]], 1, -1))
    two = frames_of(stack, channels=(2, 1), **as_axes)
    assert np.array_equal(two[..., :2], np.moveaxis(stack[:, [2, 1]], 1, -1))
    assert not two[..., 2].any()


def test_too_many_channels_are_said() -> None:
    stack = eight_bit(T, 6, H, W)
    message = (
        "the array has 6 channels; the first three are shown as red, green and blue. Choose others "
        "with channels=."
    )
    with pytest.warns(InputWarning) as warned:
        shown = frames_of(stack, axes="tcyx")
    assert [str(w.message) for w in warned] == [message]
    assert np.array_equal(shown, np.moveaxis(stack[:, :3], 1, -1))


def test_colour_samples() -> None:
    rgba = eight_bit(T, H, W, 4)
    assert np.array_equal(frames_of(rgba), rgba[..., :3])
    assert np.array_equal(frames_of(rgba[..., :1]), grey(rgba[..., 0]))
    assert np.array_equal(frames_of(rgba[..., :2], axes="tyxc"), grey(rgba[..., 0]))


# ------------------------------------------------------------------------------ intensities


def test_bool_is_black_and_white() -> None:
    stack = eight_bit(T, H, W) > 99
    assert np.array_equal(frames_of(stack), grey(np.where(stack, 255, 0)))


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "int16", "int32", "uint64", "f4", "f8", "f2"])
def test_deep_data_are_scaled_over_the_whole_video(dtype: str) -> None:
    stack = np.zeros((3, H, W), dtype)
    stack[0, 0, 0], stack[1], stack[2] = 100, 300, 600
    stack[0, 1:], stack[0, 0, 1:] = 100, 100
    frames = frames_of(stack, config=FULL)
    assert [int(f[5, 5, 0]) for f in frames] == [0, 102, 255]


def test_percentiles() -> None:
    stack = np.tile(np.arange(1001, dtype=np.float32), (2, 14, 1))
    config = VideoConfig(intensity_low=10, intensity_high=90)
    row = frames_of(stack, config=config)[0, 0, :, 0]
    assert row[:101].max() == 0
    assert row[900:].min() == 255
    assert row[500] in (127, 128)


def test_colours_share_a_range_but_measured_channels_do_not() -> None:
    stack = np.zeros((2, H, W, 3), np.uint16)
    stack[:, :5, :, 0], stack[:, :5, :, 1] = 1000, 500
    colour = frames_of(stack, config=FULL)
    assert colour[0, 0, 0].tolist() == [255, 128, 0]
    measured = frames_of(np.moveaxis(stack, -1, 1), axes="tcyx", config=FULL)
    assert measured[0, 0, 0].tolist() == [255, 255, 0]


def test_not_a_number_and_infinity() -> None:
    stack = np.tile(np.linspace(0, 1, W), (2, H, 1))
    stack[0, 0, :3] = np.nan, np.inf, -np.inf
    frames = frames_of(stack, config=FULL)
    assert frames[0, 0, :3, 0].tolist() == [0, 255, 0]
    assert frames[0, 1, -1, 0] == 255


def test_constant_and_empty_of_numbers() -> None:
    assert not frames_of(np.full((2, H, W), 7.0)).any()
    assert not frames_of(np.full((2, H, W), np.nan)).any()


def test_sparse_bright_points_are_seen() -> None:
    stack = np.zeros((2, 100, 100), np.uint16)
    stack[:, 50, 50] = 4000
    assert frames_of(stack)[0, 50, 50, 0] == 255


# ------------------------------------------------------------------------------ lazy arrays


def test_dask_is_never_computed_whole() -> None:
    stack = RNG.integers(0, 4000, (100, H, W), dtype=np.uint16)
    computed: list[int] = []

    def load(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        computed.append(block_info[0]["chunk-location"][0])
        return block

    lazy = da.from_array(stack, chunks=(1, H, W)).map_blocks(load, dtype=stack.dtype)
    config = VideoConfig(intensity_frames=4)
    video = open_video(lazy, config=config)
    assert computed == []
    video[50]
    assert set(computed) == {0, 33, 66, 99, 50}
    assert np.array_equal(video[50], open_video(stack, config=config)[50])


def test_failing_graph_is_one_line() -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise OSError("no such tile\nsecond line")

    lazy = da.zeros((3, H, W), chunks=(1, H, W), dtype=np.uint8)
    video = open_video(lazy.map_blocks(fail, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)))
    with pytest.raises(InputError) as raised:
        video[1]
    assert str(raised.value) == (
        "Frame 1 of the array cannot be read (no such tile). Check the array."
    )


# ------------------------------------------------------------------------------ wrong arrays


def test_wrong_arrays() -> None:
    remedy = 'Say what each axis is with axes=, letters of "tzcyx" such as "tyx" or "tzcyx".'
    assert error_of(np.zeros((40, 50))) == (
        "the array of shape (40, 50) is one picture; a video has a time axis as well, such as "
        '(T, H, W) or (T, H, W, 3). Stack its frames, or pass axes="yx" or "yxc".'
    )
    assert error_of(np.zeros((40, 50, 3))).startswith("the array of shape (40, 50, 3) is one pict")
    assert error_of(np.zeros(7)) == (
        f"the array has 1 axes (shape (7,)), expected 3 to 5 such as (T, H, W) or (T, H, W, 3). "
        f"{remedy}"
    )
    assert error_of(np.zeros((2,) * 6)).startswith("the array has 6 axes (shape (2, 2, 2, 2, 2, 2)")
    assert error_of(np.zeros((0, 4, 5))) == (
        'the array of shape (0, 4, 5) is empty along "t". Pass frames.'
    )
    assert error_of(np.zeros((3, 4, 5), complex)) == (
        "the array holds complex128, expected whole numbers, floats or bool. Convert it with "
        "astype()."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"axes": "tyxc"},
            'the array has 3 axes (shape (5, 14, 16)), got axes="tyxc" with 4. Say what each axis '
            'is with axes=, letters of "tzcyx" such as "tyx" or "tzcyx".',
        ),
        (
            {"axes": "tty"},
            'axes must be different letters of "tzcyx" with y and x among them, got "tty" for the '
            "array of shape (5, 14, 16).",
        ),
        (
            {"axes": "tyw"},
            'axes must be different letters of "tzcyx" with y and x among them, got "tyw" for the '
            "array of shape (5, 14, 16).",
        ),
        (
            {"depth": 1},
            'the array has depths 0 to 0 (axes "tyx", shape (5, 14, 16)), got depth=1.',
        ),
        (
            {"channels": (1,)},
            'the array has no channel axis (axes "tyx"). Leave channels out.',
        ),
        (
            {"axes": "cyx", "channels": (5,)},
            "channels must be one to three of 0 to 4, got (5,) for the array.",
        ),
        (
            {"axes": "cyx", "channels": (0, 1, 2, 3)},
            "channels must be one to three of 0 to 4, got (0, 1, 2, 3) for the array.",
        ),
        (
            {"axes": "cyx", "channels": ()},
            "channels must be one to three of 0 to 4, got () for the array.",
        ),
    ],
)
def test_wrong_choices(arguments: dict[str, Any], message: str) -> None:
    assert error_of(eight_bit(T, H, W), **arguments) == message


def test_layout_of_a_frame() -> None:
    layout = plan_layout((5, 2, 3, 14, 16), "tzcyx", 1, None, "it")
    assert layout.size((5, 2, 3, 14, 16)) == (5, 14, 16)
    assert layout.key(4, slice(0, 3)) == (4, 1, slice(0, 3), slice(None), slice(None))
    assert not layout.joint
