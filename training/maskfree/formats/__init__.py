"""Annotation formats: one file a format, a registry, and a safe export.

A new format is one module with a :class:`Format` named ``FORMAT``, and its line in ``FORMATS``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError, nearest
from maskfree.formats import (
    bdd100k,
    bdd100k_masks,
    boxes,
    coco,
    csv_table,
    ctc,
    cvat,
    davis,
    labelme,
    labelstudio,
    mot,
    mots,
    mots_png,
    npz,
    ome_zarr,
    ovis,
    tiff,
    yolo,
    ytvis,
)
from maskfree.formats.base import Annotations, Format, VideoFacts
from maskfree.formats.export import ExportReport, export_as

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

__all__ = [
    "FORMATS",
    "Annotations",
    "ExportReport",
    "Format",
    "VideoFacts",
    "convert",
    "export",
    "get_format",
    "read",
]

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        davis.FORMAT,
        ytvis.FORMAT,
        boxes.FORMAT,
        coco.FORMAT,
        mots.FORMAT,
        mots_png.FORMAT,
        mot.FORMAT,
        cvat.FORMAT,
        labelstudio.FORMAT,
        labelme.FORMAT,
        ctc.FORMAT,
        tiff.FORMAT,
        npz.FORMAT,
        csv_table.FORMAT,
        yolo.FORMAT,
        bdd100k.FORMAT,
        bdd100k_masks.FORMAT,
        ovis.FORMAT,
        ome_zarr.FORMAT,
    )
}
"""Every format by its name on the command line."""


def get_format(name: str, *, others: Iterable[str] = ()) -> Format:
    """Return the format of that name; ``others``: names that are valid where it is asked.

    Raises
    ------
    InputError
        For an unknown name, with the nearest valid one.
    """
    if name not in FORMATS:
        known = [*FORMATS, *others]
        raise InputError(
            f'There is no format "{name}". Choose one of {", ".join(known)}.{nearest(name, known)}'
        )
    return FORMATS[name]


def export(
    annotations: Annotations, path: str | os.PathLike[str], format_name: str
) -> ExportReport:
    """Write ``annotations`` to ``path``, read them back and compare, then move them into place.

    Everything is written to a temporary name beside ``path``; on any failure, an interruption
    included, that is removed and what was at ``path`` stays. A file at ``path`` is replaced; a
    folder only if it is empty or holds nothing but an earlier export. Missing folders above
    ``path`` are made.

    Returns
    -------
    ExportReport
        With ``losses`` in words: what the format does not keep of these annotations.

    Raises
    ------
    InputError
        For an unknown format, annotations that the format cannot hold, a ``path`` that may not be
        replaced or written (a part of a session, a device), a full disk, and where what was read
        back differs.
    """
    return export_as(annotations, path, get_format(format_name))


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    source_format: str,
    target_format: str,
    *,
    video: VideoFacts | None = None,
) -> ExportReport:
    """Read ``source`` in one format and export it to ``target`` in another.

    ``video``: what is known of the video itself, for a ``source`` that does not say all of it.

    Raises
    ------
    InputError
        As :func:`export`, and where ``source`` cannot be read.
    """
    wanted = get_format(target_format)
    return export_as(read(source, source_format, video=video), target, wanted)


def read(
    source: str | os.PathLike[str], format_name: str, *, video: VideoFacts | None = None
) -> Annotations:
    """Return the annotations of a file or folder; ``video``: what is known of the video itself.

    Raises
    ------
    InputError
        For an unknown format, and where ``source`` cannot be read.
    """
    given, path = get_format(format_name), Path(source)
    return given.read_of(path, video) if given.read_of else given.read(path)
