"""The one place where ignore regions become shapes and shapes become ignore regions.

The Shapes layer is a view, as that of the boxes: it shows the regions of the current frame, and
what a person does to it goes to :class:`~.ignoring.Ignoring` once the mouse is released.
Rectangles, polygons, ellipses and closed paths are taken. How pixels are counted: `boxes_layer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.ignore_regions import box_of_region
from napari_maskfree import constants as c
from napari_maskfree.boxes_layer import box_from_vertices, is_upright
from napari_maskfree.shapes_view import PIXEL_CENTRE, ShapesView, empty_shapes

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

    from maskfree.types import IgnoreRegion

__all__ = ["IGNORE_NAME", "IgnoreLayer", "corners_of", "make_layer", "vertices_of"]

IGNORE_NAME = "Ignore regions"
_OPEN = "line"

Corners = tuple[tuple[float, float], ...]


def vertices_of(region: IgnoreRegion) -> np.ndarray:
    """Return a region's corners as napari draws them: float (V, 2), (y, x)."""
    return np.array(region.polygon)[:, ::-1] - PIXEL_CENTRE


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
    return tuple((float(x), float(y)) for y, x in vertices + PIXEL_CENTRE)


class IgnoreLayer(ShapesView):
    """Keeps one Shapes layer and the state's ignore regions the same."""

    _shown: dict[int, IgnoreRegion]

    def _draw(self, keep_selection: bool) -> None:
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

    def _take_over(self, frame: int) -> None:
        try:
            self._read_shapes(frame)
        except InputError as error:
            self._notify(str(error))

    def _read_shapes(self, frame: int) -> None:
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
        new = [
            corners_of(data, kind)
            for place, data, kind in found
            if place not in self._shown and not self._slipped(data)
        ]
        self.state.ignoring.remove(set(self._shown) - set(known))
        for corners in new:
            self.state.ignoring.draw(corners, frame)


_NEW = -1
"""The place of a shape that is no region yet."""


def make_layer(image: Image) -> Shapes:
    """Return an empty Shapes layer that lies on the image's (y, x) plane in every frame."""
    text = {"anchor": "center", "size": c.TEXT_SIZE - 2, "color": "white"}
    return empty_shapes(image, IGNORE_NAME, "region", text)
