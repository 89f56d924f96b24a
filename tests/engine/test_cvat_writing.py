"""CVAT for video, written: keyframes exactly, losses that are named, differences that are found."""

from __future__ import annotations

import dataclasses
import string
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_tracks import HEIGHT, LABELS, WIDTH, drawn, only_boxes, save, states
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, cvat, export
from maskfree.types import BoxTracks, Keyframe, Track
from plain_annotations import everything

if TYPE_CHECKING:
    from pathlib import Path


def three() -> Annotations:
    car = Track(
        3,
        'car "1"\n<&',
        (
            Keyframe(1, (1 / 3, 2.0, 10.0, 12.5), extra={"cvat": {"z_order": "2"}}),
            Keyframe(4, (4.1, 2.0, 14.0, 12.5), occluded=True),
            Keyframe(6, None, outside=True),
            Keyframe(8, (4.0, 2.0, 14.0, 12.5), extra={"cvat": {"attributes": {"parked": " "}}}),
        ),
        extra={"cvat": {"group_id": "5", "source": "auto"}},
    )
    bee = Track(1, "", (Keyframe(0, None, outside=True), Keyframe(9, (0.0, 0.0, 64.0, 48.0))))
    return only_boxes(BoxTracks(10, HEIGHT, WIDTH, None, (car, bee)))


def test_a_track_as_cvat_writes_it(tmp_path: Path) -> None:
    report = export(three(), tmp_path / "a.xml", "cvat")
    assert report.losses == ()
    assert (report.frames, report.instances) == (4, 2)
    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert root.findtext("meta/task/size") == "10"
    assert root.findtext("meta/task/stop_frame") == "9"
    assert root.findtext("meta/task/original_size/width") == str(WIDTH)
    names = [each.text for each in root.iterfind("meta/task/labels/label/name")]
    assert names == ['car "1"\n<&', None]
    car, bee = root.iterfind("track")
    assert car.attrib == {"id": "3", "label": 'car "1"\n<&', "source": "auto", "group_id": "5"}
    assert bee.attrib == {"id": "1", "label": "", "source": "manual"}
    flags = [
        [each.get(name) for name in ("frame", "keyframe", "outside", "occluded")] for each in car
    ]
    assert flags == [
        ["1", "1", "0", "0"],
        ["2", "0", "0", "0"],
        ["3", "0", "0", "0"],
        ["4", "1", "0", "1"],
        ["5", "0", "0", "1"],
        ["6", "1", "1", "0"],
        ["8", "1", "0", "0"],
        ["9", "0", "0", "0"],
    ]
    assert [each.get("z_order") for each in car] == ["2"] * 3 + ["0"] * 5
    assert car[5].get("xtl") == "4.1"  # where it was last
    assert float(car[1].get("xtl", "")) == pytest.approx(1 / 3 + (4.1 - 1 / 3) / 3)
    assert car[6].find("attribute").attrib == {"name": "parked"}  # type: ignore[union-attr]
    assert [each.get("frame") for each in bee] == ["0", "9"]


def test_everything_comes_back(tmp_path: Path) -> None:
    export(three(), tmp_path / "a.xml", "cvat")
    assert cvat.read(tmp_path / "a.xml").boxes == three().boxes


@settings(max_examples=40, deadline=None, derandomize=True)
@given(drawn(LABELS), st.dictionaries(st.text(string.ascii_letters, min_size=1), LABELS))
def test_any_boxes_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations, answers: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("cvat") / "a.xml"
    first, *others = annotations.boxes.tracks
    told = {"cvat": {"attributes": answers}} if answers else {}
    keyframes = tuple(dataclasses.replace(each, extra=told) for each in first.keyframes)
    tracks = (dataclasses.replace(first, keyframes=keyframes), *others)
    boxes = dataclasses.replace(annotations.boxes, tracks=tracks)
    report = export(dataclasses.replace(annotations, boxes=boxes), path, "cvat")
    back = cvat.read(path)
    assert back.boxes == dataclasses.replace(boxes, fps=None)
    assert report.losses == (() if boxes.fps is None else ("frames a second are not kept",))
    assert states(back) == states(annotations)


def test_losses_are_named(tmp_path: Path) -> None:
    extra = {"cvat": {"frame": "3", "a b": "x", "deep": {}}, "by": "me"}
    tracks = (
        Track(1, "a", (Keyframe(0, (0.0, 0.0, 4.0, 4.0), extra=extra),)),
        Track(2, "a", (), parent=1),
    )
    source = only_boxes(BoxTracks(2, HEIGHT, WIDTH, 24.0, tracks))
    report = export(dataclasses.replace(source, frame_names=["0", "x"]), tmp_path / "a.xml", "cvat")
    assert report.losses == (
        "tracks without a box are not kept: 2",
        "parents (divisions) are not kept",
        "frames a second are not kept",
        'names of frames are not kept: frame 1 is "x"',
        "fields that the format does not know are not kept: by",
        'not all that "cvat" holds can be an attribute: the others are not kept',
    )
    assert cvat.read(tmp_path / "a.xml").boxes.tracks[0].keyframes[0].extra == {}


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cvat holds boxes, but no track has any"):
        export(only_boxes(BoxTracks(1, 9, 9, None, ())), tmp_path / "a.xml", "cvat")
    for label in ("a\0", "\ud800", "\x0b"):
        tracks = (Track(1, label, (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),)),)
        source = only_boxes(BoxTracks(1, 9, 9, None, tracks))
        with pytest.raises(InputError, match="is XML, which cannot hold the character"):
            export(source, tmp_path / "a.xml", "cvat")
    assert everything(tmp_path) == {}


def test_what_differs_is_found(tmp_path: Path) -> None:
    source, entry, path = three(), FORMATS["cvat"], tmp_path / "a.xml"
    entry.write(source, path)
    text = path.read_text(encoding="utf-8")
    for old, new, said in (
        ('xtl="4.1"', 'xtl="4.2"', "track 3 differs"),
        ('occluded="1"', 'occluded="0"', "track 3 differs"),
        ("group_id", "group", "track 3 differs"),
        ('id="1"', 'id="2"', "track 1 differs"),
        (f"<width>{WIDTH}", f"<width>{WIDTH + 1}", "length or size differs"),
        ("<start_frame>0", "<start_frame>1", "frames of the task differ"),
    ):
        assert old in text
        save(path, text.replace(old, new, 1))
        assert said in entry.compare(source, entry.read(path)).difference
    begin, end = text.index('  <track id="1"'), text.index("</annotations>")
    save(path, text[:begin] + text[end:])
    assert entry.compare(source, entry.read(path)).difference == "the number of tracks differs"
