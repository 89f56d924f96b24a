"""File › Open of sessions, boxes and masks. Nothing is imported before something is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    LayerData = tuple[Any, ...]

__all__ = ["get_reader"]

_NOTHING: list[tuple[None]] = [(None,)]
"""What napari takes for "read, and no layer to add"."""


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return what reads ``path``; None where it is nothing of ours (pictures, for instance)."""
    if isinstance(path, list):
        if len(path) != 1:
            return None
        path = path[0]
    from napari_maskfree.known_files import SESSION, kind_of

    kind = kind_of(os.fspath(path))
    if kind is None:
        return None
    if kind == SESSION:
        return lambda _: _open_session(_session_folder(path))
    return lambda _: _read(path, kind)


def _session_folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))


def _open_session(folder: str) -> list[LayerData]:
    """Open a session in the docked widget, or as layers where there is none."""
    widget = _docked()
    if widget is not None:
        if widget.may_leave():
            widget.video.open_session_in(folder)
        return list(_NOTHING)
    from maskfree.session import Session
    from napari_maskfree.read_layers import session_layers

    return session_layers(Session.open(folder))


def _docked() -> Any:
    """Return the widget that is docked in the current viewer, None where there is none."""
    from napari import current_viewer

    from napari_maskfree._commands import WIDGET

    viewer = current_viewer()
    docked = {} if viewer is None else viewer.window.dock_widgets
    return next((each for name, each in docked.items() if name.startswith(WIDGET)), None)


def _read(path: str, kind: str) -> list[LayerData]:
    from maskfree.formats import read
    from napari_maskfree.read_layers import layers_of

    return layers_of(read(path, kind), path)
