"""CSV tables: values worked out by hand, boxes read back, files that people edited."""

from __future__ import annotations

import csv
import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_files import is_read_or_refused, mutations
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, csv_table, export
from maskfree.tracks import boxes_at, read_boxes
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything, video
from told_annotations import everything_told, instances, videos

HEAD = "frame,track,x0,y0,x1,y1\n"
FACTS = VideoFacts(5, *SHAPE, 12.5, [str(n) for n in range(5)])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(folder: Path, text: str) -> Path:
    (folder / "in.csv").write_text(text, encoding="utf-8", newline="")
    return folder / "in.csv"


def plain() -> Annotations:
    told = everything_told()
    return dataclasses.replace(told, frame_names=["shot 7", "8", "ä,9", "10"], file_names=())


def test_values_worked_out_by_hand(tmp_path: Path) -> None:
    report = export(plain(), tmp_path / "out.csv", "csv")
    assert (report.frames, report.instances) == (2, 3)
    found = rows(tmp_path / "out.csv")
    assert [(each["frame"], each["track"]) for each in found] == [
        ("0", "3"),
        ("0", "7"),
        ("1", "3"),
        ("1", "7"),
        ("2", "3"),
        ("2", "7"),
        ("3", "3"),
        ("3", "9"),
    ]
    assert list(found[1].values()) == [
        "0",
        "shot 7",
        "7",
        'käfer, "groß"\r\n',
        "48",
        "4.0",
        "3.0",
        "0.5",
        "0.25",
        "8.0",
        "6.1",
        "0.0",
        "0.0",
        "8.0",
        "6.0",
        "0.25",
        "0",
        "keyframe",
    ]
    assert (found[0]["label"], found[0]["x0"], found[0]["source"]) == ("'=1+1", "", "mask")
    assert found[0]["area"] == "72"
    assert (found[3]["area"], found[3]["confidence"]) == ("", "")  # nobody looked
    assert (found[3]["source"], found[3]["x0"]) == ("interpolated", "0.75")
    assert (found[5]["area"], found[5]["occluded"], found[5]["source"]) == ("0", "1", "keyframe")
    assert (found[6]["area"], found[6]["confidence"]) == ("0", "0.1")
    assert (found[7]["label"], found[7]["mask_x1"], found[7]["occluded"]) == ("object", "15.0", "")


@pytest.mark.parametrize(
    ("label", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-car", "'-car"),
        ("'=x", "''=x"),
        ("'quoted'", "'quoted'"),
        ("car=1", "car=1"),
    ],
)
def test_no_label_is_a_formula_and_each_comes_back(tmp_path: Path, label: str, cell: str) -> None:
    tracks = (Track(1, label, (Keyframe(0, (1.0, 1.0, 4.0, 4.0)),)),)
    boxes = BoxTracks(5, *SHAPE, None, tracks)
    export(Annotations(boxes, FACTS.frame_names, lambda frame: None), tmp_path / "out.csv", "csv")
    assert rows(tmp_path / "out.csv")[0]["label"] == cell
    assert csv_table.read_of(tmp_path / "out.csv", FACTS).boxes.tracks[0].label == label


def test_pandas_reads_it(tmp_path: Path) -> None:
    export(plain(), tmp_path / "out.csv", "csv")
    frame = pandas.read_csv(tmp_path / "out.csv")
    assert list(frame.columns) == list(csv_table.COLUMNS)
    assert frame["area"].sum() == 48 + 72 + 24
    assert frame["x1"].iloc[5] == 7 / 3


def test_losses_are_named(tmp_path: Path) -> None:
    source = plain()
    longer = dataclasses.replace(
        source,
        frame_names=[*source.frame_names, "11"],
        file_names=[f"{n}.jpg" for n in range(5)],
        read_masks=lambda frame: source.read_masks(frame) if frame < 4 else None,
    )
    tracks = tuple(
        dataclasses.replace(each, keyframes=(*each.keyframes, Keyframe(2, None, outside=True)))
        if each.id == 3
        else each
        for each in longer.boxes.tracks
    )
    longer = dataclasses.replace(longer, boxes=dataclasses.replace(longer.boxes, tracks=tracks))
    assert FORMATS["csv"].losses(longer) == [
        "masks are not kept, only their area, centroid and box",
        "1 of 5 frames have no row: neither their names nor whether they were looked at are kept",
        "tracks without a box and a mask are not kept: 12",
        "the video's size, length and frame rate are not kept: reading takes --video PATH",
        "the frames' file names are not kept, only their stems",
        "'outside' is not kept as a keyframe: the track has no row there",
        "parents (divisions) are not kept",
        "'ignore' regions are not kept",
        "fields of the boxes file that we do not know are not kept",
    ]
    simple = Annotations(video().boxes, ["00000", "00001"], lambda _: None)
    assert FORMATS["csv"].losses(simple) == [
        "the video's size, length and frame rate are not kept: reading takes --video PATH"
    ]


@pytest.mark.parametrize(
    ("label", "tracks", "message"),
    [("\ud83d", True, "is no text that UTF-8 can hold"), ("a", False, "neither a box nor a mask")],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, label: str, tracks: bool, message: str
) -> None:
    track = Track(1, label, (Keyframe(0, (0.0, 0.0, 1.0, 1.0)),))
    boxes = BoxTracks(1, *SHAPE, None, (track,) if tracks else ())
    with pytest.raises(InputError, match=message):
        export(Annotations(boxes, ["0"], lambda _: None), tmp_path / "out.csv", "csv")
    assert everything(tmp_path) == {}


@pytest.mark.parametrize("change", [(b"48", b"49"), (b"keyframe\r\n", b"keyframe\r\n\r\n")])
def test_a_change_on_the_disk_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[bytes, bytes]
) -> None:
    def write(source: Annotations, path: Path) -> None:
        csv_table.write(source, path)
        path.write_bytes(path.read_bytes().replace(*change))

    monkeypatch.setitem(FORMATS, "csv", dataclasses.replace(FORMATS["csv"], write=write))
    with pytest.raises(InputError, match=r"row \d differs"):
        export(video(), tmp_path / "out.csv", "csv")


# --- read ------------------------------------------------------------------------------------


def test_without_the_video_it_says_how_to_give_it(tmp_path: Path) -> None:
    path = table(tmp_path, f"{HEAD}0,1,0,0,1,1\n")
    with pytest.raises(InputError, match=r"Give the video: --video PATH\."):
        convert(path, tmp_path / "out.json", "csv", "boxes")
    convert(path, tmp_path / "out.json", "csv", "boxes", video=FACTS)
    boxes = read_boxes(tmp_path / "out.json")
    assert (boxes.num_frames, boxes.height, boxes.width, boxes.fps) == (5, *SHAPE, 12.5)
    assert boxes.tracks[0].keyframes[1:] == (Keyframe(1, None, outside=True),)


def test_columns_in_any_order_and_rows_too(tmp_path: Path) -> None:
    text = (
        "\ufefflabel,x1,x0,y1,y0,note,track,frame,source,occluded\r\n"
        "bee,4,1,4,1,,2,3,interpolated,1\r\n"
        "bee,3,0,3,0,hm,2,1,keyframe,0\r\n"
        "\r\n"
        'bee,3.5,0.5,3.5,0.5,"a\nb",2,2,interpolated,0\r\n'
    )
    found = csv_table.FORMAT.read_of(table(tmp_path, text), FACTS)
    (track,) = found.boxes.tracks
    assert (track.id, track.label) == (2, "bee")
    assert track.keyframes == (
        Keyframe(1, (0.0, 0.0, 3.0, 3.0)),
        Keyframe(3, (1.0, 1.0, 4.0, 4.0), occluded=True),
        Keyframe(4, None, outside=True),
    )
    assert found.read_masks(1) is None


def test_masks_give_boxes_only_to_tracks_without_any(tmp_path: Path) -> None:
    frames = [instances({1: A, 2: B}), instances({2: B})]
    source = Annotations(video().boxes, ["0", "1"], frames.__getitem__)
    export(source, tmp_path / "out.csv", "csv")
    facts = dataclasses.replace(FACTS, num_frames=2, frame_names=["0", "1"])
    first, second = csv_table.FORMAT.read_of(tmp_path / "out.csv", facts).boxes.tracks
    assert first.keyframes == (Keyframe(0, (0.0, 0.0, 8.0, 6.0)),)
    assert second.keyframes == tuple(Keyframe(n, (9.0, 7.0, 15.0, 11.0)) for n in range(2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing are frame, track, x0, y0, x1, y1"),
        ("frame,track,x0\n", "missing are y0, x1, y1"),
        (HEAD, "holds no box"),
        (f"{HEAD}0,1,,,,\n", "holds no box"),
        (f"{HEAD}0,1,0,0,1\n", "row 2: x0, y0, x1, y1 must be four numbers or all empty"),
        (f"{HEAD}0,1,0,0,1,x\n", "row 2: x0, y0, x1, y1 must be four numbers"),
        (f"{HEAD}0,1,0,0,1,nan\n", "xyxy must be four finite numbers"),
        (f"{HEAD}0,1,5,5,1,1\n", "with x0 < x1"),
        (f"{HEAD}0,1,90,90,99,99\n", "the box must overlap the frame"),
        (f"{HEAD}-1,1,0,0,1,1\n", 'row 2: frame must be a whole number, got "-1"'),
        (f"{HEAD}5,1,0,0,1,1\n", "frame must lie in 0 to 4 and track be 1 or more, got frame 5"),
        (f"{HEAD}0,0,0,0,1,1\n", "got frame 0 and track 0"),
        (f"{HEAD}0,{'9' * 30},0,0,1,1\n", "track must be a whole number"),
        (f"{HEAD}0,1,0,0,1,1\n0,1,0,0,1,1\n", "track 1 has two rows for frame 0"),
        (f"occluded,{HEAD}maybe,0,1,0,0,1,1\n", 'occluded must be 1 or 0, got "maybe"'),
        (f"label,{HEAD}a,0,1,0,0,1,1\nb,1,1,0,0,1,1\n", 'is "b" here and "a" before'),
        (f'{HEAD}0,1,"0"0,0,1,1\n', "is not a CSV table"),
        (f'{HEAD}0,1,"0', "is not a CSV table"),
        (HEAD + "0" * 100_000, "has a line of 65536 bytes or more"),
    ],
)
def test_tables_at_fault(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        csv_table.FORMAT.read_of(table(tmp_path, text), FACTS)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HEAD.encode() + b"0,1,\xff")
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 28\)"):
        csv_table.FORMAT.read_of(tmp_path / "in.csv", FACTS)
    with pytest.raises(InputError, match="There is no CSV table"):
        csv_table.FORMAT.read_of(tmp_path / "none.csv", FACTS)


def written() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        csv_table.write(plain(), Path(folder) / "a.csv")
        return (Path(folder) / "a.csv").read_bytes()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=60), mutations(written())))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.csv"
        path.write_bytes(data)
        is_read_or_refused(lambda: csv_table.read_of(path, FACTS))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(videos())
def test_round_trip_gives_the_same_box_in_every_frame(source: Annotations) -> None:
    length = len(source.frame_names)
    drawn = {
        track.id
        for track in source.boxes.tracks
        if any(k.xyxy is not None for k in track.keyframes)
    }
    facts = VideoFacts(length, *SHAPE, None, source.frame_names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.csv"
        if not drawn:
            return
        export(source, path, "csv")
        back = csv_table.read_of(path, facts)
        for frame in range(length):
            wanted, found = boxes_at(source.boxes, frame), boxes_at(back.boxes, frame)
            assert wanted == {i: state for i, state in found.items() if i in drawn}


def test_an_instance_in_no_track_has_the_default_label(tmp_path: Path) -> None:
    masks = InstanceMasks((4,), A[None], (0.5,))
    boxes = BoxTracks(1, *SHAPE, None, ())
    export(Annotations(boxes, ["0"], lambda _: masks), tmp_path / "out.csv", "csv")
    (found,) = rows(tmp_path / "out.csv")
    assert (found["label"], found["confidence"], found["x0"]) == ("object", "0.5", "")
    np.testing.assert_allclose(float(found["centroid_x"]), 4.0)


def test_an_empty_label_is_named() -> None:
    box = Keyframe(0, (0.0, 0.0, 8.0, 6.0))
    tracks = Track(1, "", (box,)), Track(2, "a", (box,))
    boxes = BoxTracks(1, 6, 8, None, tracks)
    losses = FORMATS["csv"].losses(Annotations(boxes, ["00000"], lambda _: None))
    assert 'empty labels are read as "object"' in losses
