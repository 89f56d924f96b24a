"""One shape of a CVAT file: a box or its turned box's hull, a mask, a polygon."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree import rle
from maskfree.errors import InputError
from maskfree.formats.box_files import within
from maskfree.formats.cvat_walk import whole
from maskfree.formats.segmentation import parse
from maskfree.json_checks import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from xml.etree.ElementTree import Element

    from maskfree.types import Box, BoxTracks

__all__ = ["ANSWERS", "BOX", "SHAPES", "UNREAD", "box_of", "extra_of", "flag", "kept_of", "mask_of"]

ANSWERS = "attributes"
"""The field that keeps what was answered to the questions of a label."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
"""Names of attributes that are kept and written back."""
BOX = "box"
SHAPES = frozenset(("mask", "polygon"))
UNREAD = frozenset(("polyline", "points", "ellipse", "cuboid", "skeleton"))
_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_PLACES = ("points", "rle", "left", "top", "width", "height", "rotation")
_KNOWN = frozenset(
    (
        ANSWERS,
        "xmlns",
        "id",
        "label",
        "frame",
        "keyframe",
        "outside",
        "occluded",
        *_CORNERS,
        *_PLACES,
    )
)
_USUAL = frozenset((("source", "manual"), ("z_order", "0")))
"""What CVAT writes where nobody chose anything, and so do we."""


def extra_of(element: Element) -> dict[str, Any]:
    """Return the attributes of a track or shape that we do not know, and what was answered."""
    answers = {each.get("name", ""): each.text or "" for each in element.iterfind("attribute")}
    return kept_of({**element.attrib, ANSWERS: answers})


def kept_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``fields`` that a track or shape can hold beside what we know.

    ``fields`` may come from a file of a stranger: only texts with a plain name count.
    """
    kept: dict[str, Any] = {
        name: value
        for name, value in fields.items()
        if isinstance(value, str)
        and name not in _KNOWN
        and (name, value) not in _USUAL
        and _NAME.fullmatch(name)
    }
    answers = fields.get(ANSWERS)
    texts = answers.items() if isinstance(answers, dict) else ()
    told = {name: value for name, value in texts if isinstance(value, str)}
    return kept | ({ANSWERS: told} if told else {})


def flag(element: Element, name: str, where: str, *, usual: bool = False) -> bool:
    """Return an attribute that is 0 or 1; ``usual``: what it is where it is missing."""
    text = element.get(name, str(int(usual)))
    if text not in ("0", "1"):
        raise InputError(f"{where}: {name} must be 0 or 1, got {show(text)}. Export it again.")
    return text == "1"


def box_of(element: Element, video: BoxTracks, where: str) -> tuple[Box | None, bool]:
    """Return a box within the frame, None where nothing of it is, and whether it was turned.

    A box that was turned (``rotation``, degrees, about its middle) is the smallest upright one
    around its corners.

    Raises
    ------
    InputError
        For numbers that are none; ``where`` begins the message.
    """
    x0, y0, x1, y1 = (_number(element, name, where) for name in _CORNERS)
    angle = math.radians(_number(element, "rotation", where, "0") % 360)
    if angle:
        x, y, width, height = (x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2, abs(y1 - y0) / 2
        cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
        right, down = width * cosine + height * sine, width * sine + height * cosine
        x0, y0, x1, y1 = x - right, y - down, x + right, y + down
    return within((x0, y0, x1, y1), video), bool(angle)


def _number(element: Element, name: str, where: str, usual: str = "") -> float:
    text = element.get(name, usual)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {name} must be a number, got {show(text)}. Export it again.")
    return value


def mask_of(element: Element, video: BoxTracks, where: str) -> str | None:
    """Return the compressed counts of a mask or polygon in the whole frame, None: no pixel.

    Raises
    ------
    InputError
        Where runs do not fill their rectangle, that lies beyond the frame, or the points are none.
    """
    height, width = video.height, video.width
    if element.tag == "polygon":
        points = re.split("[;,]", element.get("points", ""))
        return parse([_numbers(points, where)], height, width, where)
    left, top, across, down = (
        whole(element.get(name, ""), where, name) for name in ("left", "top", "width", "height")
    )
    if min(left, top) < 0 or min(across, down) < 1 or left + across > width or top + down > height:
        raise InputError(
            f"{where}: the mask must lie within the frame of {width} x {height} pixels, got "
            f"{across} x {down} at {left}, {top}. Export it again."
        )
    runs = _runs(element.get("rle", ""), across * down, where)
    mask = np.zeros((1, height, width), bool)
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask[0, top : top + down, left : left + across] = pixels.reshape(down, across)
    return rle.encode(mask)[0] if pixels.any() else None


def _numbers(texts: Iterable[str], where: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise InputError(f"{where}: points must be x,y;x,y;… ({error}). Export it again.") from None


def _runs(text: str, pixels: int, where: str) -> np.ndarray:
    """Return the lengths of the runs, off first, row by row."""
    try:
        runs = np.array([int(part) for part in text.split(",")], np.int64)
    except (ValueError, OverflowError):
        runs = np.array([-1])
    # Each on its own first: a sum of runs beyond any frame would overflow.
    if runs.min() < 0 or runs.max() > pixels or runs.sum() != pixels:
        raise InputError(
            f"{where}: the runs of a mask must fill its {pixels} pixels, got {show(text)}. Export "
            "it again."
        )
    return runs
