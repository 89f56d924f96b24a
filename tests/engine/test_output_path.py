"""What exports and commands must not write over."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from maskfree.cli import main
from maskfree.errors import InputError
from maskfree.formats import export
from maskfree.output_path import check_output
from maskfree.session import Session
from maskfree.storage import atomic_write
from maskfree.types import Keyframe, Track
from mots_examples import annotated, instances
from plain_annotations import SHAPE, A, everything

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
BOXED = Track(7, "bird", (Keyframe(0, (0.0, 0.0, 8.0, 6.0)),))
ANNOTATIONS = annotated([instances({7: A})] * 2, BOXED)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    video = tmp_path / "video"
    video.mkdir()
    for name in ANNOTATIONS.frame_names:
        Image.new("RGB", SHAPE[::-1]).save(video / f"{name}.png")
    made = Session.create(tmp_path / "work", video_source=video, boxes=ANNOTATIONS.boxes)
    for frame in (0, 1):
        made.mask_store().write(frame, instances({7: A}))
    return made


@pytest.mark.parametrize(
    "name",
    [
        "session.json",
        "boxes.json",
        "boxes.other-2.json",
        "journal.jsonl",
        "masks/00000.json",
        "corrections/00007.json",
        "runs/0001/masks",
        "frame_index.bin",
    ],
)
def test_a_part_of_a_session_is_not_written_over(session: Session, name: str) -> None:
    before = everything(session.path)
    for form in ("ytvis", "boxes", "npz"):
        with pytest.raises(InputError, match=r"is a part of the session .*work, and would be lost"):
            export(ANNOTATIONS, session.path / name, form)
    assert everything(session.path) == before


def test_other_names_in_a_session_are_free(session: Session) -> None:
    export(ANNOTATIONS, session.path / "instances.json", "ytvis")
    export(ANNOTATIONS, session.path / "exports/masks", "davis")
    export(ANNOTATIONS, session.path.parent / "boxes.json", "boxes")
    link = session.path.parent / "link.json"
    link.symlink_to(session.path / "boxes.json")
    with pytest.raises(InputError, match="is a part of the session"):
        export(ANNOTATIONS, link, "boxes")


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_what_is_read_is_not_written_over(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = session.path.parent
    before = everything(folder)
    said = refused(capsys, "export", session.path, "--format", "davis", "--out", folder / "video")
    assert "video is what is read, and would be lost" in said
    boxes, given = session.path / "boxes.json", ("--from", "boxes", "--to", "coco")
    assert "is what is read" in refused(capsys, "convert", boxes, boxes, *given)
    words = "evaluate", session.path, "--truth", folder / "video", "--markdown", boxes
    assert "is a part of the session" in refused(capsys, *words)
    weights = folder / "a.safetensors"
    assert "is what is read" in refused(capsys, "convert-weights", weights, weights)
    assert everything(folder) == before


@posix
def test_a_pipe_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    for write in (
        lambda: export(ANNOTATIONS, pipe, "ytvis"),
        lambda: atomic_write(pipe, "text"),
    ):
        with pytest.raises(InputError, match=r"pipe\.json is no file, but a folder or a device"):
            write()
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe.json"]


def test_names_that_are_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * 300
    for words in (["info", name], ["convert", name, "b", "--from", "coco", "--to", "boxes"]):
        assert "File name too long" in refused(capsys, *words)
    check_output(tmp_path / name)
