"""Video files that are cut off, damaged or something else: what is read, what is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from decoded import decoded_truth, digest, shuffled
from maskfree.errors import InputError, InputWarning
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEIGHT, WIDTH = 48, 64


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


def test_frame_in_the_middle_that_cannot_be_decoded(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
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


def test_damaged_packet_with_b_frames_costs_only_what_needs_it(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
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


def test_concealed_damage_is_shown_with_a_warning(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
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
    name: str,
    arguments: dict[str, Any],
    announced: int,
    encode: Callable[..., Path],
    tmp_path: Path,
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


def test_cut_off_file_that_announces_nothing(encode: Callable[..., Path], tmp_path: Path) -> None:
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


def test_cut_off_mp4_without_its_index(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4")
    cut(path, 0.7)
    with pytest.raises(InputError) as raised:
        open_video(path)
    assert str(raised.value) == (
        f"{path} was cut off: the index at its end is missing. Copy or record it again."
    )


def test_no_frame_at_all(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", frames=4)
    blank(path, 0, 1, 2, 3)
    with pytest.raises(InputError) as raised:
        open_video(path)
    assert str(raised.value) == (
        f"{path} has no frame that can be decoded. Copy it again, or convert it to H.264."
    )


def test_only_sound(encode: Callable[..., Path], tmp_path: Path) -> None:
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


def test_a_playlist_in_disguise_opens_nothing_else(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
    encode(tmp_path / "a.ts", frames=3)
    path = tmp_path / "list.mp4"
    path.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=re.escape(str(path))):
        open_video(path)


def test_damage_is_silent_on_stderr(
    encode: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
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


def test_size_that_changes_is_named(encode: Callable[..., Path], tmp_path: Path) -> None:
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
