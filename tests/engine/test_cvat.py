"""CVAT for video, read: what CVAT itself writes, masks, polygons, files at fault."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_tracks import HEIGHT, WIDTH, damaged, save
from maskfree.errors import InputError, InputWarning
from maskfree.formats import VideoFacts, cvat, export
from maskfree.types import Keyframe
from plain_annotations import everything

if TYPE_CHECKING:
    from pathlib import Path

FACTS = VideoFacts(10, HEIGHT, WIDTH, 12.5, [f"f{n}" for n in range(10)])

# The form of CVAT 2: what its exporter writes for a task of every frame, two digits a number.
META = f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>10</id><name>two &amp; more</name><size>10</size><mode>interpolation</mode>
      <start_frame>0</start_frame><stop_frame>9</stop_frame><frame_filter></frame_filter>
      <labels><label><name>car</name><color>#c06060</color><type>any</type>
        <attributes><attribute><name>parked</name><mutable>True</mutable></attribute></attributes>
      </label></labels>
      <original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>
      <source>clip.mp4</source>
    </task>
    <dumped>2024-05-23 09:58:00.000000+00:00</dumped>
  </meta>
"""


def box(frame: int, x: float, *, key: int = 1, out: int = 0, more: str = "", tail: str = "") -> str:
    corners = f'xtl="{x:.2f}" ytl="2.00" xbr="{x + 8:.2f}" ybr="12.50"'
    flags = f'keyframe="{key}" outside="{out}" occluded="0"'
    return f'<box frame="{frame}" {flags} {corners} z_order="0" {more}>{tail}</box>\n'


def track(*shapes: str, number: int = 0, more: str = 'source="manual"') -> str:
    return f'<track id="{number}" label="car" {more}>\n{"".join(shapes)}</track>\n'


def document(*tracks: str, meta: str = META) -> str:
    return f"{meta}{''.join(tracks)}</annotations>\n"


def read(folder: Path, *tracks: str, meta: str = META, video: VideoFacts | None = None) -> Any:
    return cvat.read_of(save(folder / "a.xml", document(*tracks, meta=meta)), video)


def test_what_cvat_writes(tmp_path: Path) -> None:
    answer = '<attribute name="parked">true</attribute>'
    back = read(
        tmp_path,
        track(
            box(0, 1, more='source="auto"', tail=answer),
            box(1, 2.67, key=0),  # 1 + 5 / 3, rounded
            box(2, 4.33, key=0),
            box(3, 6),
            box(4, 6, key=0),
            box(5, 6, out=1),
            box(8, 9),
            box(9, 9, key=0),
        ),
        track(box(4, 3), more='source="semi-auto" group_id="2"', number=1),
    )
    one, two = back.boxes.tracks
    assert (one.id, two.id) == (1, 2)  # CVAT counts from 0
    first = {"cvat": {"source": "auto", "attributes": {"parked": "true"}}}
    assert one.keyframes == (
        Keyframe(0, (1.0, 2.0, 9.0, 12.5), extra=first),
        Keyframe(3, (6.0, 2.0, 14.0, 12.5)),
        Keyframe(5, None, outside=True),
        Keyframe(8, (9.0, 2.0, 17.0, 12.5)),
    )
    assert two.extra == {"cvat": {"source": "semi-auto", "group_id": "2"}}
    assert (back.boxes.num_frames, back.boxes.height, back.boxes.width) == (10, HEIGHT, WIDTH)
    assert list(back.frame_names)[:2] == ["00000", "00001"]
    export(back, tmp_path / "b.xml", "cvat")
    assert cvat.read(tmp_path / "b.xml").boxes == back.boxes


def test_boxes_off_the_line_become_keyframes(tmp_path: Path) -> None:
    shapes = [box(0, 1), box(1, 2, key=0), box(2, 9, key=0), box(3, 4), box(4, 4, key=0)]
    (one,) = read(tmp_path, track(*shapes)).boxes.tracks
    assert [(each.frame, each.xyxy[0]) for each in one.keyframes] == [
        (0, 1.0),
        (1, 2.0),
        (2, 9.0),
        (3, 4.0),
    ]
    (one,) = read(
        tmp_path, track(box(2, 1, key=0), box(3, 1, key=0), box(4, 8, key=0))
    ).boxes.tracks
    assert [each.frame for each in one.keyframes] == [2, 3, 4]
    hidden = box(1, 1, key=0).replace('occluded="0"', 'occluded="1"')
    (one,) = read(tmp_path, track(box(0, 1), hidden)).boxes.tracks
    assert [each.occluded for each in one.keyframes] == [False, True]


def test_a_task_of_some_frames(tmp_path: Path) -> None:
    meta = META.replace("<start_frame>0", "<start_frame>1").replace("filter><", "filter>step=4<")
    back = read(tmp_path, track(box(1, 1), box(5, 5, key=0), box(9, 9)), meta=meta)
    assert back.boxes.extra == {"cvat": {"start_frame": 1, "frame_filter": "step=4"}}
    (one,) = back.boxes.tracks
    assert [each.frame for each in one.keyframes] == [1, 9]
    assert export(back, tmp_path / "b.xml", "cvat").losses == ()
    written = ElementTree.parse(tmp_path / "b.xml").getroot()
    assert [each.get("frame") for each in written.iterfind("track/box")] == ["1", "5", "9"]
    assert written.findtext("meta/task/frame_filter") == "step=4"
    assert written.findtext("meta/task/size") == "3"
    assert cvat.read(tmp_path / "b.xml").boxes == back.boxes


def test_masks_and_polygons(tmp_path: Path) -> None:
    def mask(frame: int, rle: str, out: int = 0) -> str:
        place = 'left="3" top="4" width="3" height="2"'
        return (
            f'<mask frame="{frame}" keyframe="1" outside="{out}" occluded="0" rle="{rle}" {place} '
            'z_order="0"></mask>\n'
        )

    def polygon(frame: int, key: int) -> str:
        points = "10.00,10.00;20.00,10.00;20.00,14.00;10.00,14.00"
        return (
            f'<polygon frame="{frame}" keyframe="{key}" outside="0" occluded="1" '
            f'points="{points}" z_order="0"></polygon>\n'
        )

    back = read(
        tmp_path,
        track(mask(2, "1, 2, 2, 1"), mask(3, "1, 2, 2, 1", out=1)),
        track(polygon(2, 1), polygon(3, 0), number=1),
        track(box(0, 1), number=2),
    )
    assert back.read_masks(0) is None
    found = back.read_masks(2)
    assert found is not None
    assert found.track_ids == (1, 2)
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[4, 4:6] = wanted[5, 5] = True
    np.testing.assert_array_equal(found.masks[0], wanted)
    assert found.masks[1][10:14, 10:20].all()
    assert found.masks[1].sum() == 40
    assert back.read_masks(3).track_ids == (2,)
    one, two, _ = back.boxes.tracks
    assert one.keyframes == (Keyframe(2, (4.0, 4.0, 6.0, 6.0)), Keyframe(3, None, outside=True))
    assert [(each.frame, each.outside, each.occluded) for each in two.keyframes] == [
        (2, False, True),
        (3, False, True),
        (4, True, False),
    ]
    export(back, tmp_path / "masks", "davis")
    assert sorted(everything(tmp_path / "masks")) == ["00002.png", "00003.png"]


def test_turned_boxes_and_other_shapes(tmp_path: Path) -> None:
    turned = track(box(0, 20, more='rotation="90.00"'))
    points = track('<points frame="0" points="1,1"></points>', number=1)
    with pytest.warns(InputWarning) as warned:
        (one,) = read(tmp_path, turned, points).boxes.tracks
    said = [str(each.message).partition("a.xml: ")[2] for each in warned]
    assert said == [
        "only boxes, masks and polygons are read, not points.",
        "each turned box is read as the smallest upright one around it (1).",
    ]
    # 8 wide and 10.5 high about (24, 7.25).
    assert one.keyframes[0].xyxy == pytest.approx((18.75, 3.25, 29.25, 11.25))


def test_the_video_says_what_the_file_does_not(tmp_path: Path) -> None:
    bare = "<annotations>"
    shapes = track(box(0, 1), box(12, 1, out=1))
    with pytest.raises(InputError, match=r"does not say how many frames.*--video PATH"):
        read(tmp_path, shapes, meta=bare)
    back = read(tmp_path, shapes, meta=bare, video=FACTS)
    assert (back.boxes.num_frames, back.boxes.fps, back.frame_names[0]) == (10, 12.5, "f0")
    (one,) = back.boxes.tracks
    assert len(one.keyframes) == 1  # its end lies behind the last frame
    with pytest.raises(InputError, match=r"is for a video of 64 x 48 pixels"):
        read(tmp_path, shapes, video=dataclasses.replace(FACTS, width=65))


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not XML: no element found at line 1"),
        (document(track(box(0, 1)))[:-9], "is not XML"),
        ("<annotations>&nbsp;</annotations>", "is not XML: undefined entity"),
        (LAUGHS, "declares a document type or entities"),
        (OUTSIDE, "declares a document type or entities"),
        ("<html></html>", "must begin with <annotations>, got <html>"),
        ("PK\x03\x04", r"is an archive\. Unpack it"),
        ("<annotations><meta><project/></meta></annotations>", r"is of a project"),
        (META + "<a>" * 99 + "</a>" * 99 + "</annotations>", "is nested too deeply"),
        (META.replace(">9<", ">99999999999<") + "</annotations>", "10000000 frames, got 1000000"),
        (META.replace(">64<", ">999999999<") + "</annotations>", "67108864 pixels"),
        (META.replace(">64<", ">x<") + "</annotations>", "width must be a whole number"),
        (document('<track id="0"></track>'), "must have a label and an id"),
        (document(track(number=-1)), "an id of at least 0, got label"),
        (document(track(box(0, 1)), track(box(0, 1))), "two tracks have the id 0"),
        (document(track(box(1, 1), box(1, 1))), "the frames of a track must increase"),
        (document(track(box(10, 1))), "up to 9, the last of the video"),
        (document(track(box(0, 1).replace('"0"', '"a"', 1))), "frame must be a whole number"),
        (document(track(box(0, 1).replace('"1.00"', '"nan"'))), 'xtl must be a number, got "nan"'),
        (document(track(box(0, 1, key=2))), "keyframe must be 0 or 1"),
        (document(track(box(0, 1), box(1, 1).replace("box", "mask"))), "shapes of one kind"),
        (document(track(box(0, 1).replace("box", "polygon"))), r"points must be x,y;x,y;"),
        (document(track(box(0, 1).replace("box", "mask"))), "left must be a whole number"),
    ],
)
def test_files_at_fault(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        cvat.read(save(tmp_path / "a.xml", text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rle", "place", "said"),
    [
        ("1,2,2", (3, 4, 3, 2), "must fill its 6 pixels"),
        ("1,-2,7", (3, 4, 3, 2), "must fill its 6 pixels"),
        ("9223372036854775807,9223372036854775807,8", (3, 4, 3, 2), "must fill its 6 pixels"),
        ("1,two", (3, 4, 3, 2), "must fill its 6 pixels"),
        ("", (3, 4, 3, 2), "must fill its 6 pixels"),
        ("6", (62, 4, 3, 2), "must lie within the frame of 64 x 48 pixels, got 3 x 2 at 62, 4"),
        ("6", (-1, 4, 3, 2), "must lie within the frame"),
        ("6", (0, 0, 10**9, 10**9), "must lie within the frame"),
    ],
)
def test_masks_at_fault(tmp_path: Path, rle: str, place: tuple[int, ...], said: str) -> None:
    left, top, width, height = place
    shape = (
        f'<mask frame="0" keyframe="1" outside="0" occluded="0" rle="{rle}" left="{left}" '
        f'top="{top}" width="{width}" height="{height}"></mask>'
    )
    with pytest.raises(InputError, match=said):
        read(tmp_path, track(shape))


def test_a_long_file_is_read_a_shape_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskfree.formats import cvat_reader

    shapes = [box(frame, 1, key=0) for frame in range(1, 4000)]
    meta = META.replace(">9<", ">4000<")
    most, walk = 0, cvat_reader.walk

    def watched(path: Path) -> Any:
        nonlocal most
        for name, element in walk(path):
            if name == "track":
                held = element
            elif name == "box":
                most = max(most, len(held))
            yield name, element

    monkeypatch.setattr(cvat_reader, "walk", watched)
    (one,) = read(tmp_path, track(box(0, 1), *shapes), meta=meta).boxes.tracks
    assert len(one.keyframes) == 1
    assert 0 < most < 400  # what one piece of the file holds


GOOD = document(
    track(box(0, 1, tail='<attribute name="a">b</attribute>'), box(3, 2), box(5, 2, out=1)),
    track(
        '<mask frame="2" keyframe="1" outside="0" occluded="0" rle="1,2,2,1" left="3" top="4" '
        'width="3" height="2"></mask>',
        number=1,
    ),
    track('<polygon frame="4" points="1,1;9,1;9,9"></polygon>', number=2),
).encode()
WORDS = (b"<", b">", b'"', b"&amp;", b"<box>", b"</track>", b"mask", b"polygon", b"frame", b",")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=60), damaged(GOOD[GOOD.index(b"<version") :], WORDS)))
def test_nothing_but_our_own_errors(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.xml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        for head in (b"", b"<annotations>"):
            try:
                back = cvat.read(save(path, head + raw))
            except InputError as error:
                assert "\n" not in str(error)
            else:
                back.read_masks(2)
