from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from painted_video import ColourModel, Place, iou, mask_of, moving, paint, run, truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config


# another video: no boxes


@pytest.mark.parametrize("count", [7, 8, 9, 10, 11, 12])
@pytest.mark.parametrize(("length", "overlap"), [(3, 1), (5, 2), (4, 0), (1, 0)])
def test_without_boxes_ids_are_stable_over_clips(
    small_config: Config, settings_of: Callable[..., Config], length: int, overlap: int, count: int
) -> None:
    config = settings_of(small_config, "predict", clip_length=length, overlap=overlap)
    red, green = moving(4, 8, 4, 0, count), moving(76, 40, -4, 0, count)
    results = run(paint(red, green), None, config, model=ColourModel(roll=True), track_ids=())
    assert len(results) == count
    first = results[0]
    assert sorted(first.track_ids) == [1, 2]
    red_id = first.track_ids[[iou(m, truth(red, 0)) > 0.9 for m in first.masks].index(True)]
    for t, masks in results.items():
        assert masks.track_ids == (1, 2)
        assert iou(mask_of(masks, red_id), truth(red, t)) > 0.9
        assert iou(mask_of(masks, 3 - red_id), truth(green, t)) > 0.9
        assert all(0.9 * 0.982 < score < 0.982 for score in masks.scores)


def test_without_boxes_fast_objects_are_linked_in_the_frames_that_clips_share(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    # 12 of 16 pixels a frame: neighbouring frames hardly overlap
    config = settings_of(small_config, "predict", clip_length=4, overlap=2)
    red, green = moving(4, 8, 12, 0, 7), moving(76, 40, -12, 0, 7)
    results = run(paint(red, green), None, config, model=ColourModel(roll=True), track_ids=())
    assert [m.track_ids for m in results.values()] == [(1, 2)] * 7


def test_without_boxes_a_newcomer_gets_the_next_id(
    small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "predict", clip_length=3, overlap=1)
    red, blue = moving(4, 8, 2, 0, 9), moving(4, 40, 2, 0, 9)
    green: list[Place] = [None] * 4 + moving(60, 40, 2, 0, 5)
    results = run(paint(red, green, blue), None, config, track_ids=())
    assert [m.track_ids for m in results.values()] == [(1, 2)] * 4 + [(1, 2, 3)] * 5
    assert iou(mask_of(results[8], 3), truth(green, 8)) > 0.9


def test_without_boxes_and_objects_there_is_nothing(small_config: Config) -> None:
    results = run(paint([None] * 5), None, small_config, track_ids=())
    assert [m.masks.shape for m in results.values()] == [(0, 64, 96)] * 5
