"""Section 2: the boxes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QPushButton, QSizePolicy, QWidget

from napari_maskfree._qt.audit_list import AuditList
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.class_list import ClassList
from napari_maskfree._qt.flow_row import FlowRow
from napari_maskfree._qt.ignore_list import IgnoreList
from napari_maskfree._qt.propose import ProposalBar
from napari_maskfree._qt.section import Panel, button, explain, hint, row, set_primary
from napari_maskfree._qt.track_list import TrackList
from napari_maskfree._qt.track_menu import TrackMenu
from napari_maskfree.status import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import Track
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.state import State

__all__ = ["BoxesPanel"]

_FILTER = "Boxes (*.json);;All files (*)"
_HOW = (
    "Drag a rectangle around the object (R draws, S selects). Go to another frame and draw again: "
    "the frames between are filled in, thin and pale. Move one of those and it becomes a keyframe."
)
_BACK = "Where the object comes back, draw its box with track {0} selected: it stays track {0}."
_ONION = "Corners of the selected track's boxes in the keyframes before and after this frame"
_ARROW_WIDTH = 34
_LEARNT = 3
"""Keyframes after which the explanation of drawing goes."""


class BoxesPanel(Panel):
    """Tracks, keyframes, and the boxes file."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self.new = button(
            "New boxes layer", self._new, "A layer to draw boxes on, bound to this video"
        )
        self.sample = button(
            "Load the boxes that come with this video", self._load_sample, primary=True
        )
        self.load = button("Load…", self._ask_load, "Read a boxes file (boxes.json)")
        self.save = button("Save…", self._ask_save, "Write the boxes to a file (boxes.json)")
        self.why = hint()
        self.add(row(self.new, self.load, self.save), self.why, self.sample)
        self.how = hint(_HOW)
        self.tracks = TrackList(self.state)
        self.add_track = button("New track", self._new_track, "Another object (its own colour)")
        self.remove_track = button("Delete track", self._remove_track, "With all its boxes")
        self.more = QPushButton("More")
        self.more.setProperty("tip", "Split this track, merge it, swap it with another")
        self.undo = button("Undo", self.state.undo)
        self.redo = button("Redo", self.state.redo)
        self.previous = _arrow("◀", lambda: self._jump(-1), "To the keyframe before")
        self.next = _arrow("▶", lambda: self._jump(1), "To the keyframe after")
        self.here = QLabel()
        self.here.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.outside = QCheckBox("Outside")
        self.outside.setProperty("tip", "From this frame on the object is not in the picture")
        self.outside.clicked.connect(self._set_outside)
        self.occluded = QCheckBox("Occluded")
        self.occluded.setProperty("tip", "From this frame on something hides the object")
        self.occluded.clicked.connect(self._set_occluded)
        self.onion = QCheckBox("Onion skin")
        self.onion.setProperty("tip", _ONION)
        self.onion.setToolTip(_ONION)
        self.onion.toggled.connect(self.project.onion.set_on)
        self.project.onion.changed.connect(self._show_onion)
        self.keep = button("Keep box", self._keep, "Make the interpolated box a keyframe")
        self.delete = button("Delete keyframe", self._delete, "The box becomes interpolated again")
        self.body = QWidget()
        self.body.setObjectName("mfBody")
        inner = Panel()
        tracks_row = row(self.add_track, self.remove_track, self.more)
        self.timeline = button(
            "Timeline", main.timeline.toggle, "Show or hide all tracks over the whole video"
        )
        place = row(self.previous, self.here, self.next, grows=self.here)
        self.classes = ClassList(self.state)
        self.back = hint()
        inner.add(self.tracks, tracks_row, place, self.back)
        marks = FlowRow(self.outside, self.occluded, self.undo, self.redo)
        self.audit = AuditList(main)
        self.proposal = ProposalBar(main)
        self.more.setMenu(TrackMenu(main, self.proposal, self.more))
        inner.add(marks, row(self.keep, self.delete), self.proposal, self.how)
        looks = row(self.classes.by_class, self.onion, 1)
        self.ignored = IgnoreList(main)
        inner.add(self.classes, looks, self.ignored, self.audit)
        self.inner = inner
        self.add(inner)
        for signal in (
            self.state.video_changed,
            self.state.tracks_changed,
            self.state.classes.colouring_changed,
        ):
            signal.connect(self.refresh)
        self.state.frame_changed.connect(self._show_frame)
        self.state.selection_changed.connect(self._show_selected)
        self.state.corrections.changed.connect(self._refresh_undo)
        self.refresh()

    # ---- what is shown

    def refresh(self) -> None:
        """Show the state."""
        state = self.state
        why = state.why_no_boxes()
        explain(self.new, why)
        self.why.setText(why)
        self.why.setVisible(bool(why))
        explain(self.load, why)
        explain(self.add_track, why)
        explain(self.save, why or ("" if state.tracks else "There are no boxes yet."))
        sample = state.video.boxes if state.video else None
        self.sample.setVisible(bool(sample) and state.boxed() is None)
        set_primary(self.new, state.tracks is None and not sample and not why)
        self.inner.setVisible(state.tracks is not None)
        self.how.setVisible(sum(len(t.keyframes) for t in _tracks(state)) < _LEARNT)
        self.tracks.refresh()
        self._refresh_here()
        self._refresh_undo()
        self._summarise()

    def _show_frame(self) -> None:
        self.tracks.show_frame()
        self._refresh_here()

    def _show_selected(self) -> None:
        self.tracks.show_selected()
        self._refresh_here()

    def _refresh_here(self) -> None:
        state, track = self.state, self.state.track()
        self.new.setText("New boxes layer" if self.project.boxes is None else "Draw boxes")
        if track is None:
            self.here.setText("Select a track")
        else:
            self.here.setText(f"Frame {state.frame}: {status_of(track, state.frame)}")
        self.here.setToolTip(self.here.text())
        chosen = state.selected or 0
        keyframe, now = state.keyframe(chosen), state.box_state(chosen)
        nothing = state.why_read_only or ("Select a track first." if track is None else "")
        gone = track is not None and now is None and _was_before(track, state.frame)
        self.back.setVisible(gone and not state.read_only)
        self.back.setText(_BACK.format(chosen))
        explain(self.remove_track, nothing)
        explain(self.more, nothing)
        explain(self.previous, _unless(state.next_keyframe(chosen, -1), "No keyframe before."))
        explain(self.next, _unless(state.next_keyframe(chosen, 1), "No keyframe after."))
        is_outside = keyframe is not None and keyframe.outside
        none_here = nothing or ("" if now or is_outside else "The track has no box here.")
        explain(self.outside, none_here)
        self.outside.setChecked(is_outside)
        explain(self.occluded, nothing or _unless(now, "The track has no box here."))
        self.occluded.setChecked(bool(now and now.occluded))
        between = now is not None and not now.keyframe
        explain(self.keep, nothing or ("" if between else "There is no interpolated box here."))
        explain(self.delete, nothing or _unless(keyframe, "There is no keyframe here."))

    def _refresh_undo(self) -> None:
        names = (self.undo, self.state.undo_name), (self.redo, self.state.redo_name)
        for made, name in names:
            made.setProperty("tip", f"{made.text()}: {name}")
            explain(made, "" if name else f"Nothing to {made.text().lower()}.")

    def _show_onion(self) -> None:
        self.onion.setChecked(self.project.onion.on)

    def _summarise(self) -> None:
        boxed = self.state.boxed()
        if boxed is None:
            self.main.set_summary("boxes", "")
            return
        count = sum(len(t.keyframes) for t in boxed.tracks)
        tracks = len(boxed.tracks)
        self.main.set_summary(
            "boxes", f"{tracks} track{'s' * (tracks > 1)} · {count} keyframe{'s' * (count > 1)}"
        )

    # ---- what a person does

    def _new(self) -> None:
        reported(self.project.show_boxes)
        self.refresh()

    def _load_sample(self) -> None:
        if self.state.video is not None and self.state.video.boxes is not None:
            reported(self.project.load_boxes, self.state.video.boxes)
            self.refresh()

    def _ask_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load boxes", self._start(), _FILTER)
        if path and self.main.may_leave():
            reported(self.project.load_boxes, path)
            self.refresh()

    def _ask_save(self) -> None:
        start = str(Path(self._start()) / "boxes.json")
        path, _ = QFileDialog.getSaveFileName(self, "Save boxes", start, _FILTER)
        if path:
            reported(self.project.save_boxes, path)

    def _start(self) -> str:
        source = self.state.video.source if self.state.video else None
        return str(Path(source).parent) if source else str(Path.home())

    def _new_track(self) -> None:
        if reported(self.state.new_track)[0]:
            reported(self.project.show_boxes)
            self.refresh()

    def _remove_track(self) -> None:
        if self.state.selected is not None:
            self.state.remove_track(self.state.selected)

    def with_track(self, change: Callable[[int], object]) -> None:
        """Change the selected track; say so where none is, or where that cannot be."""
        if self.state.selected is None:
            show_info("Select a track first.")
        else:
            reported(change, self.state.selected)

    def press_class(self, digit: int) -> None:
        """Choose a class by its digit, for the selected track too."""
        reported(self.state.classes.press, digit)

    def with_range(self, change: Callable[[int, int, int], object]) -> None:
        """Change the selected track in the selected frames; say so where there are none."""
        if self.state.range is None or self.state.selected is None:
            show_info("Select a track and frames first: drag along the track's lane.")
        else:
            reported(change, self.state.selected, *self.state.range)

    def _jump(self, step: int) -> None:
        frame = self.state.next_keyframe(self.state.selected or 0, step)
        if frame is not None:
            self.project.go_to(frame)

    def _set_outside(self, checked: bool) -> None:
        if self.state.selected is not None:
            self.state.set_outside(self.state.selected, checked)

    def _set_occluded(self, checked: bool) -> None:
        if self.state.selected is not None:
            self.state.set_occluded(self.state.selected, checked)

    def _keep(self) -> None:
        self.with_track(self.state.keep_box)

    def _delete(self) -> None:
        if self.state.selected is not None:
            self.state.delete_keyframe(self.state.selected)


def _tracks(state: State) -> tuple[Track, ...]:
    return state.tracks.tracks if state.tracks is not None else ()


def _was_before(track: Track, frame: int) -> bool:
    return any(k.frame <= frame and k.xyxy is not None for k in track.keyframes)


def _unless(value: object, why: str) -> str:
    return why if value is None else ""


def _arrow(text: str, slot: object, tip: str) -> QWidget:
    made = button(text, slot, tip)  # type: ignore[arg-type]
    made.setFixedWidth(_ARROW_WIDTH)
    return made
