"""Pictures for people: what is drawn, and that each frame of the file shows its frame."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from maskfree import picture_exports, video_writer
from maskfree.colours import track_colour
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats import Annotations, export
from maskfree.overlay import overlay
from maskfree.picture_exports import PICTURES, export_picture
from maskfree.session import Session
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from command_line import Result
    from maskfree.video import Video

COUNT, HEIGHT, WIDTH = 6, 63, 97


def frames() -> np.ndarray:
    """A bright bar that goes from left to right on a grey ground; sides are odd."""
    made = np.full((COUNT, HEIGHT, WIDTH, 3), 90, np.uint8)
    for n in range(COUNT):
        made[n, :, 12 * n : 12 * n + 14] = (200, 210, 220)
    return made


def mask(n: int) -> np.ndarray:
    made = np.zeros((HEIGHT, WIDTH), bool)
    made[20:44, 10 + 8 * n : 34 + 8 * n] = True
    return made


def annotations() -> Annotations:
    """A mask in all frames but the last, which has only a box."""
    track = Track(2, "dog", (Keyframe(0, (10.0, 20.0, 60.0, 44.0)),))
    boxes = BoxTracks(COUNT, HEIGHT, WIDTH, 12.5, (track,))
    masks = [InstanceMasks((2,), mask(n)[None], (1.0,)) for n in range(COUNT - 1)]
    return Annotations(boxes, [f"{n:05d}" for n in range(COUNT)], [*masks, None].__getitem__)


@pytest.fixture
def video() -> Iterator[Video]:
    with open_video(frames(), fps=12.5) as opened:
        yield opened


# --- one frame -------------------------------------------------------------------------------


def test_a_mask_is_tinted_outlined_and_named() -> None:
    frame = frames()[0]
    drawn = overlay(frame, InstanceMasks((2,), mask(0)[None], (1.0,)))
    assert drawn.dtype == np.uint8
    far = ~np.pad(mask(0), 20)[20:-20, 20:-20]
    far[:50, :40] = False
    np.testing.assert_array_equal(drawn[far], frame[far])
    middle = drawn[32, 22].astype(int)
    wanted = frame[32, 22] + 0.3 * (np.array(track_colour(2)) - frame[32, 22])
    np.testing.assert_allclose(middle, wanted, atol=1)
    assert np.abs(drawn[43, 20].astype(int) - track_colour(2)).max() < 60  # the lower edge
    tag = drawn[4:20, 6:20].reshape(-1, 3)
    assert (np.abs(tag.astype(int) - track_colour(2)).max(axis=1) < 40).any()
    np.testing.assert_array_equal(frame, frames()[0])


def test_a_box_is_drawn_where_no_mask_is_known() -> None:
    frame = frames()[3]
    drawn = overlay(frame, None, {2: (10.0, 20.0, 60.0, 44.0)})
    assert np.abs(drawn[43, 20].astype(int) - track_colour(2)).max() < 10
    np.testing.assert_array_equal(drawn[32, 30], frame[32, 30])
    nothing = overlay(frame, InstanceMasks((2,), np.zeros((1, HEIGHT, WIDTH), bool), (1.0,)))
    np.testing.assert_array_equal(nothing, frame)


# --- files -----------------------------------------------------------------------------------


def test_a_video_shows_each_frame_at_its_time(video: Video, tmp_path: Path) -> None:
    report = export_picture(annotations(), video, tmp_path / "new/x.mp4", "mp4")
    assert (report.frames, report.instances) == (COUNT, 1)
    assert report.losses == ("H.264 needs even sides: the last row or column is there twice",)
    with av.open(str(tmp_path / "new/x.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.format.name) == ("h264", "yuv420p")
        assert (stream.height, stream.width, stream.average_rate) == (64, 98, 12.5)
        decoded = [picture.to_ndarray(format="rgb24") for picture in file.decode(video=0)]
    assert len(decoded) == COUNT
    for n, picture in enumerate(decoded):
        wanted = picture_exports._drawn(annotations(), video, n)
        assert np.abs(picture[:HEIGHT, :WIDTH].astype(int) - wanted).mean() < 6


def test_an_animation_and_a_sheet(video: Video, tmp_path: Path) -> None:
    report = export_picture(annotations(), video, tmp_path / "x.gif", "gif")
    assert report.losses == ()
    with Image.open(tmp_path / "x.gif") as gif:
        assert (gif.size, gif.n_frames, gif.info["duration"]) == ((WIDTH, HEIGHT), COUNT, 80)
    export_picture(annotations(), video, tmp_path / "x.png", "sheet")
    with Image.open(tmp_path / "x.png") as sheet:
        assert sheet.width == 1600


def test_a_long_animation_is_thinned(
    video: Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = FormatConfig(gif_frames=3, gif_side=48)
    monkeypatch.setattr(picture_exports, "FormatConfig", lambda: small)
    report = export_picture(annotations(), video, tmp_path / "x.gif", "gif")
    assert report.losses == (
        "3 of 6 frames, evenly spread",
        "frames are 48 x 31 pixels (width x height)",
    )
    with Image.open(tmp_path / "x.gif") as gif:
        assert (gif.size, gif.n_frames, gif.info["duration"]) == ((48, 31), 3, 160)


def test_frames_that_are_the_same_stay_as_long(tmp_path: Path) -> None:
    still = dataclasses.replace(annotations(), read_masks=lambda _: None)
    with open_video(np.repeat(frames()[:1], COUNT, axis=0), fps=12.5) as same:
        export_picture(still, same, tmp_path / "x.gif", "gif")
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.info["duration"] * getattr(gif, "n_frames", 1) == 80 * COUNT


@pytest.mark.parametrize("name", PICTURES)
def test_a_failure_leaves_what_was_there(
    name: str, video: Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"x{PICTURES[name].suffix}"
    path.write_bytes(b"old")

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maskfree.overlay.overlay", broken)
    monkeypatch.setattr("maskfree.contact_sheet.contact_sheet", broken)
    with pytest.raises(InputError, match="The disk is full"):
        export_picture(annotations(), video, path, name)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("name", PICTURES)
def test_a_mask_at_fault_is_what_is_said(name: str, video: Video, tmp_path: Path) -> None:
    def broken(frame: int) -> InstanceMasks | None:
        raise InputError("The masks of frame 3 are broken.")

    given = dataclasses.replace(annotations(), read_masks=broken)
    with pytest.raises(InputError, match=r"^The masks of frame 3 are broken\.$"):
        export_picture(given, video, tmp_path / f"x{PICTURES[name].suffix}", name)
    assert not list(tmp_path.iterdir())


def test_a_video_that_shows_something_else_is_found(
    video: Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = video_writer.write_video

    def late(path: Path, pictures: Iterator[np.ndarray], fps: float) -> video_writer.Written:
        """Write one frame too late, as an encoder that repeats the first one."""
        every = list(pictures)
        wanted = plain(path, iter(every), fps)
        plain(path, iter([every[0], *every[:-1]]), fps)
        return wanted

    monkeypatch.setattr(video_writer, "write_video", late)
    with pytest.raises(InputError, match="frame 1 shows something else"):
        export_picture(annotations(), video, tmp_path / "x.mp4", "mp4")

    def short(path: Path, pictures: Iterator[np.ndarray], fps: float) -> video_writer.Written:
        return dataclasses.replace(plain(path, pictures, fps), count=COUNT + 1)

    monkeypatch.setattr(video_writer, "write_video", short)
    with pytest.raises(InputError, match="6 frames instead of 7"):
        export_picture(annotations(), video, tmp_path / "x.mp4", "mp4")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(video: Video, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mp4 is written to a \.mp4 file, got .* Name it x\.mp4"):
        export_picture(annotations(), video, tmp_path / "x.avi", "mp4")
    longer = dataclasses.replace(annotations(), frame_names=["a"])
    with pytest.raises(InputError, match="are for 1 frames of 97 x 63 pixels, the video has 6"):
        export_picture(longer, video, tmp_path / "x.mp4", "mp4")


def test_their_names_are_known_without_what_draws_them() -> None:
    code = (
        "import sys, maskfree.picture_exports\n"
        "found = {'torch', 'skimage', 'cv2', 'av'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the command line ------------------------------------------------------------------------


def test_commands(cli: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for n, frame in enumerate(frames()):
        Image.fromarray(frame).save(folder / f"{n:05d}.png")
    session = Session.create(tmp_path / "s", video_source=str(folder), boxes=annotations().boxes)
    for n in range(COUNT - 1):
        found = annotations().read_masks(n)
        assert found is not None
        session.mask_store().write(n, found)
    shown = cli("export", str(session.path), "--format", "mp4", "--out", str(tmp_path / "a.mp4"))
    assert shown.code == 0, shown.err
    assert "mp4, 6 frames, 1 instances" in shown.out
    assert "note: nothing says the video's frames a second: it plays at 24" in shown.out
    wrong = cli("export", str(session.path), "--format", "mp5", "--out", "x")
    assert (wrong.code, "gif, sheet" in wrong.err) == (2, True)
    export(annotations(), tmp_path / "m.json", "ytvis")
    arguments = ["convert", str(tmp_path / "m.json"), str(tmp_path / "b.png")]
    arguments += ["--from", "ytvis", "--to", "sheet"]
    without = cli(*arguments)
    assert (without.code, "--video PATH" in without.err) == (2, True)
    done = cli(*arguments, "--video", str(folder))
    assert done.code == 0, done.err
    assert (tmp_path / "b.png").is_file()
