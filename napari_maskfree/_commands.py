"""What the menus call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["PLUGIN", "WIDGET", "dock", "open_widget", "widget"]

PLUGIN, WIDGET = "napari-maskfree", "MaskFree"


def widget(napari_viewer: Viewer) -> Any:
    """Return the dock widget; Qt is imported only now."""
    from napari_maskfree._qt.main_widget import MaskFreeWidget

    return MaskFreeWidget(napari_viewer)


def dock(viewer: Viewer) -> Any:
    """Show the dock widget, a new one only where there is none, and return it."""
    return viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)[1]


def open_widget(viewer: Viewer) -> None:
    """Show the dock widget (menu command)."""
    dock(viewer)
