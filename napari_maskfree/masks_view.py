"""The masks layer of a window: shown, followed while a run writes it, corrected. No Qt here.

Every method touches napari's layers and so runs in the main thread.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from maskfree.corrected_masks import CorrectedMasks, NothingPredicted
from maskfree.errors import InputError
from napari_maskfree import correct, masks_layer
from napari_maskfree.masks_editor import MasksEditor

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

    from napari_maskfree.state import State

__all__ = ["MasksView"]


class MasksView(abc.ABC):
    """Keeps one Labels layer and the session's masks the same.

    Parameters
    ----------
    viewer
        Has the layer.
    state
        Listened to and changed.
    defer
        Calls a function once the current mouse event is over.
    notify
        Shows a sentence to the person.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        state: State,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.viewer, self.state = viewer, state
        self._defer, self._notify = defer, notify
        self.image: Image | None = None
        self.masks: Labels | None = None
        self.editor: MasksEditor | None = None
        self._coloured: dict[int, tuple[int, int, int]] = {}
        self._stamps: dict[int, tuple[int, int] | None] = {}
        state.tracks_changed.connect(self._on_tracks)
        state.classes.colouring_changed.connect(self._on_tracks)

    def close(self) -> None:
        """Stop following the state; the layer stays."""
        self.state.tracks_changed.disconnect(self._on_tracks, missing_ok=True)
        self.state.classes.colouring_changed.disconnect(self._on_tracks, missing_ok=True)
        self._let_go_of_masks()

    @abc.abstractmethod
    def _add_under_boxes(self, layer: Layer) -> None:
        """Put a layer on the viewer, under the boxes."""

    @abc.abstractmethod
    def _own(self, layer: Layer) -> None:
        """Let the layer lead to us when somebody saves it."""

    def _remove_masks(self) -> None:
        """Take the masks layer away: it is about another video, or lies on other axes."""
        layer = self.masks
        self._let_go_of_masks()
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _let_go_of_masks(self) -> None:
        if self.editor is not None:
            self.editor.close()
        self.masks = self.editor = None

    def show_masks(self) -> int:
        """Show the session's masks, or read them again; return how many frames have some."""
        shown, info = self.shown_masks(), self.state.video
        if shown is None or info is None or self.image is None:
            return 0
        frames = len(shown.frames())
        if self.masks is not None and not masks_layer.fits(self.masks, self.image, info):
            self._remove_masks()
        if self.masks is None:
            if frames:
                self._make_masks(shown)
            return frames
        self.masks.data.store = shown
        self.masks.data.forget()
        self._colour_masks()
        self.masks.refresh()
        return frames

    def _make_masks(self, shown: CorrectedMasks) -> None:
        assert self.image is not None and self.state.video is not None
        self.masks = masks_layer.make_layer(shown, self.image, self.state.video, self._colours())
        self._own(self.masks)
        self._add_under_boxes(self.masks)
        self.editor = MasksEditor(self.state, self.masks, defer=self._defer, notify=self._notify)

    def follow_masks(self) -> None:
        """Show what was written since it was read, of the few frames in memory."""
        shown = self.shown_masks()
        if self.masks is None or shown is None:
            return
        stack, before = self.masks.data, self._stamps
        stack.store = shown  # a layer of masks made by hand read from no session yet
        self._stamps = {frame: shown.predicted.stamp(frame) for frame in stack.kept()}
        changed = [f for f, now in self._stamps.items() if f not in before or before[f] != now]
        stack.forget(changed)
        if self.state.frame in changed:
            self.masks.refresh()

    def shown_masks(self, *, frozen: bool = False) -> CorrectedMasks | None:
        """Return the session's masks as they stand; None where there is no session.

        Masks that were made by hand are there before it is. ``frozen``: with the corrections as
        they are now, for another thread.
        """
        session, book = self.state.session, self.state.corrections
        if session is None and not len(book):
            return None
        predicted = NothingPredicted() if session is None else session.mask_store()
        return CorrectedMasks(predicted, book.copy() if frozen else book)

    def accept_frame(self) -> None:
        """Vouch for the masks of the shown frame.

        Raises
        ------
        InputError
            Where it has none.
        """
        shown, frame = self.shown_masks(), self.state.frame
        left = correct.accept(self.state, frame, shown.read(frame) if shown is not None else None)
        if left:
            ids = ", ".join(map(str, left))
            self._notify(
                f"Not accepted: track {ids}, whose mask is not where its box is. Press Predict "
                "again (section 3)."
            )

    def correct_masks(self) -> None:
        """Make the masks layer the one that is painted on, with the brush.

        Before any run it is empty: what a person makes on it teaches the first one.

        Raises
        ------
        InputError
            Where there is neither a mask nor a box.
        """
        if self.masks is None and not self.show_masks():
            if self.state.boxed() is None or self.image is None:
                raise InputError(
                    "There are no masks yet, and no box to make one in. Draw a box around the "
                    "object first (section 2); then click on it, or fine-tune (section 3)."
                )
            empty = CorrectedMasks(NothingPredicted(), self.state.corrections)
            self._make_masks(self.shown_masks() or empty)
            self.state.session_changed.emit()
        assert self.masks is not None
        self.viewer.layers.selection.active = self.masks
        self.masks.visible = True
        self.masks.mode = "paint"

    def _on_tracks(self) -> None:
        if self.masks is not None and self.masks in self.viewer.layers:
            self._colour_masks()

    def colour_masks(self) -> None:
        """Give the masks layer the colours of the tracks."""
        if self.masks is not None:
            self.masks.colormap = masks_layer.track_colormap(self._colours())

    def _colour_masks(self) -> None:
        """Give the masks layer a new colormap, which takes napari a while, where it needs one."""
        if not self.state.classes.colours().items() <= self._coloured.items():
            self.colour_masks()

    def _colours(self) -> dict[int, tuple[int, int, int]]:
        """Return the colours of the tracks, which the masks layer has from now on."""
        self._coloured = dict(self.state.classes.colours())
        return self._coloured
