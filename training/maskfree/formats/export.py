"""Exporting: write beside the target, read back, compare, and only then move into place."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.formats.staging import atomic_folder
from maskfree.output_path import check_output
from maskfree.storage import atomic_file, make_folder, writing

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from maskfree.formats.base import Annotations, Format

__all__ = ["ExportReport", "export_as", "staged_file"]


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    ``format``: its name; ``path``: where it lies; ``frames``: frames that hold masks there, or
    keyframes where it has no masks; ``instances``: tracks there; ``losses``: in words, what the
    format does not keep of these annotations.
    """

    format: str
    path: Path
    frames: int
    instances: int
    losses: tuple[str, ...]


def export_as(
    annotations: Annotations, path: str | os.PathLike[str], format: Format
) -> ExportReport:
    """Write ``annotations`` to ``path`` in ``format``; see :func:`maskfree.formats.export`."""
    target = Path(path)
    _check(annotations)
    _check_ids(annotations, format)
    with _new_parents(target), _staged(target, format) as staged:
        losses = tuple(format.losses(annotations))
        format.write(annotations, staged)
        back = format.reopen(staged, annotations) if format.reopen else format.read(staged)
        found = format.compare(annotations, back)
        if found.difference:
            raise InputError(
                f"{target}: what was read back is not what was written ({found.difference}). "
                "Nothing was changed there. Check the disk, or choose another one, and export "
                "again."
            )
    return ExportReport(format.name, target, found.frames, found.tracks, losses)


def _check(annotations: Annotations) -> None:
    named, boxed = len(annotations.frame_names), annotations.boxes.num_frames
    if named < boxed:
        raise InputError(
            f"There must be a name for each of the {boxed} frames, got {named} names. Give the "
            "names of the video that the boxes were drawn on."
        )
    if annotations.file_names and len(annotations.file_names) != named:
        raise InputError(
            f"There must be a file name for each of the {named} frames, or none, got "
            f"{len(annotations.file_names)}."
        )


def _check_ids(annotations: Annotations, format: Format) -> None:
    largest = max((track.id for track in annotations.boxes.tracks), default=0)
    if format.most_id is not None and largest > format.most_id:
        raise InputError(
            f"{format.name} holds ids up to {format.most_id}, but there is a track {largest}. Give "
            "it a smaller id, or take the format boxes, npz or coco."
        )


def _staged(target: Path, format: Format) -> contextlib.AbstractContextManager[Path]:
    if format.folder:
        return atomic_folder(target, format.is_ours)
    return _one_file(target, format.name)


def _one_file(target: Path, name: str) -> contextlib.AbstractContextManager[Path]:
    if target.is_dir():
        raise InputError(
            f"{target} is a folder, {name} is one file. Name the file, for instance "
            f"{target / 'annotations.json'}."
        )
    return atomic_file(target)


@contextlib.contextmanager
def staged_file(target: Path, name: str) -> Iterator[Path]:
    """Yield a path beside ``target``; on success that file takes its place.

    ``name``: of the format. Missing folders above are made, and go again on a failure.

    Raises
    ------
    InputError
        As :func:`maskfree.storage.atomic_file`; where a folder is in the way, and for a part of a
        session.
    """
    with _new_parents(target), _one_file(target, name) as staged:
        yield staged


@contextlib.contextmanager
def _new_parents(target: Path) -> Iterator[None]:
    """Make the folders above ``target``; those that were made go again where the export fails."""
    check_output(target)
    with writing(target):
        made = [folder for folder in target.absolute().parents if not folder.exists()]
    make_folder(target.absolute().parent)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        raise
