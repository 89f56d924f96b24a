"""Why the masks are what they are: the 1:K matches of the temporal loss as napari layers.

:func:`match_frames` does the arithmetic (it imports torch, so call it in a background thread);
:class:`MatchLayers` shows the result and touches layers, so only the main thread may use it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskfree import constants as c

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from maskfree.video import Video
    from napari_maskfree.video_info import VideoInfo

RGB = tuple[int, int, int]

__all__ = ["FrameMatches", "MatchLayers", "cell_of", "centre_of", "match_frames"]

POINTS_NAME, VECTORS_NAME, CATEGORY_NAME = "Matches", "Match vectors", "Match categories"
_SPACING = 0.5  # of a pixel: napari counts pixel centres


@dataclasses.dataclass(frozen=True)
class FrameMatches:
    """All matches from one frame into another, on the method's grid.

    ``target_yx`` int (K, H4, W4, 2) cells, ``distance`` float (K, H4, W4), ``valid`` bool
    (K, H4, W4), ``categories`` uint8 (H4, W4), ``counts`` cells of each category, ``colours`` the
    method's own colour of each (RGB, 0-255), ``max_distance`` the largest distance that counts.
    """

    source: int
    target: int
    target_yx: np.ndarray
    distance: np.ndarray
    valid: np.ndarray
    categories: np.ndarray
    counts: dict[int, int]
    colours: dict[int, RGB]
    max_distance: float

    def of_cell(self, cell: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the valid matches of a cell, nearest first: cells (M, 2) and distances (M,)."""
        keep = self.valid[:, cell[0], cell[1]]
        return self.target_yx[keep, cell[0], cell[1]], self.distance[keep, cell[0], cell[1]]


def match_frames(video: Video, source: int, target: int) -> FrameMatches:
    """Match two frames with the paper's setting and say what kind of place each match lies in."""
    import torch

    from maskfree.category import CATEGORY_COLOURS, categorise
    from maskfree.config import CategoryConfig, TemporalKNNConfig
    from maskfree.correspondence import match_patches
    from maskfree.lab import to_lab

    pair = np.stack([video[source], video[target]])
    height, width = (size // c.GRID * c.GRID for size in pair.shape[1:3])
    rgb = torch.from_numpy(pair[:, :height, :width].astype(np.float32) / 255).permute(0, 3, 1, 2)
    lab = to_lab(rgb.contiguous())
    config = TemporalKNNConfig.paper()
    matches = match_patches(lab[0], lab[1], config=config)
    categories = np.asarray(categorise(matches, lab[0], config=CategoryConfig()))
    values, counts = np.unique(categories, return_counts=True)
    return FrameMatches(
        source,
        target,
        matches.target_yx.numpy(),
        matches.distance.numpy(),
        matches.valid.numpy(),
        categories.astype(np.uint8),
        {int(v): int(n) for v, n in zip(values, counts, strict=True)},
        {int(k): (int(v[0]), int(v[1]), int(v[2])) for k, v in CATEGORY_COLOURS.items()},
        float(config.max_distance),
    )


def cell_of(yx: np.ndarray, shape: tuple[int, int]) -> tuple[int, int] | None:
    """Return the grid cell of a pixel position in napari's (y, x); None outside the grid."""
    cell = np.floor((np.asarray(yx) + _SPACING) / c.GRID).astype(int)
    return (int(cell[0]), int(cell[1])) if ((cell >= 0) & (cell < shape)).all() else None


def centre_of(cells: np.ndarray) -> np.ndarray:
    """Return the centres of grid cells in napari's (y, x) of the video: float (..., 2)."""
    return np.asarray(cells, float) * c.GRID + (c.GRID / 2 - _SPACING)


def distance_colours(distance: np.ndarray, largest: float) -> np.ndarray:
    """Return RGBA (M, 4): bright where the patches are alike, dark at the threshold."""
    from napari.utils.colormaps import ensure_colormap

    likeness = 1 - np.clip(np.asarray(distance) / largest, 0, 1)
    return ensure_colormap("plasma").map(c.FAINTEST + (1 - c.FAINTEST) * likeness)


class MatchLayers:
    """The Points, Vectors and category layers of the viewer; made when first needed."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._layers: dict[str, Any] = {}

    def layer(self, name: str) -> Any | None:
        """Return one of our layers while it is in the viewer."""
        layer = self._layers.get(name)
        return layer if layer is not None and layer in self.viewer.layers else None

    def show_pick(
        self, image: Image, info: VideoInfo, matches: FrameMatches, cell: tuple[int, int]
    ) -> int:
        """Show the matches of one cell; return how many there are."""
        found, distance = matches.of_cell(cell)
        colours = distance_colours(distance, matches.max_distance)
        here = _base(image, self.viewer, info, matches.source)
        there = _base(image, self.viewer, info, matches.target)
        start, ends = centre_of(np.array(cell)), centre_of(found).reshape(-1, 2)
        count = len(ends)
        data = np.vstack([_at(here, ends), _at(there, ends), _at(here, start[None])])
        white, clear = np.ones((1, 4)), np.zeros((count, 4))
        size = c.MATCH_CELLS * c.GRID
        self._set_points(
            image,
            data,
            face=np.vstack([clear, colours.reshape(-1, 4), white]),
            border=np.vstack([colours.reshape(-1, 4), np.tile(white, (count, 1)), white]),
            symbol=[*["disc"] * (2 * count), "cross"],
            size=np.array([*[size] * (2 * count), c.PICKED_CELLS * c.GRID]),
        )
        origin = _at(here, np.repeat(start[None], count, axis=0))
        vectors = np.stack([origin, _at(np.zeros_like(here), ends - start)], axis=1)
        self._set_vectors(image, vectors, colours, width=size / 5)
        return count

    def show_categories(self, image: Image, matches: FrameMatches) -> None:
        """Show what kind of place each cell of the frame is, in the method's colours."""
        layer = self.layer(CATEGORY_NAME)
        # napari's label 0 is transparent, and the method's category 0 is a colour of its own
        labels = matches.categories + 1
        if layer is not None:
            layer.data = labels
            layer.visible = True
            return
        from napari.layers import Labels

        scale = np.asarray(image.scale[-2:])
        layer = Labels(
            labels,
            name=CATEGORY_NAME,
            colormap=category_colormap(matches.colours),
            opacity=c.CATEGORY_OPACITY,
            scale=scale * c.GRID,
            translate=np.asarray(image.translate[-2:]) + scale * (c.GRID / 2 - _SPACING),
        )
        layer.editable = False
        self._layers[CATEGORY_NAME] = layer
        active = self.viewer.layers.selection.active
        self.viewer.layers.insert(self.viewer.layers.index(image) + 1, layer)
        if active is not None:
            self.viewer.layers.selection.active = active

    def hide_categories(self) -> None:
        """Hide the category layer: it belongs to another frame or was switched off."""
        layer = self.layer(CATEGORY_NAME)
        if layer is not None:
            layer.visible = False

    def clear_pick(self) -> None:
        """Remove the picked pixel's points and vectors."""
        for name in (POINTS_NAME, VECTORS_NAME):
            layer = self.layer(name)
            if layer is not None:
                self.viewer.layers.remove(layer)
            self._layers.pop(name, None)

    def clear(self) -> None:
        """Remove all three layers."""
        self.clear_pick()
        layer = self.layer(CATEGORY_NAME)
        if layer is not None:
            self.viewer.layers.remove(layer)
        self._layers.clear()

    def _set_points(self, image: Image, data: np.ndarray, **look: Any) -> None:
        self._replace(
            POINTS_NAME,
            lambda: self.viewer.add_points(
                data,
                name=POINTS_NAME,
                face_color=look["face"],
                border_color=look["border"],
                border_width=0.12,
                symbol=look["symbol"],
                size=look["size"],
                scale=image.scale,
                translate=image.translate,
            ),
        )

    def _set_vectors(
        self, image: Image, vectors: np.ndarray, colours: np.ndarray, width: float
    ) -> None:
        if len(vectors) == 0:
            layer = self.layer(VECTORS_NAME)
            if layer is not None:
                self.viewer.layers.remove(layer)
            return
        self._replace(
            VECTORS_NAME,
            lambda: self.viewer.add_vectors(
                vectors,
                name=VECTORS_NAME,
                edge_color=colours,
                edge_width=width,
                vector_style="arrow",
                scale=image.scale,
                translate=image.translate,
            ),
        )

    def _replace(self, name: str, make: Any) -> None:
        """Put a fresh layer in place of ours; the active layer stays the one it was."""
        active = self.viewer.layers.selection.active
        old = self.layer(name)
        if old is not None:
            self.viewer.layers.remove(old)
        self._layers[name] = make()
        if active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active


def category_colormap(colours: dict[int, RGB]) -> Any:
    """Return the colours of the categories for a layer that holds category + 1."""
    from napari.utils.colormaps import DirectLabelColormap

    shown: dict[int | None, Any] = {
        value + 1: np.array([*(v / 255 for v in rgb), 1.0]) for value, rgb in colours.items()
    }
    return DirectLabelColormap(color_dict={**shown, 0: "transparent", None: "transparent"})


def _base(image: Image, viewer: ViewerModel, info: VideoInfo, frame: int) -> np.ndarray:
    """Return the position (image.ndim,) of a frame on the axes that the picture does not show."""
    point = np.asarray(viewer.dims.point, float)[-image.ndim :]
    position = np.round(np.asarray(image.world_to_data(point), float))
    position[-2:] = 0
    if info.time_axis is not None:
        position[info.time_axis] = frame
    return position


def _at(base: np.ndarray, yx: np.ndarray) -> np.ndarray:
    """Return points (M, ndim): ``base`` with (y, x) replaced."""
    points = np.tile(base, (len(yx), 1))
    points[:, -2:] = yx
    return points
