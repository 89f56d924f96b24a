"""One picture that shows a result: frames with boxes and masks in the tracks' colours."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours

from maskfree.colours import track_colour
from maskfree.errors import InputError
from maskfree.evenly import evenly
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.tracks import BoxState
    from maskfree.types import BoxTracks, InstanceMasks

__all__ = ["FILL", "HEM", "Size", "contact_sheet", "draw_tag"]

ROWS = 3
"""Rows of a sheet whose frames were not chosen."""
WIDTH = 1600
"""Width of the sheet, pixels."""
LEAST_CELL = 48
"""Least width of a frame in the sheet, pixels."""
MARGIN, GAP = 20, 8
"""Pixels around the frames and between them."""
SMOOTH = 3
"""Contours are drawn this much larger, then averaged down: no stairs."""
FILL = 0.30
"""Part of a mask's colour in its inside."""
LINE = 2
"""Thickness of boxes and contours, pixels; each has a dark hem of one pixel on either side."""
DASH, DASH_GAP = 7, 5
"""Pixels of a dashed line's marks and gaps."""
TEXT, SMALL_TEXT, PAD = 16, 12, 4
"""Size of the legend's and the frames' text and the space around it, pixels."""
LEGEND_ROW, LEGEND_GAP = 28, 22
"""Height of a legend's row and space between its entries, pixels."""
SWATCH, SAMPLE_WIDTH, SAMPLE_HEIGHT = 14, 3 * DASH + 2 * DASH_GAP, 2 * DASH + DASH_GAP
"""Pixels of a legend's samples: side of a track's colour; size of a box or mask."""
BACKGROUND, INK, HEM = (22, 24, 29), (232, 234, 237), (0, 0, 0)
HEM_ALPHA, PILL_ALPHA = 120, 165
"""Opacity (0 to 255) of the hems and of the ground under a frame's number."""
LIGHT = 140
"""Colours lighter than this (luma, 0 to 255) carry dark text."""

LABEL_LENGTH = 32
"""Characters of a track's id and label in the legend."""
LUMA = (0.299, 0.587, 0.114)
"""How light red, green and blue are (ITU-R BT.601)."""

RGB = tuple[int, int, int]


class Frames(Protocol):
    """What a sheet is made from: a `Video`, or a list of uint8 RGB ``(H, W, 3)`` arrays."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> np.ndarray: ...


class Size(NamedTuple):
    """Width and height, pixels."""

    width: int
    height: int


def contact_sheet(
    video: Frames,
    tracks: BoxTracks,
    read_masks: Callable[[int], InstanceMasks | None],
    *,
    frames: Sequence[int] | None = None,
    columns: int = 4,
    width: int = WIDTH,
) -> np.ndarray:
    """Return a picture of frames of ``video`` with their boxes and masks, and a legend.

    A box is solid in a keyframe and dashed where it is interpolated. A mask is lightly filled, with
    its contour drawn. Everything of a track has its colour.

    Parameters
    ----------
    video
        The frames, uint8 RGB ``(H, W, 3)``.
    tracks
        The boxes.
    read_masks
        Gives a frame's masks (bool ``(N, H, W)``), or None.
    frames
        The frames to show, in this order; 3 rows of evenly spaced ones where None.
    columns
        Frames in a row.
    width
        Of the picture, pixels.

    Returns
    -------
    np.ndarray
        uint8 RGB ``(height, width, 3)``; the height follows from the number of frames.

    Raises
    ------
    InputError
        For a frame that the video does not have, no frame at all, or columns that do not fit.
    """
    chosen = _chosen(frames, len(video), columns)
    columns = min(columns, len(chosen))
    across = (width - 2 * MARGIN - (columns - 1) * GAP) // max(columns, 1)
    if across < LEAST_CELL:
        raise InputError(
            f"{columns} frames in a row of {width} pixels leave {across} pixels for each; "
            f"at least {LEAST_CELL} are needed. Choose fewer columns or a larger width."
        )
    height, own_width = video[chosen[0]].shape[:2]
    cell = Size(across, max(1, round(across * height / own_width)))
    legend = _legend(tracks, width - 2 * MARGIN)
    rows = -(-len(chosen) // columns)
    top = 2 * MARGIN + legend.height - GAP
    sheet = Image.new("RGB", (width, top + rows * (cell.height + GAP) - GAP + MARGIN), BACKGROUND)
    sheet.paste(legend, (MARGIN, MARGIN - GAP))
    for place, frame in enumerate(chosen):
        row, column = divmod(place, columns)
        picture = _cell(video[frame], frame, boxes_at(tracks, frame), read_masks(frame), cell)
        sheet.paste(picture, (MARGIN + column * (across + GAP), top + row * (cell.height + GAP)))
    return np.asarray(sheet)


def _chosen(frames: Sequence[int] | None, count: int, columns: int) -> list[int]:
    """Return the frames to show, checked."""
    if columns < 1:
        raise InputError(f"columns must be 1 or more, got {columns}.")
    if frames is None:
        return evenly(range(count), ROWS * columns)
    chosen = [int(frame) for frame in frames]
    if not chosen:
        raise InputError("frames names no frame. Name at least one, or leave it out.")
    strange = [frame for frame in chosen if not 0 <= frame < count]
    if strange:
        raise InputError(f"frames must lie in 0 to {count - 1}, got {strange[0]}.")
    return chosen


def _cell(
    frame: np.ndarray,
    number: int,
    boxes: dict[int, BoxState],
    masks: InstanceMasks | None,
    size: Size,
) -> Image.Image:
    """Return one frame at the sheet's scale with everything drawn on it."""
    small = Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)
    if masks is not None:
        small = Image.fromarray(_tinted(np.asarray(small), masks, size))
    picture = small.convert("RGBA")
    if masks is not None:
        picture.alpha_composite(_contours(masks, size))
    overlay = Image.new("RGBA", size, (*HEM, 0))
    draw = ImageDraw.Draw(overlay)
    scale = (size.width / frame.shape[1], size.height / frame.shape[0])
    corners = {track_id: _corners(state, scale) for track_id, state in boxes.items()}
    for track_id, state in boxes.items():
        _draw_box(draw, corners[track_id], track_colour(track_id), dashed=not state.keyframe)
    for track_id, (x0, y0, _, _) in corners.items():
        draw_tag(draw, (x0, y0), size, str(track_id), (*track_colour(track_id), 255))
    draw_tag(draw, (PAD, size.height - PAD), size, f"frame {number}", (*HEM, PILL_ALPHA))
    picture.alpha_composite(overlay)
    return picture.convert("RGB")


def _tinted(picture: np.ndarray, masks: InstanceMasks, size: Size) -> np.ndarray:
    """Return the picture, uint8 RGB, with the inside of every mask tinted."""
    tinted = picture.astype(np.float32)
    for track_id, mask in zip(masks.track_ids, masks.masks, strict=True):
        whole = Image.fromarray(mask.astype(np.uint8) * 255)
        share = np.asarray(whole.resize(size, Image.Resampling.BOX), dtype=np.float32) / 255
        tinted += FILL * share[..., None] * (np.array(track_colour(track_id)) - tinted)
    return np.rint(tinted).astype(np.uint8)


def _contours(masks: InstanceMasks, size: Size) -> Image.Image:
    """Return the smooth contours of all masks, RGBA of ``size``, clear elsewhere."""
    large = Size(size.width * SMOOTH, size.height * SMOOTH)
    lines = Image.new("RGBA", large, (*HEM, 0))
    draw = ImageDraw.Draw(lines)
    edge = LINE * SMOOTH / 2
    for track_id, mask in zip(masks.track_ids, masks.masks, strict=True):
        scale = np.array([large.width / mask.shape[1], large.height / mask.shape[0]])
        contours = []
        for rows_columns in find_contours(np.pad(mask.astype(np.float32), 1), 0.5):
            points = (rows_columns[:, ::-1] - 0.5) * scale
            points = points.clip(edge, np.array(large) - edge) - 0.5
            contours.append([(float(x), float(y)) for x, y in points])
        for ink, thickness in (
            ((*HEM, HEM_ALPHA), LINE + 2),
            ((*track_colour(track_id), 255), LINE),
        ):
            for contour in contours:
                draw.line(contour, fill=ink, width=thickness * SMOOTH, joint="curve")
    return lines.reduce(SMOOTH)


def _corners(state: BoxState, scale: tuple[float, float]) -> tuple[int, int, int, int]:
    """Return a box at the sheet's scale: whole pixels, half-open, large enough for its lines."""
    x0, y0, x1, y1 = (
        round(value * along) for value, along in zip(state.xyxy, scale * 2, strict=True)
    )
    return x0, y0, max(x1, x0 + 2 * LINE), max(y1, y0 + 2 * LINE)


def _draw_box(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: RGB, *, dashed: bool
) -> None:
    """Draw the lines of a box, in whole pixels inside it, each with its hem."""
    x0, y0, x1, y1 = box
    marks = [
        (start, y, end, y + LINE) for start, end in _dashes(x0, x1, dashed) for y in (y0, y1 - LINE)
    ]
    marks += [
        (x, start, x + LINE, end) for start, end in _dashes(y0, y1, dashed) for x in (x0, x1 - LINE)
    ]
    for left, top, right, bottom in marks:
        draw.rectangle((left - 1, top - 1, right, bottom), fill=(*HEM, HEM_ALPHA))
    for left, top, right, bottom in marks:
        draw.rectangle((left, top, right - 1, bottom - 1), fill=(*colour, 255))


def _dashes(start: int, end: int, dashed: bool) -> list[tuple[int, int]]:
    """Return the marks of a line from ``start`` to ``end``: one, or dashes that end at both."""
    length = end - start
    count = (length + DASH_GAP) // (DASH + DASH_GAP) if dashed else 1
    if count < 2:
        return [(start, end)]
    step = (length - DASH) / (count - 1)
    starts = [start + round(index * step) for index in range(count)]
    return [(mark, mark + DASH) for mark in starts]


def draw_tag(
    draw: ImageDraw.ImageDraw,
    left_bottom: tuple[int, int],
    size: Size,
    text: str,
    ground: tuple[int, int, int, int],
) -> None:
    """Draw a word on a ground of its own, above a point, or as near as the frame allows."""
    font = _font(SMALL_TEXT)
    across, down = round(font.getlength(text)) + 2 * PAD, SMALL_TEXT + PAD
    x = max(0, min(left_bottom[0], size.width - across))
    y = max(0, min(left_bottom[1], size.height) - down)
    draw.rounded_rectangle((x, y, x + across - 1, y + down - 1), radius=PAD - 1, fill=ground)
    ink = HEM if _is_light(ground[:3]) else INK
    draw.text((x + across / 2, y + down / 2), text, font=font, fill=(*ink, 255), anchor="mm")


def _legend(tracks: BoxTracks, width: int) -> Image.Image:
    """Return the rows that say which colour is which track and what the lines mean."""
    font = _font(TEXT)
    entries: list[tuple[str, str, RGB]] = [
        ("track", _short(f"{track.id} {track.label}"), track_colour(track.id))
        for track in tracks.tracks
    ]
    entries += [
        ("box", "box, keyframe", INK),
        ("dashed", "box, interpolated", INK),
        ("mask", "mask", INK),
    ]
    places, x, row = [], 0, 0
    for kind, text, _ in entries:
        across = _sample_width(kind) + 2 * PAD + round(font.getlength(text))
        if x and x + across > width:
            x, row = 0, row + 1
        places.append((x, row * LEGEND_ROW + LEGEND_ROW // 2))
        x += across + LEGEND_GAP
    legend = Image.new("RGB", (width, (row + 1) * LEGEND_ROW), BACKGROUND)
    draw = ImageDraw.Draw(legend, "RGBA")
    for (kind, text, colour), (x, middle) in zip(entries, places, strict=True):
        _draw_sample(draw, kind, x, middle, colour)
        left = x + _sample_width(kind) + 2 * PAD
        draw.text((left, middle), text, font=font, fill=INK, anchor="lm")
    return legend


def _sample_width(kind: str) -> int:
    return SWATCH if kind == "track" else SAMPLE_WIDTH


def _draw_sample(draw: ImageDraw.ImageDraw, kind: str, x: int, middle: int, colour: RGB) -> None:
    """Draw the sample of a legend's entry: a track's colour, a kind of box, or a mask."""
    half = (SWATCH if kind == "track" else SAMPLE_HEIGHT) / 2
    box = (x, round(middle - half), x + _sample_width(kind), round(middle + half))
    inside = (box[0], box[1], box[2] - 1, box[3] - 1)
    if kind == "track":
        draw.rounded_rectangle(inside, radius=PAD - 1, fill=colour)
    elif kind == "mask":
        ground = (*colour, round(255 * FILL))
        draw.ellipse(inside, fill=ground, outline=colour, width=LINE)
    else:
        _draw_box(draw, box, colour, dashed=kind == "dashed")


def _short(text: str) -> str:
    """Return a label that leaves room for others."""
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH - 1]}…"


def _is_light(colour: tuple[int, ...]) -> bool:
    return sum(part * value for part, value in zip(LUMA, colour, strict=True)) > LIGHT


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
