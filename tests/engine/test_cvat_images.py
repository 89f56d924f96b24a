"""CVAT for images, read: what datumaro wrote, tracks by attribute, masks, files at fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskfree.errors import InputError, InputWarning
from maskfree.formats import VideoFacts, cvat
from maskfree.formats.base import boxes_in
from maskfree.types import Keyframe

FILES = Path(__file__).parent / "files/datumaro"
SHAPE = 24, 32
BOX = '<box label="car" occluded="{}" xtl="{}" ytl="2" xbr="{}" ybr="8"{}>{}</box>'
SIZE = "<original_size><width>32</width><height>24</height></original_size>"
META = f"<meta><task><size>3</size>{SIZE}</task></meta>"
TRACK = '<attribute name="track_id">{}</attribute>'


def box(x: float, track: int | None = None, hidden: int = 0, more: str = "") -> str:
    return BOX.format(hidden, x, x + 9, more, "" if track is None else TRACK.format(track))


def image(number: int, *shapes: str, name: str = "", size: tuple[int, int] = SHAPE) -> str:
    sides = f'width="{size[1]}" height="{size[0]}"'
    return (
        f'<image id="{number}" name="{name or f"c/{number}.png"}" {sides}>{"".join(shapes)}</image>'
    )


def save(folder: Path, *parts: str) -> Path:
    path = folder / "annotations.xml"
    path.write_text(f"<annotations><version>1.1</version>{''.join(parts)}</annotations>")
    return path


def test_a_file_of_datumaro() -> None:
    with pytest.warns(InputWarning, match=r"attribute track_id is a track of its own \(3\)"):
        back = cvat.read(FILES / "cvat.xml")
    assert list(back.file_names) == [f"frame_00000{n}.jpg" for n in range(3)]
    assert (back.boxes.num_frames, back.boxes.height, back.boxes.width) == (3, *SHAPE)
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (1, "car"),
        (2, "bee"),
        (3, "car"),
    ]
    assert boxes_in(back, 0) == {1: (3.0, 2.0, 12.0, 8.0), 2: (20.0, 12.0, 30.0, 20.0)}
    assert boxes_in(back, 1) == {3: (4.5, 3.0, 13.75, 9.0)}
    assert boxes_in(back, 2) == {}
    masks = back.read_masks(0)
    assert masks is not None
    assert masks.track_ids == (2,)
    assert masks.masks[0].sum() == 80
    assert masks.masks[0, 12:20, 20:30].all()


def test_tracks_by_their_attribute(tmp_path: Path) -> None:
    images = [
        image(1, box(5, 7, hidden=1), box(1)),
        image(0, box(4, 7), box(20, 3)),
        image(2),
    ]
    with pytest.warns(InputWarning, match=r"a track of its own \(1\)"):
        back = cvat.read(save(tmp_path, *images))
    assert [(t.id, [k.frame for k in t.keyframes]) for t in back.boxes.tracks] == [
        (3, [0, 1]),
        (7, [0, 1, 2]),
        (8, [1, 2]),
    ]
    seven = back.boxes.tracks[1].keyframes
    assert seven == (
        Keyframe(0, (4.0, 2.0, 13.0, 8.0)),
        Keyframe(1, (5.0, 2.0, 14.0, 8.0), occluded=True),
        Keyframe(2, None, outside=True),
    )
    assert list(back.frame_names) == ["0", "1", "2"]
    assert list(back.file_names) == ["c/0.png", "c/1.png", "c/2.png"]
    assert back.read_masks(0) is None


def test_masks(tmp_path: Path) -> None:
    mask = (
        f'<mask label="car" occluded="0" rle="1,2,3" left="3" top="4" width="3" height="2">'
        f"{TRACK.format(5)}</mask>"
    )
    back = cvat.read(save(tmp_path, image(0, mask), image(1, box(1, 5)), image(2)))
    first, boxed, empty = (back.read_masks(n) for n in range(3))
    assert first is not None
    assert first.track_ids == (5,)
    np.testing.assert_array_equal(np.argwhere(first.masks[0]), [[4, 4], [4, 5]])
    assert boxed is None
    assert empty is not None
    assert empty.track_ids == ()


def test_the_frames_of_a_video(tmp_path: Path) -> None:
    facts = VideoFacts(4, *SHAPE, 12.5, ["a", "b", "c", "d"])
    named = [image(7, box(1, 2), name="x/c.jpg"), image(8, box(3, 2), name="a.jpg")]
    (one,) = cvat.read_of(save(tmp_path, *named), facts).boxes.tracks
    assert [(k.frame, k.outside) for k in one.keyframes] == [(0, False), (2, False)]
    (one,) = cvat.read_of(save(tmp_path, image(3, box(1, 2))), facts).boxes.tracks
    assert [k.frame for k in one.keyframes] == [3]
    with pytest.raises(InputError, match="images are no frames of the video"):
        cvat.read_of(save(tmp_path, image(9, box(1, 2))), facts)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (['<image id="0" name="a.png"/>'], r'image "0": width must be a whole number, got ""'),
        ([image(-1)], r"expected an id of at least 0, .* got name .*-1\.png"),
        (
            ['<image id="0" width="32" height="24"/>'],
            'the name of the frame.s file, .* got name ""',
        ),
        ([image(0), image(0)], "two images have the id 0"),
        ([image(0), image(1, size=(5, 4))], r'image "1" is 4 x 5 pixels, the video 32 x 24'),
        ([image(0, size=(10**6, 10**6))], "67108864 pixels"),
        ([image(0), '<track id="0" label="car"/>'], "has both images and tracks"),
        ([META, '<track id="0" label="car"/>', image(0)], "has both images and tracks"),
        ([image(0, "<box/>")], "a box has no label"),
        ([image(0, box(1, hidden=2))], "occluded must be 0 or 1"),
        ([image(0, '<polygon label="a" points="1,2;3"/>')], "a polygon must be a list"),
    ],
)
def test_files_at_fault(tmp_path: Path, parts: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        cvat.read(save(tmp_path, *parts))
    assert "\n" not in str(error.value)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    shapes = '<points label="car" points="1,2"/>', box(1, 2, more=' rotation="90"')
    with pytest.warns(InputWarning) as said:
        cvat.read(save(tmp_path, image(0, *shapes)))
    assert [str(each.message).partition(": ")[2] for each in said] == [
        "only boxes, masks and polygons are read, not points.",
        "each turned box is read as the smallest upright one around it (1).",
    ]
