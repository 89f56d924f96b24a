"""Nothing stays behind when the widget is opened and closed again and again."""

from __future__ import annotations

import gc
import threading

import psutil
import pytest
from qtpy.QtWidgets import QApplication

from napari_maskfree._commands import dock

WARM_UP, CYCLES = 3, 50


def left(viewer) -> dict[str, int]:
    """Count what could stay behind."""
    gc.collect()
    return {
        "widgets": len(QApplication.allWidgets()),
        "threads": threading.active_count(),
        "processes": len(psutil.Process().children(recursive=True)),
        "layers": len(viewer.layers),
        "mouse callbacks": len(viewer.mouse_drag_callbacks) + len(viewer.mouse_move_callbacks),
        "listeners": len(viewer.dims.events.point.callbacks)
        + len(viewer.layers.events.removed.callbacks)
        + len(viewer.events.theme.callbacks),
    }


def cycle(viewer, qtbot, clip) -> None:
    """Open the widget, use it, and remove its dock."""
    widget = dock(viewer)
    layer = viewer.add_image(clip.frames, rgb=True, name="clip")
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 48, 64), 0)
    for key in ("correspondence", "export"):
        widget.sections[key].set_open(True)
    widget.correspondence.pick.setChecked(True)
    widget.boxes.onion.setChecked(True)
    widget.show_keys()
    qtbot.wait(20)
    widget.state.dirty = False
    viewer.window.remove_dock_widget("all")
    viewer.layers.clear()
    del layer, widget
    qtbot.wait(20)


@pytest.mark.slow
def test_fifty_times_open_and_close(viewer, qtbot, clip):
    for _ in range(WARM_UP):
        cycle(viewer, qtbot, clip)
    before = left(viewer)
    for _ in range(CYCLES):
        cycle(viewer, qtbot, clip)
    qtbot.wait(200)
    after = left(viewer)
    assert {k: (before[k], n) for k, n in after.items() if n > before[k]} == {}
