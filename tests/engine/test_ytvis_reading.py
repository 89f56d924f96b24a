"""YouTube-VIS read in a stream: any order of fields, files at fault, what an export looks up."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, export, ytvis
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, video

if TYPE_CHECKING:
    from pathlib import Path

H, W = SHAPE


def content() -> dict[str, Any]:
    """Two tracks over three frames, all there is: masks, an absent one, a box without a mask."""
    runs = {"size": [H, W], "counts": [12, 12, 168]}
    return {
        "info": {"year": 2019, "nested": {"list": [[1, [2]], "]"]}},
        "videos": [{"id": 1, "width": W, "height": H, "file_names": ["a.jpg", "b.jpg", "ü.jpg"]}],
        "categories": [{"id": 1, "name": "käfer"}, {"id": 2, "name": "bee"}],
        "annotations": [
            {
                "id": 3,
                "category_id": 2,
                "iscrowd": 1,
                "segmentations": [runs, None, [[4, 3, 12, 3, 12, 9, 4, 9]]],
                "bboxes": [[1, 0, 1, 12], None, None],
                "areas": [12, None, 48],
            },
            {
                "id": 5,
                "category_id": 1,
                "segmentations": None,
                "bboxes": [None, [1, 1, 3, 4], None],
            },
        ],
    }


def shuffled(value: Any, draw: random.Random) -> Any:
    """The same content, the fields of every object in another order."""
    if isinstance(value, dict):
        names = list(value)
        draw.shuffle(names)
        return {name: shuffled(value[name], draw) for name in names}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


def known(annotations: Annotations) -> list[Any]:
    """Everything that is read, as plain values."""
    masks = [annotations.read_masks(frame) for frame in range(len(annotations.frame_names))]
    return [
        annotations.boxes,
        list(annotations.frame_names),
        list(annotations.file_names),
        [None if each is None else (each.track_ids, each.masks.tolist()) for each in masks],
    ]


def save(path: Path, value: Any, **options: Any) -> Path:
    path.write_text(json.dumps(value, **options), encoding="utf-8")
    return path


def test_fields_may_come_in_any_order(tmp_path: Path) -> None:
    wanted = known(ytvis.read(save(tmp_path / "a.json", content())))
    assert wanted[3][1] is None  # a box without a mask
    for seed in range(30):
        other = shuffled(content(), random.Random(seed))
        path = save(tmp_path / "b.json", other, indent=seed % 3, ensure_ascii=bool(seed % 2))
        assert known(ytvis.read(path)) == wanted


@pytest.mark.skipif(os.name == "nt", reason="named pipes are other things on Windows")
def test_annotations_may_come_first_even_from_a_pipe(tmp_path: Path) -> None:
    value = dict(reversed(content().items()))
    wanted = known(ytvis.read(save(tmp_path / "a.json", content())))
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=save, args=(tmp_path / "pipe", value))
    writer.start()
    assert known(ytvis.read(tmp_path / "pipe")) == wanted
    writer.join()


@pytest.mark.parametrize("first", [False, True])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, first: bool) -> None:
    value = dict(reversed(content().items())) if first else content()
    raw = json.dumps(value, ensure_ascii=False).encode()
    path = tmp_path / "a.json"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(InputError, match=r"a\.json is (empty|not JSON|not UTF-8)"):
            ytvis.read(path)
    path.write_bytes(b"\xef\xbb\xbf" + raw + b"\n ")
    assert len(ytvis.read(path).boxes.tracks) == 2


PLACES = [
    '"info": {',
    '"videos": [',
    '"width": ',
    '"file_names": [',
    '"categories": [',
    '"annotations": [',
    '"id": 3, "category_id": ',
    '"segmentations": [',
    '"counts": [',
    '"bboxes": [',
    '"areas": [',
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "junk",
    ["[" * 100_000, '{"a":' * 100_000, "x", "\0", "}", "]", "1" * 5000, '"\n"', "tru", "'a'"],
)
def test_what_is_no_json_is_refused_wherever_it_stands(
    tmp_path: Path, place: str, junk: str
) -> None:
    text = json.dumps(content(), ensure_ascii=False)
    assert place in text
    path = tmp_path / "a.json"
    path.write_text(text.replace(place, place + junk, 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.json[: ]") as caught:
        ytvis.read(path)
    assert "\n" not in str(caught.value)


def replaced(text: str, old: str, new: str) -> bytes:
    assert old in text
    return text.replace(old, new, 1).encode()


TEXT = json.dumps(content(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"[]", r"expected a YouTube-VIS file as an object .*, got \[\]"),
        (b"3", "got 3"),
        (b"{}", "videos must be a list, got nothing"),
        (b"\xff\xfe{\x00}\x00", r"not UTF-8 text \(byte 0\)"),
        (TEXT.encode("utf-16"), "not UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "not JSON"),
        (TEXT.encode("latin-1"), "not UTF-8"),
        (TEXT.encode() + b"{}", "Extra data at line 1"),
        (
            replaced(TEXT, '"annotations"', '"annotation"'),
            "annotations must be a list, got nothing",
        ),
        (replaced(TEXT, '"info"', '"annotations"'), r'"annotations" comes twice in one object'),
        (replaced(TEXT, '"info"', '"videos"'), r'"videos" comes twice in one object'),
        (replaced(TEXT, '"areas"', '"bboxes"'), r'"bboxes" comes twice in one object'),
        (replaced(TEXT, '"year"', '"nested"'), r'"nested" comes twice in one object'),
        (replaced(TEXT, "[1, 0, 1, 12]", "[1, 0, 1, 1e400]"), "annotation 3, frame 0: a bbox must"),
        (replaced(TEXT, "[1, 0, 1, 12]", "[1, 0, 1, NaN]"), "four finite numbers"),
        (replaced(TEXT, "[1, 0, 1, 12]", "{}"), r"four finite numbers .*, got \{\}"),
        (replaced(TEXT, '"id": 3', '"id": 1e400'), "id must be a whole number, got Infinity"),
        (replaced(TEXT, '"id": 3', '"id": [3]'), r"annotations\[0\]: id must be a whole number"),
        (replaced(TEXT, '"id": 3, ', ""), r"annotations\[0\]: id must be .*, got nothing"),
        (replaced(TEXT, "[12, 12, 168]", "[12, 12, 1e400]"), "a run of the RLE must be a whole"),
        (replaced(TEXT, "[12, 12, 168]", f"[{'1,' * 100_000}1]"), "runs of the RLE must add up"),
        (replaced(TEXT, "[12, 12, 168]", '"\\ud800"'), "annotation 3, frame 0: the runs"),
        (replaced(TEXT, '"segmentations": null', '"segmentations": {}'), "must be a list, got"),
        (replaced(TEXT, '"segmentations": null', '"segmentations": [null]'), "3 frames, got 1"),
        (replaced(TEXT, '"bboxes": [null', '"bboxes": [7, null'), "annotation 5, frame 0: a bbox"),
        (replaced(TEXT, '"bboxes": [null', '"bboxes": [null, null'), "of the 3 frames, got 4"),
        (
            replaced(TEXT, '"annotations": [', '"annotations": [null, '),
            r"annotations\[0\]: expected",
        ),
        (replaced(TEXT, '"id": 5', '"id": 3'), "two annotations have the id 3"),
        (replaced(TEXT, '"iscrowd": 1', '"iscrowd": -1'), "iscrowd must be a whole number of at"),
    ],
)
def test_files_at_fault(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        ytvis.read(path)
    assert "a.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_nobody_asks_for_may_be_anything(tmp_path: Path) -> None:
    raw = replaced(TEXT, "[12, null, 48]", '[NaN, -Infinity, 1e999, {"a": []}, 1, 2, 3]')
    (tmp_path / "a.json").write_bytes(raw)
    assert len(ytvis.read(tmp_path / "a.json").boxes.tracks) == 2


# --- what an export reads back ----------------------------------------------------------------


COUNTS = rle.encode(A[None])[0].encode()


def both(source: Annotations, path: Path) -> tuple[Annotations, Annotations]:
    FORMATS["ytvis"].write(source, path)
    reopen = FORMATS["ytvis"].reopen
    assert reopen is not None
    return ytvis.read(path), reopen(path, source)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_looked_up_is_what_a_person_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    small = functools.partial(FormatConfig, chunk_bytes=chunk, value_bytes=chunk)
    monkeypatch.setattr("maskfree.json_stream.FormatConfig", small)
    monkeypatch.setattr("maskfree.formats.ytvis_reopen.FormatConfig", small)
    frames = [
        None,
        InstanceMasks((1, 12), np.stack([A, B]), (0.5, 1.0)),
        InstanceMasks((), np.zeros((0, *SHAPE), bool), ()),
        None,
        InstanceMasks((12,), B[None], (1.0,)),
    ]
    tracks = (
        Track(1, "käfer", (Keyframe(0, (0.5, 0.25, 8.0, 6.1)), Keyframe(2, None, outside=True))),
        Track(7, "bee", (Keyframe(3, (1.0, 1.0, 2.0, 2.0)),)),
    )
    boxes = BoxTracks(5, *SHAPE, 24.0, tracks)
    names = [f"ö{n}" for n in range(5)]
    source = Annotations(boxes, names, frames.__getitem__)
    read, reopened = both(source, tmp_path / "a.json")
    assert known(reopened)[1:] == known(read)[1:]
    assert reopened.read_masks(0) is None
    assert reopened.read_masks(2) is not None
    assert [(t.id, t.label) for t in reopened.boxes.tracks] == [
        (1, "käfer"),
        (7, "bee"),
        (12, "object"),
    ]
    for frame in range(5):
        assert ytvis.boxes_in(reopened, frame) == ytvis.boxes_in(read, frame)
    whole = FORMATS["ytvis"].compare(source, read)
    assert whole == FORMATS["ytvis"].compare(source, reopened)
    assert (whole.difference, whole.frames, whole.tracks) == ("", 3, 3)


def test_a_file_of_boxes_alone_has_no_known_masks(tmp_path: Path) -> None:
    track = Track(1, "a", (Keyframe(1, (0.0, 0.0, 4.0, 4.0)), Keyframe(2, None, outside=True)))
    boxes = BoxTracks(5, *SHAPE, None, (track,))
    source = Annotations(boxes, [str(n) for n in range(5)], lambda _: None)
    for back in both(source, tmp_path / "a.json"):
        assert [back.read_masks(frame) for frame in range(5)] == [None] * 5
    assert export(source, tmp_path / "b.json", "ytvis").frames == 1


def test_reopening_keeps_no_keyframe(tmp_path: Path) -> None:
    _, reopened = both(video(num_frames=9), tmp_path / "a.json")
    assert [track.keyframes for track in reopened.boxes.tracks] == [()]


def changed(old: bytes, new: bytes) -> Any:
    write = FORMATS["ytvis"].write

    def spoil(annotations: Annotations, path: Path) -> None:
        write(annotations, path)
        raw = path.read_bytes()
        assert old in raw
        path.write_bytes(raw.replace(old, new, 1))

    return spoil


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (COUNTS, COUNTS[:-1], "annotation 1, frame 0: the runs of the RLE must add up"),
        (COUNTS, rle.encode(B[None])[0].encode(), "frame 00000: the mask of track 1 differs"),
        (b"[0.0,0.0,8.0,6.0]", b"[0.0,0.0,8.0,6.5]", "frame 00000: boxes {1: "),
        (b"[0.0,0.0,8.0,6.0]", b"null", "frame 00000: boxes {} instead of {1: "),
        (b"[0.0,0.0,8.0,6.0]", b"[0.0,0.0,8.0]", "annotation 1, frame 0: a bbox must be four"),
        (b"00001.jpg", b"00002.jpg", "the frames' names differ"),
        (b'"name":"object"', b'"name":"ob"', 'track 1 is labelled "ob", not "object"'),
        (b'"id":1,"video_id"', b'"id":2,"video_id"', "track 1 is labelled"),
        (b"}]}", b"}]", "is not JSON"),
        (b'"segmentations":[{', b'"segmentations":[null,{', "one entry for each of the 2 frames"),
    ],
)
def test_what_the_disk_made_of_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, message: str
) -> None:
    entry = dataclasses.replace(FORMATS["ytvis"], write=changed(old, new))
    monkeypatch.setitem(FORMATS, "ytvis", entry)
    with pytest.raises(InputError, match=message):
        export(video(), tmp_path / "out.json", "ytvis")
    assert list(tmp_path.iterdir()) == []
