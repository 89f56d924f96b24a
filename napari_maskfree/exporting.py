"""Writes boxes and masks as they are shown, corrections included. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.formats import ExportReport
    from maskfree.types import InstanceMasks
    from napari_maskfree.project import Project

__all__ = ["export_job"]


def export_job(project: Project, path: Path, format_name: str) -> Callable[[], ExportReport]:
    """Return a function that exports boxes and masks; call it in any thread.

    Raises
    ------
    InputError
        Where there is nothing to export in that format, and for a path that is the video's.
    """
    from maskfree.formats import Annotations, export, get_format
    from maskfree.output_path import check_output
    from maskfree.picture_exports import PICTURES, export_picture

    tracks = project.state.boxed()
    if tracks is None:
        raise InputError("There is nothing to export yet. Draw boxes first (section 2).")
    shown = project.shown_masks(frozen=True)
    needs_masks = format_name not in PICTURES and get_format(format_name).needs_masks
    if needs_masks and (shown is None or not shown.frames()):
        raise InputError("There are no masks yet. Fine-tune first (section 3).")
    video = project.video()
    info = project.state.video
    check_output(path, inputs=[info.source if info else None])
    read: Callable[[int], InstanceMasks | None] = _no_masks if shown is None else shown.read

    def write() -> ExportReport:
        annotations = Annotations(tracks, video.names, read)
        if format_name in PICTURES:
            return export_picture(annotations, video, path, format_name)
        return export(annotations, path, format_name)

    return write


def _no_masks(_frame: int) -> None:
    return None
