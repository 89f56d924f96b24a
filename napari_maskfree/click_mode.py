"""Clicks on the canvas go to the selected track's mask, while that is switched on. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from maskfree.errors import InputError
from napari_maskfree.clicking import Clicks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Labels

    from napari_maskfree.project import Project

__all__ = ["ClickMode"]

_LEFT, _RIGHT = 1, 2
_SLIP = 4.0
"""Pixels of the screen: the mouse may move so far in a click."""


class ClickMode:
    """The left button says "belongs to the track", the right one, or Shift, that it does not.

    A drag moves and zooms the picture as ever. Another tool of the masks layer ends it, and so does
    another layer. ``changed`` tells whether it is on, after the change.

    Parameters
    ----------
    project
        Whose viewer, masks and state.
    call
        Calls a function and shows what is wrong with the input.
    notify
        Shows a sentence to the person.
    defer
        Calls a function once the current event is over.
    """

    changed = Signal(bool)

    def __init__(
        self,
        project: Project,
        call: Callable[..., object],
        notify: Callable[[str], None],
        *,
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self.project, self.viewer, self.state = project, project.viewer, project.state
        self._call, self._notify, self._defer = call, notify, defer
        self.clicks = Clicks()
        self._layer: Labels | None = None
        self._session: object = None

    @property
    def is_on(self) -> bool:
        """Whether clicks are heard."""
        return self._layer is not None

    def start(self) -> None:
        """Hear clicks from now on.

        Raises
        ------
        InputError
            Where there are no masks.
        """
        if self.is_on:
            return
        self.project.correct_masks()
        layer = self.project.masks
        assert layer is not None
        layer.mode = "pan_zoom"
        layer.events.mode.connect(self._on_mode)
        self.viewer.mouse_drag_callbacks.append(self._on_drag)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.viewer.layers.selection.events.active.connect(self._on_active)
        self.state.session_changed.connect(self._on_session)
        self._session = self.state.session
        self._layer = layer
        self.changed.emit(True)

    def end(self) -> None:
        """Hear them no more."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        layer.events.mode.disconnect(self._on_mode)
        self.state.session_changed.disconnect(self._on_session, missing_ok=True)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.selection.events.active.disconnect(self._on_active)
        if self._on_drag in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._on_drag)
        self.changed.emit(False)

    def click_under_mouse(self, belongs: bool) -> None:
        """Click where the mouse is, by key."""
        self._call(self.click_at, tuple(self.viewer.cursor.position), belongs)

    def click_at(self, position: tuple[float, ...], belongs: bool) -> None:
        """Click on a place of the viewer (world coordinates).

        Raises
        ------
        InputError
            Where there are no masks, or the click changes nothing; see :meth:`.Clicks.apply`.
        """
        from maskfree.clicks import Click

        if self.project.masks is None:
            self.project.correct_masks()
        layer, editor, frame = self.project.masks, self.project.editor, self.state.frame
        assert layer is not None and editor is not None
        place = layer.world_to_data(np.asarray(position, float)[-layer.ndim :])
        y, x = (round(float(v)) for v in place[-2:])
        height, width = layer.data.shape[-2:]
        if not (0 <= y < height and 0 <= x < width):
            raise InputError("The mouse is not on the picture. Point at what belongs to the track.")
        editor.commit()
        picture = np.ascontiguousarray(self.project.video()[frame])
        labels = layer.data.frame(frame).copy()
        pixels = self.clicks.apply(self.state, frame, picture, labels, Click(y, x, belongs))
        if not pixels:
            word = "belongs" if belongs else "does not belong"
            self._notify(
                f"That place {word} to track {self.state.selected} already: it is kept so."
            )

    # ---- what happens in the viewer

    def _on_drag(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        layer = self._layer
        heard = layer is not None and layer.visible and event.button in (_LEFT, _RIGHT)
        if not heard or self.viewer.layers.selection.active != layer:
            return
        belongs = event.button == _LEFT and "Shift" not in {str(m) for m in event.modifiers}
        place, start = tuple(event.position), np.array(event.pos, float)
        yield
        slipped = False
        while event.type == "mouse_move":
            slipped = slipped or bool(np.abs(np.array(event.pos) - start).max() > _SLIP)
            yield
        if not slipped:
            self._call(self.click_at, place, belongs)

    def _on_mode(self, _event: Any = None) -> None:
        if self._layer is not None and str(self._layer.mode) != "pan_zoom":
            self.end()

    def _on_active(self, _event: Any = None) -> None:
        """End where somebody works on another layer; one that is added is active for a moment."""
        self._defer(self._end_elsewhere)

    def _end_elsewhere(self) -> None:
        if self.viewer.layers.selection.active is not self._layer:
            self.end()

    def _on_session(self) -> None:
        """Forget the clicks of another session: they say nothing of this one.

        Those that were made before it was saved are its own.
        """
        if self.state.session is not self._session:
            self.clicks = self.clicks if self._session is None else Clicks()
            self._session = self.state.session

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self.end()
