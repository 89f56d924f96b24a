"""Draw once: proposes a track's boxes in a thread of its own, and asks what becomes of them."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal

from maskfree.config import Config
from napari_maskfree._qt.background import Background, reported
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree.proposal import accept_proposal

if TYPE_CHECKING:
    from maskfree.types import Box
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["ProposalBar"]

_NO_KEYFRAME = "Go to a frame in which the selected track has a box that was drawn."


class ProposalBar(Panel):
    """What is proposed, and *Accept*, *Accept to here*, *Discard*."""

    _found = Signal(int, int, object)

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.proposal = main, main.state, main.state.proposal
        self._background = Background(self)
        self._turn = 0
        self.text = hint()
        self.accept = button("Accept", self._accept, "All of them become boxes of the track")
        self.accept_here = button(
            "Accept to here", self._accept_here, "As far as the shown frame; the others are dropped"
        )
        self.discard = button("Discard", self.cancel, "Propose nothing")
        self.add(self.text, row(self.accept, self.accept_here, self.discard))
        self._found.connect(self._add)
        self.state.tracks_changed.connect(self._follow)
        self.state.video_changed.connect(self.cancel)
        self.state.frame_changed.connect(self.refresh)
        self.proposal.changed.connect(self.refresh)
        self.refresh()

    def forward(self) -> None:
        """Propose boxes in the frames after the shown one."""
        self._propose(forward=True)

    def backward(self) -> None:
        """Propose boxes in the frames before the shown one."""
        self._propose(forward=False)

    def cancel(self) -> None:
        """Propose nothing, and give up what is being looked for."""
        self._turn += 1
        self.proposal.drop()

    def stop(self) -> None:
        """Hear nothing more and join the thread."""
        self._turn += 1
        self.state.tracks_changed.disconnect(self._follow, missing_ok=True)
        self.state.video_changed.disconnect(self.cancel, missing_ok=True)
        self.state.frame_changed.disconnect(self.refresh, missing_ok=True)
        self.proposal.changed.disconnect(self.refresh, missing_ok=True)
        self._background.close()

    def refresh(self) -> None:
        """Show what is proposed."""
        proposal = self.proposal
        track = proposal.track
        self.setVisible(track is not None)
        if track is None:
            return
        name = f"{track.id} {track.label}"
        if proposal.boxes:
            first, last = min(proposal.boxes), max(proposal.boxes)
            dots = " …" if proposal.running else "."
            self.text.setText(f"Proposed for {name}: frames {first} to {last}{dots}")
        else:
            self.text.setText(f"Looking for {name} …")
        waits = self.state.why_read_only or ("" if proposal.boxes else "Nothing was found yet.")
        explain(self.accept, waits)
        here = self.state.frame in proposal.boxes
        explain(self.accept_here, waits or ("" if here else "Nothing is proposed in this frame."))

    def _propose(self, *, forward: bool) -> None:
        state, frame = self.state, self.state.frame
        track = state.track()
        keyframe = state.keyframe(track.id) if track is not None else None
        if track is None or keyframe is None or keyframe.outside or state.tracks is None:
            show_info(_NO_KEYFRAME)
            return
        ok, video = reported(self.main.project.video)
        if not ok:
            return
        self.cancel()
        turn, tracks = self._turn, state.tracks
        self.proposal.begin(track, frame, forward=forward)

        def look() -> None:
            from maskfree.propagate import propagate_box

            way = propagate_box(video, tracks, track.id, frame, forward=forward, config=Config())
            for at, box in way:
                if turn != self._turn:
                    raise CancelledError
                self._found.emit(turn, at, box)

        self._background.run(
            look, lambda _: self._ended(turn, frame, forward), lambda _: self._ended(turn, frame)
        )

    def _add(self, turn: int, frame: int, box: Box) -> None:
        if turn == self._turn:
            self.proposal.add(frame, box)

    def _ended(self, turn: int, frame: int, forward: bool | None = None) -> None:
        if turn != self._turn:
            return
        nothing = not self.proposal.boxes
        self.proposal.end()
        if nothing and forward is not None:
            side = "after" if forward else "before"
            show_info(
                f"Nothing to propose {side} frame {frame}: the object was not found again, or the "
                "track's next keyframe or the end of the video is there."
            )

    def _follow(self) -> None:
        track = self.proposal.track
        if track is not None:
            before = len(self.proposal.boxes)
            self.proposal.follow(self.state.track(track.id))
            if len(self.proposal.boxes) < before or self.proposal.track is None:
                self._turn += 1

    def _accept(self) -> None:
        self._turn += 1
        reported(accept_proposal, self.state)

    def _accept_here(self) -> None:
        self._turn += 1
        reported(accept_proposal, self.state, self.state.frame)
