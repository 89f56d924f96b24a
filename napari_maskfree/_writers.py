"""File › Save of boxes and masks layers. Nothing is imported before something is saved."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

__all__ = ["write_boxes", "write_davis", "write_npz", "write_tiff"]


def write_boxes(path: str, data: list[np.ndarray], meta: dict[str, Any]) -> list[str]:
    """Write a Shapes layer as a boxes file; see `saved_layers.tracks_of_shapes`."""
    from maskfree.output_path import check_output
    from maskfree.tracks import write_boxes as write
    from napari_maskfree.saved_layers import tracks_of_shapes

    with _told():
        check_output(path)
        write(path, tracks_of_shapes(data, meta))
    return [path]


def write_npz(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as an npz file, with all that is known of its tracks."""
    return _export(path, data, meta, "npz")


def write_tiff(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as one stack of ids."""
    return _export(path, data, meta, "tiff")


def write_davis(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a folder of indexed PNGs."""
    return _export(path, data, meta, "davis")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Let a person read what is wrong: napari takes any ValueError for "no writer"."""
    try:
        yield
    except ValueError as error:
        raise RuntimeError(str(error)) from error


def _export(path: str, data: Any, meta: dict[str, Any], name: str) -> list[str]:
    from maskfree.formats import export
    from napari_maskfree.saved_layers import annotations_of_labels

    with _told():
        report = export(annotations_of_labels(data, meta), path, name)
    if report.losses:
        from napari.utils.notifications import show_info

        show_info(f"{report.path.name} does not keep everything: {'; '.join(report.losses)}")
    return [path]
