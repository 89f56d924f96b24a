from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.consensus_memory import read_evidence
from maskfree.contrast import lab_stretch
from maskfree.errors import InputError
from maskfree.prepare import prepare
from maskfree.tube import followed_tube
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.types import BoxTracks
    from napari_maskfree.sample_data import GeneratedClip


def test_what_is_known_before_any_network(small_clip: GeneratedClip, small_config: Config) -> None:
    tracks = small_clip.boxes(every=4)
    video = open_video(small_clip.frames)
    found = prepare(video, tracks, small_config)
    boxes, slack = followed_tube(video, tracks, small_config)
    np.testing.assert_array_equal(found.boxes, boxes)
    np.testing.assert_array_equal(found.slack, slack)
    assert (found.frames.height, found.frames.width) == (64, 96)
    assert found.evidence is not None
    assert (found.evidence.shape, found.evidence[0].dtype) == ((12, 32, 48), np.int8)
    memory = found.consensus.memory([1, 2])
    assert memory.evidence is found.evidence
    assert memory.colours.keys() == {1, 2}
    assert memory.stretch == 1.0  # contrast=0: never stretched


def test_a_dull_clip_is_stretched(
    small_clip: GeneratedClip, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "sampling", contrast=16.0, max_stretch=3.0)
    dull = (small_clip.frames // 8 + 100).astype(np.uint8)
    found = prepare(open_video(dull), small_clip.boxes(every=4), config)
    stretch = found.consensus.memory([1, 2]).stretch
    assert 1.5 < stretch == lab_stretch(found.frames, config=config.sampling)


def test_evidence_need_not_be_looked_for(
    small_clip: GeneratedClip, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "evidence", seek=False)
    found = prepare(open_video(small_clip.frames), small_clip.boxes(every=4), config)
    assert found.evidence is None
    found.consensus.fit()
    assert found.consensus.memory([1, 2]).evidence is None
    assert found.consensus.crop(0, 0) is not None


def test_evidence_of_a_long_video_is_on_disk_and_serves_as_well(
    tmp_path: Path,
    small_clip: GeneratedClip,
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    video, tracks = open_video(small_clip.frames), small_clip.boxes(every=4)
    found = []
    for most_bytes in (2**20, 0):
        config = settings_of(small_config, "evidence", most_bytes=most_bytes)
        consensus = prepare(video, tracks, config).consensus
        consensus.fit()
        path = tmp_path / f"{most_bytes}.npz"
        path.write_bytes(consensus.memory([1, 2]).to_bytes())
        found.append((consensus.crop(0, 3), read_evidence(path)))
    (crop, evidence), (crop_too, evidence_too) = found
    assert crop is not None
    assert crop_too is not None
    np.testing.assert_array_equal(crop.values, crop_too.values)
    assert evidence is not None
    assert evidence_too is not None
    np.testing.assert_array_equal(evidence, evidence_too)


@pytest.mark.parametrize("boxes", [[], [{}], [{3: None}]])
def test_without_a_box_there_is_nothing_to_prepare(
    small_clip: GeneratedClip,
    small_config: Config,
    make_tracks: Callable[..., BoxTracks],
    boxes: list[dict[int, None]],
) -> None:
    with pytest.raises(InputError) as caught:
        prepare(open_video(small_clip.frames), make_tracks(*boxes), small_config)
    assert str(caught.value) == "There is no box to learn from. Draw a box on at least one frame."
