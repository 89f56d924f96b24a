"""The one place where boxes become shapes and shapes become boxes.

napari counts (y, x) with whole numbers at pixel *centres*; the engine counts ``xyxy`` in pixel
*edges*, half-open. Both turns are here and nowhere else. The Shapes layer is a view: it shows the
boxes of the current frame only, and what a person does to it goes to :class:`~.state.State` once
the mouse is released.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.mask_place import LEAST_BOX
from maskfree.tracks import BoxState, boxes_at
from napari_maskfree import constants as c
from napari_maskfree.shapes_view import PIXEL_CENTRE, ShapesView, empty_shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Shapes

    from maskfree.types import Box
    from napari_maskfree.state import State

__all__ = ["BOXES_NAME", "BoxesLayer", "box_from_vertices", "is_upright", "rectangle_from_box"]

BOXES_NAME = "Boxes"
_EDIT_MODES = ("select", "direct")
_ONE_EACH = (
    "{} boxes were drawn at once for track {}, which has one in a frame: the last one was taken. "
    "Press New track before you draw another object."
)
_DRAWING = ("add_polygon", "add_path", "add_polyline", "add_polygon_lasso")
"""Modes in which a shape is drawn by several clicks: what is drawn anew would be lost."""


def rectangle_from_box(xyxy: Box) -> np.ndarray:
    """Return the four corners of a box as napari draws them: float (4, 2), (y, x)."""
    x0, y0, x1, y1 = (v - PIXEL_CENTRE for v in xyxy)
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def box_from_vertices(vertices: np.ndarray) -> Box:
    """Return the bounding box ``xyxy`` of any shape's vertices, (V, D) with (y, x) last."""
    low = vertices[:, -2:].min(axis=0) + PIXEL_CENTRE
    high = vertices[:, -2:].max(axis=0) + PIXEL_CENTRE
    return (float(low[1]), float(low[0]), float(high[1]), float(high[0]))


def is_upright(vertices: np.ndarray) -> bool:
    """Say whether the vertices are those of a rectangle parallel to the picture's sides."""
    corners = vertices[:, -2:]
    if len(corners) != 4:
        return False
    low, high = corners.min(axis=0), corners.max(axis=0)
    on_side = np.isclose(corners, low, atol=c.SAME_BOX) | np.isclose(corners, high, atol=c.SAME_BOX)
    return bool(on_side.all())


@dataclasses.dataclass(frozen=True)
class _Row:
    """What the layer shows of a track."""

    track_id: int
    xyxy: Box
    keyframe: bool
    caption: str
    colour: tuple[int, int, int]


class BoxesLayer(ShapesView):
    """Keeps one Shapes layer and the state's boxes the same; draws only what has changed."""

    def __init__(
        self,
        state: State,
        layer: Shapes,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self._least_edge = 0.0
        self._shown: dict[int, Box] = {}
        self._looks: tuple[float, list[_Row]] | None = None
        self._proposed: Box | None = None
        super().__init__(state, layer, defer=defer, notify=notify)
        layer.selected_data.events.items_changed.connect(self._on_selected)
        state.proposal.changed.connect(self._on_proposal)
        state.selection_changed.connect(self._on_track)
        state.classes.colouring_changed.connect(self._on_colours)

    def close(self) -> None:
        """Stop following layer and state; the boxes stay in the state."""
        super().close()
        for signal, slot in (
            (self.state.proposal.changed, self._on_proposal),
            (self.state.selection_changed, self._on_track),
            (self.state.classes.colouring_changed, self._on_colours),
        ):
            signal.disconnect(slot, missing_ok=True)
        self.layer.selected_data.events.items_changed.disconnect(self._on_selected, missing_ok=True)

    # ---- state to layer

    def fit_zoom(self, zoom: float) -> None:
        """Keep outlines visible; ``zoom``: canvas pixels per unit of the world.

        Drawn anew only when the zoom has changed by a good part.
        """
        super().fit_zoom(zoom)
        steps = np.floor(np.log2(max(self._zoom, c.LEAST_ZOOM)) * 2) / 2
        before = self._edge_width
        self._least_edge = c.LEAST_EDGE / 2.0 ** float(steps)
        busy = str(self.layer.mode) in _DRAWING or len(self.layer.selected_data) > 1
        if self._edge_width != before and not busy:
            self.refresh(keep_selection=self._still_edited())

    def _draw(self, keep_selection: bool) -> None:
        self.layer.selected_data.clear()
        rows = self._rows()
        if (self._edge_width, rows) != self._looks:
            self._looks = self._edge_width, rows
            self._put(rows)
        self._prepare_next()
        if keep_selection and self.state.selected in self._shown:
            self.layer.selected_data = {list(self._shown).index(self.state.selected)}

    def _put(self, rows: list[_Row]) -> None:
        """Change the layer and have it drawn once: napari would after each of the changes."""
        layer = self.layer
        self._shown = {row.track_id: row.xyxy for row in rows}
        with (
            layer.events.blocker_all(),
            layer.text.events.blocker_all(),
            layer.block_thumbnail_update(),
        ):
            layer.data = []
            if rows:
                style = [self._style(row.track_id, row.keyframe) for row in rows]
                layer.add(
                    [rectangle_from_box(row.xyxy) for row in rows],
                    shape_type="rectangle",
                    edge_width=[s[0] for s in style],
                    edge_color=[s[1] for s in style],
                    face_color=[s[2] for s in style],
                )
                layer.text.color = np.array([self._rgba(row.track_id) for row in rows])
            layer.features = {
                "track": np.array(list(self._shown), dtype=int),
                "text": np.array([row.caption for row in rows], dtype=str),
            }
        layer.refresh(extent=False)

    def _rows(self) -> list[_Row]:
        """Return what the layer is to show."""
        tracks, colours = self.state.tracks, self.state.classes.colours()
        labels = {t.id: t.label for t in tracks.tracks} if tracks is not None else {}
        return [
            _Row(i, s.xyxy, s.keyframe, self._caption(i, labels[i], s), colours[i])
            for i, s in self._states().items()
        ]

    def _states(self) -> dict[int, BoxState]:
        """Return the frame's boxes by track id, what is proposed in the place of its track's."""
        tracks, frame = self.state.tracks, self.state.frame
        states = boxes_at(tracks, frame) if tracks is not None else {}
        track = self.state.proposal.track
        proposed = None if track is None else self.state.proposal.box(track.id, frame)
        self._proposed = proposed
        if track is not None and proposed is not None:
            occluded = track.id in states and states[track.id].occluded
            states[track.id] = BoxState(
                proposed, False, occluded, abs(frame - self.state.proposal.start)
            )
        return states

    def _caption(self, track_id: int, label: str, state: BoxState) -> str:
        proposed = self.state.proposal.box(track_id, self.state.frame) is not None
        between = "proposed" if proposed else "interpolated"
        notes = [*(() if state.keyframe else (between,)), *(("occluded",) * state.occluded)]
        return f"{track_id} {label}" + (f" ({', '.join(notes)})" if notes else "")

    def _rgba(self, track_id: int, alpha: float = 1.0) -> np.ndarray:
        """Return a track's colour as float (4,) in [0, 1]."""
        return np.array([*(v / 255 for v in self.state.classes.colour(track_id)), alpha])

    def _style(self, track_id: int, keyframe: bool) -> tuple[float, np.ndarray, np.ndarray]:
        """Return edge width, edge and face colour: interpolated boxes are thin and pale."""
        thin = c.INTERPOLATED_EDGE, c.INTERPOLATED_ALPHA, c.INTERPOLATED_FACE
        width, edge, face = (1.0, 1.0, c.FACE_ALPHA) if keyframe else thin
        return self._edge_width * width, self._rgba(track_id, edge), self._rgba(track_id, face)

    @property
    def _edge_width(self) -> float:
        height = self.state.video.height if self.state.video else 1 / c.EDGE_SHARE
        return max(1.0, height * c.EDGE_SHARE, self._least_edge)

    def _prepare_next(self) -> None:
        """Give the next drawn box the selected track's id and colour."""
        layer, selected = self.layer, self.state.selected
        if selected is None:
            return
        track = self.state.track()
        text = f"{selected} {track.label}" if track else ""
        layer.feature_defaults = {"track": [selected], "text": [text]}
        layer.selected_data.clear()
        with layer.block_update_properties():  # they are the next box's alone
            layer.current_edge_color = self._rgba(selected)
            layer.current_face_color = self._rgba(selected, c.FACE_ALPHA)
            if layer.current_edge_width != self._edge_width:
                layer.current_edge_width = self._edge_width

    def _on_track(self) -> None:
        if not self._updating:
            self._updating = True
            try:
                self._prepare_next()
            finally:
                self._updating = False

    def _on_colours(self) -> None:
        self.refresh(keep_selection=True)

    def _on_proposal(self) -> None:
        """Show the frame's boxes anew where what is proposed in it has changed."""
        track = self.state.proposal.track
        box = None if track is None else self.state.proposal.box(track.id, self.state.frame)
        if box != self._proposed:
            self.refresh(keep_selection=True)

    # ---- layer to state

    def _on_data(self, event: Any) -> None:
        if not self._updating:
            self._looks = None
        super()._on_data(event)

    def _on_selected(self, *_: Any) -> None:
        chosen = list(self.layer.selected_data)
        if self._updating or len(chosen) != 1 or "track" not in self.layer.features:
            return
        ids = self._row_ids()
        if chosen[0] < len(ids) and self.state.track(ids[chosen[0]]) is not None:
            self._updating = True
            try:
                self.state.select(ids[chosen[0]])
            finally:
                self._updating = False

    def _row_ids(self) -> list[int]:
        """Return the track id of each shape; a shape without one belongs to the selected track."""
        if "track" not in self.layer.features:
            return [self.state.selected or 0] * self.layer.nshapes
        column = self.layer.features["track"].to_numpy(dtype=float, na_value=np.nan)
        fallback = self.state.selected or 0
        return [int(v) if np.isfinite(v) and v > 0 else fallback for v in column]

    def _still_edited(self) -> bool:
        return str(self.layer.mode) in _EDIT_MODES

    def _take_over(self, frame: int) -> None:
        ids, shapes, kinds = self._row_ids(), list(self.layer.data), list(self.layer.shape_type)
        rows: dict[int, list[int]] = {}
        for row, track_id in enumerate(ids):
            rows.setdefault(track_id, []).append(row)
        for track_id in self._shown:
            if track_id not in rows:
                self._deleted(track_id, frame)
        for track_id, own in rows.items():
            vertices, new = np.asarray(shapes[own[-1]]), len(own) - (track_id in self._shown)
            box = box_from_vertices(vertices)
            upright = kinds[own[-1]] == "rectangle" and is_upright(vertices)
            if new > 1:
                self._notify(_ONE_EACH.format(new, track_id))
            if len(own) == 1 and _same(box, self._shown.get(track_id)) and upright:
                continue
            if not new or not self._slipped(vertices):
                self._drawn(track_id, box, frame, upright)

    def _drawn(self, track_id: int, box: Box, frame: int, upright: bool) -> None:
        if self.state.track(track_id) is None:
            track_id = self.state.selected or self.state.new_track()
        kept = self.state.set_box(track_id, box, frame)
        if kept and not upright:
            self._notify(
                "Boxes are upright rectangles: the shape became its bounding box. "
                "Draw with the rectangle tool (R)."
            )
        elif not kept and (why := self._why_none(box, upright)):
            self._notify(why)

    def _why_none(self, box: Box, upright: bool) -> str:
        """Say why nothing drawn was taken; empty text for a slipped click."""
        video = self.state.video
        x0, y0, x1, y1 = box
        if not upright:
            return "A line has no inside, so it is no box. Draw with the rectangle tool (R)."
        if min(x1 - x0, y1 - y0) < LEAST_BOX or video is None:
            return ""
        return (
            f"The box lies outside the picture ({video.width}×{video.height} pixels), so it was "
            "not taken. Draw it over the picture."
        )

    def _deleted(self, track_id: int, frame: int) -> None:
        if self.state.proposal.box(track_id, frame) is not None:
            self.state.proposal.cut(frame)
        elif self.state.keyframe(track_id, frame) is not None:
            self.state.delete_keyframe(track_id, frame)
        else:
            self._notify(
                f"The box of track {track_id} in frame {frame} is interpolated, so it stays. "
                "Press Outside where the object leaves the picture, or delete a keyframe."
            )


def _same(one: Box, other: Box | None) -> bool:
    return other is not None and bool(np.allclose(one, other, atol=c.SAME_BOX))


def make_layer(image: Image) -> Shapes:
    """Return an empty Shapes layer that lies on the image's (y, x) plane in every frame."""
    text = {
        "anchor": "upper_left",
        "translation": [-c.TEXT_SIZE / 2, 0],
        "color": "white",
    }
    return empty_shapes(image, BOXES_NAME, "track", text)
