"""labelme: shapes as it writes and reads them, masks to the pixel, files at fault."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drawn_tracks import HEIGHT, WIDTH, damaged, drawn, only_boxes, save, states
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, export, labelme
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything

if TYPE_CHECKING:
    from pathlib import Path


def png(mask: np.ndarray) -> str:
    """A mask as labelme puts it into a file."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def shape(kind: str, points: list[list[float]], label: str = "car", **more: Any) -> dict[str, Any]:
    head = {"label": label, "points": points, "group_id": None, "description": ""}
    return {**head, "shape_type": kind, "flags": {}, "mask": None, **more}


def frame(folder: Path, name: str, *shapes: Any, **more: Any) -> None:
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": f"../{name}.jpg",
        "imageData": "aGVsbG8=",
        "imageHeight": SHAPE[0],
        "imageWidth": SHAPE[1],
    }
    save(folder / f"{name}.json", json.dumps(content | more))


def mixed() -> Annotations:
    """Masks that overlap in two frames, one of an unknown id; one empty; boxes in the fourth."""
    tracks = (
        Track(3, "car", (Keyframe(0, (0.0, 0.0, 8.0, 6.0), occluded=True),)),
        Track(1, "bee", (Keyframe(3, (1.25, 1.0, 3.0, 4.5)),)),
    )
    both = InstanceMasks((3, 9), np.stack([A, A | B]), (1.0, 0.5))
    none = InstanceMasks((), np.zeros((0, *SHAPE), bool), ())
    masks = [both, InstanceMasks((3,), B[None], (1.0,)), none, None]
    boxes = BoxTracks(4, *SHAPE, None, tracks)
    return Annotations(boxes, ["a", "b", "c", "d"], lambda n: masks[n])


def shapes_of(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["shapes"])


# --- written ---------------------------------------------------------------------------------


def test_files_as_labelme_reads_them(tmp_path: Path) -> None:
    report = export(mixed(), tmp_path / "out", "labelme")
    assert (report.frames, report.instances) == (3, 3)
    assert report.losses == (
        "in predicted frames the boxes drawn give way to the masks' own boxes",
        "'occluded' is kept only in frames where the object has a mask or a box",
        "every frame gets a box: which of them were drawn is not kept",
        "scores are not kept",
    )
    out = tmp_path / "out"
    assert sorted(everything(out)) == ["a.json", "b.json", "c.json", "d.json"]
    first = json.loads((out / "a.json").read_text())
    named = {name: first[name] for name in ("imagePath", "imageData", "imageHeight", "imageWidth")}
    assert named == {"imagePath": "a.jpg", "imageData": None, "imageHeight": 12, "imageWidth": 16}
    car, other = first["shapes"]
    assert (car["label"], car["group_id"], car["flags"]) == ("car", 3, {"occluded": True})
    assert (other["label"], other["group_id"], other["flags"]) == ("object", 9, {})
    # As labelme.utils.shape_to_mask does: the points are the first and the last pixel.
    (x0, y0), (x1, y1) = ((int(x), int(y)) for x, y in other["points"])
    part = np.array(Image.open(io.BytesIO(base64.b64decode(other["mask"])))).astype(bool)
    mask = np.zeros(SHAPE, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = part
    np.testing.assert_array_equal(mask, A | B)
    assert (first["flags"], shapes_of(out / "c.json")) == ({}, [])
    assert json.loads((out / "d.json").read_text())["flags"] == {"boxes only": True}
    hidden, bee = shapes_of(out / "d.json")
    assert (hidden["points"], hidden["flags"]) == ([[0, 0], [8, 6]], {"occluded": True})
    assert (bee["shape_type"], bee["points"]) == ("rectangle", [[1.25, 1.0], [3.0, 4.5]])


def test_read_back(tmp_path: Path) -> None:
    export(mixed(), tmp_path / "out", "labelme")
    back = labelme.read(tmp_path / "out")
    assert FORMATS["labelme"].compare(mixed(), back).difference == ""
    assert list(back.frame_names) == ["a", "b", "c", "d"]
    assert back.read_masks(3) is None
    assert back.read_masks(2) is not None
    bee, car, other = back.boxes.tracks
    assert [each.frame for each in bee.keyframes] == [3]
    assert [(each.frame, each.outside) for each in car.keyframes] == [
        (0, False),
        (1, False),
        (2, True),
        (3, False),
    ]
    assert (other.id, other.label) == (9, "object")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn(), st.data())
def test_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("labelme") / "out"
    size = annotations.boxes.height, annotations.boxes.width
    ids = [track.id for track in annotations.boxes.tracks]
    seeds = [data.draw(st.none() | st.integers(0, 99)) for _ in annotations.frame_names]

    def read_masks(n: int) -> InstanceMasks | None:
        seed = seeds[n]
        if seed is None:
            return None
        masks = np.random.default_rng(seed).random((len(ids), *size)) < seed / 2000
        return InstanceMasks(tuple(ids), masks, (1.0,) * len(ids))

    boxes = dataclasses.replace(annotations.boxes, fps=None)
    source = dataclasses.replace(annotations, boxes=boxes, read_masks=read_masks)
    report = export(source, folder, "labelme")
    back = labelme.read(folder)
    for n in range(len(back.frame_names)):
        written, found = source.read_masks(n), back.read_masks(n)
        if written is not None and written.masks.any():
            assert found is not None
            wanted = {i: m for i, m in zip(ids, written.masks, strict=True) if m.any()}
            assert sorted(wanted) == list(found.track_ids)
            for i, mask in zip(found.track_ids, found.masks, strict=True):
                np.testing.assert_array_equal(mask, wanted[i])
        else:
            assert (found is None) == (written is None)
        if written is None:
            assert states(back)[n] == states(source)[n]
    again = export(back, folder.with_name("again"), "labelme")
    assert (again.frames, again.instances) == (report.frames, report.instances)


def test_other_losses_are_named(tmp_path: Path) -> None:
    one = Track(1, "a", (Keyframe(1, (0.0, 0.0, 4.0, 4.0), extra={"by": "me"}),))
    source = only_boxes(BoxTracks(3, HEIGHT, WIDTH, 24.0, (one, Track(2, "a", (), parent=1))))
    source = dataclasses.replace(source, file_names=["x/0.jpg", "x/1.jpg", "x/2.jpg"])
    assert export(source, tmp_path / "out", "labelme").losses == (
        "tracks without a mask or box in any frame are not kept: 2",
        "parents (divisions) are not kept",
        "frames a second are not kept",
        "fields that the format does not know are not kept: by",
        "every frame gets a box: which of them were drawn is not kept",
        "folders of the pictures are not kept, only their names",
    )
    assert json.loads((tmp_path / "out/00002.json").read_text())["imagePath"] == "2.jpg"


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is neither a box nor a mask to export"):
        export(only_boxes(BoxTracks(1, 9, 9, None, ())), tmp_path / "x", "labelme")
    with pytest.raises(InputError, match="cannot name a file"):
        export(
            dataclasses.replace(mixed(), frame_names=["a", "b", "c", "../d"]),
            tmp_path / "x",
            "labelme",
        )
    small = dataclasses.replace(mixed().boxes, width=17)
    with pytest.raises(InputError, match="frame a are 16 x 12 pixels, the video has 17 x 12"):
        export(dataclasses.replace(mixed(), boxes=small), tmp_path / "x", "labelme")
    assert everything(tmp_path) == {}


def test_an_export_replaces_its_own_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(mixed(), out, "labelme")
    export(mixed(), out, "labelme")
    content = json.loads((out / "b.json").read_text())
    save(out / "b.json", json.dumps(content | {"version": "5.4.1"}))  # saved in labelme
    before = everything(tmp_path)
    with pytest.raises(InputError, match=r'holds "b\.json", which no export of this format wrote'):
        export(mixed(), out, "labelme")
    assert everything(tmp_path) == before


def test_what_differs_is_found(tmp_path: Path) -> None:
    entry, out, source = FORMATS["labelme"], tmp_path / "out", mixed()
    entry.write(source, out)
    assert entry.reopen is not None
    for name, old, new, said in (
        ("d", "1.25", "1.5", "frame d: track 1 differs"),
        ("a", '"car"', '"cat"', "frame a: track 3 differs"),
        ("a", '"group_id": 9', '"group_id": 8', r"frame a: ids [3, 8] instead of [3, 9]"),
        ("b", png(B[7:11, 9:15]), png(B[7:11, 9:15] & (np.arange(6) > 0)), "frame b: track 3"),
    ):
        path = out / f"{name}.json"
        text = path.read_text()
        assert old in text
        save(path, text.replace(old, new, 1))
        assert said in entry.compare(source, entry.reopen(out, source)).difference
        save(path, text)
    path = out / "d.json"
    text = path.read_text()
    save(path, text.replace('{"boxes only": true}', "{}"))
    said = entry.compare(source, entry.reopen(out, source)).difference
    assert said == "frame d: it must tell whether masks are known"
    save(path, text)
    (out / "c.json").unlink()
    back = entry.reopen(out, source)
    assert entry.compare(source, back).difference == "frame c: its file is missing"


# --- read ------------------------------------------------------------------------------------


def test_a_folder_beside_its_pictures(tmp_path: Path) -> None:
    """What labelme saves: polygons and rectangles without groups, each file beside its picture."""
    for n in (1, 2, 10):
        save(tmp_path / f"shot{n}.png", b"no picture is opened")
    square = [[4.0, 3.0], [12.0, 3.0], [12.0, 9.0], [4.0, 9.0]]
    frame(
        tmp_path,
        "shot2",
        shape("polygon", square),
        shape("polygon", [[0, 0], [2, 0], [2, 2]]),
        shape("circle", [[8, 6], [8, 8]], "ball"),
        shape("mask", [[1, 2], [3, 3]], "dot", mask=png(np.array([[1, 0, 1], [0, 1, 0]]))),
    )
    frame(tmp_path, "shot10", shape("rectangle", [[9.5, 8], [2, 1]], flags={"occluded": True}))
    back = labelme.read(tmp_path)
    assert list(back.frame_names) == ["shot1", "shot2", "shot10"]
    assert list(back.file_names) == ["shot1.png", "shot2.png", "shot10.png"]
    assert back.read_masks(0) is None
    assert back.read_masks(2) is None
    labels = [(track.id, track.label) for track in back.boxes.tracks]
    assert labels == [(1, "car"), (2, "car"), (3, "ball"), (4, "dot")]
    found = back.read_masks(1)
    assert found is not None
    square_mask, _, disc, dot = found.masks
    wanted = np.zeros(SHAPE, bool)
    wanted[3:9, 4:12] = True
    np.testing.assert_array_equal(square_mask, wanted)
    assert disc.sum() == 12  # the pixels whose middle is within 2 of the corner (8, 6)
    assert [tuple(at) for at in np.argwhere(dot)] == [(2, 1), (2, 3), (3, 2)]
    car = back.boxes.tracks[0]
    assert car.keyframes == (
        Keyframe(1, (4.0, 3.0, 12.0, 9.0)),
        Keyframe(2, (2.0, 1.0, 9.5, 8.0), occluded=True),
    )
    assert [each.outside for each in back.boxes.tracks[1].keyframes] == [False, True]
    convert(tmp_path, tmp_path / "out", "labelme", "davis")
    assert sorted(everything(tmp_path / "out")) == ["shot2.png"]


def test_parts_of_a_group_are_united(tmp_path: Path) -> None:
    frame(
        tmp_path,
        "0",
        shape("rectangle", [[0, 0], [2, 2]], group_id=4),
        shape("rectangle", [[4, 4], [6, 7]], group_id=4),
        shape("polygon", [[8, 0], [10, 0], [10, 2], [8, 2]], "bee", group_id=6),
        shape("polygon", [[8, 4], [10, 4], [10, 6], [8, 6]], "bee", group_id=6),
        shape("rectangle", [[0, 0], [2, 2]], "bee", group_id=6),
    )
    back = labelme.read(tmp_path)
    car, bee = back.boxes.tracks
    assert (car.id, car.keyframes[0].xyxy) == (4, (0.0, 0.0, 6.0, 7.0))
    assert (bee.id, bee.keyframes[0].xyxy) == (6, (8.0, 0.0, 10.0, 6.0))
    found = back.read_masks(0)
    assert found is not None
    assert (found.track_ids, found.masks.sum()) == ((6,), 8)


def test_groups_that_are_no_ids(tmp_path: Path) -> None:
    frame(
        tmp_path,
        "0",
        shape("rectangle", [[0, 0], [2, 2]], group_id=4),
        shape("rectangle", [[4, 4], [6, 7]], "bee", group_id=4),
        shape("line", [[4, 4], [6, 7]]),
    )
    with pytest.warns(InputWarning) as warned:
        back = labelme.read(tmp_path)
    assert [(track.id, track.label) for track in back.boxes.tracks] == [(1, "car"), (2, "bee")]
    said = " ".join(str(each.message) for each in warned)
    assert 'only rectangle, circle, mask, polygon are read, not "line"' in said
    assert "a group is 0 or has several labels: the instances are numbered 1 to 2" in said


def test_names_of_the_video(tmp_path: Path) -> None:
    facts = VideoFacts(5, *SHAPE, 24.0, [f"{n:04d}" for n in range(5)])
    frame(tmp_path, "0003", shape("rectangle", [[0, 0], [2, 2]]), imageHeight=None, imageWidth=None)
    with pytest.raises(InputError, match=r"does not say the size of its video.*--video PATH"):
        labelme.read(tmp_path)
    back = labelme.read_of(tmp_path, facts)
    assert (back.boxes.num_frames, back.boxes.fps) == (5, 24.0)
    assert [each.frame for each in back.boxes.tracks[0].keyframes] == [3]
    frame(tmp_path, "x")
    with pytest.raises(InputError, match=r'x\.json is no frame of the video.*"0000"'):
        labelme.read_of(tmp_path, facts)


def test_numbers_without_a_file_are_frames(tmp_path: Path) -> None:
    for name in ("00000", "00003"):
        frame(tmp_path, name)
    assert list(labelme.read(tmp_path).frame_names) == ["00000", "00001", "00002", "00003"]


SQUARE = [[1, 2], [3, 3]]
HUGE = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 10**9, 10**9) + b"\x08\0\0\0\0"
).decode()


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([3], "expected a shape as an object"),
        ([shape("polygon", [[0, 0]])], "points must be 3 or more pairs"),
        ([shape("rectangle", [[0, 0], [1, None]])], "points must be 2 or more pairs"),  # type: ignore[list-item]
        ([shape("circle", [[0, 0], [1e300, 1]])], "points must be 2 or more pairs"),
        ([shape("polygon", [[0, 0], [9, 0], [900, 900]])], "a polygon must lie in the frame"),
        ([shape("mask", SQUARE)], "must be a PNG of 3 x 2 pixels as base64"),
        ([shape("mask", SQUARE, mask="####")], "must be a PNG of 3 x 2 pixels as base64"),
        ([shape("mask", SQUARE, mask=png(A))], "the picture has 16 x 12 pixels"),
        ([shape("mask", SQUARE, mask=HUGE)], "the picture has 1000000000 x 1000000000 pixels"),
        ([shape("mask", [[1, 2], [16, 3]], mask=png(A))], "must lie within the frame of 16 x 12"),
        ([shape("rectangle", SQUARE, label=None)], "label must be text"),  # type: ignore[arg-type]
        ([shape("rectangle", SQUARE, group_id="a")], "group_id must be a whole number"),
    ],
)
def test_shapes_at_fault(tmp_path: Path, shapes: list[Any], said: str) -> None:
    frame(tmp_path, "0", *shapes)
    with pytest.raises(InputError, match=said) as error:
        labelme.read(tmp_path)
    assert "\n" not in str(error.value)


def test_folders_at_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        labelme.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no JSON file"):
        labelme.read(tmp_path)
    frame(tmp_path, "0", imageHeight=10**9, imageWidth=10**9)
    with pytest.raises(InputError, match="pixels in all, got 1000000000 x 1000000000"):
        labelme.read(tmp_path)
    frame(tmp_path, "0")
    frame(tmp_path, "1", imageHeight=13)
    with pytest.raises(InputError, match=r"1\.json is 16 x 13 pixels, those before it 16 x 12"):
        labelme.read(tmp_path)
    save(tmp_path / "1.json", "[]")
    with pytest.raises(InputError, match="expected a labelme file as an object"):
        labelme.read(tmp_path)


GOOD = json.dumps(
    {
        "shapes": [
            shape("mask", SQUARE, group_id=2, mask=png(np.ones((2, 3)))),
            shape("polygon", [[0, 0], [9, 0], [9, 9]]),
            shape("circle", SQUARE),
            shape("rectangle", SQUARE),
        ],
        "imageHeight": SHAPE[0],
        "imageWidth": SHAPE[1],
    }
).encode()
WORDS = (b"{", b"}", b"[", b"]", b"null", b"true", b'"a"', b",", b'"mask"', b"1e308", b"A")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=40), damaged(GOOD, WORDS)))
def test_nothing_but_our_own_errors(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz_labelme"
    save(folder / "0.json", raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        try:
            labelme.read(folder).read_masks(0)
        except InputError as error:
            assert "\n" not in str(error)
