"""Video files: every frame against plain sequential decoding, and what happens to damaged ones."""

from __future__ import annotations

import hashlib
import random
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from maskfree.config import VideoConfig
from maskfree.errors import InputError, InputWarning
from maskfree.video import open_video
from maskfree.video_decode import Identify
from maskfree.video_file import VideoFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEIGHT, WIDTH, RATE, GOP = 48, 64, 25, 12
NO_CACHE = VideoConfig(cache_bytes=0, max_decode_ahead=3)


def moving_picture(index: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    texture = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return np.roll(texture, 2 * index, axis=1)


def encode(
    path: Path,
    *,
    codec: str = "libx264",
    frames: int = 40,
    b_frames: int = 3,
    pts: Sequence[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    rotation: int = 0,
) -> Path:
    with av.open(str(path), "w", options=mux or {}) as container:
        stream: Any = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.gop_size = GOP
        if codec == "libx264":
            x264 = {"g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0"}
            stream.options = {**x264, "bf": str(b_frames), **(options or {})}
        else:
            stream.codec_context.max_b_frames = b_frames
            stream.options = options or {}
        if rotation:
            stream.set_display_rotation(rotation)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(moving_picture(i, *size), format="rgb24")
            frame.pts = i if pts is None else pts[i]
            frame.time_base = Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def digest(picture: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(picture)).hexdigest()


def decoded_truth(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [digest(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def shuffled(length: int) -> list[int]:
    order = list(range(length)) * 2
    random.Random(0).shuffle(order)
    return order


VFR = [int(t) for t in np.cumsum([1 + (7 * i) % 5 for i in range(40)])]
CASES: dict[str, tuple[str, dict[str, Any], Identify]] = {
    "mp4 with B-frames": ("a.mp4", {"b_frames": 3}, Identify.PTS),
    "mov, two B-frames": ("a.mov", {"b_frames": 2}, Identify.PTS),
    "mkv, no frame count": ("a.mkv", {}, Identify.PTS),
    "fragmented mp4, no frame count": (
        "f.mp4",
        {"mux": {"movflags": "frag_keyframe+empty_moov"}},
        Identify.PTS,
    ),
    "open groups of pictures": (
        "o.mp4",
        {"options": {"x264-params": f"open-gop=1:keyint={GOP}:bframes=3"}},
        Identify.PTS,
    ),
    "avi, MPEG-4": ("a.avi", {"codec": "mpeg4", "b_frames": 0}, Identify.PTS),
    "avi, MPEG-4 with B-frames": ("b.avi", {"codec": "mpeg4", "b_frames": 2}, Identify.PTS),
    "avi, H.264 whose timestamps are made up": ("c.avi", {}, Identify.PACKET),
    "avi, Motion JPEG": (
        "d.avi",
        {"codec": "mjpeg", "b_frames": 0, "pixels": "yuvj420p"},
        Identify.PTS,
    ),
    "webm, VP8 with hidden packets": (
        "a.webm",
        {"codec": "libvpx", "b_frames": 0},
        Identify.PACKET,
    ),
    "transport stream, starts late": ("a.ts", {}, Identify.PTS),
    "program stream": ("a.mpg", {"codec": "mpeg2video", "b_frames": 2}, Identify.PTS),
    "raw H.264, no timestamps": ("r.h264", {}, Identify.PACKET),
    "variable rate mp4": ("v.mp4", {"pts": VFR}, Identify.PTS),
    "variable rate mkv": ("v.mkv", {"pts": VFR}, Identify.PTS),
    "late start": ("s.mp4", {"pts": [i + 500 for i in range(40)]}, Identify.PTS),
    "edit list hides the first frames": (
        "n.mp4",
        {"pts": [2 * i - 20 for i in range(40)]},
        Identify.PTS,
    ),
    "odd size": (
        "odd.mkv",
        {"codec": "ffv1", "b_frames": 0, "size": (47, 63), "pixels": "bgr0"},
        Identify.PTS,
    ),
    "16-bit grey": ("g.mkv", {"codec": "ffv1", "b_frames": 0, "pixels": "gray16le"}, Identify.PTS),
}


@pytest.mark.parametrize("name", CASES)
def test_frames_in_any_order_are_those_of_plain_decoding(name: str, tmp_path: Path) -> None:
    file_name, arguments, identify = CASES[name]
    path = encode(tmp_path / file_name, **arguments)
    truth = decoded_truth(path)
    if path.suffix == ".h264":
        path = path.rename(path.with_suffix(".mpg"))
    with open_video(path, config=NO_CACHE) as video:
        assert video._frames._index.identify is identify
        assert len(video) == len(truth)
        assert [digest(video[i]) for i in shuffled(len(truth))] == [
            truth[i] for i in shuffled(len(truth))
        ]
        assert [digest(frame) for frame in video] == truth


def test_edit_list_leaves_frames_out(tmp_path: Path) -> None:
    path = encode(tmp_path / "n.mp4", pts=[2 * i - 20 for i in range(40)])
    assert len(open_video(path)) == 30


def test_edit_list_that_ends_early(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    duration = slice(data.index(b"elst") + 12, data.index(b"elst") + 16)
    shown = int.from_bytes(data[duration], "big") * 30 // 40
    data[duration] = shown.to_bytes(4, "big")
    path.write_bytes(data)
    truth = decoded_truth(path)
    assert len(truth) < 40
    with open_video(path, config=NO_CACHE) as video:
        assert [digest(frame) for frame in video] == truth
        assert video._frames._index.identify is Identify.PTS


def test_shape_names_source_and_types(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=3)
    with open_video(str(path)) as video:
        assert video.shape == (3, HEIGHT, WIDTH, 3)
        assert video.names == ["00000", "00001", "00002"]
        assert video.source == str(path.absolute())
        assert video[0].dtype == np.uint8
        assert not video[0].flags.writeable


def test_one_frame(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "a.mp4", frames=1)) as video:
        assert len(video) == 1
        assert video.fps == RATE


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_rate_is_announced_or_the_mean(suffix: str, tmp_path: Path) -> None:
    constant = open_video(encode(tmp_path / f"c.{suffix}"))
    varying = open_video(encode(tmp_path / f"v.{suffix}", pts=VFR))
    assert constant.fps == RATE
    assert varying.fps == pytest.approx(39 * RATE / (VFR[-1] - VFR[0]), rel=0.01)
    assert open_video(tmp_path / f"c.{suffix}", fps=10.0).fps == 10.0


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_display_rotation(rotation: int, tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=2, rotation=rotation)
    capture = cv2.VideoCapture(str(path))
    _, bgr = capture.read()
    capture.release()
    video = open_video(path)
    assert video.shape[1:] == bgr.shape
    assert np.array_equal(video[0], bgr[..., ::-1])


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=5)
    covered = tmp_path / "covered.mp4"
    with av.open(str(path)) as source, av.open(str(covered), "w") as target:
        cover: Any = target.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 16, 16, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        copied = target.add_stream_from_template(source.streams.video[0])
        target.mux(cover.encode(av.VideoFrame(16, 16, "yuvj420p")))
        target.mux(cover.encode(None))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    assert open_video(covered).shape == (5, HEIGHT, WIDTH, 3)


def test_sequential_access_never_seeks(tmp_path: Path) -> None:
    source = VideoFile(encode(tmp_path / "a.mp4"), VideoConfig())
    source.read(0, lambda *_: None)
    before = source.seeks
    for i in range(1, 40):
        source.read(i, lambda *_: None)
    assert source.seeks == before
    source.close()


def test_far_frames_are_reached_by_a_seek(tmp_path: Path) -> None:
    source = VideoFile(encode(tmp_path / "a.mp4"), NO_CACHE)
    seen: list[int] = []
    decoded = source._decoder.frames

    def counted(*args: Any) -> Any:
        for key, frame in decoded(*args):
            seen.append(1)
            yield key, frame

    source._decoder.frames = counted  # type: ignore[method-assign]
    source.read(37, lambda *_: None)
    assert len(seen) == 2  # frame 36 is a keyframe
    source.close()


def test_frames_on_the_way_are_kept_for_stepping_back(tmp_path: Path) -> None:
    config = VideoConfig(keep_behind=4)
    with open_video(encode(tmp_path / "a.mp4"), config=config) as video:
        video[10]
        before = video._frames.seeks
        assert [i for i in range(40) if i in video.cache] == [6, 7, 8, 9, 10]
        video[6]
        assert video._frames.seeks == before


def test_close_releases_the_file(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=3)
    video = open_video(path)
    video.close()
    path.unlink()
    with pytest.raises(RuntimeError, match="closed; open it again"):
        video[0]


# ---------------------------------------------------------------- damaged and foreign files


def packets_of(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size]


def blank(path: Path, *numbers: int) -> None:
    """Overwrite the packets of these numbers (in the order of the file) with zeros."""
    data = bytearray(path.read_bytes())
    for position, size in [packets_of(path)[number] for number in numbers]:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)


def cut(path: Path, part: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


def test_frame_in_the_middle_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", codec="mjpeg", b_frames=0, pixels="yuvj420p")
    truth = decoded_truth(path)
    blank(path, 20)
    message = (
        f"Frame 20 of {path} cannot be decoded: the file is damaged there. Copy it again, or "
        "leave that frame out."
    )
    with open_video(path) as video:
        assert len(video) == 40
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            video[20]
        others = [i for i in shuffled(40) if i != 20]
        assert [digest(video[i]) for i in others] == [truth[i] for i in others]


def test_damaged_packet_with_b_frames_costs_only_what_needs_it(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4")
    truth = decoded_truth(path)
    blank(path, 38)  # a B-frame near the end: nothing refers to it
    with open_video(path) as video:
        lost = []
        for i in shuffled(40):
            try:
                assert digest(video[i]) == truth[i]
            except InputError:
                lost.append(i)
    assert len(set(lost)) == 1


def test_concealed_damage_is_shown_with_a_warning(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", b_frames=0)
    position, size = packets_of(path)[0]
    data = bytearray(path.read_bytes())
    for i in range(position + size // 2, position + size, 7):
        data[i] ^= 0x5A
    path.write_bytes(data)
    message = f"Frame 0 of {path} is damaged: part of its picture may be wrong."
    with pytest.warns(InputWarning, match=f"^{re.escape(message)}$") as warned:
        video = open_video(path)
        video[0]
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "announced"),
    [
        ("a.mkv", {}, 40),
        ("a.avi", {"codec": "mpeg4", "b_frames": 0}, 40),
        ("b.avi", {}, 40),
        ("faststart.mp4", {"mux": {"movflags": "faststart"}}, 40),
    ],
)
def test_cut_off_file_gives_the_frames_that_are_whole(
    name: str, arguments: dict[str, Any], announced: int, tmp_path: Path
) -> None:
    path = encode(tmp_path / name, **arguments)
    truth = decoded_truth(path)
    cut(path, 0.7)
    with pytest.warns(InputWarning, match="is cut off or damaged") as warned:
        video = open_video(path)
    assert 5 < len(video) < 40
    assert str(warned[0].message) == (
        f"{path} is cut off or damaged; frames that can be read: {len(video)} of about "
        f"{announced}. Only those are used; copy the file again if it should be longer."
    )
    # The last frame may stand for a later one: the B-frames before it were cut off.
    assert [digest(frame) for frame in video][:-1] == truth[: len(video) - 1]
    assert digest(video[-1]) in truth


def test_cut_off_file_that_announces_nothing(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wmv", codec="wmv2", b_frames=0)
    truth = decoded_truth(path)
    cut(path, 0.7)
    with pytest.warns(InputWarning) as warned:
        video = open_video(path)
        assert [digest(frame) for frame in video] == truth[: len(video)]
    assert [str(w.message) for w in warned] == [
        f"{path} is cut off or damaged; frames that can be read: {len(video)}. Only those are "
        "used; copy the file again if it should be longer."
    ]


def test_cut_off_mp4_without_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4")
    cut(path, 0.7)
    with pytest.raises(InputError) as raised:
        open_video(path)
    assert str(raised.value) == (
        f"{path} was cut off: the index at its end is missing. Copy or record it again."
    )


def test_no_frame_at_all(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=4)
    blank(path, 0, 1, 2, 3)
    with pytest.raises(InputError) as raised:
        open_video(path)
    assert str(raised.value) == (
        f"{path} has no frame that can be decoded. Copy it again, or convert it to H.264."
    )


def test_only_sound(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError) as raised:
        open_video(path)
    assert str(raised.value) == (f"{path} has no pictures, only sound or data. Pass a video file.")


def test_not_a_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("nothing to see here\n" * 100, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        open_video(path)
    assert str(raised.value).startswith(f"{path} is not a video, or it is damaged (")
    assert str(raised.value).endswith("). Pass a video file.")
    assert capfd.readouterr() == ("", "")


def test_a_playlist_in_disguise_opens_nothing_else(tmp_path: Path) -> None:
    encode(tmp_path / "a.ts", frames=3)
    path = tmp_path / "list.mp4"
    path.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=re.escape(str(path))):
        open_video(path)


def test_damage_is_silent_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = encode(tmp_path / "a.mp4")
    capfd.readouterr()
    blank(path, 20)
    with open_video(path) as video:
        for i in range(40):
            try:
                video[i]
            except InputError as error:
                assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


def test_size_that_changes_is_named(tmp_path: Path) -> None:
    small = encode(tmp_path / "small.h264", frames=6, b_frames=0)
    large = encode(tmp_path / "large.h264", frames=6, b_frames=0, size=(96, 128))
    path = tmp_path / "joined.mpg"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with open_video(path) as video, pytest.raises(InputError) as raised:
        assert video[5].shape == (HEIGHT, WIDTH, 3)
        video[6]
    assert str(raised.value) == (
        f"Frame 6 of {path} is 128 x 96 pixels, the first is 64 x 48. Convert the video to one "
        "size."
    )
