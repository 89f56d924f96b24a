"""A pixel's look-alikes in the frames around it, as points and vectors over the video.

The layers are made once and changed in place: that is ten times faster than new ones, and the
active layer stays the one that it was. Only the main thread may use them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.inspect_patch import Fate
from napari_maskfree import constants as c
from napari_maskfree.category_layer import CategoryLayer
from napari_maskfree.inspection import main_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Points, Vectors

    from napari_maskfree.inspection import FrameAnswer, Inspection
    from napari_maskfree.video_info import VideoInfo

__all__ = ["MatchLayers", "distance_colours", "step_colours"]

POINTS_NAME, VECTORS_NAME, TUBE_NAME = "Matches", "Match vectors", "Match tube"
_BORDER = 0.12
_WHITE, _CLEAR = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0)
_REJECTED = {
    Fate.TOO_FAR: ("x", c.TOO_FAR_COLOUR),
    Fate.BEYOND_K: ("square", c.BEYOND_COLOUR),
    Fate.RADIUS: ("triangle_up", c.RADIUS_COLOUR),
}


def distance_colours(distance: np.ndarray, largest: float) -> np.ndarray:
    """Return RGBA (M, 4): bright where the patches are alike, dark at the threshold."""
    likeness = 1 - np.clip(np.asarray(distance) / max(largest, 1e-9), 0, 1)
    return _colours("plasma", c.FAINTEST + (1 - c.FAINTEST) * likeness)


def step_colours(count: int) -> np.ndarray:
    """Return RGBA (count, 4) of a tube's steps: dark first, bright last, white the way back."""
    steps = _colours("viridis", np.linspace(c.FAINTEST, 1, max(1, count - 1)))
    return np.vstack([steps[: count - 1], [_WHITE]]) if count else np.empty((0, 4))


def _colours(name: str, values: np.ndarray) -> np.ndarray:
    from napari.utils.colormaps import ensure_colormap

    return np.asarray(ensure_colormap(name).map(np.asarray(values, float).reshape(-1)))


class MatchLayers:
    """The Points and Vectors layers of the viewer; ``categories`` is the layer of the frame.

    Where nothing is shown they are empty and hidden, not removed: napari's canvas was seen to crash
    when it was drawn after both had gone (``_qt/canvas_context.py`` says why).
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.categories = CategoryLayer(viewer)
        self._layers: dict[str, Any] = {}
        self._hidden: set[str] = set()

    def layer(self, name: str) -> Any | None:
        """Return one of our layers while it is in the viewer."""
        layer = self._layers.get(name)
        return layer if layer is not None and layer in self.viewer.layers else None

    def prepare(self, image: Image) -> None:
        """Make the layers, empty, so that the first answer is as fast as the others."""
        for name in (POINTS_NAME, VECTORS_NAME):
            self._reveal(name, self._made(name, image))

    def show(
        self, image: Image, info: VideoInfo, found: Inspection, *, rejected: bool = False
    ) -> None:
        """Show the matches of a pixel, and if wished the candidates that were rejected."""
        base = _base(image, self.viewer, info)
        marks = _Marks(base, info.time_axis)
        if rejected:
            _mark_rejected(marks, found)
        _mark_tube(marks, found)
        for answer in found.answers:
            _mark_matches(marks, found, answer)
        cell = float(found.grid.cell_size.mean())
        here = found.grid.centres(np.array(found.cell))
        marks.add(found.frame, here[None], "cross", c.PICKED_CELLS * cell, _WHITE, _WHITE)
        points = self._made(POINTS_NAME, image)
        marks.fill(points)
        self._reveal(POINTS_NAME, points)
        matches = _match_vectors(base, info.time_axis, found)
        self._show_vectors(VECTORS_NAME, image, *matches, c.VECTOR_CELLS * cell)
        if found.path is None or len(found.path.frames) < 2:
            self._empty(TUBE_NAME)
        else:
            tube = _tube_vectors(base, info.time_axis, found)
            self._show_vectors(TUBE_NAME, image, *tube, c.TUBE_CELLS * cell)

    def _show_vectors(
        self, name: str, image: Image, vectors: np.ndarray, colours: np.ndarray, width: float
    ) -> None:
        layer = self._made(name, image)
        _fill_vectors(layer, vectors, colours, width)
        self._reveal(name, layer)

    def clear_pick(self) -> None:
        """Empty and hide the layers of the picked pixel."""
        for name in _KINDS:
            self._empty(name)

    def clear(self) -> None:
        """Empty and hide the layers of the picked pixel, and remove the categories."""
        self.clear_pick()
        self.categories.clear()

    def close(self) -> None:
        """Remove the layers that show nothing; an answer that is shown stays."""
        layers = [layer for name in _KINDS if (layer := self.layer(name)) is not None]
        self._layers.clear()
        for layer in layers:
            if not len(layer.data):
                self.viewer.layers.remove(layer)

    def _empty(self, name: str) -> None:
        layer = self.layer(name)
        if layer is None:
            return
        if len(layer.data):
            layer.data = np.empty((0, *layer.data.shape[1:]))
        if layer.visible:
            layer.visible = False
            self._hidden.add(name)

    def _reveal(self, name: str, layer: Any) -> None:
        """Show a layer that we hid; one that the person hid stays hidden."""
        if name in self._hidden:
            self._hidden.discard(name)
            layer.visible = True

    def _made(self, name: str, image: Image) -> Any:
        """Return our layer over the image, made if it is not there.

        The tube lies under the vectors, and the points on top of both.
        """
        layer, layers = self.layer(name), self.viewer.layers
        if layer is not None and layer.ndim != image.ndim:  # of the video before
            layers.remove(layer)
            layer = None
        below = self.layer(VECTORS_NAME) if name == TUBE_NAME else self.layer(POINTS_NAME)
        place = len(layers) if below is None or below is layer else layers.index(below)
        if layer is None:
            layer = self._layers[name] = _KINDS[name](name, image.ndim)
            self._hidden.discard(name)
            active = layers.selection.active
            layers.insert(place, layer)
            if active is not None and active in layers:  # it stays the active one
                layers.selection.active = active
        elif layers.index(layer) < layers.index(image):
            layers.move(layers.index(layer), place)
        for place_of in ("scale", "translate"):
            if not np.array_equal(getattr(layer, place_of), getattr(image, place_of)):
                setattr(layer, place_of, getattr(image, place_of))
        return layer


def _points(name: str, ndim: int) -> Points:
    from napari.layers import Points

    return Points(np.empty((0, ndim)), ndim=ndim, name=name, border_width=_BORDER)


def _vectors(style: str, name: str, ndim: int) -> Vectors:
    from napari.layers import Vectors

    return Vectors(np.empty((0, 2, ndim)), ndim=ndim, name=name, vector_style=style)


_KINDS: dict[str, Callable[[str, int], Any]] = {
    POINTS_NAME: _points,
    VECTORS_NAME: functools.partial(_vectors, "arrow"),
    TUBE_NAME: functools.partial(_vectors, "line"),
}
"""What makes each of our layers, by its name."""


class _Marks:
    """Points with their looks, gathered and then handed to the layer at once."""

    def __init__(self, base: np.ndarray, time_axis: int | None) -> None:
        self.base, self.time_axis = base, time_axis
        self.data: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self.borders: list[np.ndarray] = []
        self.symbols: list[str] = []
        self.sizes: list[float] = []

    def add(
        self, frame: int, yx: np.ndarray, symbol: str, size: float, face: Any, border: Any
    ) -> None:
        """Add points (M, 2) in a frame; one colour for all, or one for each."""
        count = len(yx)
        self.data.append(_at(self.base, self.time_axis, frame, yx))
        self.faces.append(np.broadcast_to(np.asarray(face, float), (count, 4)))
        self.borders.append(np.broadcast_to(np.asarray(border, float), (count, 4)))
        self.symbols += [symbol] * count
        self.sizes += [size] * count

    def fill(self, layer: Points) -> None:
        """Change the layer, and have it drawn once rather than after each of the five changes."""
        with layer.events.blocker_all():
            layer.data = np.vstack(self.data)
            layer.face_color = np.vstack(self.faces)
            layer.border_color = np.vstack(self.borders)
            if [str(symbol) for symbol in layer.symbol] != self.symbols:
                layer.symbol = self.symbols
            if layer.size.tolist() != self.sizes:
                layer.size = np.array(self.sizes)
        layer.refresh(thumbnail=False, extent=False)  # they lie within the picture


def _mark_matches(marks: _Marks, found: Inspection, answer: FrameAnswer) -> None:
    """Mark the matches in their own frame, and as rings in the picked one."""
    kept = answer.candidates.of(Fate.KEPT)
    places = found.grid.centres(answer.candidates.yx[kept]).reshape(-1, 2)
    colours = distance_colours(answer.candidates.distance[kept], found.grid.config.limit)
    size = c.MATCH_CELLS * float(found.grid.cell_size.mean())
    marks.add(found.frame, places, "disc", size, _CLEAR, colours)
    marks.add(answer.frame, places, "disc", size, colours, _WHITE)


def _mark_rejected(marks: _Marks, found: Inspection) -> None:
    """Mark what was rejected in its own frame; in the picked one, of the frame after it."""
    size = c.REJECTED_CELLS * float(found.grid.cell_size.mean())
    for answer in found.answers:
        frames = [answer.frame, found.frame] if answer is main_answer(found) else [answer.frame]
        for fate, (symbol, rgb) in _REJECTED.items():
            places = found.grid.centres(answer.candidates.yx[answer.candidates.of(fate)])
            colour = (*(v / 255 for v in rgb), 1.0)
            for frame in frames:
                marks.add(frame, places.reshape(-1, 2), symbol, size, colour, colour)


def _mark_tube(marks: _Marks, found: Inspection) -> None:
    """Mark where the tube is, in each of its frames but the first."""
    if found.path is None:
        return
    size = c.PICKED_CELLS * float(found.grid.cell_size.mean())
    for frame, cell in list(zip(found.path.frames, found.path.cells, strict=True))[1:]:
        place = found.grid.centres(np.array(cell))
        marks.add(frame, place[None], "diamond", size, _CLEAR, _WHITE)


def _match_vectors(
    base: np.ndarray, time_axis: int | None, found: Inspection
) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors (M, 2, ndim) from the pixel to its matches, and their colours (M, 4)."""
    start = found.grid.centres(np.array(found.cell))
    kept = [(a.candidates, a.candidates.of(Fate.KEPT)) for a in found.answers]
    cells = np.vstack([np.empty((0, 2)), *(each.yx[index] for each, index in kept)])
    distance = np.concatenate([np.empty(0), *(each.distance[index] for each, index in kept)])
    ends = found.grid.centres(cells)
    starts = np.repeat(start[None], len(ends), axis=0)
    vectors = _segments(base, time_axis, found.frame, starts, ends)
    return vectors, distance_colours(distance, found.grid.config.limit)


def _tube_vectors(
    base: np.ndarray, time_axis: int | None, found: Inspection
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tube as a path, whole in each of its frames, and the colours of its steps."""
    path = found.path
    assert path is not None
    cells = [*path.cells, *([path.back] if path.back is not None else [])]
    places = found.grid.centres(np.array(cells))
    colours = step_colours(path.wanted)[: len(path.cells) - 1]
    if path.back is not None:
        colours = np.vstack([colours, [_WHITE]])
    each = [_segments(base, time_axis, frame, places[:-1], places[1:]) for frame in path.frames]
    return np.concatenate(each), np.tile(colours, (len(each), 1))


def _fill_vectors(layer: Vectors, vectors: np.ndarray, colours: np.ndarray, width: float) -> None:
    """Change the layer and have it drawn once."""
    with layer.events.blocker_all():
        layer.data = vectors
        layer.edge_width = width
        if len(vectors):  # napari takes no empty array of colours
            layer.edge_color = colours
    layer.refresh(thumbnail=False, extent=False)


def _segments(
    base: np.ndarray, time_axis: int | None, frame: int, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    first = _at(base, time_axis, frame, starts)
    step = np.zeros_like(first)
    step[:, -2:] = ends - starts
    return np.stack([first, step], axis=1)


def _base(image: Image, viewer: ViewerModel, info: VideoInfo) -> np.ndarray:
    """Return the shown position (image.ndim,) on the axes that are neither time, y nor x."""
    point = np.asarray(viewer.dims.point, float)[-image.ndim :]
    position = np.round(np.asarray(image.world_to_data(point), float))
    position[-2:] = 0
    if info.time_axis is not None:
        position[info.time_axis] = 0
    return position


def _at(base: np.ndarray, time_axis: int | None, frame: int, yx: np.ndarray) -> np.ndarray:
    """Return points (M, ndim): ``base`` with the frame and (y, x) replaced."""
    points = np.tile(base, (len(yx), 1))
    points[:, -2:] = yx
    if time_axis is not None:
        points[:, time_axis] = frame
    return points
