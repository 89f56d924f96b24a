from __future__ import annotations

import itertools

import pytest

from maskfree.colours import track_colour


def test_the_first_rounds_by_hand() -> None:
    assert track_colour(0) == (0, 0, 0)
    assert track_colour(1) == (230, 159, 0)
    assert track_colour(7) == (204, 121, 167)
    assert track_colour(8) == (242, 207, 128)  # half way to white
    assert track_colour(15) == (138, 95, 0)  # 40 % towards black
    assert track_colour(22) == track_colour(1)


def test_twenty_one_tracks_can_be_told_apart() -> None:
    colours = [track_colour(track_id) for track_id in range(22)]
    for first, second in itertools.combinations(colours, 2):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) >= 40


def test_neighbouring_tracks_differ_for_red_green_blindness() -> None:
    # What is left without red against green: brightness and yellow against blue.
    def left(colour: tuple[int, int, int]) -> tuple[float, float]:
        red, green, blue = colour
        return 0.2 * red + 0.7 * green + 0.1 * blue, (red + green) / 2 - blue

    for first, second in itertools.combinations(range(1, 8), 2):
        a, b = left(track_colour(first)), left(track_colour(second))
        assert max(abs(a[0] - b[0]), abs(a[1] - b[1])) >= 25


def test_a_negative_id() -> None:
    with pytest.raises(ValueError, match=r"track_id must be 0 or more, got -1\. Ids"):
        track_colour(-1)
