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

from maskfree.tracks import BoxState, boxes_at
from napari_maskfree import constants as c

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Image, Shapes

    from maskfree.types import Box
    from napari_maskfree.state import State

__all__ = ["BOXES_NAME", "BoxesLayer", "box_from_vertices", "is_upright", "rectangle_from_box"]

BOXES_NAME = "Boxes"
_PIXEL_CENTRE = 0.5
_EDIT_MODES = ("select", "direct")
_DRAWING = ("add_polygon", "add_path", "add_polyline", "add_polygon_lasso")
"""Modes in which a shape is drawn by several clicks: what is drawn anew would be lost."""


def rectangle_from_box(xyxy: Box) -> np.ndarray:
    """Return the four corners of a box as napari draws them: float (4, 2), (y, x)."""
    x0, y0, x1, y1 = (v - _PIXEL_CENTRE for v in xyxy)
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]])


def box_from_vertices(vertices: np.ndarray) -> Box:
    """Return the bounding box ``xyxy`` of any shape's vertices, (V, D) with (y, x) last."""
    low = vertices[:, -2:].min(axis=0) + _PIXEL_CENTRE
    high = vertices[:, -2:].max(axis=0) + _PIXEL_CENTRE
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


class BoxesLayer:
    """Keeps one Shapes layer and the state's boxes the same.

    Parameters
    ----------
    state
        Holds the boxes; listened to and changed.
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
        self._least_edge = 0.0
        self._shown: dict[int, Box] = {}
        self._looks: tuple[float, list[_Row]] | None = None
        self._proposed: Box | None = None
        self._pending: int | None = None
        self._drag_frame: int | None = None
        layer.events.data.connect(self._on_data)
        layer.selected_data.events.items_changed.connect(self._on_selected)
        layer.mouse_drag_callbacks.append(self._follow_drag)
        layer.bind_key("Control-Z", lambda _: state.undo(), overwrite=True)
        layer.bind_key("Control-Shift-Z", lambda _: state.redo(), overwrite=True)
        state.tracks_changed.connect(self.refresh)
        state.proposal.changed.connect(self._on_proposal)
        state.frame_changed.connect(self._on_frame)
        state.selection_changed.connect(self._on_track)
        state.classes.colouring_changed.connect(self._on_colours)
        self.refresh()

    def close(self) -> None:
        """Stop following layer and state; the boxes stay in the state."""
        for signal, slot in (
            (self.state.tracks_changed, self.refresh),
            (self.state.proposal.changed, self._on_proposal),
            (self.state.frame_changed, self._on_frame),
            (self.state.selection_changed, self._on_track),
            (self.state.classes.colouring_changed, self._on_colours),
        ):
            signal.disconnect(slot, missing_ok=True)
        self.layer.events.data.disconnect(self._on_data)
        self.layer.selected_data.events.items_changed.disconnect(self._on_selected, missing_ok=True)
        for key in ("Control-Z", "Control-Shift-Z"):
            self.layer.bind_key(key, None, overwrite=True)
        if self._follow_drag in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._follow_drag)

    # ---- state to layer

    def refresh(self, *, keep_selection: bool = False) -> None:
        """Show the boxes of the state's frame; waits while a box is being dragged.

        Nothing is drawn where the layer shows them already.
        """
        if self._updating or self._drag_frame is not None:
            return
        self._updating = True
        try:
            self.layer.selected_data.clear()
            rows = self._rows()
            if (self._edge_width, rows) != self._looks:
                self._looks = self._edge_width, rows
                self._draw(rows)
            self._prepare_next()
            if keep_selection and self.state.selected in self._shown:
                self.layer.selected_data = {list(self._shown).index(self.state.selected)}
        finally:
            self._updating = False

    def fit_zoom(self, zoom: float) -> None:
        """Keep outlines visible; ``zoom``: canvas pixels per pixel of the video.

        Drawn anew only when the zoom has changed by a good part.
        """
        steps = np.floor(np.log2(max(zoom * float(self.layer.scale[-1]), c.LEAST_ZOOM)) * 2) / 2
        before = self._edge_width
        self._least_edge = c.LEAST_EDGE / 2.0 ** float(steps)
        busy = str(self.layer.mode) in _DRAWING or len(self.layer.selected_data) > 1
        if self._edge_width != before and not busy:
            self.refresh(keep_selection=str(self.layer.mode) in _EDIT_MODES)

    def _draw(self, rows: list[_Row]) -> None:
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

    def _on_frame(self) -> None:
        if self._pending is not None:
            self.commit()
        self.refresh()

    # ---- layer to state

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
        if self._updating:
            return
        self._looks = None
        if str(getattr(event, "action", "")) not in _FINISHED:
            return
        if self._pending is None:
            self._pending = self.state.frame if self._drag_frame is None else self._drag_frame
            self._defer(self.commit)

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

    def commit(self) -> None:
        """Take over what a person drew, moved or deleted, then show the result."""
        if self._pending is None or self._updating:
            return
        frame, self._pending = self._pending, None
        self._updating = True
        try:
            self._take_over(frame)
        finally:
            self._updating = False
            self._drag_frame = None
        self.refresh(keep_selection=str(self.layer.mode) in _EDIT_MODES)

    def _take_over(self, frame: int) -> None:
        ids, shapes = self._row_ids(), list(self.layer.data)
        rows: dict[int, list[int]] = {}
        for row, track_id in enumerate(ids):
            rows.setdefault(track_id, []).append(row)
        for track_id in self._shown:
            if track_id not in rows:
                self._deleted(track_id, frame)
        for track_id, own in rows.items():
            vertices = np.asarray(shapes[own[-1]])
            box = box_from_vertices(vertices)
            if len(own) == 1 and _same(box, self._shown.get(track_id)) and is_upright(vertices):
                continue
            self._drawn(track_id, box, frame, is_upright(vertices))

    def _drawn(self, track_id: int, box: Box, frame: int, upright: bool) -> None:
        if self.state.track(track_id) is None:
            track_id = self.state.selected or self.state.new_track()
        kept = self.state.set_box(track_id, box, frame)
        if kept and not upright:
            self._notify(
                "Boxes are upright rectangles: the shape became its bounding box. "
                "Draw with the rectangle tool (R)."
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


_FINISHED = ("added", "changed", "removed", "ActionType.ADDED", "ActionType.CHANGED")


def _same(one: Box, other: Box | None) -> bool:
    return other is not None and bool(np.allclose(one, other, atol=c.SAME_BOX))


def make_layer(image: Image) -> Shapes:
    """Return an empty Shapes layer that lies on the image's (y, x) plane in every frame."""
    from napari.layers import Shapes

    return Shapes(
        None,
        ndim=2,
        name=BOXES_NAME,
        opacity=1.0,
        scale=image.scale[-2:],
        translate=image.translate[-2:],
        features={"track": np.zeros(0, dtype=int), "text": np.zeros(0, dtype=str)},
        text={
            "string": "{text}",
            "anchor": "upper_left",
            "size": c.TEXT_SIZE,
            "translation": [-c.TEXT_SIZE / 2, 0],
            "color": "white",
        },
    )
