"""Section 4: the masks."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFormLayout, QWidget
from superqt import QLabeledSlider

from maskfree.errors import InputError
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.carry_on import CarryOn
from napari_maskfree._qt.changed_bar import ChangedBar
from napari_maskfree._qt.click_tools import ClickTools
from napari_maskfree._qt.confidence import ConfidencePanel
from napari_maskfree._qt.correct_tools import CorrectTools
from napari_maskfree._qt.evidence_toggle import EvidenceToggle
from napari_maskfree._qt.flow_row import FlowRow
from napari_maskfree._qt.gold_bar import GoldBar
from napari_maskfree._qt.residual_toggle import ResidualToggle
from napari_maskfree._qt.review_bar import ReviewBar
from napari_maskfree._qt.runs_list import RunsList
from napari_maskfree._qt.section import Panel, button, explain, heading, hint
from napari_maskfree.constants import MASK_OPACITY, RESULT_INTERVAL
from napari_maskfree.correct import astray, take_back

if TYPE_CHECKING:
    from maskfree.corrections import Correction
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["MasksPanel"]

_EMPTY = (
    "Press Fine-tune in section 3: the first masks are here after some seconds, better ones when "
    "it has trained. Or begin by hand: press Clicks, then click on the object inside its box. The "
    "run learns from that."
)
_FIRST = "First masks of {} frames. Now it trains."
_ASTRAY = (
    "Here the mask of {some} elsewhere than the box: tracks or boxes were changed since it was "
    "predicted. Press Predict again (section 3)."
)
_PERCENT = 100
_HOW = (
    "Paint adds to the selected track, the eraser takes away; what you painted or accepted stays "
    "as it is in every later run."
)


class MasksPanel(Panel):
    """Opacity and outline of the masks layer, which it brings back; what the masks stand on."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self._shown_at = 0.0
        self._first_of: object = None
        self._styled: object = None
        self.empty = hint(_EMPTY)
        self.opacity = QLabeledSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, _PERCENT)
        self.opacity.setValue(round(MASK_OPACITY * _PERCENT))
        self.opacity.valueChanged.connect(self._set_opacity)
        self.outline = QCheckBox("Outlines only")
        self.outline.toggled.connect(self._set_outline)
        self.show_layer = button("Show masks", self._show, "Add the masks layer to the viewer")
        self.correct = button(
            "Correct", self._correct, "Paint and erase with the tools of the masks layer"
        )
        self.accept = button(
            "Accept frame", self._accept, "The masks of this frame are right as they are"
        )
        self.take_back = button(
            "Take back", self._take_back, "Let the prediction of this frame stand again"
        )
        self.carry = CarryOn(main)
        self.by_hand = hint()
        self.astray = hint()
        self.astray.setObjectName("mfBad")
        self.clicks = ClickTools(main)
        self.tools = CorrectTools(main)
        self.changed = ChangedBar(main)
        self.evidence = EvidenceToggle(main)
        self.residual = ResidualToggle(main)
        self.controls = QWidget()
        self.controls.setObjectName("mfBody")
        form = QFormLayout(self.controls)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Opacity", self.opacity)
        form.addRow(self.outline)
        self.review = ReviewBar(main)
        form.addRow(self.astray)
        form.addRow(self.review)
        form.addRow(heading("Correct"))
        form.addRow(FlowRow(self.correct, self.accept, self.take_back, self.carry.button))
        self.gold = GoldBar(main)
        self.more = Panel()
        self.more.setObjectName("mfBody")
        self.more.add(self.tools, self.by_hand, self.changed, self.gold)
        self.confidence = ConfidencePanel(main)
        self._certain = Panel()  # shown with the masks; the panel in it hides itself without scores
        self._certain.setObjectName("mfBody")
        self._certain.add(self.confidence)
        self.runs = RunsList(main)
        self.add(self.empty, self.controls, self.clicks, self.more, self.show_layer, self.runs)
        self.add(heading("Why these masks"), self._certain, self.evidence, self.residual)
        self.state.session_changed.connect(self.refresh)
        self.state.frame_changed.connect(self._show_hand)
        self.state.corrections.changed.connect(self._show_hand)
        for signal in (self.state.frame_changed, self.state.tracks_changed):
            signal.connect(self._show_astray)
        self.state.corrections.changed.connect(self._show_astray)
        main.jobs.updated.connect(self._while_predicting)
        main.jobs.updated.connect(self._show_first)
        main.jobs.finished.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the state."""
        masks = self.project.shown_masks()
        frames = len(masks.frames()) if masks is not None else 0
        shown = self.project.masks is not None
        self.empty.setVisible(frames == 0 and not shown)
        self.controls.setVisible(shown)
        self.more.setVisible(shown)
        self.clicks.setVisible(shown or frames == 0)
        self.clicks.show_boxes(shown)
        self._certain.setVisible(shown)
        self.show_layer.setVisible(frames > 0 and not shown)
        if self._styled is not self.project.masks:
            self._styled = self.project.masks
            self._set_opacity(self.opacity.value())
            self._set_outline(self.outline.isChecked())
        self.evidence.refresh()
        self.residual.refresh(has_masks=frames > 0)
        self.confidence.refresh()
        self.runs.enable()
        self._show_hand()
        self._show_astray()
        self.gold.refresh()
        self._summarise(frames)

    def _summarise(self, frames: int) -> None:
        total = self.state.video.num_frames if self.state.video is not None else 0
        self.main.set_summary("masks", f"{frames} of {total} frames" if frames else "")

    def _show_astray(self, *_: object) -> None:
        """Say whose masks in this frame are not about what their tracks are now."""
        masks, frame, found = self.project.masks, self.state.frame, list[int]()
        if masks is not None and masks.visible and self.state.tracks is not None:
            with contextlib.suppress(InputError):  # damaged: said where it is shown
                found = astray(self.state, frame, masks.data.frame(frame))
        self.astray.setVisible(bool(found))
        ids = ", ".join(map(str, found))
        some = f"tracks {ids} lie" if len(found) > 1 else f"track {ids} lies"
        self.astray.setText(_ASTRAY.format(some=some))

    def _show_hand(self, *_: object) -> None:
        """Say what a person did in this frame."""
        own = self.state.corrections[self.state.frame]
        held = self.state.why_read_only
        explain(self.take_back, held or ("" if own else "Nobody corrected this frame."))
        self.carry.refresh()
        words = []
        for track_id, correction in sorted(own.items()):
            track = self.state.track(track_id)
            name = f"{track_id} {track.label}" if track is not None else str(track_id)
            words.append(f"{name} {_word(correction)}")
        each = self.state.corrections.items().values()
        frames = sum(any(one.carried is None for one in frame.values()) for frame in each)
        done = f" · {frames} frame{'s' * (frames > 1)} by hand in all" if frames else ""
        here = f"Frame {self.state.frame}: {', '.join(words)}" if words else "" if frames else _HOW
        self.by_hand.setText(here + done if here else done.removeprefix(" · ").capitalize())

    def _correct(self) -> None:
        reported(self.project.correct_masks)

    def _accept(self) -> None:
        reported(self.project.accept_frame)

    def _take_back(self) -> None:
        reported(take_back, self.state, self.state.frame)

    def _while_predicting(self) -> None:
        view = self.main.jobs.view
        due = time.monotonic() - self._shown_at > RESULT_INTERVAL / 1000
        if view is not None and view.stage == "predict" and view.active and due:
            self._shown_at = time.monotonic()
            if self.project.masks is None:
                ok, frames = reported(self.project.show_masks)
                if ok and frames:
                    self.refresh()
            else:  # nothing but masks has changed, and few of them are seen
                reported(self.project.follow_masks)
                self.residual.refresh(has_masks=True)
                self._summarise(view.done)

    def _show_first(self) -> None:
        """Show the masks that a run has before it trains, once they are all there."""
        view, job = self.main.jobs.view, self.main.jobs.job
        if view is None or not view.first_masks or self._first_of is job:
            return
        self._first_of = job
        if self.project.image is not None and reported(self.project.show_masks)[0]:
            self.state.session_changed.emit()
            if view.active and view.stage == "finetune":
                show_info(_FIRST.format(view.first_masks))

    def _show(self) -> None:
        reported(self.project.show_masks)
        self.refresh()

    def _set_opacity(self, percent: int) -> None:
        if self.project.masks is not None:
            self.project.masks.opacity = percent / _PERCENT

    def _set_outline(self, only: bool) -> None:
        if self.project.masks is not None and self.state.video is not None:
            width = max(1, round(self.state.video.height / 240))
            self.project.masks.contour = width if only else 0


def _word(correction: Correction) -> str:
    if correction.carried is not None:
        return f"carried here from frame {correction.carried}, not looked at"
    if correction.gold:
        return "gold" if correction.has_object else "gold: not there"
    return "accepted" if correction.accepted else "corrected"
