"""Sessions and files of strangers: no way out of a folder, and bounds before memory."""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from maskfree import rle
from maskfree.boxes_json import boxes_from_json
from maskfree.config import Config, FormatConfig
from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.formats.indexed_png import read_ids
from maskfree.json_log import JsonLog
from maskfree.mask_store import MaskStore, masks_from_json
from maskfree.safe_npz import read_arrays
from maskfree.session import Session
from maskfree.settings import from_dict, override
from maskfree.storage import read_json
from maskfree.types import BoxTracks
from maskfree.video import open_video
from maskfree.video_link import VideoLink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOXES = BoxTracks(3, 20, 30, None, ())
RUN = "runs/0001"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session.create(tmp_path / "session", video_source=None, boxes=BOXES)
    made.new_run(Config(), seed=0)
    (made.path / "masks").mkdir()
    (made.path / "corrections").mkdir()
    return made


def told(act: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- ways out of a session

PLACES = [
    "boxes.json",
    "session.json",
    "predict.jsonl",
    "frame_index.bin",
    "masks",
    "masks/00000.json",
    "corrections",
    "corrections/00001.json",
    "runs",
    f"{RUN}/metrics.jsonl",
    f"{RUN}/stop",
    f"{RUN}/previews",
    "other/clip/masks/00000.json",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "upward"])
def test_a_link_out_of_a_session_is_refused(
    session: Session, tmp_path: Path, place: str, kind: str
) -> None:
    outside = tmp_path / "mine"
    outside.mkdir()
    (outside / "notes.json").write_text("mine")
    target = {"file": outside / "notes.json", "folder": outside, "nothing": outside / "new.json"}
    path = session.path / place
    if path.is_dir():
        path.rename(tmp_path / "aside")
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    upward = os.path.relpath(outside / "notes.json", path.parent)
    path.symlink_to(target.get(kind, upward))
    if place == "session.json" and kind != "file" and kind != "upward":
        return  # no session at all
    said = told(lambda: Session.open(session.path))
    assert said.startswith(f"{path} is a link that leads out of the session")
    assert (outside / "notes.json").read_text() == "mine"
    assert os.listdir(outside) == ["notes.json"]


def test_links_within_a_session_are_its_own(session: Session, tmp_path: Path) -> None:
    (session.path / "boxes.copy.json").symlink_to("boxes.json")
    (session.path / "other").symlink_to(session.path / "masks")
    (tmp_path / "link").symlink_to(session.path)
    assert Session.open(session.path).boxes == Session.open(tmp_path / "link").boxes == BOXES


def test_a_link_in_a_circle_is_refused(session: Session) -> None:
    (session.path / "one").symlink_to("two")
    (session.path / "two").symlink_to("one")
    assert "is a link" in told(lambda: Session.open(session.path))


def test_a_session_is_as_deep_as_its_frames_and_what_was_shifted(session: Session) -> None:
    for name in ("video.zarr/c/0/0/0/0/0", "shifted/0001/runs/0001/masks/00000.json"):
        file = session.path / name
        file.parent.mkdir(parents=True)
        file.touch()
    assert Session.open(session.path).path == session.path


def test_folders_in_folders_end(session: Session) -> None:
    deep = session.path.joinpath(*["x"] * 200)
    deep.mkdir(parents=True)
    assert "lies deeper than anything in a session" in told(lambda: Session.open(session.path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_a_session_is_refused(session: Session) -> None:
    os.mkfifo(session.path / RUN / "told.json")
    assert "neither a file nor a folder" in told(lambda: Session.open(session.path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_video(session: Session, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4")
    session.set_video_source(tmp_path / "clip.mp4")
    assert "neither a file nor a folder" in told(Session.open(session.path).open_video)


@pytest.mark.parametrize("name", ["../mine", "..", "/mine", "a/../../mine", "\\\\host\\share"])
def test_the_name_of_another_video_is_no_path(session: Session, name: str) -> None:
    try:
        store = session.mask_store(name)
    except InputError:
        return
    assert (session.path / "other") in store.path.parents
    assert ".." not in store.path.relative_to(session.path).parts


OPTIONS = [{"axes": 3}, {"depth": "x"}, {"depth": True}, {"channels": 5}, {"channels": ["a"]}]


@pytest.mark.parametrize("options", [*OPTIONS, {"fps": "fast"}, {"depth": 2**40}])
def test_options_of_a_video_are_checked(options: dict[str, Any]) -> None:
    data = {"path": "x.mp4", "relative": None, "options": options}
    assert "the video option" in told(lambda: VideoLink.from_json(data, "session.json"))


# ---- bounds


def test_runs_whose_sum_wraps_round_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sum in 64 bits is the number of pixels: numpy would write beyond the mask."""
    runs = np.array([2**62] * 4 + [48])
    assert runs.sum() == 48
    monkeypatch.setattr(rle, "run_lengths", lambda counts: runs)
    with pytest.raises(ValueError, match="must fill 6 x 8 pixels"):
        rle.decode("", 6, 8)
    with pytest.raises(ValueError, match="must fill 6 x 8 pixels"):
        Correction.from_counts((6, 8), "", "")


def test_a_mask_of_a_billion_pixels_is_refused(tmp_path: Path) -> None:
    huge = {"size": [100_000, 10_000], "instances": []}
    assert "a frame must have sides of" in told(lambda: masks_from_json(huge, "masks"))
    many = {"size": [8000, 8000], "instances": [{"id": n, "score": 1} for n in range(1, 10)]}
    assert "may have up to" in told(lambda: masks_from_json(many, "masks"))
    (tmp_path / "00000.json").write_text(json.dumps({"size": [2**30, 2**30], "tracks": []}))
    assert "a frame must have sides of" in told(lambda: CorrectionStore(tmp_path).read(0))


def test_boxes_of_a_video_without_end_are_refused() -> None:
    for size in ({"frames": 10**15}, {"height": 10**9}, {"width": 10**9}):
        video = {"frames": 3, "height": 20, "width": 30} | size
        data = {"version": 1, "video": video, "tracks": []}
        assert told(lambda data=data: boxes_from_json(data, allow_empty=True))


def small(monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
    def config() -> FormatConfig:
        return FormatConfig(**bounds)

    for module in ("storage", "limits", "json_log", "safe_npz"):
        monkeypatch.setattr(f"maskfree.{module}.FormatConfig", config)


def test_long_json_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, json_bytes=1 << 22, json_memory=1 << 23)
    path = tmp_path / "in.json"
    path.write_text("[" + "0," * (1 << 21) + "0]")
    assert "is longer than 4194304 bytes" in told(lambda: read_json(path))
    path.write_text("[" + "[]," * (1 << 19) + "0]")
    assert "would take some" in told(lambda: read_json(path))
    path.write_text("[" + "1e0 ," * 10 + "0]" + " " * (1 << 21))
    assert read_json(path)


def test_a_field_that_comes_twice_is_found_at_once(tmp_path: Path) -> None:
    """Counting each name among all of them took hours."""
    path = tmp_path / "in.json"
    fields = [f'"{n}":0' for n in range(100_000)]
    path.write_text("{" + ",".join([*fields, fields[-1]]) + "}")
    assert '"99999" comes twice' in told(lambda: read_json(path))


def test_a_long_log_is_refused_and_a_deep_line_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("[" * 100_000 + '\n{"status": "done"}\n')
    log = JsonLog(path)
    assert log.records() == [{"status": "done"}]
    small(monkeypatch, log_bytes=1000)
    assert "is longer than 1000 bytes" in told(log.records)


def packed(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def test_arrays_that_unpack_to_much_are_refused() -> None:
    data = packed(a=np.zeros(FormatConfig().array_bytes + 1, np.uint8))
    assert len(data) < 200_000
    with pytest.raises(ValueError, match="bytes of uint8"):
        read_arrays(io.BytesIO(data))
    halves = np.zeros(FormatConfig().array_bytes // 2 + 1, np.uint8)
    with pytest.raises(ValueError, match="bytes of uint8"):
        read_arrays(io.BytesIO(packed(a=halves, b=halves)))


def test_arrays_of_objects_are_never_unpickled() -> None:
    with pytest.raises(ValueError, match="object"):
        read_arrays(io.BytesIO(packed(a=np.array([{"a": 1}]))))


def test_arrays_come_back_as_they_were() -> None:
    wanted = {
        "a": np.arange(6.0).reshape(2, 3),
        "by column": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "none": np.zeros((0, 4), np.float32),
        "text": np.array("PTS"),
        "one": np.array(True),
    }
    found = read_arrays(io.BytesIO(packed(**wanted)))
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, strict=True)


def test_an_array_that_says_less_than_it_holds() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        member = io.BytesIO()
        np.save(member, np.zeros(3))
        archive.writestr("a.npy", member.getvalue() + b"more")
    with pytest.raises(ValueError, match="too long"):
        read_arrays(out)


SETTINGS = [
    {"model": {"backbone_sizes": [1 << 20] * 4}},
    {"model": {"backbone_depths": [10**9] * 4}},
    {"model": {"encoder_layers": 10**9}},
    {"optimiser": {"steps": 10**30}},
    {"optimiser": {"learning_rate": 10**400}},
    {"video": {"cache_bytes": 2**60}},
]


@pytest.mark.parametrize("data", SETTINGS, ids=lambda data: str(data)[:40])
def test_settings_of_a_stranger_are_bounded(data: dict[str, Any]) -> None:
    assert told(lambda: from_dict(Config, data))


def test_a_setting_is_not_repeated_at_length() -> None:
    assert len(told(lambda: override(Config(), {"optimiser.steps": "x" * 10_000}))) < 300


# ---- pictures


def test_a_picture_in_disguise_starts_no_program(tmp_path: Path) -> None:
    """Pillow would give this to Ghostscript."""
    Image.new("RGB", (8, 6)).save(tmp_path / "000.png", format="EPS")
    assert "cannot be read" in told(lambda: open_video(tmp_path))


def test_a_picture_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (80, 60)).save(tmp_path / "000.png")
    small(monkeypatch, video_pixels=100)
    assert "a frame may have up to 100 pixels" in told(lambda: open_video(tmp_path))


def test_masks_are_read_where_they_are_right(tmp_path: Path) -> None:
    masks = np.zeros((1, 6, 8), bool)
    masks[0, 2:4, 1:5] = True
    counts = rle.encode(masks)[0]
    data = {"size": [6, 8], "instances": [{"id": 1, "score": 1.0, "counts": counts}]}
    (tmp_path / "00000.json").write_text(json.dumps(data))
    found = MaskStore(tmp_path).read(0)
    assert found is not None
    np.testing.assert_array_equal(found.masks, masks)


def test_a_picture_that_its_bytes_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "00000.png"
    Image.fromarray(np.zeros((4000, 4000), np.uint8)).save(path, optimize=True)
    assert read_ids(path).shape == (4000, 4000), "as far as deflate packs"
    data = bytearray(path.read_bytes())
    data[16:24] = (8000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    assert "cannot hold 8000 x 8000 pixels" in told(lambda: read_ids(path))
