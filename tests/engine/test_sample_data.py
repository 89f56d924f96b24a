"""The sample clip's boxes fit its video; the generated clip is what its masks say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.color import rgb2lab

from maskfree.errors import InputError
from maskfree.tracks import check_against_video, read_boxes
from napari_maskfree.sample_data import (
    GeneratedClip,
    _scene,
    generated_clip,
    rabbit_boxes_path,
    rabbit_path,
)

TOOL = Path(__file__).parents[2] / ".." / "shared" / "tools" / "boxes_from_masks.py"
SIZES = [(96, 160), (64, 64), (120, 72), (32, 200), (16, 16)]


@pytest.fixture(scope="module")
def clip() -> GeneratedClip:
    return generated_clip(24, 96, 160, seed=1)


def test_import_is_light() -> None:
    code = (
        "import sys, napari_maskfree.sample_data as s; s.rabbit_path();"
        "print([m for m in ('torch', 'skimage', 'scipy', 'napari', 'qtpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_rabbits_boxes_fit_its_video() -> None:
    with av.open(str(rabbit_path())) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        kinds = {frame.pict_type for frame in frames}
        times = [frame.time for frame in frames]
        rate = float(stream.average_rate)
    boxes = read_boxes(rabbit_boxes_path())
    check_against_video(
        boxes, num_frames=len(frames), height=frames[0].height, width=frames[0].width
    )
    assert (len(frames), frames[0].width, frames[0].height) == (60, 854, 480)
    assert boxes.fps == rate == 25.0
    assert len(kinds) == 3, "I, P and B frames: the sample is to exercise reordering"
    np.testing.assert_allclose(times, np.arange(60) / 25.0, atol=1e-6)


def test_the_rabbit_is_boxed_from_the_first_frame_to_the_last() -> None:
    boxes = read_boxes(rabbit_boxes_path())
    (rabbit,) = boxes.tracks
    frames = [keyframe.frame for keyframe in rabbit.keyframes]
    assert rabbit.label == "rabbit"
    assert (frames[0], frames[-1]) == (0, 59)
    assert set(range(0, 60, 10)) <= set(frames)
    for keyframe in rabbit.keyframes:
        assert keyframe.xyxy is not None
        x0, y0, x1, y1 = keyframe.xyxy
        assert 0 <= x0 < x1 <= 854
        assert 0 <= y0 < y1 <= 480


def test_same_arguments_same_clip(clip: GeneratedClip) -> None:
    again = generated_clip(24, 96, 160, seed=1)
    np.testing.assert_array_equal(clip.frames, again.frames)
    np.testing.assert_array_equal(clip.masks, again.masks)
    other = generated_clip(24, 96, 160, seed=2)
    assert (clip.masks != other.masks).any()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("num_frames", [12, 17])
@pytest.mark.parametrize("size", SIZES)
def test_every_event_happens(size: tuple[int, int], num_frames: int, seed: int) -> None:
    made = generated_clip(num_frames, *size, seed=seed)
    assert made.frames.shape == (num_frames, *size, 3)
    assert made.masks.shape == (num_frames, *size)
    assert made.frames.dtype == made.masks.dtype == np.uint8
    blob = (made.masks == 1).any(axis=(1, 2))
    gap = np.flatnonzero(~blob)
    assert blob[0] and blob[-1], "the blob is there at the start and at the end"
    assert gap.size and np.ptp(gap) == gap.size - 1, "between, it is gone once"
    assert (made.masks == 2).any(axis=(1, 2)).all(), "the star is always there"
    touching = [(binary_dilation(mask == 1) & (mask == 2)).any() for mask in made.masks]
    assert sum(touching) >= 2, "the star passes over the blob"


@pytest.mark.parametrize("num_frames", [2, 3, 7])
def test_short_clips(num_frames: int) -> None:
    made = generated_clip(num_frames, 48, 64)
    assert made.frames.shape == (num_frames, 48, 64, 3)
    assert {1, 2} <= set(np.unique(made.masks))


def test_masks_are_what_covers_at_least_half_of_a_pixel() -> None:
    """Against 12 x 12 points a pixel, each asked whether it lies inside the curve."""
    scene = _scene.make_scene(64, 100, np.random.default_rng(5))
    moment, fine = 0.21, 12
    _, mask = _scene.paint(scene, moment)
    shares = []
    y, x = (np.mgrid[: 64 * fine, : 100 * fine] + 0.5) / fine - 0.5
    for thing in scene.things:
        centre, scale = thing.path(moment), thing.scale(moment)
        angle = np.arctan2(y - centre[1], x - centre[0]) - thing.turn * (moment - 0.5)
        curve = 1.0 + sum(a * np.cos(k * angle + p) for k, a, p in thing.outline.lobes)
        inside = np.hypot(x - centre[0], y - centre[1]) < thing.radius * scale * curve
        shares.append(inside.reshape(64, fine, 100, fine).mean(axis=(1, 3)))
    expected = np.where(shares[1] >= 0.5, 2, np.where(shares[0] >= 0.5, 1, 0))
    clear = np.all([abs(share - 0.5) > 0.1 for share in shares], axis=0)
    assert ((shares[0] >= 0.5) & (shares[1] >= 0.5)).sum() > 50, "the star is over the blob"
    np.testing.assert_array_equal(mask[clear], expected[clear])


def test_frames_are_ground_outside_the_masks_and_objects_inside() -> None:
    moment = 0.25
    scene = _scene.make_scene(96, 160, np.random.default_rng(3))
    bare = _scene.Scene(scene.height, scene.width, scene.ground, scene.pan, things=())
    frame, mask = _scene.paint(scene, moment)
    ground, nothing = _scene.paint(bare, moment)
    blob_only, blob_mask = _scene.paint(
        _scene.Scene(scene.height, scene.width, scene.ground, scene.pan, scene.things[:1]), moment
    )
    assert not nothing.any()
    outside = binary_erosion(mask == 0, iterations=2, border_value=1)
    np.testing.assert_array_equal(frame[outside], ground[outside])
    blob = binary_erosion(mask == 1, iterations=2)
    np.testing.assert_array_equal(frame[blob], blob_only[blob])
    star = binary_erosion(mask == 2, iterations=2)
    assert (star & (blob_mask == 1)).sum() > 20
    for part in (blob, star):
        assert (frame[part] != ground[part]).any(axis=-1).mean() > 0.95


def test_edges_are_mixed_not_stepped() -> None:
    """On a white object over black ground a pixel's grey is its share of the object."""
    scene = _scene.make_scene(64, 100, np.random.default_rng(0))
    black = np.zeros_like(scene.ground)
    blob = scene.things[0]
    white = _scene.Thing(
        blob.outline,
        blob.path,
        blob.radius,
        blob.scale_phase,
        blob.turn,
        np.full_like(blob.texture, 255.0),
    )
    frame, mask = _scene.paint(_scene.Scene(64, 100, black, scene.pan, (white,)), 0.0)
    grey = frame[..., 0]
    edge = (grey > 0) & (grey < 255)
    assert edge.sum() > 40
    np.testing.assert_array_equal(mask == 1, grey >= 128)


def test_the_camera_pans_by_parts_of_a_pixel() -> None:
    """On a ground whose colour is its column and row, a frame shows where the camera looks."""
    rows, columns = np.mgrid[:200, :200].astype(float)
    ground = np.stack([columns, rows, rows], axis=-1)
    scene = _scene.Scene(40, 60, ground, pan=(10.0, 4.0), things=())
    for moment, (x, y) in {0.0: (90.0, 104.0), 0.5: (100.0, 100.0), 1.0: (110.0, 96.0)}.items():
        seen = _scene._look_at_ground(scene, moment)
        np.testing.assert_allclose(seen[20, 30, :2], (x, y), atol=1e-9)
    moved = _scene._look_at_ground(scene, 0.51)[20, 30, 0] - 100.0
    assert moved == pytest.approx(10.0 * np.sin(0.01 * np.pi))


@pytest.mark.parametrize("seed", range(6))
def test_objects_stand_out_on_average_and_are_textured(seed: int) -> None:
    made = generated_clip(2, 96, 160, seed=seed)
    lab = rgb2lab(made.frames[0])
    ground = lab[made.masks[0] == 0].mean(axis=0)
    for number in (1, 2):
        own = lab[made.masks[0] == number]
        assert np.linalg.norm(own.mean(axis=0) - ground) > 15.0
        assert own.std(axis=0).max() > 5.0


def test_boxes_worked_out_by_hand() -> None:
    masks = np.zeros((12, 20, 30), dtype=np.uint8)
    masks[0:5, 4:9, 10:16] = 1
    masks[5, 0:3, 0:7] = 1
    masks[8:12, 19, 29] = 1
    masks[1:3, 6, 12:14] = 2
    boxes = GeneratedClip(np.zeros((12, 20, 30, 3), np.uint8), masks).boxes(every=4)
    blob, star = ([(k.frame, k.xyxy, k.outside) for k in track.keyframes] for track in boxes.tracks)
    assert (boxes.num_frames, boxes.height, boxes.width, boxes.fps) == (12, 20, 30, None)
    assert [(track.id, track.label) for track in boxes.tracks] == [(1, "blob"), (2, "star")]
    assert blob == [
        (0, (10.0, 4.0, 16.0, 9.0), False),
        (4, (10.0, 4.0, 16.0, 9.0), False),
        (5, (0.0, 0.0, 7.0, 3.0), False),
        (6, None, True),
        (8, (29.0, 19.0, 30.0, 20.0), False),
        (11, (29.0, 19.0, 30.0, 20.0), False),
    ]
    assert star == [
        (1, (12.0, 6.0, 14.0, 7.0), False),
        (2, (12.0, 6.0, 14.0, 7.0), False),
        (3, None, True),
    ]


def test_short_clips_have_a_keyframe_on_every_frame() -> None:
    boxes = generated_clip(9, 48, 64).boxes()
    star = boxes.tracks[1]
    assert [keyframe.frame for keyframe in star.keyframes] == list(range(9))


def test_what_is_written_is_read_back(clip: GeneratedClip, tmp_path: Path) -> None:
    clip.write(tmp_path / "clip")
    names = [f"{number:05d}.png" for number in range(24)]
    for part in ("frames", "masks"):
        assert sorted(path.name for path in (tmp_path / "clip" / part).iterdir()) == names
    for number, name in enumerate(names):
        with Image.open(tmp_path / "clip" / "frames" / name) as frame:
            np.testing.assert_array_equal(np.asarray(frame), clip.frames[number])
        with Image.open(tmp_path / "clip" / "masks" / name) as mask:
            assert mask.mode == "P"
            np.testing.assert_array_equal(np.asarray(mask), clip.masks[number])
    assert read_boxes(tmp_path / "clip" / "boxes.json") == clip.boxes()
    clip.write(tmp_path / "clip")


@pytest.mark.skipif(not TOOL.exists(), reason="the shared tool is not beside this checkout")
def test_boxes_agree_with_the_shared_tool(clip: GeneratedClip, tmp_path: Path) -> None:
    clip.write(tmp_path)
    command = [sys.executable, str(TOOL), str(tmp_path), "--every", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = [track["boxes"] for track in json.loads(done.stdout)["tracks"]]
    ours = json.loads((tmp_path / "boxes.json").read_text(encoding="utf-8"))["tracks"]
    assert [track["boxes"] for track in ours] == theirs


def test_a_folder_with_other_frames_is_left_alone(tmp_path: Path) -> None:
    generated_clip(3, 16, 16).write(tmp_path)
    with pytest.raises(InputError, match=r'already holds "00002.png".*Choose a new folder'):
        generated_clip(2, 16, 16).write(tmp_path)
    assert len(list((tmp_path / "frames").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 1}, "num_frames must be 2 or more, got 1."),
        ({"height": 15}, "height must be 16 or more, got 15."),
        ({"width": 0}, "width must be 16 or more, got 0."),
        ({"seed": -1}, "seed must be 0 or more, got -1."),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        generated_clip(**arguments)
    assert str(caught.value) == message


def test_every_must_be_positive(clip: GeneratedClip) -> None:
    with pytest.raises(InputError) as caught:
        clip.boxes(every=0)
    assert str(caught.value) == "every must be 1 or more frames, got 0."
