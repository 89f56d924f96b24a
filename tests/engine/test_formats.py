"""The registry and the safe export: nothing half-written, nothing of another's lost."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert, export, get_format
from maskfree.formats.davis import read as read_davis
from maskfree.formats.indexed_png import read_ids
from maskfree.tracks import read_boxes
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B, everything, video

ROOT = Path(__file__).parents[2]


# --- registry --------------------------------------------------------------------------------


def test_registry() -> None:
    names = ["davis", "ytvis", "boxes", "coco", "mots", "mots-png", "mot", "cvat", "labelstudio"]
    names += ["labelme", "ctc", "tiff", "npz", "csv", "yolo", "bdd100k", "bdd100k-masks", "ovis"]
    names += ["ome-zarr"]
    assert list(FORMATS) == names
    for name, entry in FORMATS.items():
        assert entry.name == name
        assert entry.title
    with pytest.raises(InputError) as error:
        get_format("davids")
    assert str(error.value) == (
        f'There is no format "davids". Choose one of {", ".join(names)}. Did you mean "davis"?'
    )


def test_a_format_that_needs_the_video_is_told_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, VideoFacts | None]] = []

    def read_of(path: Path, facts: VideoFacts | None) -> Annotations:
        asked.append((path, facts))
        return video()

    plain = FORMATS["boxes"]
    monkeypatch.setitem(FORMATS, "sizeless", dataclasses.replace(plain, read_of=read_of))
    facts = VideoFacts(3, *SHAPE, None, ["a", "b", "c"])
    convert(tmp_path / "in", tmp_path / "a.json", "sizeless", "ytvis", video=facts)
    convert(tmp_path / "in", tmp_path / "b.json", "sizeless", "ytvis")
    assert asked == [(tmp_path / "in", facts), (tmp_path / "in", None)]


def test_formats_and_metrics_need_no_torch() -> None:
    code = "import sys, maskfree.formats, maskfree.metrics; print('torch' in sys.modules)"
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.stdout.strip() == "False"


# --- boxes and convert -----------------------------------------------------------------------


def test_boxes_round_trip(tmp_path: Path) -> None:
    boxes = BoxTracks(
        3,
        *SHAPE,
        24.0,
        (
            Track(
                2, "käfer", (Keyframe(0, (0.5, 0.0, 4.0, 4.0), extra={"by": "me"}),), extra={"k": 1}
            ),
            Track(5, "bee", (Keyframe(1, (1.0, 1.0, 2.0, 2.0), occluded=True),), parent=2),
        ),
        extra={"note": ["x"]},
    )
    source = Annotations(boxes, ["00000", "00001", "00002"], lambda _: None)
    report = export(source, tmp_path / "boxes.json", "boxes")
    assert report.losses == ()
    assert (report.frames, report.instances) == (2, 2)
    assert read_boxes(tmp_path / "boxes.json") == boxes


def test_boxes_losses(tmp_path: Path) -> None:
    named = dataclasses.replace(video(), frame_names=["00000", "00005"])
    report = export(named, tmp_path / "boxes.json", "boxes")
    assert report.losses == (
        "masks are not kept, only boxes",
        'names of frames are not kept: frame 1 is "00005"',
    )
    with pytest.raises(InputError, match="boxes holds boxes, but no track has any"):
        export(
            Annotations(BoxTracks(1, *SHAPE, None, ()), ["0"], lambda _: None),
            tmp_path / "none.json",
            "boxes",
        )


def test_convert_round_the_formats(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    pictures = {"00000": 1 * A + 4 * B, "00001": 4 * B, "00003": 1 * A}
    for name, ids in pictures.items():
        Image.fromarray(ids.astype(np.uint8)).save(folder / f"{name}.png")
    report = convert(folder, tmp_path / "v.json", "davis", "ytvis")
    assert (report.frames, report.instances) == (3, 2)
    convert(tmp_path / "v.json", tmp_path / "again", "ytvis", "davis")
    for name, ids in pictures.items():
        np.testing.assert_array_equal(read_ids(tmp_path / f"again/{name}.png"), ids)
    assert sorted(path.stem for path in (tmp_path / "again").iterdir()) == list(pictures)
    convert(folder, tmp_path / "boxes.json", "davis", "boxes")
    boxes = read_boxes(tmp_path / "boxes.json")
    assert boxes == read_davis(folder).boxes
    assert boxes.num_frames == 4
    report = convert(tmp_path / "boxes.json", tmp_path / "b.json", "boxes", "ytvis")
    assert report.losses[0] == "no frame has masks: the file holds boxes only"
    with pytest.raises(InputError, match="davis holds masks, but no frame has any"):
        convert(tmp_path / "boxes.json", tmp_path / "none", "boxes", "davis")
    with pytest.raises(InputError, match='no format "coco2"'):
        convert(folder, tmp_path / "x", "davis", "coco2")
    with pytest.raises(InputError, match="There is no folder"):
        convert(tmp_path / "nowhere", tmp_path / "x", "davis", "ytvis")


# --- what is at the target -------------------------------------------------------------------


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(video(A, num_frames=5), out, "davis")
    (out / ".DS_Store").write_bytes(b"litter of a file browser")
    export(video(B, num_frames=2), out, "davis")
    assert list(everything(tmp_path)) in (
        ["out/00000.png", "out/00001.png"],
        ["out/00001.png", "out/00000.png"],
    )
    np.testing.assert_array_equal(read_ids(out / "00001.png"), B)


def test_an_empty_folder_and_missing_parents(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export(video(), tmp_path / "empty", "davis")
    export(video(), tmp_path / "a/b/out", "davis")
    export(video(), tmp_path / "c/d/out.json", "ytvis")
    assert len(everything(tmp_path)) == 5


@pytest.mark.parametrize("foreign", ["frame.png", "notes.txt", "sub/x.png", "00000.png"])
def test_foreign_files_are_never_lost(tmp_path: Path, foreign: str) -> None:
    out = tmp_path / "out"
    if foreign != "00000.png":
        export(video(), out, "davis")
    (out / foreign).parent.mkdir(exist_ok=True, parents=True)
    image = Image.fromarray(np.zeros(SHAPE, np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0])  # a true mask of DAVIS looks like this
    image.save(out / foreign, format="PNG")
    before = everything(tmp_path)
    with pytest.raises(InputError, match=f'out holds "{foreign.split("/")[0]}", which no export'):
        export(video(B), out, "davis")
    assert everything(tmp_path) == before


def test_a_folder_of_another_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")

    def read_masks(frame: int) -> InstanceMasks | None:
        raise AssertionError("masks were read")

    with pytest.raises(InputError, match=r"notes\.txt"):
        export(dataclasses.replace(video(), read_masks=read_masks), tmp_path, "davis")


def test_a_file_that_comes_during_the_export_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def read_masks(frame: int) -> InstanceMasks | None:
        (out / "notes.txt").write_text("x", encoding="utf-8")
        return video().read_masks(frame)

    with pytest.raises(InputError, match=r"notes\.txt"):
        export(dataclasses.replace(video(), read_masks=read_masks), out, "davis")
    assert everything(tmp_path) == {"out/notes.txt": b"x"}


def test_a_file_where_a_folder_should_be_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="file is a file, a folder is to be written"):
        export(video(), tmp_path / "file", "davis")
    with pytest.raises(InputError, match=r"is a folder, ytvis is one file\. Name the file"):
        export(video(), tmp_path, "ytvis")
    with pytest.raises(InputError, match="a file is in the way"):
        export(video(), tmp_path / "file/out", "davis")
    assert everything(tmp_path) == {"file": b"x"}


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a right on Windows")
def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    export(video(), tmp_path / "link", "davis")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/00000.png").is_file()


def test_convert_onto_itself(tmp_path: Path) -> None:
    export(video(A), tmp_path / "out", "davis")
    before = everything(tmp_path)
    convert(tmp_path / "out", tmp_path / "out", "davis", "davis")
    assert everything(tmp_path) == before
