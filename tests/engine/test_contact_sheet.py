"""The contact sheet shows the right frames, boxes, masks and names in the tracks' colours."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.colours import track_colour
from maskfree.contact_sheet import BACKGROUND, FILL, contact_sheet
from maskfree.errors import InputError
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

HEIGHT, WIDTH, COUNT = 100, 200, 20
CELL = (390, 780)
"""Height and width of one frame in a sheet of one column and 820 pixels: 3.9 times its own."""


def no_masks(frame: int) -> InstanceMasks | None:
    return None


@pytest.fixture
def video() -> list[np.ndarray]:
    """Frame t is plain grey of value 60 + t."""
    return [np.full((HEIGHT, WIDTH, 3), 60 + frame, dtype=np.uint8) for frame in range(COUNT)]


@pytest.fixture
def tracks() -> BoxTracks:
    """Track 1 from frame 0, a keyframe at 0 and 10, gone from 15; track 2 on frame 10 and after."""
    box = (20.0, 20.0, 120.0, 80.0)
    first = Track(1, "cat", (Keyframe(0, box), Keyframe(10, box), Keyframe(15, None, outside=True)))
    second = Track(2, "dog", (Keyframe(10, (140.0, 20.0, 180.0, 80.0)),))
    return BoxTracks(COUNT, HEIGHT, WIDTH, None, (first, second))


@pytest.fixture
def nothing() -> BoxTracks:
    return BoxTracks(COUNT, HEIGHT, WIDTH, None, ())


def cell_of(sheet: np.ndarray) -> np.ndarray:
    """Return the frame of a sheet of one frame."""
    return sheet[-20 - CELL[0] : -20, 20 : 20 + CELL[1]]


def coloured(picture: np.ndarray, track_id: int) -> np.ndarray:
    return (picture == track_colour(track_id)).all(axis=-1)


def test_default_sheet_has_three_rows_of_evenly_spaced_frames(
    video: list[np.ndarray], nothing: BoxTracks
) -> None:
    sheet = contact_sheet(video, nothing, no_masks)
    across = (1600 - 2 * 20 - 3 * 8) // 4
    down = round(across / 2)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * 20 + 28 - 8 + 3 * (down + 8) - 8 + 20, 1600, 3)
    middles_x = 20 + across // 2 + np.arange(4) * (across + 8)
    middles_y = sheet.shape[0] - 20 - down // 2 - np.arange(3)[::-1] * (down + 8)
    shown = sheet[np.ix_(middles_y, middles_x)][..., 0].ravel() - 60
    assert shown.tolist() == [0, 2, 3, 5, 7, 9, 10, 12, 14, 16, 17, 19]


def test_frames_come_in_the_order_asked_for(video: list[np.ndarray], nothing: BoxTracks) -> None:
    sheet = contact_sheet(video, nothing, no_masks, frames=[13, 4], columns=4, width=648)
    assert sheet.shape[1] == 648
    row = sheet.shape[0] - 20 - 75
    assert (sheet[row, 20 + 150, 0], sheet[row, 20 + 308 + 150, 0]) == (73, 64)
    assert sheet[row, 5].tolist() == list(BACKGROUND)


def test_short_video_shows_each_frame_once(video: list[np.ndarray], nothing: BoxTracks) -> None:
    sheet = contact_sheet(video[:2], nothing, no_masks, width=648)
    row = sheet.shape[0] - 20 - 75
    assert (sheet[row, 20 + 150, 0], sheet[row, 20 + 308 + 150, 0]) == (60, 61)


def test_box_is_solid_on_a_keyframe_and_dashed_between(
    video: list[np.ndarray], tracks: BoxTracks
) -> None:
    x0, y0, x1, y1 = (round(3.9 * value) for value in (20, 20, 120, 80))
    for frame, solid in ((0, True), (5, False)):
        sheet = contact_sheet(video, tracks, no_masks, frames=[frame], width=820)
        drawn = coloured(cell_of(sheet), 1)
        for line in (
            drawn[y0, x0 + 30 : x1],
            drawn[y1 - 1, x0:x1],
            drawn[y0:y1, x0],
            drawn[y0:y1, x1 - 1],
        ):
            assert line[-1], "a line ends in the corner"
            assert line.all() == solid
            assert line.mean() > 0.5
        assert not drawn[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].any(), "the inside is empty"
        assert not drawn[y1:].any() and not drawn[:, x1:].any(), "nothing is drawn outside"


def test_absent_tracks_have_no_box(video: list[np.ndarray], tracks: BoxTracks) -> None:
    early = cell_of(contact_sheet(video, tracks, no_masks, frames=[5], width=820))
    late = cell_of(contact_sheet(video, tracks, no_masks, frames=[16], width=820))
    assert coloured(early, 1).any() and not coloured(early, 2).any()
    assert coloured(late, 2).any() and not coloured(late, 1).any()


def test_mask_is_lightly_filled_and_outlined(video: list[np.ndarray], nothing: BoxTracks) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.hypot(y - 49.5, x - 99.5) < 30.0
    sheet = contact_sheet(
        video, nothing, lambda _: InstanceMasks((2,), disc[None], (1.0,)), frames=[0], width=820
    )
    cell = cell_of(sheet)
    expected = np.rint(60 + FILL * (np.array(track_colour(2)) - 60))
    np.testing.assert_array_equal(cell[195, 390], expected)
    np.testing.assert_array_equal(cell[20, 20], (60, 60, 60))
    rows, columns = np.nonzero(coloured(cell, 2))
    radii = np.hypot(rows - 194.5, columns - 389.5) / 3.9
    assert rows.size > 100
    assert radii.min() > 28.5 and radii.max() < 31.5, "the contour lies on the mask's edge"
    angles = np.arctan2(rows - 194.5, columns - 389.5)
    assert np.histogram(angles, bins=24, range=(-np.pi, np.pi))[0].min() > 0, "all the way round"


def test_contour_is_closed_at_the_frames_border(
    video: list[np.ndarray], nothing: BoxTracks
) -> None:
    whole = np.ones((1, HEIGHT, WIDTH), dtype=bool)
    sheet = contact_sheet(
        video, nothing, lambda _: InstanceMasks((1,), whole, (1.0,)), frames=[0], width=820
    )
    drawn = coloured(cell_of(sheet), 1)
    assert drawn[0, 50:-50].all() and drawn[50:-50, -1].all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_empty_and_overlapping_masks(
    video: list[np.ndarray], nothing: BoxTracks, count: int
) -> None:
    masks = np.zeros((count, HEIGHT, WIDTH), dtype=bool)
    masks[1:, 20:60, 20:60] = True
    ids = tuple(range(1, count + 1))
    sheet = contact_sheet(
        video, nothing, lambda _: InstanceMasks(ids, masks, (1.0,) * count), frames=[0], width=820
    )
    assert coloured(cell_of(sheet), 3).any() == (count == 3)


def test_legend_names_every_track_and_grows(video: list[np.ndarray], tracks: BoxTracks) -> None:
    few = contact_sheet(video, tracks, no_masks, frames=[0], width=820)
    legend = few[: few.shape[0] - 20 - CELL[0]]
    assert all(coloured(legend, track_id).sum() > 100 for track_id in (1, 2))
    many = BoxTracks(
        COUNT, HEIGHT, WIDTH, None, tuple(Track(n, "a nucleus", ()) for n in range(1, 25))
    )
    more = contact_sheet(video, many, no_masks, frames=[0], width=820)
    assert (more.shape[0] - few.shape[0]) % 28 == 0 and more.shape[0] > few.shape[0]


def test_a_long_label_does_not_leave_the_picture(
    video: list[np.ndarray], nothing: BoxTracks
) -> None:
    long = BoxTracks(COUNT, HEIGHT, WIDTH, None, (Track(1, "x" * 400, ()),))
    sheet = contact_sheet(video, long, no_masks, frames=[0], width=820)
    assert (sheet[:40, -20:] == BACKGROUND).all()


def test_boxes_at_the_border_keep_their_tag_inside(video: list[np.ndarray]) -> None:
    corner = Track(3, "fly", (Keyframe(0, (0.0, 0.0, 1.0, 1.0)),))
    far = Track(4, "ant", (Keyframe(0, (199.0, 99.0, 200.0, 100.0)),))
    boxes = BoxTracks(COUNT, HEIGHT, WIDTH, None, (corner, far))
    sheet = contact_sheet(video, boxes, no_masks, frames=[0], width=820)
    assert coloured(cell_of(sheet), 3).sum() > 100
    assert coloured(cell_of(sheet), 4).sum() > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": [3, 20]}, "frames must lie in 0 to 19, got 20."),
        ({"frames": [-1]}, "frames must lie in 0 to 19, got -1."),
        ({"frames": []}, "frames names no frame. Name at least one, or leave it out."),
        ({"columns": 0}, "columns must be 1 or more, got 0."),
        (
            {"columns": 12, "width": 300},
            "12 frames in a row of 300 pixels leave 14 pixels for each; at least 48 are needed. "
            "Choose fewer columns or a larger width.",
        ),
    ],
)
def test_arguments_at_fault(
    video: list[np.ndarray], nothing: BoxTracks, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        contact_sheet(video, nothing, no_masks, **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message
