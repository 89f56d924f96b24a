"""Gold frames: marked, counted, and how good each run is on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from maskfree.corrections import is_gold
from napari_maskfree import gold
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.gold_curve import GoldCurve
from napari_maskfree._qt.section import Panel, button, explain, heading, hint

if TYPE_CHECKING:
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["GoldBar"]

_MARK = "This frame's masks are true: no run learns from them, and every run is scored on them"
_UNMARK = "Take the mark back: its masks stay accepted, and the next run learns from them"
_HOW = (
    "Gold frames tell how good the runs are: correct a frame until its masks are true, then mark "
    "it. A frame marked as a run left it says nothing of that run."
)
_NO_MASKS = "There are no masks yet. Fine-tune first (section 3)."
_HIDDEN = "Press Show masks first."


class GoldBar(Panel):
    """The mark of the shown frame, the newest score, and the curve over the runs."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self.mark = button("Mark as gold", self._toggle, _MARK)
        self.mark.setCheckable(True)
        self.here, self.readout = hint(), hint()
        self.curve = GoldCurve(main.palette_)
        self.add(heading("Gold frames"), self.mark, self.here, self.readout, self.curve)
        main.gold.changed.connect(self.show_scores)
        for signal in (
            self.state.frame_changed,
            self.state.corrections.changed,
            self.state.tracks_changed,
        ):
            signal.connect(self.show_frame)
        self.refresh()

    def refresh(self) -> None:
        """Show everything."""
        self.show_frame()
        self.show_scores()

    def restyle(self) -> None:
        """Take the theme's colours."""
        self.curve.colours = self.main.palette_
        self.curve.update()

    def show_frame(self, *_: object) -> None:
        """Show whether the frame is gold."""
        state = self.state
        marked, own = gold.is_marked(state, state.frame), state.corrections[state.frame]
        self.mark.setChecked(marked)
        self.mark.setText("Gold frame" if marked else "Mark as gold")
        self.mark.setProperty("tip", _UNMARK if marked else _MARK)
        why = ""
        if self.project.masks is None:
            has_some = state.session is not None and state.session.mask_store().path.is_dir()
            why = _HIDDEN if has_some else _NO_MASKS
        explain(self.mark, state.why_read_only or why)
        partly = is_gold(own) and not marked
        self.here.setVisible(partly)
        if partly:
            self.here.setText("A track that came later is not gold here yet: mark the frame again.")

    def show_scores(self) -> None:
        """Show the scores that are known."""
        found, frames = self.main.gold.found, self.main.gold.frames
        text = gold.readout(found, frames) or _HOW
        if frames and self.main.gold.scoring and not found:
            text = text.partition(":")[0] + ": scoring…"
        self.readout.setText(text)
        self.readout.setToolTip("\n".join(map(gold.describe, found[-1:])))
        self.curve.setVisible(any(each.scores is not None for each in found))
        self.curve.show_runs(found)

    def _toggle(self) -> None:
        """Mark the shown frame, or take the mark back."""
        frame = self.state.frame
        if gold.is_marked(self.state, frame):
            reported(gold.unmark, self.state, frame)
        else:
            ok, empty = reported(self._mark, frame)
            if ok and empty:
                ids = ", ".join(map(str, empty))
                show_info(f"Frame {frame} is gold, with nothing of track {ids} in it.")
        self.show_frame()

    def _mark(self, frame: int) -> list[int]:
        shown = self.project.shown_masks()
        return gold.mark(self.state, frame, shown.read(frame) if shown is not None else None)
