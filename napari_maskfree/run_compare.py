"""Two runs' masks in one layer: left of a divider the one, right of it the other. No Qt here.

The masks layer that is painted on is hidden meanwhile and comes back at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from maskfree.errors import InputError
from napari_maskfree import constants as c
from napari_maskfree.masks_layer import MaskStack, track_colormap
from napari_maskfree.video_layer import layer_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

    from napari_maskfree.state import State

__all__ = ["RunCompare", "SwipeStack"]

_NAME, _DIVIDER = "Compared masks", "Divider"
_LINKED = ("opacity", "contour")


class SwipeStack(MaskStack):
    """Columns before ``divider`` from one store, the others from another; to be looked at only.

    Where a mask file is broken its side is empty. Parameters are those of
    :class:`~.masks_layer.MaskStack`; ``store`` is the left side's, ``right`` the other's.
    """

    def __init__(self, store: Any, right: Any, *geometry: Any) -> None:
        super().__init__(store, *geometry)
        self._sides = MaskStack(store, *geometry), MaskStack(right, *geometry)
        self.divider = self.shape[-1] // 2

    def forget(self, frames: Iterable[int] | None = None) -> None:
        """Read these frames (by default all) again when they are asked for next."""
        known = None if frames is None else list(frames)
        for side in self._sides:
            side.forget(known)

    def frame(self, index: int) -> np.ndarray:
        """Return one frame's labels (H, W)."""
        left, right = (self._side(side, index) for side in self._sides)
        return np.concatenate((left[:, : self.divider], right[:, self.divider :]), axis=1)

    def _side(self, side: MaskStack, index: int) -> np.ndarray:
        try:
            return side.frame(index)
        except InputError:  # said where the masks themselves are shown
            return np.zeros(self.shape[-2:], self.dtype)


class RunCompare:
    """The comparison that is shown, if any. Signals fire after the change."""

    changed = Signal()
    moved = Signal(int)

    def __init__(
        self, viewer: ViewerModel, state: State, defer: Callable[[Callable[[], None]], None]
    ) -> None:
        self.viewer, self.state, self._defer = viewer, state, defer
        self._removing = self._was_visible = False
        self.layer: Labels | None = None
        self._line: Layer | None = None
        self._masks: Labels | None = None
        self._active: Layer | None = None

    def start(
        self, masks: Labels, image: Image, left: Any, right: Any, names: tuple[str, str]
    ) -> None:
        """Show two runs in place of the masks layer.

        Parameters
        ----------
        masks
            The layer that is hidden meanwhile.
        image
            The video's layer.
        left, right
            Where each run's masks are read: ``read(frame)`` returns InstanceMasks or None.
        names
            What the runs are called, left and right.
        """
        from napari.layers import Labels

        self.end()
        info = self.state.video
        assert info is not None
        geometry = (layer_shape(image)[:-2], info.time_axis, info.height, info.width)
        layer = Labels(
            SwipeStack(left, right, *geometry),
            name=_NAME,
            scale=image.scale,
            translate=image.translate,
            opacity=masks.opacity,
            colormap=track_colormap(self.state.classes.colours()),
        )
        layer.contour = masks.contour
        layer.editable = False
        layer.mouse_drag_callbacks.append(self._drag)
        line = _line(image, info.height, names)
        self._active = self.viewer.layers.selection.active
        place = self.viewer.layers.index(masks) + 1
        self.viewer.layers.insert(place, layer)
        self.viewer.layers.append(line)
        self.viewer.layers.link_layers([masks, layer], _LINKED)
        self._was_visible, masks.visible = masks.visible, False
        self.layer, self._line, self._masks = layer, line, masks
        self.viewer.layers.selection.active = layer  # so that it is the one that hears the mouse
        masks.events.visible.connect(self._on_visible)
        self.viewer.layers.events.removing.connect(self._on_removing)
        self.viewer.layers.events.removed.connect(self._on_removed)
        self.state.classes.colouring_changed.connect(self._on_colours)
        self.state.corrections.changed.connect(self._on_corrections)
        self._place_line()
        self.changed.emit()

    def end(self) -> None:
        """Take the comparison away; the masks layer is shown again."""
        layer, line, masks, active = self.layer, self._line, self._masks, self._active
        if layer is None or masks is None:
            return
        self.layer = self._line = self._masks = self._active = None
        masks.events.visible.disconnect(self._on_visible)
        self.viewer.layers.events.removing.disconnect(self._on_removing)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.state.classes.colouring_changed.disconnect(self._on_colours, missing_ok=True)
        self.state.corrections.changed.disconnect(self._on_corrections, missing_ok=True)
        self.viewer.layers.unlink_layers([masks, layer], _LINKED)
        ours = self.viewer.layers.selection.active in (layer, line, None)
        if self._removing:  # napari has counted the layers that it removes
            self._defer(lambda: self._remove(layer, line))
        else:
            self._remove(layer, line)
        masks.visible = masks.visible or self._was_visible
        if ours and active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active
        self.changed.emit()

    @property
    def divider(self) -> int:
        """The first column of the right side; 0 without a comparison."""
        return 0 if self.layer is None else int(self.layer.data.divider)

    def move(self, column: int) -> None:
        """Put the divider before a column of the picture; only the shown frame is drawn anew."""
        if self.layer is None:
            return
        column = min(max(column, 0), self.layer.data.shape[-1])
        if column != self.divider:
            self.layer.data.divider = column
            self.layer.refresh(thumbnail=False, highlight=False, extent=False)
            self._place_line()
            self.moved.emit(column)

    # ---- inside

    def _remove(self, *layers: Layer | None) -> None:
        for gone in layers:
            if gone is not None and gone in self.viewer.layers:
                self.viewer.layers.remove(gone)

    def _on_removing(self, _event: Any = None) -> None:
        self._removing = True
        self._defer(self._removed)

    def _removed(self) -> None:
        self._removing = False

    def _on_colours(self) -> None:
        if self.layer is not None:
            self.layer.colormap = track_colormap(self.state.classes.colours())

    def _place_line(self) -> None:
        if self.layer is not None and self._line is not None:
            y, x = self.layer.translate[-2:]
            across = (self.divider - 0.5) * self.layer.scale[-1]
            self._line.translate = (y, x + across)

    def _drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Move the divider with the mouse when it is taken near the line."""
        column = layer.world_to_data(event.position)[-1] + 0.5
        reach = c.DIVIDER_REACH / (event.camera_zoom * layer.scale[-1])
        if abs(column - self.divider) > reach:
            return
        layer.mouse_pan = False
        yield
        while event.type == "mouse_move":
            self.move(round(layer.world_to_data(event.position)[-1] + 0.5))
            yield
        layer.mouse_pan = True

    def _on_visible(self, _event: Any = None) -> None:
        """Painting begins, or somebody looks at the masks themselves: that ends it."""
        if self._masks is not None and self._masks.visible:
            self.end()

    def _on_removed(self, event: Any) -> None:
        if event.value in (self.layer, self._line, self._masks):
            self.end()

    def _on_corrections(self, frames: tuple[int, ...]) -> None:
        if self.layer is not None:
            self.layer.data.forget(frames)
            self.layer.refresh()


def _line(image: Image, height: int, names: tuple[str, str]) -> Layer:
    """Return a line over the picture's height at column 0, the names at its upper end."""
    from napari.layers import Shapes

    ends = np.array([[-0.5, 0.0], [height - 0.5, 0.0]])
    width = height * c.EDGE_SHARE
    return Shapes(
        [ends, ends],
        shape_type="line",
        edge_width=[2 * width, width],
        edge_color=["black", "white"],
        features={"words": ["", f"◀ {names[0]}    {names[1]} ▶"]},
        text={
            "string": "{words}",
            "color": "white",
            "size": c.TEXT_SIZE,
            "anchor": "center",
            "translation": [-height * (0.5 - c.DIVIDER_WORDS), 0],
        },
        name=_DIVIDER,
        scale=image.scale[-2:],
        translate=image.translate[-2:],
    )
