"""A pixel's look-alikes and the categories as layers, without a window."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from napari.components import ViewerModel

from maskfree.config import CategoryConfig, TemporalKNNConfig
from maskfree.frame_categories import categorise_frame
from maskfree.ignore_regions import rectangle
from maskfree.inspect_patch import Fate
from maskfree.matching_grid import MatchingGrid
from maskfree.types import IgnoreRegion
from napari_maskfree.category_layer import CategoryLayer
from napari_maskfree.correspondence_layers import MatchLayers
from napari_maskfree.inspection import (
    frames_around,
    inspect,
    path_words,
    sentence,
    tube_frames,
)
from napari_maskfree.video_layer import AxisChoice, guess_axes, video_info

PAPER = TemporalKNNConfig.paper()
SIZE = (64, 96)
GRID = MatchingGrid(SIZE, SIZE, 1.0, PAPER)
PIXEL = (30.0, 40.0)
"""In cell (7, 10)."""


def texture() -> np.ndarray:
    cells = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    return cells.repeat(4, 0).repeat(4, 1)


def moving(*columns: int) -> np.ndarray:
    """The texture, moved to the right by so many cells in each frame."""
    return np.stack([np.roll(texture(), 4 * c, axis=1) for c in columns])


def found_in(frames: np.ndarray, frame: int = 1, **options):
    options = {"targets": frames_around(frame, 1, len(frames)), **options}
    return inspect(dict(enumerate(frames)), options.pop("grid", GRID), frame, PIXEL, **options)


def open_in(viewer: ViewerModel, frames: np.ndarray):
    layer = viewer.add_image(frames, rgb=True, name="frames")
    return layer, video_info(layer, guess_axes(layer))


def points_of(layer, symbol: str) -> list[list[float]]:
    return layer.data[[str(s) == symbol for s in layer.symbol]].tolist()


def shown(viewer: ViewerModel) -> list:
    return [layer for layer in viewer.layers if layer.visible]


# ---- words


def test_frames_around_end_with_the_video():
    assert frames_around(5, 2, 10) == [3, 4, 6, 7]
    assert frames_around(0, 2, 10) == [1, 2]
    assert frames_around(9, 1, 10) == [8]
    assert frames_around(0, 3, 1) == []
    assert tube_frames(2, 5, 10) == [2, 3, 4, 5, 6]
    assert tube_frames(8, 5, 10) == [8, 9]


def test_the_sentence_says_why_there_are_not_more():
    assert sentence(found_in(moving(0, 0, 1))) == (
        "Pixel (40, 30) of frame 1 has 1 look-alike in frame 2; "
        "80 more were too far in colour (over 5.99)."
    )
    flat = np.full((2, *SIZE, 3), 90, np.uint8)
    assert sentence(found_in(flat, 1)) == (
        "Pixel (40, 30) of frame 1 has 5 look-alikes in frame 0; "
        "76 more were alike, but only the best 5 count."
    )
    assert "within the search radius (20 px), but one beyond it" in sentence(
        found_in(moving(0, 0, 8))
    )
    changed = np.stack([texture(), texture(), 255 - texture()])
    assert "has no look-alike in frame 2: all are too far in colour (nearest" in sentence(
        found_in(changed)
    )


def test_the_words_of_a_tube():
    frames = moving(0, 1, 2, 3)
    assert path_words(found_in(frames)) == ""
    assert path_words(found_in(frames, tube=[1, 2, 3])) == (
        "The tube goes to frame 3 and back: it ends where it began."
    )
    assert path_words(found_in(frames, 3, tube=[3])) == "The tube needs a frame after this one."
    far = moving(0, 0, 4, 8)
    assert path_words(found_in(far, tube=[1, 2, 3])) == (
        "The tube reaches frame 3, but nothing leads from there back to 1."
    )
    assert path_words(found_in(moving(0, 0, 1, 9), tube=[1, 2, 3])) == (
        "The tube ends in frame 2: no look-alike in frame 3."
    )


def test_outside_the_grid_nothing_is_found():
    frames = dict(enumerate(moving(0, 1)))
    assert inspect(frames, GRID, 0, (-1.0, 4.0), targets=[1]) is None
    assert inspect(frames, GRID, 0, (4.0, 96.0), targets=[1]) is None


def test_the_patches_are_those_of_the_working_frame():
    frames = moving(0, 0, 2)
    found = found_in(frames)
    np.testing.assert_array_equal(found.query, frames[1][24:36, 36:48])
    before, after = found.answers
    assert [a.frame for a in found.answers] == [0, 2]
    assert len(after.tiles) == 5
    assert after.tiles[0].fate is Fate.KEPT
    assert after.tiles[0].shift == (0, 8)
    np.testing.assert_array_equal(after.tiles[0].pixels, found.query)
    assert {t.fate for t in after.tiles[1:]} == {Fate.TOO_FAR}
    assert before.tiles[0].shift == (0, 0)


def test_beyond_the_edge_a_patch_is_grey():
    found = inspect(dict(enumerate(moving(0, 0))), GRID, 0, (0.0, 95.0), targets=[1])
    assert (found.query[:4] == 128).all()
    assert (found.query[:, 8:] == 128).all()
    np.testing.assert_array_equal(found.query[4:, :8], texture()[:8, 88:])


# ---- layers


def test_points_and_vectors_lead_where_the_picture_went():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames))
    points = layers.layer("Matches")
    assert points_of(points, "cross") == [[1, 29.5, 41.5]]
    assert sorted(points_of(points, "disc")) == [
        [0, 29.5, 41.5],
        [1, 29.5, 41.5],
        [1, 29.5, 49.5],
        [2, 29.5, 49.5],
    ]
    vectors = layers.layer("Match vectors")
    assert vectors.data.tolist() == [
        [[1, 29.5, 41.5], [0, 0, 0]],
        [[1, 29.5, 41.5], [0, 0, 8]],
    ]
    assert np.allclose(vectors.edge_color, vectors.edge_color[0]), "both at distance 0"
    assert layers.layer("Match tube") is None
    layers.clear()
    assert shown(viewer) == [image]


def test_rejected_candidates_tell_their_rule():
    frames, viewer = moving(0, 0, 8), ViewerModel()
    image, info = open_in(viewer, frames)
    layers, found = MatchLayers(viewer), found_in(frames)
    layers.show(image, info, found, rejected=True)
    points = layers.layer("Matches")
    assert points_of(points, "triangle_up") == [[2, 29.5, 73.5], [1, 29.5, 73.5]]
    crosses = points_of(points, "x")
    assert sum(p[0] == 2 for p in crosses) == 81
    assert sum(p[0] == 1 for p in crosses) == 81, "those of the frame after it"
    assert sum(p[0] == 0 for p in crosses) == 80
    layers.show(image, info, found)
    assert not points_of(points, "x")
    flat = np.full((2, *SIZE, 3), 90, np.uint8)
    layers.show(image, info, found_in(flat, 0), rejected=True)
    assert len(points_of(points, "square")) == 2 * 76


def test_layers_are_changed_in_place_and_leave_the_active_one():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    shapes = viewer.add_shapes(ndim=3)
    shapes.mode = "add_rectangle"
    layers = MatchLayers(viewer)
    layers.prepare(image)
    made = [layers.layer("Matches"), layers.layer("Match vectors")]
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    layers.show(image, info, found_in(frames, 0))
    assert [layers.layer("Matches"), layers.layer("Match vectors")] == made
    assert not layers.layer("Match tube").visible
    assert viewer.layers.selection.active is shapes
    assert shapes.mode == "add_rectangle"
    viewer.layers.remove(made[0])
    layers.show(image, info, found_in(frames))
    assert layers.layer("Matches") in viewer.layers, "made again"


def test_what_shows_nothing_is_empty_and_hidden_and_stays():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    made = list(viewer.layers)
    layers.clear_pick()
    assert list(viewer.layers) == made, "none is removed"
    assert shown(viewer) == [image]
    assert not any(len(layer.data) for layer in made[1:])
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    assert list(viewer.layers) == shown(viewer) == made
    assert all(len(layer.data) for layer in made)


def test_a_layer_that_the_person_hid_stays_hidden():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames))
    layers.layer("Match vectors").visible = False
    layers.show(image, info, found_in(frames, 0))
    layers.clear_pick()
    layers.show(image, info, found_in(frames))
    assert shown(viewer) == [image, layers.layer("Matches")]


def test_layers_that_the_person_deletes_are_made_again():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    for name in ("Matches", "Match vectors", "Match tube"):
        viewer.layers.remove(name)
    layers.clear_pick()
    layers.close()
    assert list(viewer.layers) == [image]
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    assert [layer.name for layer in shown(viewer)[1:]] == ["Match tube", "Match vectors", "Matches"]


def test_they_lie_over_another_video_as_over_the_first():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    layers.clear_pick()
    other, info = open_in(viewer, frames)
    other.scale, other.translate = (1, 0.5, 0.5), (0, 7, 7)
    layers.show(other, info, found_in(frames, tube=[1, 2]))
    names = ["frames", "frames [1]", "Match tube", "Match vectors", "Matches"]
    assert [layer.name for layer in viewer.layers] == names
    for layer in viewer.layers[2:]:
        assert tuple(layer.scale) == (1, 0.5, 0.5)
        assert tuple(layer.translate) == (0, 7, 7)


def test_closing_removes_empty_ones_only():
    frames, viewer = moving(0, 0, 2), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames, tube=[1, 2]))
    layers.clear_pick()
    layers.prepare(image)
    layers.close()
    assert list(viewer.layers) == [image]
    layers.show(image, info, found_in(frames))
    layers.close()
    assert len(viewer.layers) == 3, "an answer that is shown stays"


def test_a_video_with_other_axes_has_layers_of_its_own():
    viewer = ViewerModel()
    image, info = open_in(viewer, moving(0, 0, 2))
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(moving(0, 0, 2)))
    layers.clear_pick()
    other = viewer.add_image(np.zeros((3, 5, *SIZE), np.uint8), name="other")
    layers.show(other, video_info(other, AxisChoice(0, 1)), found_in(moving(0, 0, 2)))
    names = ["frames", "other", "Match vectors", "Matches"]
    assert [layer.name for layer in viewer.layers] == names
    assert {layer.ndim for layer in viewer.layers[1:]} == {4}


def test_a_pixel_without_a_match_has_no_vector():
    viewer = ViewerModel()
    frames = np.stack([texture(), 255 - texture()])
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(moving(0, 1), 0))
    layers.show(image, info, found_in(frames, 0))
    assert len(layers.layer("Match vectors").data) == 0
    assert layers.layer("Matches").data.tolist() == [[0, 29.5, 41.5]]


def test_the_tube_is_a_path_in_each_of_its_frames():
    frames, viewer = moving(0, 1, 3), ViewerModel()
    image, info = open_in(viewer, frames)
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(frames, 0, tube=[0, 1, 2]))
    tube = layers.layer("Match tube")
    steps = [
        [[29.5, 41.5], [0, 4]],
        [[29.5, 45.5], [0, 8]],
        [[29.5, 53.5], [0, -12]],
    ]
    assert tube.data[..., 1:].tolist() == steps * 3
    assert tube.data[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert np.allclose(tube.edge_color[2], 1), "the way back is white"
    assert points_of(layers.layer("Matches"), "diamond") == [[1, 29.5, 45.5], [2, 29.5, 53.5]]


@pytest.mark.parametrize(
    ("shape", "choice", "at"),
    [
        ((3, 5, *SIZE), AxisChoice(0, 1), (2, 4)),
        ((2, 3, *SIZE), AxisChoice(1, None, 0), (1, 2)),
    ],
)
def test_on_other_axes_they_lie_in_the_shown_plane(shape, choice, at):
    viewer = ViewerModel()
    scale, translate = np.full(4, 0.5), np.full(4, 7.0)
    image = viewer.add_image(np.zeros(shape, np.uint8), scale=scale, translate=translate)
    info = video_info(image, choice)
    viewer.dims.point = image.data_to_world((*at, 0, 0))
    layers = MatchLayers(viewer)
    layers.show(image, info, found_in(moving(0, 0, 2)))
    points = layers.layer("Matches")
    cross = points_of(points, "cross")[0]
    other = 1 - choice.time
    assert cross[choice.time] == 1
    assert cross[other] == at[other]
    assert tuple(points.scale) == tuple(scale)
    assert tuple(points.translate) == tuple(translate)


def test_what_lies_in_an_ignore_region_is_no_look_alike():
    frames = dict(enumerate(moving(0, 2)))
    whole = rectangle((0, 0, SIZE[1], SIZE[0]))

    def found(*regions):
        grid = MatchingGrid(SIZE, SIZE, 1.0, PAPER, regions)
        return inspect(frames, grid, 0, PIXEL, targets=[1], tube=[0, 1])

    plain, there, here = (
        found(),
        found(IgnoreRegion(whole, 1, None)),
        found(IgnoreRegion(rectangle((40, 28, 41, 29)), 0, 0)),  # in the same cell
    )
    kept = plain.answers[0].candidates.count(Fate.KEPT)
    assert kept
    for other in (there, here):
        candidates = other.answers[0].candidates
        assert (candidates.count(Fate.KEPT), candidates.count(Fate.IGNORED)) == (0, kept)
        assert all(tile.fate is not Fate.IGNORED for tile in other.answers[0].tiles)
        assert other.path.frames == (0,)
    assert plain.path.frames == (0, 1)
    assert sentence(there).endswith("what it looks like lies in an ignore region.")
    assert (
        sentence(here) == "Pixel (40, 30) of frame 0 lies in an ignore region: no loss looks there."
    )
    beside = found(IgnoreRegion(rectangle((0, 0, 20, 20)), 0, None))
    assert sentence(beside) == sentence(plain)


def test_an_ignored_cell_has_no_match():
    frames = moving(0, 2)
    region = IgnoreRegion(rectangle((0, 0, SIZE[1], SIZE[0])), 1, None)
    grid = MatchingGrid(SIZE, SIZE, 1.0, PAPER, (region,))
    found = categorise_frame(0, 1, (frames[0], frames[1]), grid, CategoryConfig())
    assert set(found.counts) == {0}, "in the frame that it is matched with, all is ignored"
    away = dataclasses.replace(grid, ignore=(dataclasses.replace(region, frame=5),))
    plain = categorise_frame(0, 1, (frames[0], frames[1]), GRID, CategoryConfig())
    other = categorise_frame(0, 1, (frames[0], frames[1]), away, CategoryConfig())
    np.testing.assert_array_equal(other.categories, plain.categories)
    assert set(plain.counts) != {0}


def test_a_category_lies_over_its_cell():
    viewer, frames = ViewerModel(), moving(0, 2)
    image, info = open_in(viewer, np.zeros((2, 192, 288, 3), np.uint8))
    image.scale, image.translate = (1, 0.5, 0.5), (0, 7, 7)
    grid = MatchingGrid((info.height, info.width), SIZE, 1.0, PAPER)
    found = categorise_frame(0, 1, (frames[0], frames[1]), grid, CategoryConfig())
    assert found.categories.shape == (16, 24)
    assert sum(found.counts.values()) == 16 * 24
    assert found.categories[7, 10] == 1
    layer = CategoryLayer(viewer)
    layer.show(image, found)
    for side in (0, 1):  # the outer edges of the first and of the last cell and pixel
        cell, pixel = (side * np.array(s) - 0.5 for s in (found.categories.shape, (192, 288)))
        there = layer.layer.data_to_world(cell)
        assert there == pytest.approx(image.data_to_world((0, *pixel))[-2:])
    assert viewer.layers.index(layer.layer) == 1
    layer.hide()
    layer.show(image, found)
    assert layer.layer.visible
    layer.clear()
    assert list(viewer.layers) == [image]


def test_the_stretch_of_the_run_counts():
    dark = (texture() // 128 + 100).astype(np.uint8)
    frames = np.stack([dark, dark])
    alike = found_in(frames, 0)
    apart = found_in(frames, 0, grid=MatchingGrid(SIZE, SIZE, 4.0, PAPER))
    assert alike.answers[0].candidates.count(Fate.KEPT) == 5
    assert apart.answers[0].candidates.count(Fate.KEPT) < 5
