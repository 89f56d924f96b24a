"""MOTS, as text and as pictures, written: numbers of objects, overlaps, losses, round trips."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from drawn_annotations import videos
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, convert, export, mots
from maskfree.formats.mots_objects import Plan, track_ids
from maskfree.types import IgnoreRegion, InstanceMasks, Keyframe, Track
from mots_examples import BOTH, OVER, annotated, counts_of, instances, labelled, masks, pixels
from plain_annotations import SHAPE, A, B, everything, rectangle, video

if TYPE_CHECKING:
    from pathlib import Path

# --- numbers ------------------------------------------------------------------------------------


def numbers(*tracks: Track) -> list[int]:
    plan = Plan(annotated([None], *tracks))
    return [plan.number(track.id) for track in tracks]


def test_numbers_of_objects() -> None:
    tracks = labelled(t1="car", t7="pedestrian", t2="zebra", t3="ant", t999="car", t5="object")
    assert numbers(*tracks) == [1001, 2007, 4002, 3003, 1999, 5005]
    assert numbers(*labelled(t1="class 3", t2="ant", t3="class 10")) == [3001, 4002, 5003]
    many = labelled(**{f"t{n}": f"kind {n:02d}" for n in range(1, 13)})
    assert [number // 1000 for number in numbers(*many)] == [
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        11,
        12,
        13,
        14,
        15,
    ]
    assert Plan(annotated([None], *labelled(t1="zebra"))).number(9) == 4009  # no track of that id


def test_ids_beyond_what_a_class_holds() -> None:
    with pytest.raises(InputError, match=r"instances 1 to 999 .* track 1000 \(\"ant\", class 3\)"):
        numbers(*labelled(t1000="ant"))
    assert numbers(*labelled(t1000="car", t2001="pedestrian", t3002="ant")) == [1000, 2001, 3002]
    with pytest.raises(InputError, match=r"a track 1 \("):
        numbers(*labelled(t1="car", t1005="car"))
    many = labelled(**{f"t{n}": f"kind {n:02d}" for n in range(1, 64)})
    with pytest.raises(InputError, match=r"up to 60 labels beside car and pedestrian, .* are 63"):
        numbers(*many)


def test_ids_of_objects() -> None:
    assert track_ids({1005: 1, 2003: 2}) == {1005: 5, 2003: 3}
    assert track_ids({1005: 1, 2005: 2}) == {1005: 1005, 2005: 2005}
    assert track_ids({1000: 1, 2005: 2}) == {1000: 1000, 2005: 2005}
    assert track_ids({52: 2, 1001: 1}) == {52: 52, 1001: 1001}
    assert track_ids({}) == {}


# --- what is written ----------------------------------------------------------------------------


def source() -> Annotations:
    tracks = labelled(t1="car", t2="pedestrian", t3="ant")
    region = IgnoreRegion(((0.0, 8.0), (4.0, 8.0), (4.0, 12.0), (0.0, 12.0)), 0, 1)
    frames = [
        None,
        instances({1: A, 2: OVER, 3: rectangle(10, 0, 11, 2)}, 0.5, 0.25, 1.0),
        instances({}),
        instances({2: B}),
        None,
    ]
    return annotated(frames, *tracks, ignore=(region,))


def test_the_text_by_hand(tmp_path: Path) -> None:
    report = export(source(), tmp_path / "out.txt", "mots")
    lines = [line.split(" ") for line in (tmp_path / "out.txt").read_text().splitlines()]
    assert [line[:5] for line in lines] == [
        ["0", "10000", "10", "12", "16"],
        ["1", "1001", "1", "12", "16"],
        ["1", "2002", "2", "12", "16"],
        ["1", "3003", "3", "12", "16"],
        ["1", "10000", "10", "12", "16"],
        ["3", "2002", "2", "12", "16"],
        ["4", "10000", "10", "12", "16"],
    ]
    ant = rectangle(10, 0, 11, 2)
    wanted = [np.zeros(SHAPE, bool), A, OVER & ~A, ant, rectangle(8, 0, 12, 4) & ~ant, B]
    for line, mask in zip(lines, wanted, strict=False):
        np.testing.assert_array_equal(pixels(line[5]), mask)
    assert (report.frames, report.instances) == (3, 3)
    assert report.losses == (
        "2 of 5 frames were never predicted and get no line, which reads as empty: 00000, 00004",
        "a pixel has one id: where instances overlap, the higher score, then the smaller id wins "
        "(frames 00001)",
        'labels are kept as class numbers (3 = "ant"); other tools know 1 car, 2 pedestrian',
        "boxes are not kept, only masks",
        "'ignore' regions become pixels of the predicted frames, without those that an instance "
        "covers",
        "scores are not kept",
        "frames a second are not kept",
    )
    with pytest.warns(InputWarning, match="1 masks of them are no rectangles"):
        back = mots.read(tmp_path / "out.txt")
    assert [(track.id, track.label) for track in back.boxes.tracks] == [
        (1, "car"),
        (2, "pedestrian"),
        (3, "class 3"),
    ]
    assert (back.boxes.num_frames, list(back.frame_names)) == (5, [f"{n:05d}" for n in range(5)])
    assert masks(back, 1) == {1: A.tolist(), 2: (OVER & ~A).tolist(), 3: ant.tolist()}
    assert masks(back, 2) == masks(back, 4) == {}
    assert [region.frame for region in back.boxes.ignore] == [1]


def test_the_pictures_by_hand(tmp_path: Path) -> None:
    export(source(), tmp_path / "out", "mots-png")
    assert sorted(everything(tmp_path)) == ["out/00001.png", "out/00002.png", "out/00003.png"]
    with Image.open(tmp_path / "out/00001.png") as image:
        assert image.mode == "I;16"
        found = np.array(image)
    ant = rectangle(10, 0, 11, 2)
    wanted = np.where(rectangle(8, 0, 12, 4), 10000, 0)
    for number, mask in ((2002, OVER), (1001, A), (3003, ant)):
        wanted[mask] = number
    np.testing.assert_array_equal(found, wanted)
    export(source(), tmp_path / "out", "mots-png")  # in place of its own
    with pytest.raises(InputError, match="which no export of this format wrote"):
        export(video(), tmp_path / "out", "davis")


def test_losses_of_ids_and_tracks() -> None:
    frames = [instances({1005: A, 2003: B & ~A})]
    track = Track(2007, "pedestrian", (Keyframe(0, (0.0, 0.0, 4.0, 4.0)),), parent=1005)
    tracks = (*labelled(t1005="car", t2003="pedestrian"), track)
    assert FORMATS["mots-png"].losses(annotated(frames, *tracks)) == [
        "ids are kept within their class alone: 1005 → 5, 2003 → 3",
        "boxes are not kept, only masks",
        "tracks without a mask in any frame are not kept: 2007",
        "parents (divisions) are not kept",
        "frames a second are not kept",
    ]
    named = dataclasses.replace(annotated(frames, *tracks), frame_names=["7"])
    assert 'names of frames are not kept: frame 0 is "7"' in FORMATS["mots"].losses(named)


@pytest.mark.parametrize(("name", "target"), BOTH)
def test_what_cannot_be_held(tmp_path: Path, name: str, target: str) -> None:
    with pytest.raises(InputError, match=f"{name} holds masks, but no frame has any"):
        export(annotated([None], *labelled(t1="car")), tmp_path / target, name)
    with pytest.raises(InputError, match=r"masks of frame 0 are 16 x 12 pixels, the video is 8 x"):
        small = dataclasses.replace(video().boxes, width=8)
        export(dataclasses.replace(video(), boxes=small), tmp_path / target, name)
    assert everything(tmp_path) == {}


def test_a_name_that_cannot_name_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='named "a/b"'):
        export(dataclasses.replace(video(), frame_names=["a/b", "c"]), tmp_path / "out", "mots-png")


@given(
    drawn=videos(
        st.integers(1, 40) | st.integers(995, 999),
        st.sampled_from(["car", "pedestrian", "class 12", "käfer", "object"]),
    )
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, drawn: Annotations) -> None:
    frames = [drawn.read_masks(n) for n in range(len(drawn.frame_names))]
    assume(any(each is not None for each in frames))
    folder = tmp_path_factory.mktemp("mots")
    kept = {"car", "pedestrian", "class 12"}
    labels = {track.id: track.label for track in drawn.boxes.tracks}
    for name, target in BOTH:
        report = export(drawn, folder / target, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            back = FORMATS[name].read(folder / target)
        shown = set[int]()
        for frame, known in enumerate(frames):
            if name == "mots":
                place = frame
            elif known is None:
                assert f"{frame:05d}.png" not in [each.name for each in (folder / target).iterdir()]
                continue
            else:
                place = list(back.frame_names).index(f"{frame:05d}")
            found = masks(back, place)
            assert found == ({} if known is None else on_top(known))
            shown |= set(found)
        assert report.instances == len(back.boxes.tracks) == len(shown)
        for track in back.boxes.tracks:
            label = labels.get(track.id, "object")
            assert track.label == label if label in kept else track.label.startswith("class ")


def on_top(known: InstanceMasks) -> dict[int, list[list[bool]]]:
    """The slow rule: of the instances that hold a pixel, the best by (score, smaller id)."""
    left: dict[int, np.ndarray] = {}
    for y, x in np.ndindex(SHAPE):
        instances = zip(known.scores, known.track_ids, known.masks, strict=True)
        here = [(-score, track_id) for score, track_id, mask in instances if mask[y, x]]
        if here:
            left.setdefault(min(here)[1], np.zeros(SHAPE, bool))[y, x] = True
    return {track_id: mask.tolist() for track_id, mask in left.items()}


def test_from_one_to_the_other(tmp_path: Path) -> None:
    export(source(), tmp_path / "a.txt", "mots")
    with pytest.warns(InputWarning, match="no rectangles"):
        convert(tmp_path / "a.txt", tmp_path / "b", "mots", "mots-png")
    with pytest.warns(InputWarning, match="no rectangles"):
        convert(tmp_path / "b", tmp_path / "c.txt", "mots-png", "mots")
    assert (tmp_path / "c.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()


# --- what an export reads back ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (counts_of(A), counts_of(B), "frame 00000: the mask of track 3001 differs"),
        ("0 3001 3", "0 3002 3", r"frame 00000: ids \[3002\] instead of \[3001\]"),
        ("1 3001 3", "0 3001 3", r"frame 00001: ids \[\] instead of \[3001\]"),
        (counts_of(A), "0", "line 1: the runs of the RLE must add up"),
    ],
)
def test_what_the_disk_made_of_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    write = FORMATS["mots"].write

    def spoil(annotations: Annotations, path: Path) -> None:
        write(annotations, path)
        text = path.read_text(encoding="ascii")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="ascii")

    monkeypatch.setitem(FORMATS, "mots", dataclasses.replace(FORMATS["mots"], write=spoil))
    with pytest.raises(InputError, match=message):
        export(video(), tmp_path / "out.txt", "mots")
    assert everything(tmp_path) == {}
