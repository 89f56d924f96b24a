"""Generated clips with exact masks: textured objects that move, turn, deform and hide each other.

Hard but fair: the objects take their colours from the background that they move over, so that
colour alone does not tell them apart, while their own texture goes with them and the background
moves another way. All of it follows from a seed.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.config import AblationConfig
from maskfree.errors import InputError
from maskfree.formats.indexed_png import encode_ids
from maskfree.storage import make_folder, read_json, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["generate_clip", "write_generated"]

_KIND = 1
"""Version of the pictures that a seed makes; another one makes new clips."""
_SOURCE = "source.json"
_OCTAVES = (4, 8, 16, 32, 64)
"""Cells of the noise along the shorter side, coarse to fine."""
_FINER = 0.6
"""Strength of each octave beside the one before."""
_CONTRAST = 26.0
"""Standard deviation of a texture, grey levels: about as many cells then have a match in the next
frame as in natural clips, a half; at 38 hardly any had."""
_COLOUR_OFFSET = 36.0
"""How far an object's mean colour may lie from that of a piece of the background, grey levels."""
_PAN = 1.6
"""Fastest motion of the background, pixels a frame."""
_SPEED = (1.5, 4.0)
"""Of an object, pixels a frame."""
_TURN = np.deg2rad(4.0)
"""Fastest turn of an object, a frame."""
_SIZE = (0.16, 0.26)
"""Radius of an object, of the shorter side."""
_DEFORM = 0.12
"""How far an outline swings, of its radius."""
_PERIOD = (14.0, 30.0)
"""Of such a swing, frames."""
_LEAST_SHOWN, _MOST_SHOWN = 0.5, 0.85
"""Part of the most hidden object that is seen in the frame where it is seen least."""
_TRIES = 200
"""Times that objects are drawn anew until that is so."""
_COARSE = 4
"""Every so many pixels it is looked at."""
_SENSOR_NOISE = 2.0
_FLICKER = 0.03
"""Changes of brightness over time, part of it."""


@dataclasses.dataclass(frozen=True)
class _Object:
    """An object: its path, its turn, its outline as waves around a circle, its picture.

    ``outline``: rows of lobes, strength, phase, swing (of the radius) and period (frames).
    """

    start: np.ndarray
    velocity: np.ndarray
    radius: float
    aspect: float
    angle: float
    turn: float
    outline: np.ndarray
    texture: np.ndarray


def generate_clip(seed: int, config: AblationConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames, uint8 RGB ``(T, H, W, 3)``, and the ids of their pixels, ``(T, H, W)``.

    The ids are uint8, 0 for the background; of two objects at one place that of the front one.
    """
    config = config or AblationConfig()
    height, width = config.height, config.width
    rng = np.random.default_rng((_KIND, seed))
    margin = int(_PAN * config.frames) + 2
    ground = _texture(rng, height + 2 * margin, width + 2 * margin, np.full(3, 118.0))
    pan = rng.uniform(-_PAN, _PAN, 2)
    objects = _make_objects(rng, ground, config.objects + seed % 2, config)
    phase = rng.uniform(0, 2 * np.pi)
    frames = np.empty((config.frames, height, width, 3), np.uint8)
    ids = np.zeros((config.frames, height, width), np.uint8)
    for t in range(config.frames):
        picture = _window(ground, margin + pan * t, (height, width))
        for number, each in enumerate(objects, 1):
            alpha, own = _drawn(each, t, (height, width))
            picture += alpha[..., None] * (own - picture)
            ids[t][alpha > 0.5] = number
        light = 1 + _FLICKER * np.sin(phase + t / 5)
        noisy = picture * light + rng.normal(0, _SENSOR_NOISE, picture.shape)
        frames[t] = np.clip(noisy, 0, 255).round()
    return frames, ids


def _texture(rng: np.random.Generator, height: int, width: int, mean: np.ndarray) -> np.ndarray:
    """Return noise of many scales around a colour: float32 ``(height, width, 3)``."""
    out = np.zeros((height, width, 3), np.float32)
    for n, cells in enumerate(_OCTAVES):
        grid = (cells * height // min(height, width) + 2, cells * width // min(height, width) + 2)
        grey = rng.normal(size=(*grid, 1))
        noise = (0.7 * grey + 0.5 * rng.normal(size=(*grid, 3))).astype(np.float32)
        out += _FINER**n * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(out * (_CONTRAST / out.std()) + mean, np.float32)


def _make_objects(
    rng: np.random.Generator, ground: np.ndarray, count: int, config: AblationConfig
) -> list[_Object]:
    """Return objects of which each is hidden in part, if there are several, and none by much."""
    size, objects = (config.height, config.width), list[_Object]()
    for _ in range(_TRIES):
        objects = [_make_object(rng, ground, size) for _ in range(count)]
        shown = _least_shown(objects, config)
        if min(shown) >= _LEAST_SHOWN and (count == 1 or min(shown) <= _MOST_SHOWN):
            break
    return objects


def _least_shown(objects: Sequence[_Object], config: AblationConfig) -> list[float]:
    """Return for each object the least part of it that no other hides in a frame."""
    least = [1.0] * len(objects)
    for t in range(config.frames):
        in_front = np.zeros((-(-config.height // _COARSE), -(-config.width // _COARSE)), bool)
        for n in reversed(range(len(objects))):
            own = _covered(objects[n], t, (config.height, config.width), _COARSE)[0] > 0.5
            shown = (own & ~in_front).sum() / max(1, own.sum())
            least[n] = min(least[n], float(shown))
            in_front |= own
    return least


def _make_object(rng: np.random.Generator, ground: np.ndarray, size: tuple[int, int]) -> _Object:
    height, width = size
    radius = rng.uniform(*_SIZE) * min(size)
    y, x = (int(rng.integers(0, side - 24)) for side in ground.shape[:2])
    mean = ground[y : y + 24, x : x + 24].mean((0, 1))
    mean = mean + rng.uniform(-1, 1, 3) * _COLOUR_OFFSET
    side = int(4 * radius)
    heading = rng.uniform(0, 2 * np.pi)
    lobes = [2, int(rng.integers(3, 6)), int(rng.integers(3, 8))]
    outline = [
        (n, rng.uniform(0.0, 0.5 / n), rng.uniform(0, 2 * np.pi), _DEFORM, rng.uniform(*_PERIOD))
        for n in lobes
    ]
    return _Object(
        start=rng.uniform(0.2, 0.8, 2) * (height, width),
        velocity=rng.uniform(*_SPEED) * np.array([np.sin(heading), np.cos(heading)]),
        radius=radius,
        aspect=rng.uniform(0.65, 1.0),
        angle=rng.uniform(0, 2 * np.pi),
        turn=rng.uniform(-_TURN, _TURN),
        outline=np.array(outline),
        texture=_texture(rng, side, side, mean),
    )


def _window(ground: np.ndarray, corner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the part of the background that begins at ``corner`` (y, x), not a whole pixel."""
    y, x = corner
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ground, matrix, size[::-1], flags=flags))


def _covered(
    each: _Object, t: int, size: tuple[int, int], step: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how much of every ``step``-th pixel the object covers, and where on it that lies.

    Three ``(H, W)``: the part, and the place along the object's own two axes, in pixels.
    """
    room = np.array(size, float) - 1
    # a path that is thrown back by the frame's edges
    y, x = room - np.abs((each.start + each.velocity * t) % (2 * room) - room)
    angle = each.angle + each.turn * t
    rows, columns = np.mgrid[: size[0] : step, : size[1] : step]
    dy, dx = rows - y, columns - x
    u = dx * np.cos(angle) + dy * np.sin(angle)
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / each.aspect
    around = np.arctan2(v, u)
    reach = np.ones(rows.shape)
    for lobes, strength, phase, swing, period in each.outline:
        now = strength * (1 + swing / max(strength, swing) * np.sin(2 * np.pi * t / period))
        reach += now * np.cos(lobes * around + phase)
    return np.clip(each.radius * reach - np.hypot(u, v) + 0.5, 0, 1), u, v


def _drawn(each: _Object, t: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each pixel the object covers, ``(H, W)``, and its colours there."""
    alpha, u, v = _covered(each, t, size)
    middle = each.texture.shape[0] / 2
    own = cv2.remap(
        each.texture,
        (u + middle).astype(np.float32),
        (v + middle).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    return alpha.astype(np.float32), np.asarray(own)


def write_generated(
    folder: Path, count: int, config: AblationConfig | None = None
) -> Sequence[Path]:
    """Write ``count`` generated clips into a folder and return theirs; those there are kept.

    Raises
    ------
    InputError
        For more than ``AblationConfig.most_generated``, or where the folder cannot be written.
    """
    config = config or AblationConfig()
    if not 0 <= count <= config.most_generated:
        raise InputError(
            f"--generated must be 0 to {config.most_generated} clips, got {count}. Choose "
            "a number of that range."
        )
    made = []
    for seed in range(count):
        place = folder / f"generated-{seed}"
        about = {
            "kind": _KIND,
            "seed": seed,
            "size": [config.frames, config.height, config.width],
            "objects": config.objects,
        }
        if not _is_there(place, about):
            if place.exists() and not (place / _SOURCE).is_file():
                raise InputError(
                    f"{place} is to hold a clip that is made here, and holds something else. Move "
                    "it away, or name another folder with --out."
                )
            _write(place, seed, config, about)
        made.append(place)
    return made


def _is_there(place: Path, about: dict[str, object]) -> bool:
    try:
        return bool(read_json(place / _SOURCE) == about)
    except InputError:
        return False


def _write(place: Path, seed: int, config: AblationConfig, about: dict[str, object]) -> None:
    """Write a clip beside its place and move it there whole."""
    frames, ids = generate_clip(seed, config)
    make_folder(place.parent)
    with writing(place), tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        clip = Path(temporary) / "clip"
        for part in ("frames", "masks"):
            (clip / part).mkdir(parents=True)
        for t, (picture, own) in enumerate(zip(frames, ids, strict=True)):
            _, encoded = cv2.imencode(".png", picture[..., ::-1])
            (clip / "frames" / f"{t:05d}.png").write_bytes(encoded.tobytes())
            (clip / "masks" / f"{t:05d}.png").write_bytes(encode_ids(own))
        (clip / _SOURCE).write_text(json.dumps(about), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        clip.rename(place)
