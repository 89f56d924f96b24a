"""Small files of a session that a stranger made: one of our own errors, or none; never another."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskfree.errors import InputError
from maskfree.frame_match import match_frames
from maskfree.frame_prints import PRINTS_FILE, file_digest, make_prints, read_prints, write_prints
from maskfree.info_command import info_of
from maskfree.json_log import JsonLog
from maskfree.session import Session
from maskfree.session_hold import read_holder
from maskfree.shift_session import unshift_session
from maskfree.swap import finish_swap
from maskfree.video import open_video
from session_folder import BOXES

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
FRAMES = np.random.default_rng(0).integers(0, 255, (5, 16, 16, 3), dtype=np.uint8)
CHEAP = settings(max_examples=200, deadline=None, derandomize=True)


def prints() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        write_prints(Path(folder), make_prints(open_video(FRAMES)))
        made: dict[str, object] = json.loads((Path(folder) / PRINTS_FILE).read_bytes())
    return made


PLAN = {
    "version": 1,
    "staged": ".shifting",
    "kept": "kept",
    "moves": [{"name": "boxes.json", "had": True, "gets": False}],
}
NOTE = {"version": 1, "frames": 3, "names": ["boxes.json"]}
HOLDER = {"version": 1, "program": "napari", "pid": 3, "host": "lab", "since": 5.0}


@st.composite
def changed(draw: st.DrawFn, whole: object) -> bytes:
    """A file with one value of it replaced, or cut, or any bytes."""
    if draw(st.booleans()):
        data = json.loads(json.dumps(whole))
        at = data
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
                at = at[key]
                continue
            at[key] = draw(VALUES)
            return json.dumps(data).encode()
    text = json.dumps(whole).encode()
    return (
        draw(st.binary(max_size=40)) if draw(st.booleans()) else text[: draw(st.integers(0, 200))]
    )


@CHEAP
@given(changed(prints()))
def test_prints(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / PRINTS_FILE).write_bytes(content)
        found = read_prints(Path(folder))
    if found is not None:
        match_frames(found, open_video(FRAMES[1:]))


@CHEAP
@given(changed(PLAN))
def test_a_plan(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "session"
        root.mkdir()
        (root / "boxes.json").write_text("boxes")
        (root / "swap.json").write_bytes(content)
        try:
            finish_swap(root)
        except InputError:
            assert (root / "boxes.json").is_file()
        assert [p.name for p in Path(folder).iterdir()] == ["session"]


@CHEAP
@given(changed(HOLDER))
def test_a_holder(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "session.holder.json").write_bytes(content)
        assert read_holder(Path(folder)).words


@settings(max_examples=60, deadline=None, derandomize=True)
@given(changed(NOTE))
def test_what_was_shifted(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = Session.create(Path(folder) / "s", video_source=None, boxes=BOXES)
        kept = session.path / "shifted" / "0001"
        kept.mkdir(parents=True)
        (kept / "shift.json").write_bytes(content)
        try:
            unshift_session(session)
        except InputError:
            assert Session.open(session.path).boxes == BOXES, "nothing was begun"


def test_prints_of_a_video_that_nobody_has(tmp_path: Path) -> None:
    data = prints()
    data["video"] = {"frames": 10**30, "height": 10**30, "width": 10**30, "fps": 1e300}
    data["prints"] = [{**each, "frame": 10**9 * n} for n, each in enumerate(data["prints"])]  # type: ignore[arg-type, dict-item]
    (tmp_path / PRINTS_FILE).write_text(json.dumps(data))
    found = read_prints(tmp_path)
    if found is not None:
        assert match_frames(found, open_video(FRAMES)).kind in ("other", "unclear", "cut")


@pytest.mark.parametrize("names", [["../x"], ["masks", "masks/00000.json"], ["/etc/x"]])
def test_names_that_lead_out_are_not_swapped(tmp_path: Path, names: list[str]) -> None:
    session = Session.create(tmp_path / "s", video_source=None, boxes=BOXES)
    kept = session.path / "shifted" / "0001"
    kept.mkdir(parents=True)
    (kept / "shift.json").write_text(json.dumps({**NOTE, "names": names}))
    with pytest.raises(InputError, match="is damaged"):
        unshift_session(session)
    assert not (session.path / "swap.json").exists()
    assert Session.open(session.path).boxes == BOXES


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
def test_a_pipe_in_place_of_the_video_is_not_waited_for(tmp_path: Path) -> None:
    session = Session.create(tmp_path / "s", video_source=tmp_path / "clip.mp4", boxes=BOXES)
    write_prints(session.path, make_prints(open_video(FRAMES)))
    os.mkfifo(tmp_path / "clip.mp4")
    assert file_digest(tmp_path / "clip.mp4") is None
    info, text = info_of(str(session.path))
    assert info["frames_now"]["kind"] == "unread"
    assert "neither a file nor a folder" in text


def test_a_folder_in_place_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match=r"The log .*metrics\.jsonl could not be read"):
        JsonLog(tmp_path / "metrics.jsonl").records()
