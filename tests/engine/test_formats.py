"""The registry and the safe export: nothing half-written, nothing of another's lost."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskfree.errors import InputError
from maskfree.formats import FORMATS, Annotations, convert, export, get_format
from maskfree.formats.davis import read as read_davis
from maskfree.formats.indexed_png import read_ids
from maskfree.tracks import read_boxes, write_boxes
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

ROOT = Path(__file__).parents[2]
SHAPE = (12, 16)


def rectangle(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


A, B = rectangle(0, 0, 6, 8), rectangle(7, 9, 11, 15)


def video(mask: np.ndarray = A, num_frames: int = 2, track_id: int = 1) -> Annotations:
    boxes = BoxTracks(
        num_frames,
        *SHAPE,
        None,
        (Track(track_id, "object", (Keyframe(0, (0.0, 0.0, 8.0, 6.0)),)),),
    )
    masks = InstanceMasks((track_id,), mask[None], (1.0,))
    return Annotations(boxes, [f"{n:05d}" for n in range(num_frames)], lambda _: masks)


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# --- registry --------------------------------------------------------------------------------


def test_registry() -> None:
    assert list(FORMATS) == ["davis", "ytvis", "boxes"]
    for name, entry in FORMATS.items():
        assert entry.name == name
        assert entry.title
    with pytest.raises(InputError) as error:
        get_format("davids")
    assert str(error.value) == (
        'There is no format "davids". Choose one of davis, ytvis, boxes. Did you mean "davis"?'
    )


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


# --- when it goes wrong ----------------------------------------------------------------------

TARGETS = [("davis", "out"), ("ytvis", "out.json"), ("boxes", "out.json")]


def failing_write(failure: BaseException, name: str) -> object:
    write = FORMATS[name].write

    def fail(annotations: Annotations, path: Path) -> None:
        write(annotations, path)
        raise failure

    return fail


@pytest.mark.parametrize(("name", "target"), TARGETS)
@pytest.mark.parametrize(
    ("failure", "seen", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), InputError, "The disk is full"),
        (OSError(errno.EACCES, "Permission denied"), InputError, "may not be written"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_a_failure_leaves_the_old_export(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: str,
    failure: BaseException,
    seen: type[BaseException],
    message: str | None,
) -> None:
    export(video(A), tmp_path / target, name)
    before = everything(tmp_path)
    entry = dataclasses.replace(FORMATS[name], write=failing_write(failure, name))  # type: ignore[arg-type]
    monkeypatch.setitem(FORMATS, name, entry)
    with pytest.raises(seen, match=message):
        export(video(B), tmp_path / target, name)
    assert everything(tmp_path) == before
    with pytest.raises(seen):
        export(video(B), tmp_path / "new/folder" / target, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [target]


def test_a_failed_swap_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(video(A), tmp_path / "out", "davis")
    before = everything(tmp_path)
    replace = os.replace

    def fail_second(source: Path, target: Path) -> None:
        if not source.name.endswith("-old") and target.name == "out":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(KeyboardInterrupt):
        export(video(B), tmp_path / "out", "davis")
    assert everything(tmp_path) == before


def test_a_mounted_disk_cannot_be_swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()

    def busy(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(InputError, match=r"disk is a mounted disk .* Name a folder inside it"):
        export(video(), tmp_path / "disk", "davis")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "disk"]


def wrong_pixel(annotations: Annotations, path: Path) -> None:
    masks = annotations.read_masks(0)
    assert masks is not None
    wrong = masks.masks.copy()
    wrong[0, 0, 0] ^= True
    changed = InstanceMasks(masks.track_ids, wrong, masks.scores)
    WRITE["davis"](
        dataclasses.replace(
            annotations, read_masks=lambda n: changed if n else annotations.read_masks(n)
        ),
        path,
    )


def wrong_id(annotations: Annotations, path: Path) -> None:
    WRITE["davis"](video(track_id=2), path)


def frame_missing(annotations: Annotations, path: Path) -> None:
    WRITE["davis"](annotations, path)
    (path / "00001.png").unlink()


def wrong_label(annotations: Annotations, path: Path) -> None:
    tracks = (dataclasses.replace(annotations.boxes.tracks[0], label="other"),)
    boxes = dataclasses.replace(annotations.boxes, tracks=tracks)
    WRITE["ytvis"](dataclasses.replace(annotations, boxes=boxes), path)


def wrong_name(annotations: Annotations, path: Path) -> None:
    WRITE["ytvis"](dataclasses.replace(annotations, frame_names=["00000", "00002"]), path)


def wrong_box(annotations: Annotations, path: Path) -> None:
    write_boxes(path, video(track_id=3).boxes)


WRITE = {name: entry.write for name, entry in FORMATS.items()}


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("davis", wrong_pixel, "frame 00001: the mask of track 1 differs"),
        ("davis", wrong_id, r"frame 00000: ids \[2\] instead of \[1\]"),
        ("davis", frame_missing, "frame 00001: its masks are missing"),
        ("ytvis", wrong_label, 'track 1 is labelled "other", not "object"'),
        ("ytvis", wrong_name, "the frames' names differ"),
        ("boxes", wrong_box, "the tracks differ"),
    ],
)
def test_what_is_read_back_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: object, message: str
) -> None:
    entry = dataclasses.replace(FORMATS[name], write=write)  # type: ignore[arg-type]
    monkeypatch.setitem(FORMATS, name, entry)
    with pytest.raises(InputError, match=message):
        export(video(), tmp_path / "out", name)
    assert list(tmp_path.iterdir()) == []


def test_wrong_boxes_in_ytvis_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dataclasses.replace(video(), read_masks=lambda _: None)
    moved = Track(1, "object", (Keyframe(0, (0.0, 0.0, 8.0, 6.001)),))

    def write(annotations: Annotations, path: Path) -> None:
        boxes = dataclasses.replace(annotations.boxes, tracks=(moved,))
        WRITE["ytvis"](dataclasses.replace(annotations, boxes=boxes), path)

    monkeypatch.setitem(FORMATS, "ytvis", dataclasses.replace(FORMATS["ytvis"], write=write))
    with pytest.raises(InputError, match="frame 00000: boxes"):
        export(source, tmp_path / "out.json", "ytvis")


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a name for each of the 2 frames, got 1 names"):
        export(dataclasses.replace(video(), frame_names=["0"]), tmp_path / "out", "davis")
    with pytest.raises(InputError, match="a file name for each of the 2 frames, or none, got 1"):
        export(dataclasses.replace(video(), file_names=["0.jpg"]), tmp_path / "out", "davis")


def test_masks_are_held_one_frame_at_a_time(tmp_path: Path) -> None:
    made: list[weakref.ref[np.ndarray]] = []
    most = 0

    def read_masks(frame: int) -> InstanceMasks:
        nonlocal most
        masks = np.stack([A, B])
        made.append(weakref.ref(masks))
        most = max(most, sum(ref() is not None for ref in made))
        return InstanceMasks((1, 2), masks, (1.0, 1.0))

    source = dataclasses.replace(video(num_frames=12), read_masks=read_masks)
    for name, target in TARGETS:
        export(source, tmp_path / name / target, name)
    assert len(made) > 12
    assert most == 2  # this frame and, until its name is bound anew, the one before it
