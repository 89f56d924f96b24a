"""The TK residual: worked out by hand, beside the TK-Loss, and on a video whose masks are known."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from maskfree.config import Config, ResidualConfig, TemporalKNNConfig
from maskfree.correspondence import match_patches
from maskfree.errors import InputError
from maskfree.losses import temporal_knn_loss
from maskfree.tk_residual import Finding, ResidualMaker, tk_residual, to_grid
from maskfree.types import InstanceMasks, Matches
from maskfree.video import open_video

ANY = ResidualConfig(fewest_cells=1)
GRID = (1, 4)


def to_columns(*columns: tuple[int, ...], valid: tuple[tuple[int, ...], ...] = ()) -> Matches:
    """K matches of the four cells of a row, by column; all valid unless said otherwise."""
    yx = torch.zeros(len(columns), *GRID, 2, dtype=torch.long)
    yx[:, 0, :, 1] = torch.tensor(columns)
    good = torch.ones(len(columns), *GRID, dtype=torch.bool)
    if valid:
        good[:, 0] = torch.tensor(valid, dtype=torch.bool)
    return Matches(yx, torch.zeros(len(columns), *GRID), good)


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def compare(matches, masks, config=ANY):
    return tk_residual(1, matches, masks, grid=GRID, cell_area=16.0, config=config)


def test_two_sides_by_hand():
    """Cell 0: both; 1: the match is the object, the mask is not; 2: the reverse; 3: neither."""
    here, there = row(1, 0, 1, 0), row(1, 1, 0, 0)
    found = compare({2: to_columns((0, 1, 2, 3))}, {1: {5: here}, 2: {5: there}})
    assert found.signed.tolist() == [[0, 1, -1, 0]]
    assert found.signed.dtype == np.float32
    assert found.neighbours == (2,)
    assert found.findings == (Finding(5, True, 1, (2,)), Finding(5, False, 1, (2,)))


def test_the_mean_over_all_valid_matches_of_both_neighbours():
    here = {1: row(0, 0, 0, 1)}
    # cell 0 matches columns 3 and 0 after, 3 before (its second match is not valid): 2 of 3
    after = to_columns((3, 0, 0, 3), (0, 0, 0, 3))
    before = to_columns((3, 0, 0, 3), (3, 3, 3, 3), valid=((1, 1, 1, 1), (0, 0, 0, 0)))
    object_right = {1: row(0, 0, 0, 1)}
    found = compare({2: after, 0: before}, {1: here, 2: object_right, 0: object_right})
    assert found.signed == pytest.approx(row(2 / 3, 0, 0, 0))
    assert found.neighbours == (0, 2)
    # before: its one valid match; after: half of two
    assert found.findings == (Finding(1, True, 1, (0, 2)),)


def test_only_the_frames_that_disagree_are_named():
    same = to_columns((0, 1, 2, 3))
    here, right, wrong = row(1, 1, 0, 0), row(1, 1, 0, 0), row(0, 0, 0, 0)
    found = compare({0: same, 2: same}, {1: {1: here}, 0: {1: right}, 2: {1: wrong}})
    assert found.signed.tolist() == [[-0.5, -0.5, 0, 0]]
    assert found.findings == (Finding(1, False, 2, (2,)),)


def test_a_cell_without_a_match_says_nothing():
    none = to_columns((0, 1, 2, 3), valid=((0, 0, 0, 0),))
    found = compare({2: none}, {1: {1: row(1, 1, 1, 1)}, 2: {1: row(0, 0, 0, 0)}})
    assert not found.signed.any()
    assert found.findings == ()


def test_the_track_that_disagrees_most_is_shown_and_each_is_told():
    same = to_columns((0, 1, 2, 3))
    here = {1: row(1, 1, 0, 0), 2: row(0, 0, 1, 0)}
    there = {1: row(1, 1, 1, 0), 2: row(0, 0, 0, 0), 7: row(0, 0, 0, 1)}
    found = compare({2: same}, {1: here, 2: there})
    # column 2 lacks track 1 and has too much of track 2: equally wrong, what is missing is shown
    assert found.signed.tolist() == [[0, 0, 1, 1]]
    assert {(f.track_id, f.missing) for f in found.findings} == {(1, True), (2, False), (7, True)}


def test_findings_are_ordered_and_small_ones_left_out():
    same = to_columns((0, 1, 2, 3))
    masks = {1: {1: row(1, 0, 0, 0), 2: row(0, 0, 0, 0)}, 2: {2: row(0, 1, 1, 1)}}
    found = compare({2: same}, masks)
    assert [(f.track_id, f.cells) for f in found.findings] == [(2, 3), (1, 1)]
    found = compare({2: same}, masks, ResidualConfig(fewest_cells=3))
    assert [f.track_id for f in found.findings] == [2]


def test_without_neighbours_or_masks():
    alone = compare({}, {1: {1: row(1, 0, 0, 0)}})
    assert (alone.neighbours, alone.findings, alone.signed.any()) == ((), (), False)
    empty = compare({2: to_columns((0, 1, 2, 3))}, {1: {}, 2: {}})
    assert empty.signed.shape == GRID
    assert not empty.signed.any()


def test_another_grid_is_refused():
    with pytest.raises(ValueError, match=r"on a grid of \(1, 4\) cells, got \(2, 2\)"):
        compare({}, {1: {1: np.zeros((2, 2), np.float32)}})


def test_it_is_what_the_loss_leaves_to_agree():
    """-log(1 - residual) of one match a cell, summed, is the loss of that frame pair."""
    config = TemporalKNNConfig(num_neighbors=1, tube="neighbour", normaliser="grid")
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(2, 3, 6, 7, generator=generator) * 3
    logits = torch.randn(1, 2, 6, 7, generator=generator)
    loss = float(temporal_knn_loss(logits, lab, config=config))
    probs = logits[0].sigmoid().numpy()
    match = match_patches(lab[0], lab[1], config=config)
    assert bool(match.valid.all())
    place = match.target_yx[0].numpy()
    there = probs[1][place[..., 0], place[..., 1]]
    masks = {0: {1: probs[0]}, 1: {1: probs[1]}}
    one = tk_residual(0, {1: match}, masks, grid=(6, 7), cell_area=1, config=ANY)
    both = 0.0
    for y, x in itertools.product(range(6), range(7)):
        missing, excess = (1 - probs[0][y, x]) * there[y, x], probs[0][y, x] * (1 - there[y, x])
        assert one.signed[y, x] == pytest.approx(missing - excess, abs=1e-6)
        both -= np.log(1 - missing - excess)
    assert both / 42 == pytest.approx(loss, rel=1e-5)


def test_masks_come_onto_the_grid_by_how_much_of_a_cell_they_cover():
    mask = np.zeros((2, 8, 8), bool)
    mask[0, :4, :6], mask[1, 5:8, 5:8] = True, True
    found = to_grid(InstanceMasks((3, 4), mask, (1.0, 1.0)), (2, 2), config=ResidualConfig())
    assert found[3].tolist() == [[1, 1], [0, 0]]  # half covered counts
    assert found[4].tolist() == [[0, 0], [0, 1]]
    assert found[3].dtype == np.float32


# ---- on a video


def moving_square(frames: int = 3) -> tuple[np.ndarray, list[InstanceMasks]]:
    """A textured square that moves by 8 pixels a frame over another texture; exact masks."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 120, (20, 24, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    thing = rng.integers(130, 255, (8, 8, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    video, masks = [], []
    for t in range(frames):
        frame, mask = ground.copy(), np.zeros((1, 80, 96), bool)
        frame[24:56, 16 + 8 * t : 48 + 8 * t] = thing
        mask[0, 24:56, 16 + 8 * t : 48 + 8 * t] = True
        video.append(frame)
        masks.append(InstanceMasks((1,), mask, (0.9,)))
    return np.stack(video), masks


@pytest.fixture
def maker():
    config = Config()  # a working scale of 1: cells of 4 x 4 pixels, as the textures have
    sampling = dataclasses.replace(config.sampling, frame_area=80 * 96, contrast=0.0)
    return ResidualMaker(
        open_video(moving_square()[0], axes="tyxc"),
        config=dataclasses.replace(config, sampling=sampling),
    )


def test_exact_masks_agree(maker):
    masks = moving_square()[1]
    found = maker.of(1, masks.__getitem__)
    assert found.signed.shape == (20, 24)
    assert (found.neighbours, found.cell_area) == ((0, 2), 16)
    assert found.findings == ()


def test_a_hole_and_a_spill_are_found_where_they_are(maker):
    masks = moving_square()[1]
    masks[1].masks[0, 32:48, 32:48] = False
    masks[1].masks[0, 64:76, 4:20] = True
    found = maker.of(1, masks.__getitem__)
    assert (found.signed[8:12, 8:12] > 0.5).all()
    assert (found.signed[16:19, 1:5] < -0.5).all()
    hole, spill = found.findings
    assert (hole.missing, hole.track_id, hole.frames) == (True, 1, (0, 2))
    assert 16 <= hole.cells <= 20
    assert (spill.missing, spill.frames) == (False, (0, 2))
    assert 12 <= spill.cells <= 15


def test_neighbours_without_masks_are_passed_over(maker):
    masks = dict(enumerate(moving_square()[1]))
    assert maker.of(1, {2: masks[2]}.get) is None
    assert maker.of(1, {1: masks[1]}.get).neighbours == ()
    assert maker.of(0, masks.get).neighbours == (1,)
    assert maker.of(2, masks.get).neighbours == (1,)
    gone = InstanceMasks((), np.zeros((0, 80, 96), bool), ())
    found = maker.of(1, {1: masks[1], 2: gone}.get)
    assert found.findings == (Finding(1, False, found.findings[0].cells, (2,)),)


def test_it_reads_no_other_frame(maker, monkeypatch):
    masks, asked = moving_square()[1], []
    maker.of(0, masks.__getitem__)
    plain = maker.video

    class Asked:
        shape = plain.shape

        def __len__(self):
            return len(plain)

        def __getitem__(self, index):
            asked.append(index)
            return plain[index]

    monkeypatch.setattr(maker, "video", Asked())
    maker.of(1, masks.__getitem__)
    assert asked == [2]  # 0 and 1 are kept


def test_a_single_image_has_no_neighbour():
    frames, masks = moving_square(1)
    found = ResidualMaker(open_video(frames, axes="tyxc")).of(0, masks.__getitem__)
    assert found.neighbours == ()


def test_broken_masks_are_said(maker):
    def read(frame: int) -> InstanceMasks:
        raise InputError("00001.json is broken")

    with pytest.raises(InputError, match="broken"):
        maker.of(1, read)


def test_the_scale_is_the_runs():
    from maskfree.tube import tracks_scale
    from maskfree.types import BoxTracks, Keyframe, Track

    frames, masks = moving_square()
    tracks = BoxTracks(3, 80, 96, None, (Track(1, "a", (Keyframe(0, (16, 24, 30, 38)),)),))
    video = open_video(frames, axes="tyxc")
    scale = tracks_scale(video, tracks, Config())
    found = ResidualMaker(video, tracks).of(1, masks.__getitem__)
    assert found.signed.shape == (round(80 * scale / 4), round(96 * scale / 4))


def test_what_is_ignored_has_no_part_in_colours_and_contrast():
    from maskfree.ignore_regions import rectangle
    from maskfree.types import BoxTracks, IgnoreRegion, Keyframe, Track

    frames, masks = moving_square()
    region = IgnoreRegion(rectangle((60, 0, 96, 20)), 0, None)
    track = Track(1, "a", (Keyframe(0, (16, 24, 48, 56)),))
    tracks = BoxTracks(3, 80, 96, None, (track,), (region,))
    found = []
    for seed in (0, 1):  # whatever the region shows
        there = np.random.default_rng(seed).integers(0, 256 >> 3 * seed, (3, 20, 36, 3))
        frames[:, :20, 60:] = there
        video = open_video(frames.copy(), axes="tyxc")
        found.append(ResidualMaker(video, tracks).of(1, masks.__getitem__).signed)
    np.testing.assert_array_equal(*found)
