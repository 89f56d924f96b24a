"""Which axis of an array is time, depth, channel, y and x: said, guessed and checked."""

from __future__ import annotations

import dataclasses
import warnings

from maskfree.errors import InputError, InputWarning

__all__ = ["AXES", "OME_AXES", "Layout", "guess_axes", "plan_layout", "with_time"]

AXES = "tzcyx"
OME_AXES = "tczyx"
GREY_ALPHA, RGB, RGBA = 2, 3, 4
MOST_CHANNELS = RGBA
"""An axis of at most this length is taken for channels where nothing says what it is."""

Pick = int | slice
REMEDY = f'Say what each axis is with axes=, letters of "{AXES}" such as "tyx" or "tzcyx".'


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a frame is taken out of an array.

    ``axes`` has a letter for each axis of the array. ``picks`` are the channel selections to read
    one after the other and stack last; None where there is no channel axis. ``joint``: the channels
    are samples of one colour and share an intensity range.
    """

    axes: str
    depth: int
    picks: tuple[int, ...] | slice | None
    joint: bool

    def key(self, frame: int, channel: Pick | None) -> tuple[Pick, ...]:
        """Return the index that takes ``frame`` (and ``channel``) out of the array."""
        take: dict[str, Pick] = {"t": frame, "z": self.depth, "y": slice(None), "x": slice(None)}
        take["c"] = slice(None) if channel is None else channel
        return tuple(take[letter] for letter in self.axes)

    def order(self, letters: str) -> tuple[int, ...]:
        """Return the transposition that puts the axes left by :meth:`key` into ``letters``."""
        left = [letter for letter in self.axes if letter in letters]
        return tuple(left.index(letter) for letter in letters)

    def size(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return (T, H, W) of an array of ``shape``."""
        sides = dict(zip(self.axes, shape, strict=True))
        return sides.get("t", 1), sides["y"], sides["x"]


def guess_axes(shape: tuple[int, ...], name: str) -> str:
    """Guess the axes of an array that does not name them.

    - 3 axes: ``tyx``
    - 4 axes: ``tyxc`` where the last has 1, 3 or 4 entries (grey, RGB, RGBA); else ``tcyx`` where
      the second has at most 4; else ``tzyx``
    - 5 axes: ``tzyxc`` where the last has 3 or 4 entries; else ``tzcyx`` where only the third has
      at most 4 entries; else ``tczyx`` (the order of OME)

    Raises
    ------
    InputError
        For fewer or more axes, and for one RGB picture.
    """
    colour = shape[-1] in (RGB, RGBA) if shape else False
    if len(shape) == 2 or (len(shape) == 3 and colour and min(shape[:2]) > MOST_CHANNELS):
        raise InputError(
            f"{name} of shape {shape} is one picture; a video has a time axis as well, such as "
            '(T, H, W) or (T, H, W, 3). Stack its frames, or pass axes="yx" or "yxc".'
        )
    if len(shape) == 3:
        return "tyx"
    if len(shape) == 4:
        if colour or shape[-1] == 1:
            return "tyxc"
        return "tcyx" if shape[1] <= MOST_CHANNELS else "tzyx"
    if len(shape) == 5:
        if colour:
            return "tzyxc"
        third_only = shape[2] <= MOST_CHANNELS < shape[1]
        return AXES if third_only else OME_AXES
    raise InputError(
        f"{name} has {len(shape)} axes (shape {shape}), expected 3 to 5 such as (T, H, W) or "
        f"(T, H, W, 3). {REMEDY}"
    )


def with_time(axes: str, candidates: str) -> str:
    """Return ``axes`` with the first of ``candidates`` in it called time, where none is.

    Most stacks that are videos do not say so: their frames are called depth, or nothing at all.
    """
    found = [letter for letter in candidates if letter in axes]
    return axes if "t" in axes or not found else axes.replace(found[0], "t")


def plan_layout(
    shape: tuple[int, ...],
    axes: str | None,
    depth: int,
    channels: tuple[int, ...] | None,
    name: str,
) -> Layout:
    """Check ``axes``, ``depth`` and ``channels`` against an array's shape.

    Raises
    ------
    InputError
        For axes that do not fit, a depth or channel beyond the end, an empty axis.
    """
    axes = guess_axes(shape, name) if axes is None else _checked(axes.lower(), shape, name)
    sides = dict(zip(axes, shape, strict=True))
    empty = [letter for letter in axes if sides[letter] == 0]
    if empty:
        raise InputError(f'{name} of shape {shape} is empty along "{empty[0]}". Pass frames.')
    if not 0 <= depth < sides.get("z", 1):
        raise InputError(
            f'{name} has depths 0 to {sides.get("z", 1) - 1} (axes "{axes}", shape {shape}), got '
            f"depth={depth}."
        )
    joint = axes.endswith("c")
    if "c" not in axes:
        if channels not in (None, (0,)):
            raise InputError(f'{name} has no channel axis (axes "{axes}"). Leave channels out.')
        return Layout(axes, depth, None, joint=True)
    return Layout(axes, depth, _picks(sides["c"], channels, joint, name), joint)


def _checked(axes: str, shape: tuple[int, ...], name: str) -> str:
    if len(axes) != len(shape):
        raise InputError(
            f'{name} has {len(shape)} axes (shape {shape}), got axes="{axes}" with {len(axes)}. '
            f"{REMEDY}"
        )
    fits = set(axes) <= set(AXES) and len(set(axes)) == len(axes)
    if not fits or not {"y", "x"} <= set(axes):
        raise InputError(
            f'axes must be different letters of "{AXES}" with y and x among them, got "{axes}" '
            f"for {name} of shape {shape}."
        )
    return axes


def _picks(
    count: int, channels: tuple[int, ...] | None, joint: bool, name: str
) -> tuple[int, ...] | slice:
    """Return which channels to read: a slice where they are neighbours, else one by one."""
    if channels is None:
        channels = tuple(range(min(count, RGB)))
        if joint and count == GREY_ALPHA:
            channels = (0,)
        if count > (RGBA if joint else RGB):
            warnings.warn(
                f"{name} has {count} channels; the first three are shown as red, green and blue. "
                "Choose others with channels=.",
                InputWarning,
                stacklevel=2,
            )
    wrong = [c for c in channels if not 0 <= c < count]
    if wrong or not 1 <= len(channels) <= RGB:
        raise InputError(
            f"channels must be one to three of 0 to {count - 1}, got {channels} for {name}."
        )
    first = channels[0]
    if channels == tuple(range(first, first + len(channels))):
        return slice(first, first + len(channels))
    return tuple(channels)
