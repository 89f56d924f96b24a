"""What the generated clip shows: shapes, paths, photographs, and how one moment is painted.

Times run from 0 (first frame) to 1 (last frame). Positions are pixels of the frame, x to the right
and y down, with a pixel's centre at its integer coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import skimage.data
from PIL import Image
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import map_coordinates

if TYPE_CHECKING:
    from collections.abc import Callable

GREY_RAMPS = {
    "grass": ((16, 34, 12), (178, 196, 96)),
    "gravel": ((28, 34, 50), (186, 198, 214)),
    "brick": ((34, 62, 66), (196, 206, 190)),
}
"""Photographs of grounds, grey: the colours that their darkest and lightest tones become."""
OBJECT_CROPS = {
    "astronaut": (0.36, 0.70, 0.24),
    "chelsea": (0.42, 0.52, 0.44),
    "coffee": (0.55, 0.52, 0.42),
    "immunohistochemistry": (0.40, 0.35, 0.34),
}
"""Photographs of objects: centre x, y and half side of the square used, in parts of the picture's
width, height and height. All of them, and the grounds, are files inside scikit-image's wheel."""
TONE_PERCENTILES = (1.0, 99.0)

BLOB_LOBES = ((2, 0.16), (3, 0.12))
STAR_LOBES = ((5, 0.24), (2, 0.05))
"""Outlines: (lobes around the centre, their height in parts of the radius)."""
BLOB_RADIUS, STAR_RADIUS = 0.24, 0.20
"""Radius in parts of the frame's reference side."""
REFERENCE_WIDTH = 0.6
"""The reference side is the height, or this part of the width where that is less."""
SCALE_SWING, TURN = 0.12, 0.7
"""Largest change of an object's scale; largest turn over the clip, radians."""
PAN_X, PAN_Y, ZOOM = 0.12, 0.04, 0.06
"""The camera's pan in parts of the frame's width and height, and its growing enlargement."""
GROUND_MARGIN = 1.35
"""The ground is this much larger than the frame, in either direction, before it repeats."""
PATH_JITTER = 0.02
"""Standard deviation of the knots of a path, in parts of the reference side."""
BLOB_PATH = (
    (0.00, 0.38, 0.52, 0.0, 0.0),
    (0.10, 0.31, 0.50, 0.0, 0.0),
    (0.30, 0.28, 0.50, 0.0, 0.0),
    (0.59, 0.00, 0.42, -1.75, 0.0),
    (0.65, 0.00, 0.46, -1.75, 0.0),
    (0.71, 0.00, 0.50, -1.75, 0.0),
    (1.00, 0.36, 0.60, 0.0, 0.0),
)
STAR_PATH = (
    (0.00, 0.22, 0.20, 0.0, 0.0),
    (0.10, 0.31, 0.50, 0.0, -0.7),
    (0.30, 0.28, 0.50, 0.5, 0.7),
    (0.60, 0.60, 0.64, 0.0, 0.0),
    (1.00, 0.76, 0.36, 0.0, 0.0),
)
"""Knots: moment; x, y in parts of the frame; what is added to them, in radii of the blob. The star
crosses the blob from 0.10 to 0.30. The blob is outside from 0.59 to 0.71: 1.75 radii are beyond its
reach, and the time is longer than a frame's in any clip of 12 frames or more."""


@dataclass(frozen=True)
class Outline:
    """A closed smooth curve around the origin, of mean radius 1: ``1 + sum a cos(k angle + p)``."""

    lobes: tuple[tuple[int, float, float], ...]

    @property
    def reach(self) -> float:
        """An upper bound of the radius."""
        return 1.0 + sum(height for _, height, _ in self.lobes)

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the signed distance to the curve, to first order, negative inside."""
        angle, radius = np.arctan2(y, x), np.hypot(x, y)
        curve = np.ones_like(angle)
        slope = np.zeros_like(angle)
        for count, height, phase in self.lobes:
            curve += height * np.cos(count * angle + phase)
            slope -= height * count * np.sin(count * angle + phase)
        distance: np.ndarray = (radius - curve) / np.hypot(1.0, slope / np.maximum(radius, curve))
        return distance


@dataclass(frozen=True)
class Thing:
    """An object: its outline, its photograph and where it is at each moment.

    ``path`` maps a moment to the centre ``(x, y)``; ``radius`` is in pixels at scale 1; ``texture``
    is float RGB ``(S, S, 3)`` in 0 to 255, its centre at the object's and one texel to a pixel.
    """

    outline: Outline
    path: Callable[[float], np.ndarray]
    radius: float
    scale_phase: float
    turn: float
    texture: np.ndarray

    def scale(self, moment: float) -> float:
        """Return the enlargement at a moment."""
        return 1.0 + SCALE_SWING * float(np.sin(2.0 * np.pi * moment + self.scale_phase))


@dataclass(frozen=True)
class Scene:
    """A ground, ``texture`` float RGB with one texel to a pixel, and things from back to front."""

    height: int
    width: int
    ground: np.ndarray
    pan: tuple[float, float]
    things: tuple[Thing, ...]


def make_scene(height: int, width: int, rng: np.random.Generator) -> Scene:
    """Draw a scene: which photographs, which outlines, which way the paths run."""
    reference = min(float(height), REFERENCE_WIDTH * width)
    photographs = rng.permutation(sorted(OBJECT_CROPS))
    mirror = rng.integers(0, 2, size=2).astype(bool)
    paths = (
        _path(knots, np.array([width, height]), reference, mirror, rng)
        for knots in (BLOB_PATH, STAR_PATH)
    )
    blob, star = (
        _thing(photograph, lobes, radius * reference, path, rng)
        for photograph, lobes, radius, path in zip(
            photographs, (BLOB_LOBES, STAR_LOBES), (BLOB_RADIUS, STAR_RADIUS), paths, strict=False
        )
    )
    sway = rng.choice([-1.0, 1.0], size=2)
    pan = (sway[0] * PAN_X * width, sway[1] * PAN_Y * height)
    return Scene(height, width, _ground(height, width, rng), pan, (blob, star))


def paint(scene: Scene, moment: float) -> tuple[np.ndarray, np.ndarray]:
    """Return one frame, uint8 RGB ``(H, W, 3)``, and its mask, uint8 ``(H, W)``.

    A pixel's share of an object is ``0.5 - distance`` to its outline in pixels, within 0 and 1; it
    belongs to the foremost object that covers at least half of it.
    """
    frame = _look_at_ground(scene, moment)
    mask = np.zeros((scene.height, scene.width), dtype=np.uint8)
    for number, thing in enumerate(scene.things, start=1):
        _put(thing, number, moment, frame, mask)
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8), mask


def _put(thing: Thing, number: int, moment: float, frame: np.ndarray, mask: np.ndarray) -> None:
    """Paint a thing into ``frame`` and its number into ``mask``, both in place."""
    (centre_x, centre_y), scale = thing.path(moment), thing.scale(moment)
    half = thing.radius * scale * thing.outline.reach + 1.0
    rows = np.arange(max(0, int(centre_y - half)), min(mask.shape[0], int(centre_y + half) + 2))
    columns = np.arange(max(0, int(centre_x - half)), min(mask.shape[1], int(centre_x + half) + 2))
    if not (rows.size and columns.size):
        return
    window = np.ix_(rows, columns)
    down, along = rows[:, None] - centre_y, columns[None, :] - centre_x
    turn = thing.turn * (moment - 0.5)
    x = (np.cos(turn) * along + np.sin(turn) * down) / scale
    y = (np.cos(turn) * down - np.sin(turn) * along) / scale
    distance = thing.outline.distance(x / thing.radius, y / thing.radius)
    share = np.clip(0.5 - distance * thing.radius * scale, 0.0, 1.0)
    middle = (len(thing.texture) - 1) / 2.0
    colour = _sample(thing.texture, x + middle, y + middle)
    frame[window] += share[..., None] * (colour - frame[window])
    mask[window] = np.where(share >= 0.5, number, mask[window])


def _path(
    knots: tuple[tuple[float, ...], ...],
    size: np.ndarray,
    reference: float,
    mirror: np.ndarray,
    rng: np.random.Generator,
) -> Callable[[float], np.ndarray]:
    """Return a smooth path ``(x, y)``, pixels, through jittered knots; it never overshoots one.

    ``size`` is the frame's width and height, ``reference`` its reference side; ``mirror`` says
    whether x and y are mirrored. A knot on the frame's edge is not jittered across it.
    """
    moments, parts, radii = np.split(np.array(knots), [1, 3], axis=1)
    jitter = rng.normal(0.0, PATH_JITTER * reference, parts.shape) * (parts > 0.0)
    places = parts * size + radii * BLOB_RADIUS * reference + jitter
    places = np.where(mirror, size - 1 - places, places)
    path: Callable[[float], np.ndarray] = PchipInterpolator(moments[:, 0], places)
    return path


def _thing(
    photograph: str,
    lobes: tuple[tuple[int, float], ...],
    radius: float,
    path: Callable[[float], np.ndarray],
    rng: np.random.Generator,
) -> Thing:
    """Return an object with an outline turned by chance and the part of a photograph it needs."""
    outline = Outline(tuple((n, height, rng.uniform(0, 2 * np.pi)) for n, height in lobes))
    side = max(2, round(2.0 * radius * outline.reach))
    return Thing(
        outline=outline,
        path=path,
        radius=radius,
        scale_phase=rng.uniform(0, 2 * np.pi),
        turn=float(rng.choice([-1.0, 1.0])) * TURN,
        texture=_crop(photograph, side),
    )


def _photograph(name: str) -> Image.Image:
    return Image.fromarray(getattr(skimage.data, name)())


def _crop(name: str, side: int) -> np.ndarray:
    """Return the square of a photograph that suits an object, float RGB ``(side, side, 3)``."""
    picture = _photograph(name).convert("RGB")
    part_x, part_y, part_half = OBJECT_CROPS[name]
    x, y, half = part_x * picture.width, part_y * picture.height, part_half * picture.height
    box = (max(0.0, x - half), max(0.0, y - half), x + half, y + half)
    box = (*box[:2], min(picture.width, box[2]), min(picture.height, box[3]))
    return np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS, box=box), dtype=float)


def _ground(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return a coloured photograph of a ground, float RGB, larger than the frame."""
    name = str(rng.choice(sorted(GREY_RAMPS)))
    side = round(GROUND_MARGIN * max(height, width))
    picture = _photograph(name).convert("L").resize((side, side), Image.Resampling.LANCZOS)
    grey = np.asarray(picture, dtype=float)
    low, high = np.percentile(grey, TONE_PERCENTILES)
    tone = np.clip((grey - low) / max(high - low, 1.0), 0.0, 1.0)[..., None]
    dark, light = (np.array(colour, dtype=float) for colour in GREY_RAMPS[name])
    ground: np.ndarray = dark + tone * (light - dark)
    return ground


def _look_at_ground(scene: Scene, moment: float) -> np.ndarray:
    """Return what the camera sees of the ground at a moment, float RGB ``(H, W, 3)``."""
    zoom = 1.0 + ZOOM * moment
    sway_x, sway_y = np.sin(np.pi * (moment - 0.5)), np.cos(np.pi * moment)
    side_y, side_x = scene.ground.shape[:2]
    columns = (np.arange(scene.width) - scene.width / 2) / zoom + side_x / 2
    rows = (np.arange(scene.height) - scene.height / 2) / zoom + side_y / 2
    x, y = np.meshgrid(columns + scene.pan[0] * sway_x, rows + scene.pan[1] * sway_y)
    return _sample(scene.ground, x, y)


def _sample(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the texture's bilinear colours at places between its texels, mirrored beyond it."""
    places = np.stack([y, x])
    channels = [
        map_coordinates(texture[..., channel], places, order=1, mode="mirror")
        for channel in range(texture.shape[-1])
    ]
    return np.stack(channels, axis=-1)
