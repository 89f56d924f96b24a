"""OME-Zarr labels: written as version 0.4, read as 0.4 and 0.5, and never trusted."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_files import is_read_or_refused, mutations
from drawn_annotations import masks_of, videos
from drawn_tracks import save
from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, VideoFacts, export, ome_zarr
from maskfree.formats.base import boxes_in
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything

if TYPE_CHECKING:
    from pathlib import Path

IDS = np.zeros((3, *SHAPE), np.uint16)
IDS[0][A], IDS[2][B] = 7, 300
AXES = [{"name": "t", "type": "time", "unit": "second"}]
AXES += [{"name": name, "type": "space"} for name in "yx"]


def source() -> Annotations:
    """Two masks that overlap, a frame that nobody looked at, an empty one."""
    boxed = Track(300, "käfer", (Keyframe(0, (0.0, 0.0, 8.0, 6.0)),))
    masks = [
        InstanceMasks((300, 9), np.stack([A, A | B]), (1.0, 1.0)),
        None,
        InstanceMasks((), np.zeros((0, *SHAPE), bool), ()),
    ]
    boxes = BoxTracks(3, *SHAPE, 29.97, (boxed,))
    return Annotations(boxes, ["00000", "00001", "00002"], masks.__getitem__)


def image(
    folder: Path, data: np.ndarray = IDS, *, version: int = 3, axes: Any = AXES, **options: Any
) -> Path:
    """A label image as other tools write it: 0.4 is zarr version 2, 0.5 is version 3."""
    options = {"chunks": (1, *data.shape[1:]), **options}
    array = zarr.create_array(
        str(folder / "s0"), shape=data.shape, dtype=data.dtype, zarr_format=version, **options
    )
    array[...] = data
    scale = [{"type": "scale", "scale": [0.04, *[0.5] * (data.ndim - 1)]}]
    images = [{"axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": scale}]}]
    own = {"multiscales": images, "image-label": {"properties": [{"label-value": 7, "class": "c"}]}}
    group(folder, own, version)
    return folder


def group(folder: Path, attributes: dict[str, Any], version: int) -> None:
    if version == 2:
        save(folder / ".zgroup", '{"zarr_format": 2}')
        save(folder / ".zattrs", json.dumps(attributes))
    else:
        ome = {"ome": {"version": "0.5", **attributes}}
        node = {"zarr_format": 3, "node_type": "group", "attributes": ome}
        save(folder / "zarr.json", json.dumps(node))


# --- written ---------------------------------------------------------------------------------


def test_a_folder_as_others_read_it(tmp_path: Path) -> None:
    out = tmp_path / "out.ome.zarr"
    report = export(source(), out, "ome-zarr")
    assert (report.frames, report.instances) == (2, 1)
    assert report.losses == (
        "a pixel has one id: where instances overlap, the higher score, then the smaller id wins "
        "(frames 00000)",
        "boxes are not kept, only masks",
    )
    labels = zarr.open_group(str(out), mode="r")["labels"]
    assert labels.attrs["labels"] == ["masks"]
    found = labels["masks"]
    attributes = dict(found.attrs)
    (first,) = attributes["multiscales"]
    assert first["version"] == "0.4"
    assert [axis["name"] for axis in first["axes"]] == ["t", "y", "x"]
    assert first["datasets"][0]["path"] == "0"
    told = attributes["image-label"]
    assert told["properties"] == [{"label-value": 300, "class": "käfer"}]
    assert told["colors"][0]["rgba"][3] == 255
    array = found["0"]
    assert (array.shape, array.chunks, array.dtype) == ((3, *SHAPE), (1, *SHAPE), np.uint16)
    np.testing.assert_array_equal(array[0], np.where(A | B, 9, 0))
    chunks = sorted(each.name for each in (out / "labels/masks/0").iterdir() if each.is_dir())
    assert chunks == ["0"]  # those without an id are not stored


@settings(max_examples=25, deadline=None, derandomize=True)
@given(videos())
def test_anything_comes_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    folder = tmp_path_factory.mktemp("zarr") / "out"
    try:
        export(annotations, folder, "ome-zarr")
    except InputError as error:
        assert "no frame has any" in str(error)
        return
    back = ome_zarr.read(folder)
    labels = {track.id: track.label for track in annotations.boxes.tracks}
    for track in back.boxes.tracks:
        assert track.label == labels.get(track.id, "object")
    assert (back.boxes.fps is None) == (annotations.boxes.fps is None)
    for n in range(len(annotations.frame_names)):
        masks, found = annotations.read_masks(n), back.read_masks(n)
        assert (masks is None) == (found is None)
        if masks is not None and found is not None:
            np.testing.assert_array_equal(masks.masks.any(axis=0), found.masks.any(axis=0))
    again = folder.with_name("again")
    export(back, again, "ome-zarr")
    assert [masks_of(ome_zarr.read(again), n) for n in range(len(back.frame_names))] == [
        masks_of(back, n) for n in range(len(back.frame_names))
    ]


def test_an_export_replaces_its_own_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(source(), out, "ome-zarr")
    export(source(), out, "ome-zarr")
    (out / "labels/nuclei").mkdir()
    before = everything(tmp_path)
    with pytest.raises(InputError, match='holds "labels", which no export of this format wrote'):
        export(source(), out, "ome-zarr")
    assert everything(tmp_path) == before


def test_what_differs_is_found(tmp_path: Path) -> None:
    entry, out = FORMATS["ome-zarr"], tmp_path / "out"
    entry.write(source(), out)
    assert entry.reopen is not None
    path = out / "labels/masks/.zattrs"
    text = path.read_text()
    masks = dataclasses.replace(
        source(), read_masks=lambda n: InstanceMasks((300,), A[None], (1.0,)) if n == 0 else None
    )
    for old, new, wanted, said in (
        (str(1 / 29.97), "0.04", source(), "the frame rate is 25.0 instead of 29.97"),
        ("k\\u00e4fer", "bee", masks, 'track 300 is not labelled "käfer"'),
        (json.dumps([[1, 2]], indent=1).replace("\n ", "\n   "), "[]", source(), ""),
    ):
        assert old in text or not said
        save(path, text.replace(old, new))
        assert said in entry.compare(wanted, entry.reopen(out, wanted)).difference
        save(path, text)
    other = dataclasses.replace(
        source(), read_masks=lambda n: InstanceMasks((9,), B[None], (1.0,)) if n != 1 else None
    )
    assert entry.compare(other, entry.reopen(out, other)).difference.startswith("frame 00000: the")


# --- read ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_files_of_others(tmp_path: Path, version: int) -> None:
    whole = tmp_path / "cells.ome.zarr"
    image(whole / "labels/nuclei", version=version)
    group(whole / "labels", {"labels": ["nuclei"]}, version)
    group(whole, {"multiscales": [{"axes": AXES, "datasets": []}]}, version)
    for path in (whole, whole / "labels", whole / "labels/nuclei"):
        back = ome_zarr.read(path)
        assert [(t.id, t.label) for t in back.boxes.tracks] == [(7, "c"), (300, "object")]
        assert (back.boxes.num_frames, back.boxes.fps) == (3, 25.0)
        assert boxes_in(back, 0) == {7: (0, 0, 8, 6)}
        assert [len(back.read_masks(n).track_ids) for n in range(3)] == [1, 0, 1]
    bare = ome_zarr.read(whole / "labels/nuclei/s0")
    assert [track.id for track in bare.boxes.tracks] == [7, 300]


@pytest.mark.parametrize(
    "coder",
    [
        {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 3}},
        {"name": "zstd", "configuration": {"level": 3, "checksum": False}},
        {"name": "gzip", "configuration": {"level": 5}},
        None,
    ],
)
def test_compressions_and_chunks(tmp_path: Path, coder: Any) -> None:
    data = IDS.reshape(3, 1, 1, *SHAPE)
    axes = [{"name": name} for name in "tczyx"]
    options = {"chunks": (2, 1, 1, 5, 7), "compressors": coder and [coder]}
    back = ome_zarr.read(image(tmp_path / "x", data, axes=axes, **options))
    for n in range(3):
        masks = back.read_masks(n)
        assert masks is not None
        pairs = zip(masks.track_ids, masks.masks, strict=True)
        ids = sum(np.where(mask, track_id, 0) for track_id, mask in pairs)
        np.testing.assert_array_equal(np.broadcast_to(ids, SHAPE), IDS[n])


def test_a_video_names_the_frames(tmp_path: Path) -> None:
    folder = image(tmp_path / "x")
    back = ome_zarr.read_of(folder, VideoFacts(3, *SHAPE, 24.0, ["a", "b", "c"]))
    assert (list(back.frame_names), back.boxes.fps) == (["a", "b", "c"], 24.0)
    with pytest.raises(InputError, match="holds 3 frames of 16x12 pixels, the video 4 frames"):
        ome_zarr.read_of(folder, VideoFacts(4, *SHAPE, 24.0, list("abcd")))


def test_folders_at_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        ome_zarr.read(tmp_path / "none")
    with pytest.raises(InputError, match="is no OME-Zarr with labels"):
        ome_zarr.read(tmp_path)
    group(tmp_path / "p", {"multiscales": []}, 2)
    with pytest.raises(InputError, match="is a picture without labels"):
        ome_zarr.read(tmp_path / "p")
    group(tmp_path / "l", {"labels": ["a", "b"]}, 2)
    with pytest.raises(InputError, match=r'holds 2 label images: \["a", "b"\]'):
        ome_zarr.read(tmp_path / "l")
    with pytest.raises(InputError, match="several planes"):
        three = np.zeros((3, 2, *SHAPE), np.uint8)
        axes = [{"name": name} for name in "tzyx"]
        ome_zarr.read(image(tmp_path / "z", three, axes=axes))
    with pytest.raises(InputError, match=r"holds float32\. Masks are whole numbers"):
        ome_zarr.read(image(tmp_path / "f", IDS.astype(np.float32)))
    with pytest.raises(InputError, match="ids must be whole numbers from 0"):
        ome_zarr.read(image(tmp_path / "n", IDS.astype(np.int32) - 1))
    sharded = {"chunks": (1, 6, 8), "shards": (1, 12, 16)}
    with pytest.raises(InputError, match="without shards and filters"):
        ome_zarr.read(image(tmp_path / "s", **sharded))


@pytest.mark.parametrize("name", ["../out", "/etc", "", ".", "s0/../../x", 3])
def test_no_name_leads_out(tmp_path: Path, name: Any) -> None:
    folder = image(tmp_path / "x")
    path = folder / "zarr.json"
    node = json.loads(path.read_text())
    node["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = name
    save(path, json.dumps(node))
    with pytest.raises(InputError, match="no folder within it"):
        ome_zarr.read(folder)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a right on Windows")
def test_no_link_leads_out(tmp_path: Path) -> None:
    folder, outside = image(tmp_path / "x"), tmp_path / "secret"
    chunk = folder / "s0/c/0/0/0"
    chunk.rename(outside)
    chunk.symlink_to(outside)
    with pytest.raises(InputError, match=r"chunk \(0, 0, 0\) is no file of the folder"):
        ome_zarr.read(folder)
    chunk.unlink()
    (folder / "s0").rename(tmp_path / "away")
    (folder / "s0").symlink_to(tmp_path / "away")
    with pytest.raises(InputError, match="no folder within it"):
        ome_zarr.read(folder)


def test_sizes_are_bounded_before_anything_is_made(tmp_path: Path) -> None:
    folder = image(tmp_path / "x")
    path = folder / "s0/zarr.json"
    text = path.read_text()
    node = json.loads(text)
    for shape, chunks, said in (
        ([3, 10**9, 10**9], [1, 12, 16], "a frame must have sides of"),
        ([10**12, 12, 16], [1, 12, 16], "must have 1 to 10000000 frames"),
        ([3, 8000, 8000], [1, 1, 1], "64000000 chunks a frame"),
        ([3, 12, 16], [10**6, 10**6, 10**6], "more than 67108864 numbers"),
    ):
        node["shape"] = shape
        node["chunk_grid"]["configuration"]["chunk_shape"] = chunks
        save(path, json.dumps(node))
        with pytest.raises(InputError, match=said):
            ome_zarr.read(folder)


def test_bombs_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(source(), out, "ome-zarr")
    chunk = out / "labels/masks/0/0/0/0"
    save(chunk, zlib.compress(bytes(200_000)))
    with pytest.raises(InputError, match="does not unpack to its 384 bytes"):
        ome_zarr.read(out)
    save(chunk, bytes(10**6))
    with pytest.raises(InputError, match="is larger than its numbers"):
        ome_zarr.read(out)
    blosc = {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 3}}
    folder = image(tmp_path / "b", compressors=[blosc])
    data = bytearray((folder / "s0/c/0/0/0").read_bytes())
    data[4:8] = struct.pack("<I", 2**31 - 1)
    save(folder / "s0/c/0/0/0", bytes(data))
    with pytest.raises(InputError, match="does not unpack to its"):
        ome_zarr.read(folder)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_strangers_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "strange-zarr"
    if not folder.exists():
        export(source(), folder, "ome-zarr")
        image(folder / "labels/masks3")
    inside = ("masks/.zattrs", "masks/0/.zarray", "masks/0/0/0/0", ".zattrs")
    three = ("masks3/zarr.json", "masks3/s0/zarr.json", "masks3/s0/c/0/0/0")
    name = data.draw(st.sampled_from([*inside, *three]))
    path = folder / "labels" / name
    valid = path.read_bytes()
    save(path, data.draw(mutations(valid)))
    start = folder / "labels" / (name.split("/")[0] if name in three else "")
    try:
        is_read_or_refused(lambda: ome_zarr.read(start))
    finally:
        save(path, valid)
