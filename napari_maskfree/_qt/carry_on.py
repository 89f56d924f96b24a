"""The button that carries this frame's corrections to the frames around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import button, explain
from napari_maskfree.carrying import carry_job, merge_job, take_merged

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.session import Session
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.carrying import Found, Merged

__all__ = ["CarryOn"]

_TIP = (
    "What you changed in this frame goes with the picture to the frames before and after, as far "
    "as it is found again or a mask was corrected by hand"
)
_NOTHING = "Correct a mask in this frame first."


class CarryOn:
    """Owns the button; the work is done in the background, one frame's at a time."""

    def __init__(self, main: MaskFreeWidget) -> None:
        self.main, self.state, self.project = main, main.state, main.project
        self._at_work = False
        self.button = button("Carry on", self.start, _TIP)

    def refresh(self) -> None:
        """Show whether there is something to carry."""
        why = "" if self.state.corrections[self.state.frame] else _NOTHING
        if not why and self.state.session is None:
            why = "There is no session yet. Fine-tune first (section 3)."
        explain(self.button, "At work …" if self._at_work else self.state.why_read_only or why)

    def start(self) -> None:
        """Carry the shown frame's corrections on."""
        session, frame = self.state.session, self.state.frame
        ok, video = reported(self.project.video)
        if not ok or session is None:
            return
        ok, find = reported(carry_job, self.state, video, session.mask_store(), frame)
        if ok:
            self._at_work = True
            self.refresh()
            self._run(find, lambda found: self._merge(session, frame, found))

    def _run(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.main.background.run(work, then, lambda _: self._end())

    def _merge(self, session: Session, frame: int, found: Found) -> None:
        """Work out what changes beside the window: masks are read for it."""
        if self.state.session is not session:
            self._end()
            return
        merge = merge_job(self.state, session.mask_store(), frame, found)
        self._run(merge, lambda merged: self._take(session, found, merged))

    def _take(self, session: Session, found: Found, merged: Merged) -> None:
        frame = merged.frame
        if self.state.session is session and not merged.fits(self.state):
            self._merge(session, frame, found)
            return
        self._end()
        if self.state.session is not session:
            return
        ok, taken = reported(take_merged, self.state, merged)
        if not ok:
            return
        frames, pixels = taken
        if not frames:
            show_info(
                f"Nothing of frame {frame} could be carried on: it is not found again in the "
                "frames beside it, or they were corrected already."
            )
            return
        show_info(
            f"Frame {frame} was carried to frames {frames[0]} to {frames[-1]}: {pixels} pixels. "
            "Look through them; Undo takes it back."
        )
        self.main.masks.changed.carried(session, frame)

    def _end(self) -> None:
        self._at_work = False
        self.refresh()
