"""MOTChallenge: rows to the last bit, what other tools write, files at fault."""

from __future__ import annotations

import configparser
import dataclasses
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_tracks import HEIGHT, LABELS, WIDTH, damaged, drawn, only_boxes, save, states
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, export, mot
from maskfree.numbered_names import NumberedNames
from maskfree.types import BoxTracks, Keyframe, Track
from plain_annotations import everything, video

INFO = f"[Sequence]\nseqLength=4\nimWidth={WIDTH}\nimHeight={HEIGHT}\nframeRate=30\n"
FACTS = VideoFacts(4, HEIGHT, WIDTH, 12.5, ["a", "b", "c", "d"])
FILES = Path(__file__).parent / "files/mot"


def two_tracks() -> Annotations:
    car = Track(
        7, "car", (Keyframe(0, (0.1, 2.0, 10.0, 12.5)), Keyframe(2, (0.1, 6.0, 10.0, 16.5)))
    )
    bee = Track(
        2,
        "bee",
        (Keyframe(1, (1.0, 1.0, 3.0, 4.0), occluded=True), Keyframe(3, None, outside=True)),
    )
    return only_boxes(BoxTracks(4, HEIGHT, WIDTH, 30.0, (car, bee)))


def sequence(folder: Path, rows: str | bytes, info: str = INFO) -> Path:
    save(folder / "seqinfo.ini", info)
    save(folder / "gt/gt.txt", rows)
    return folder


# --- written ---------------------------------------------------------------------------------


def test_rows_count_frames_and_pixels_from_1(tmp_path: Path) -> None:
    report = export(two_tracks(), tmp_path / "seq", "mot")
    assert (tmp_path / "seq/gt/gt.txt").read_text().splitlines() == [
        "1,7,1.1,3.0,9.9,10.5,1,2,1",
        "2,2,2.0,2.0,2.0,3.0,1,1,0",
        "2,7,1.1,5.0,9.9,10.5,1,2,1",
        "3,2,2.0,2.0,2.0,3.0,1,1,0",
        "3,7,1.1,7.0,9.9,10.5,1,2,1",
        "4,7,1.1,7.0,9.9,10.5,1,2,1",
    ]
    assert (tmp_path / "seq/gt/labels.txt").read_text() == "bee\ncar\n"
    info = configparser.ConfigParser()
    info.read(tmp_path / "seq/seqinfo.ini")
    wanted = {
        "name": "sequence",
        "imdir": "img1",
        "framerate": "30",
        "seqlength": "4",
        "imext": ".jpg",
    }
    assert dict(info["Sequence"]) == wanted | {"imwidth": str(WIDTH), "imheight": str(HEIGHT)}
    assert report.losses == ("every frame gets a box: which of them were drawn is not kept",)
    assert (report.frames, report.instances) == (4, 2)


def test_read_back(tmp_path: Path) -> None:
    export(two_tracks(), tmp_path / "seq", "mot")
    back = mot.read(tmp_path / "seq")
    assert states(back) == states(two_tracks())
    assert (back.boxes.num_frames, back.boxes.fps, list(back.frame_names)) == (
        4,
        30.0,
        ["00000", "00001", "00002", "00003"],
    )
    bee, car = back.boxes.tracks
    assert (bee.id, bee.label, car.id, car.label) == (2, "bee", 7, "car")
    assert bee.keyframes[-1] == Keyframe(3, None, outside=True)
    assert all(back.read_masks(frame) is None for frame in range(4))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn(LABELS))
def test_any_boxes_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    folder = tmp_path_factory.mktemp("seq") / "out"
    export(annotations, folder, "mot")
    back = mot.read(folder)
    assert states(back) == states(annotations)
    labels = {track.id: track.label for track in annotations.boxes.tracks}
    assert {track.id: track.label for track in back.boxes.tracks} == labels
    assert back.boxes.fps == annotations.boxes.fps
    # What was read has a keyframe a frame: the second time nothing of it is lost.
    convert(folder, folder.with_name("again"), "mot", "mot")
    assert everything(folder) == everything(folder.with_name("again"))


def test_losses_are_named(tmp_path: Path) -> None:
    parent = Track(1, "a", (Keyframe(0, (0.0, 0.0, 4.0, 4.0), extra={"by": "me"}),))
    child = Track(2, "a", (), parent=1)
    source = dataclasses.replace(
        video(), boxes=BoxTracks(2, 12, 16, None, (parent, child), extra={"note": 1})
    )
    source = dataclasses.replace(source, frame_names=["x", "y"])
    assert export(source, tmp_path / "seq", "mot").losses == (
        "masks are not kept, only boxes",
        "tracks without a box are not kept: 2",
        "parents (divisions) are not kept",
        'names of frames are not kept: frame 0 is "x"',
        "fields that the format does not know are not kept: by, note",
        "every frame gets a box: which of them were drawn is not kept",
    )


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mot holds boxes, but no track has any"):
        export(only_boxes(BoxTracks(1, 9, 9, None, ())), tmp_path / "x", "mot")
    tracks = tuple(dataclasses.replace(track, label="a\nb") for track in two_tracks().boxes.tracks)
    broken = dataclasses.replace(two_tracks().boxes, tracks=tracks)
    with pytest.raises(InputError, match=r"a label a line, 'a\\nb' has several"):
        export(only_boxes(broken), tmp_path / "x", "mot")
    assert everything(tmp_path) == {}


def test_an_export_replaces_its_own_alone(tmp_path: Path) -> None:
    out = tmp_path / "seq"
    export(two_tracks(), out, "mot")
    export(two_tracks(), out, "mot")
    rows = out / "gt/gt.txt"
    rows.write_text(rows.read_text() + "4,9,1,1,2,2,1,1,1\n", encoding="utf-8")
    before = everything(tmp_path)
    with pytest.raises(InputError, match='holds "gt", which no export of this format wrote'):
        export(two_tracks(), out, "mot")
    assert everything(tmp_path) == before


def test_what_an_export_reads_back_is_what_read_reads(tmp_path: Path) -> None:
    source, entry = two_tracks(), FORMATS["mot"]
    entry.write(source, tmp_path / "seq")
    assert entry.reopen is not None
    reopened = entry.reopen(tmp_path / "seq", source)
    assert entry.compare(source, reopened) == entry.compare(source, entry.read(tmp_path / "seq"))
    moved = tmp_path / "moved"
    (tmp_path / "seq").rename(moved)
    rows = (moved / "gt/gt.txt").read_text()
    warnings.simplefilter("ignore", InputWarning)  # a track of two classes
    for old, new, said in (
        ("1,7,1.1", "1,7,1.2", "instead of"),
        ("2,2,2.0", "2,3,2.0", "instead of"),
        ("1,1,0\n", "1,1,1\n", "instead of"),
        ("1,2,1\n2,", "1,1,1\n2,", "instead of"),
        ("4,7,1.1,7.0,9.9,10.5,1,2,1\n", "", "0 rows instead of 1"),
    ):
        assert old in rows
        save(moved / "gt/gt.txt", rows.replace(old, new, 1))
        for back in (entry.reopen(moved, source), entry.read(moved)):
            assert said in entry.compare(source, back).difference
    save(moved / "gt/gt.txt", rows)
    save(moved / "gt/labels.txt", "bee\ncat\n")
    for back in (entry.reopen(moved, source), entry.read(moved)):
        assert entry.compare(source, back).difference


# --- read ------------------------------------------------------------------------------------


def test_truth_of_motchallenge(tmp_path: Path) -> None:
    """Rows in the form of MOT16's gt.txt: by track, confidence 0 where not scored, visibility."""
    folder = sequence(
        tmp_path / "MOT16-02",
        "2,2,11,21,5,6,0,7,0.3\n1,1,-3,1,10,10,1,1,1\r\n\n1,2,11,21,5,6,1,7,0.86014\n",
    )
    back = mot.read(folder)
    one, two = back.boxes.tracks
    assert (one.label, two.label) == ("pedestrian", "static person")
    assert one.keyframes == (
        Keyframe(0, (0.0, 0.0, 6.0, 10.0)),  # what lay beyond the frame is cut off
        Keyframe(1, None, outside=True),
    )
    first, second, gone = two.keyframes
    assert first == Keyframe(0, (10.0, 20.0, 15.0, 26.0), extra={"mot": {"visibility": 0.86014}})
    assert second.occluded
    assert second.extra == {"mot": {"confidence": 0.0, "visibility": 0.3}}
    assert gone == Keyframe(2, None, outside=True)
    export(back, tmp_path / "again", "mot")
    assert (tmp_path / "again/gt/gt.txt").read_text().splitlines() == [
        "1,1,1.0,1.0,6.0,10.0,1,1,1",
        "1,2,11.0,21.0,5.0,6.0,1,2,0.86014",
        "2,2,11.0,21.0,5.0,6.0,0,2,0.3",
    ]


def test_results_of_a_tracker_and_the_video(tmp_path: Path) -> None:
    path = save(tmp_path / "MOT16-02.txt", "1,0,1,1,5,6,0.9,-1,-1,-1\n4,0,2,2,5,6,-1,-1,-1,-1\n")
    with pytest.raises(InputError, match=r"does not say how many frames.*--video PATH"):
        mot.read(path)
    with pytest.warns(InputWarning, match="ids begin at 0"):
        back = mot.read_of(path, FACTS)
    (track,) = back.boxes.tracks
    assert (track.id, track.label, back.boxes.fps) == (1, "object", 12.5)
    assert list(back.frame_names) == ["a", "b", "c", "d"]
    assert [each.frame for each in track.keyframes] == [0, 1, 3]
    save(tmp_path / "seqinfo.ini", "[Sequence]\nseqLength=4\n")
    with pytest.raises(InputError, match="does not say the size of its video"):
        mot.read(path)


def test_what_datumaro_wrote(tmp_path: Path) -> None:
    back = mot.read_of(FILES, dataclasses.replace(FACTS, num_frames=3, frame_names=["1", "2", "3"]))
    car, bee = back.boxes.tracks
    assert (car.id, car.label, bee.id, bee.label) == (1, "car", 2, "bee")
    assert car.keyframes == tuple(
        Keyframe(n, (10.5 + n, 20.0, 18.5 + n, 26.25), occluded=n == 1) for n in range(3)
    )
    assert [each.xyxy for each in bee.keyframes] == [
        (1.0, 2.0, 4.0, 6.0),
        None,
        (1.0, 2.0, 4.0, 6.0),
    ]
    export(back, tmp_path / "seq", "mot")
    assert states(mot.read(tmp_path / "seq")) == states(back)


def test_labels_of_cvat(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "seq", "1,1,1,1,5,6,1,2,1\n2,1,1,1,5,6,1,1,1\n1,3,1,1,2,2,1,9,1\n")
    save(folder / "gt/labels.txt", "käfer\r\nbee\r\n")
    with pytest.warns(InputWarning, match=r"track 1 has the classes \[1, 2\]"):
        back = mot.read(folder)
    assert [track.label for track in back.boxes.tracks] == ["käfer", "class 9"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,1,1,1,5\n", "line 1: expected numbers frame,id,left"),
        ("1,1,1,1,5,6\n1,1,one,1,5,6\n", "line 2: expected numbers"),
        ("1,1,nan,1,5,6\n", "expected numbers"),
        ("1,1,1,1,5,6,1,1,1,1,1\n", "expected numbers"),
        ("1,1,1,1,1e400,6\n", "expected numbers"),
        ("0,1,1,1,5,6\n", "frames count from 1, got 0"),
        ("1.5,1,1,1,5,6\n", "frame must be a whole number, got 1.5"),
        ("1,1,1,1,0,6\n", "width and height must be above 0"),
        ("9,1,1,1,5,6\n", "frame 9: the video has only 4 frames"),
        ("1,-1,1,1,5,6\n", "the file holds detections, not tracks"),
        ("1,1,1,1,5,6\n1,1,1,1,5,7\n", "track 1 comes twice in frame 1, expected one"),
        ("1," * 99999, "expected numbers"),
    ],
)
def test_rows_at_fault(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        mot.read(sequence(tmp_path, rows))


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("seqLength=4", "is no settings file"),
        (INFO.replace("4", "four"), "seqLength must be a number, got 'four'"),
        (INFO.replace("4", "1e12"), "1 to 10000000 frames, got 1000000000000"),
        (INFO.replace(str(WIDTH), "1000000000"), "pixels in all, got 1000000000 x 48"),
        (INFO.replace("4", "0"), "frames, got 0"),
        ("x" * (1 << 21), "larger than 1048576 bytes"),
        (b"\xff\xfe".decode("latin-1"), "is no settings file"),
    ],
)
def test_settings_at_fault(tmp_path: Path, info: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        mot.read(sequence(tmp_path, "1,1,1,1,5,6\n", info))


def test_the_video_must_fit(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "seq", "1,1,1,1,5,6\n")
    with pytest.raises(InputError, match="is for a video of 64 x 48 pixels"):
        mot.read_of(folder, dataclasses.replace(FACTS, width=65))
    with pytest.raises(InputError, match=r"is for a video of 4 frames, the video has only 3"):
        mot.read_of(folder, dataclasses.replace(FACTS, num_frames=3))
    longer = dataclasses.replace(FACTS, num_frames=9, frame_names=NumberedNames(9))
    assert mot.read_of(folder, longer).boxes.num_frames == 9
    with pytest.raises(InputError, match=r"holds none of gt/gt\.txt, gt\.txt"):
        mot.read(tmp_path)
    with pytest.raises(InputError, match="There is no MOT file"):
        mot.read(tmp_path / "nowhere.txt")


GOOD = b"1,1,1,1,5,6,1,1,1\n2,1,1.5,1,5,6,1,1,0.25\n1,2,-3,1,5,6,0.5,2,-1\n"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.one_of(st.binary(max_size=60), damaged(GOOD, (b",", b"\n", b"1_0", b"0x1", b" "))),
    damaged(INFO.encode(), (b"[", b"]", b"=", b"\n", b" ", b"%(x)s")),
)
def test_nothing_but_our_own_errors(
    tmp_path_factory: pytest.TempPathFactory, rows: bytes, info: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz_mot"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        for text in (INFO.encode(), info):
            save(folder / "gt/gt.txt", rows)
            save(folder / "seqinfo.ini", text)
            try:
                back = mot.read(folder)
            except InputError as error:
                assert "\n" not in str(error)
            else:
                states(dataclasses.replace(back, frame_names=["0"]))
