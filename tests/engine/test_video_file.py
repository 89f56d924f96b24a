"""Video files: every frame against plain sequential decoding, and what happens to damaged ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest

from decoded import decoded_truth, digest, shuffled
from maskfree.config import VideoConfig
from maskfree.video import open_video
from maskfree.video_decode import Identify
from maskfree.video_file import VideoFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEIGHT, WIDTH, RATE, GOP = 48, 64, 25, 12
NO_CACHE = VideoConfig(cache_bytes=0, max_decode_ahead=3)


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
def test_frames_in_any_order_are_those_of_plain_decoding(
    name: str, encode: Callable[..., Path], tmp_path: Path
) -> None:
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


def test_edit_list_leaves_frames_out(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "n.mp4", pts=[2 * i - 20 for i in range(40)])
    assert len(open_video(path)) == 30


def test_edit_list_that_ends_early(encode: Callable[..., Path], tmp_path: Path) -> None:
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


def test_shape_names_source_and_types(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=3)
    with open_video(str(path)) as video:
        assert video.shape == (3, HEIGHT, WIDTH, 3)
        assert video.names == ["00000", "00001", "00002"]
        assert video.source == str(path.absolute())
        assert video[0].dtype == np.uint8
        assert not video[0].flags.writeable


def test_one_frame(encode: Callable[..., Path], tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "a.mp4", frames=1)) as video:
        assert len(video) == 1
        assert video.fps == RATE


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_rate_is_announced_or_the_mean(
    suffix: str, encode: Callable[..., Path], tmp_path: Path
) -> None:
    constant = open_video(encode(tmp_path / f"c.{suffix}"))
    varying = open_video(encode(tmp_path / f"v.{suffix}", pts=VFR))
    assert constant.fps == RATE
    assert varying.fps == pytest.approx(39 * RATE / (VFR[-1] - VFR[0]), rel=0.01)
    assert open_video(tmp_path / f"c.{suffix}", fps=10.0).fps == 10.0


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_display_rotation(rotation: int, encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=2, rotation=rotation)
    capture = cv2.VideoCapture(str(path))
    _, bgr = capture.read()
    capture.release()
    video = open_video(path)
    assert video.shape[1:] == bgr.shape
    assert np.array_equal(video[0], bgr[..., ::-1])


def test_a_cover_picture_is_not_the_video(encode: Callable[..., Path], tmp_path: Path) -> None:
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


def test_sequential_access_never_seeks(encode: Callable[..., Path], tmp_path: Path) -> None:
    source = VideoFile(encode(tmp_path / "a.mp4"), VideoConfig())
    source.read(0)
    before = source.seeks
    for i in range(1, 40):
        source.read(i)
    assert source.seeks == before
    source.close()


def test_far_frames_are_reached_by_a_seek(encode: Callable[..., Path], tmp_path: Path) -> None:
    source = VideoFile(encode(tmp_path / "a.mp4"), NO_CACHE)
    seen: list[int] = []
    decoded = source._decoder.frames

    def counted(*args: Any) -> Any:
        for key, frame in decoded(*args):
            seen.append(1)
            yield key, frame

    source._decoder.frames = counted  # type: ignore[method-assign]
    source.read(37)
    assert len(seen) == 2  # frame 36 is a keyframe
    source.close()


def test_frames_on_the_way_are_kept_for_stepping_back(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
    path = encode(tmp_path / "a.mp4", gop=40)
    truth = decoded_truth(path)
    config = VideoConfig(keep_behind=4)
    with open_video(path, config=config) as video:
        video[10]
        source = video._frames
        assert [i for i in range(1, 40) if i in source._passed] == [6, 7, 8, 9, 10]
        before = source.seeks
        assert [digest(video[i]) for i in range(10, 5, -1)] == truth[10:5:-1]
        assert source.seeks == before
        assert digest(video[5]) == truth[5]
        assert source.seeks == before + 1


def test_to_and_fro_is_served_from_the_cache(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", gop=40)
    truth = decoded_truth(path)
    frame = HEIGHT * WIDTH * 3
    with open_video(path, config=VideoConfig(cache_bytes=32 * frame)) as video:
        source = video._frames
        [video[i] for i in range(20)]
        before = source.seeks
        order = [*range(19, 6, -1), *range(7, 20)] * 2
        assert [digest(video[i]) for i in order] == [truth[i] for i in order]
        assert source.seeks == before
        assert video.cache.nbytes + source._passed.nbytes <= 32 * frame


def test_no_more_is_kept_than_allowed(encode: Callable[..., Path], tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "a.mp4"), config=NO_CACHE) as video:
        video[30]
        assert (len(video.cache), len(video._frames._passed)) == (0, 0)


def test_frames_before_a_place_to_start_are_not_kept(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
    source = VideoFile(encode(tmp_path / "a.mp4"), VideoConfig())
    source._passed.clear()
    source._decoder.rewind()
    source._start(None)
    source._forward(8, 5)  # as if frames 0 to 4 came out before the keyframe that was sought
    assert [i for i in range(40) if i in source._passed] == [5, 6, 7, 8]
    source.close()


def test_a_near_keyframe_is_better_than_a_long_way(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
    path = encode(tmp_path / "a.mp4")
    with open_video(path, config=VideoConfig(max_decode_ahead=8)) as video:
        source = video._frames
        before = source.seeks
        video[12 + 7]  # a seek would save 12 of 19 frames
        assert source.seeks == before + 1
        video[24 + 7]  # … and now 5 of 12
        assert source.seeks == before + 1


def test_close_releases_the_file(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=3)
    video = open_video(path)
    video.close()
    path.unlink()
    with pytest.raises(RuntimeError, match="closed; open it again"):
        video[0]
