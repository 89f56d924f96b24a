"""The colour of a track, the same in the plugin's boxes and masks and in pictures."""

from __future__ import annotations

__all__ = ["track_colour"]

RGB = tuple[int, int, int]

_OKABE_ITO: tuple[RGB, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_WHITE: RGB = (255, 255, 255)
_BLACK: RGB = (0, 0, 0)
_ROUNDS: tuple[tuple[RGB, float], ...] = ((_WHITE, 0.0), (_WHITE, 0.5), (_BLACK, 0.4))
"""What each round through the seven is mixed with, and the mixture's part."""


def track_colour(track_id: int) -> RGB:
    """Return the RGB colour (0 to 255) of a track; 0, the background, is black.

    Seven colours that people with any common colour vision tell apart (Okabe and Ito, Color
    Universal Design, 2008, without black), then the same lighter, then darker: 21 before the first
    comes again.

    Raises
    ------
    ValueError
        For a negative id.
    """
    if track_id < 0:
        raise ValueError(f"track_id must be 0 or more, got {track_id}. Ids of tracks begin at 1.")
    if track_id == 0:
        return _BLACK
    turn, place = divmod(track_id - 1, len(_OKABE_ITO))
    other, part = _ROUNDS[turn % len(_ROUNDS)]
    red, green, blue = (
        round(own + (target - own) * part)
        for own, target in zip(_OKABE_ITO[place], other, strict=True)
    )
    return red, green, blue
