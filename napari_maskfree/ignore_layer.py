"""The one place where ignore regions become shapes and shapes become ignore regions.

The Shapes layer is a view, as that of the boxes: it shows the regions of the current frame, and
what a person does to it goes to :class:`~.ignoring.Ignoring` once the mouse is released.
Rectangles, polygons, ellipses and closed paths are taken. How pixels are counted: `boxes_layer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError
from maskfree.ignore_regions import box_of_region
from napari_maskfree import constants as c
from napari_maskfree.boxes_layer import box_from_vertices, is_upright

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Image, Shapes

    from maskfree.types import IgnoreRegion
    from napari_maskfree.state import State

__all__ = ["IGNORE_NAME", "IgnoreLayer", "corners_of", "make_layer", "vertices_of"]

IGNORE_NAME = "Ignore regions"
_PIXEL_CENTRE = 0.5
_EDIT_MODES = ("select", "direct", "vertex_insert", "vertex_remove")
_FINISHED = ("added", "changed", "removed", "ActionType.ADDED", "ActionType.CHANGED")
_OPEN = "line"

Corners = tuple[tuple[float, float], ...]


def vertices_of(region: IgnoreRegion) -> np.ndarray:
    """Return a region's corners as napari draws them: float (V, 2), (y, x)."""
    return np.array(region.polygon)[:, ::-1] - _PIXEL_CENTRE


def corners_of(vertices: np.ndarray, shape_type: str) -> Corners:
    """Return the corners (x, y), in pixels of the video, of a shape with ``vertices (V, D)``.

    An upright rectangle is exact; an ellipse, which napari keeps as the four corners around it, has
    `IGNORE_CORNERS` on its line.
    """
    vertices = np.asarray(vertices)[:, -2:]
    if shape_type == "rectangle" and is_upright(vertices):
        x0, y0, x1, y1 = box_from_vertices(vertices)
        return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    if shape_type == "ellipse":
        turn = np.linspace(0, 2 * np.pi, c.IGNORE_CORNERS, endpoint=False)[:, None]
        middle = vertices.mean(0)
        across, down = (vertices[1] - vertices[0]) / 2, (vertices[3] - vertices[0]) / 2
        vertices = middle + np.cos(turn) * across + np.sin(turn) * down
    return tuple((float(x), float(y)) for y, x in vertices + _PIXEL_CENTRE)


class IgnoreLayer:
    """Keeps one Shapes layer and the state's ignore regions the same.

    Parameters
    ----------
    state
        Holds the regions; listened to and changed.
    layer
        An empty 2-D Shapes layer, shown in every frame.
    defer
        Calls a function once the current mouse event is over.
    notify
        Shows a sentence to the person.
    """

    def __init__(
        self,
        state: State,
        layer: Shapes,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.state, self.layer = state, layer
        self._defer, self._notify = defer, notify
        self._updating = False
        self._shown: dict[int, IgnoreRegion] = {}
        self._pending: int | None = None
        self._drag_frame: int | None = None
        layer.events.data.connect(self._on_data)
        layer.mouse_drag_callbacks.append(self._follow_drag)
        layer.bind_key("Control-Z", lambda _: state.undo(), overwrite=True)
        layer.bind_key("Control-Shift-Z", lambda _: state.redo(), overwrite=True)
        state.tracks_changed.connect(self.refresh)
        state.frame_changed.connect(self._on_frame)
        self.refresh()

    def close(self) -> None:
        """Stop following layer and state; the regions stay in the state."""
        self.state.tracks_changed.disconnect(self.refresh, missing_ok=True)
        self.state.frame_changed.disconnect(self._on_frame, missing_ok=True)
        self.layer.events.data.disconnect(self._on_data)
        for key in ("Control-Z", "Control-Shift-Z"):
            self.layer.bind_key(key, None, overwrite=True)
        if self._follow_drag in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._follow_drag)

    def refresh(self) -> None:
        """Show the regions of the state's frame; waits while one is being dragged."""
        if self._updating or self._drag_frame is not None:
            return
        self._updating = True
        try:
            self._draw()
        finally:
            self._updating = False

    def _draw(self) -> None:
        layer, self._shown = self.layer, self.state.ignoring.here()
        layer.selected_data.clear()
        layer.data = []
        if self._shown:
            layer.add(
                [vertices_of(region) for region in self._shown.values()],
                shape_type=[
                    "polygon" if box_of_region(region) is None else "rectangle"
                    for region in self._shown.values()
                ],
                edge_width=self._edge_width,
                edge_color=c.IGNORE_EDGE,
                face_color=c.IGNORE_FACE,
            )
        words = [f"ignored {n + 1}" for n in self._shown]
        layer.features = {
            "region": np.array(list(self._shown), dtype=int),
            "text": np.array(words, dtype=str),
        }
        layer.refresh_text()
        layer.feature_defaults = {"region": [_NEW], "text": [""]}
        layer.current_edge_color = c.IGNORE_EDGE
        layer.current_face_color = c.IGNORE_FACE
        layer.current_edge_width = self._edge_width

    @property
    def _edge_width(self) -> float:
        height = self.state.video.height if self.state.video else 1 / c.EDGE_SHARE
        return max(1.0, height * c.EDGE_SHARE / 2)

    def _on_frame(self) -> None:
        if self._pending is not None:
            self.commit()
        self.refresh()

    def _follow_drag(self, _layer: Shapes, event: Any) -> Generator[None, None, None]:
        self._drag_frame = self.state.frame
        yield
        while event.type == "mouse_move":
            yield
        self._defer(self._end_drag)

    def _end_drag(self) -> None:
        if self._pending is not None:
            self.commit()
        elif self._drag_frame not in (None, self.state.frame):
            self._drag_frame = None
            self.refresh()
        self._drag_frame = None

    def _on_data(self, event: Any) -> None:
        if self._updating or str(getattr(event, "action", "")) not in _FINISHED:
            return
        if self._pending is None:
            self._pending = self.state.frame if self._drag_frame is None else self._drag_frame
            self._defer(self.commit)

    def commit(self) -> None:
        """Take over what a person drew, moved or deleted, then show the result."""
        if self._pending is None or self._updating:
            return
        frame, self._pending = self._pending, None
        self._updating = True
        try:
            self._take_over(frame)
        except InputError as error:
            self._notify(str(error))
        finally:
            self._updating = False
            self._drag_frame = None
        self.refresh()

    def _take_over(self, frame: int) -> None:
        """Bring the layer's shapes into the state: gone, reshaped, then new ones."""
        column = self.layer.features["region"].to_numpy(dtype=float, na_value=_NEW)
        places = [int(v) if np.isfinite(v) else _NEW for v in column]
        each = zip(places, self.layer.data, self.layer.shape_type, strict=True)
        found = [(place, np.asarray(data), str(kind)) for place, data, kind in each]
        if any(kind == _OPEN for _, _, kind in found):
            raise InputError(
                "A line is no region. Draw a rectangle (R), an ellipse (E) or a polygon (P)."
            )
        known = {place: (data, kind) for place, data, kind in found if place in self._shown}
        for place, (data, kind) in known.items():
            moved = np.shape(data) != np.shape(vertices_of(self._shown[place])) or not np.allclose(
                data[:, -2:], vertices_of(self._shown[place]), atol=c.SAME_BOX
            )
            if moved:
                self.state.ignoring.reshape(place, corners_of(data, kind))
        new = [corners_of(data, kind) for place, data, kind in found if place not in self._shown]
        self.state.ignoring.remove(set(self._shown) - set(known))
        for corners in new:
            self.state.ignoring.draw(corners, frame)


_NEW = -1
"""The place of a shape that is no region yet."""


def make_layer(image: Image) -> Shapes:
    """Return an empty Shapes layer that lies on the image's (y, x) plane in every frame."""
    from napari.layers import Shapes

    return Shapes(
        None,
        ndim=2,
        name=IGNORE_NAME,
        opacity=1.0,
        scale=image.scale[-2:],
        translate=image.translate[-2:],
        features={"region": np.zeros(0, dtype=int), "text": np.zeros(0, dtype=str)},
        text={"string": "{text}", "anchor": "center", "size": c.TEXT_SIZE - 2, "color": "white"},
    )
