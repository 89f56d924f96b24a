"""What can be done with the selected track from the shown frame on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMenu

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.swatch import swatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from maskfree.types import Track
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree._qt.propose import ProposalBar

__all__ = ["TrackMenu"]


class TrackMenu(QMenu):
    """Split, merge, swap; filled each time that it opens."""

    def __init__(self, main: MaskFreeWidget, proposal: ProposalBar, parent: QWidget) -> None:
        super().__init__(parent)
        self.main, self.state, self.proposal = main, main.state, proposal
        self.setToolTipsVisible(True)
        self._others = {name: QMenu(self) for name in ("merge", "swap")}
        self._python = QMenu("Copy as Python", self)
        entry = self._python.menuAction()
        assert entry is not None
        entry.setToolTip("The same without the window")
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """Offer what can be done now."""
        self.clear()
        state, track, frame = self.state, self.state.track(), self.state.frame
        if track is None:
            return
        mine = track.id
        self._offer(
            f"Split at frame {frame}",
            "From this frame on it is another object: a track of its own",
            lambda: state.split_track(mine, frame),
        )
        self._offer(
            f"Not in frame {frame}",
            "In this one frame the object is not in the picture",
            lambda: state.clear_here(mine),
        )
        for word, propose in (("after", self.proposal.forward), ("before", self.proposal.backward)):
            self._offer(
                f"Propose boxes {word} frame {frame}",
                "The box drawn here goes with its object until that is lost; you accept or discard",
                propose,
            )
        self._choose(
            self._others["merge"],
            "Merge with",
            "The other track is the same object: its boxes become this one's",
            lambda other: state.merge_tracks(mine, other),
        )
        self._choose(
            self._others["swap"],
            f"Swap from frame {frame} on with",
            "The two were mixed up there",
            lambda other: state.swap_tracks(mine, other, frame),
        )
        self._offer_python()

    def _offer(self, text: str, tip: str, change: Callable[[], object]) -> None:
        action = self.addAction(text)
        assert action is not None
        action.setToolTip(tip)
        action.triggered.connect(lambda: reported(change))

    def _choose(self, menu: QMenu, text: str, tip: str, change: Callable[[int], object]) -> None:
        """Offer a change that takes another track."""
        menu.clear()
        menu.setTitle(text)
        entry = menu.menuAction()
        assert entry is not None
        entry.setToolTip(tip)
        self.addMenu(menu)
        others = [t for t in self._tracks() if t.id != self.state.selected]
        menu.setEnabled(bool(others))
        for other in others:
            colour = self.state.classes.colour(other.id)
            action = menu.addAction(swatch(colour), f"{other.id} {other.label}")
            assert action is not None
            action.triggered.connect(lambda _=False, i=other.id: reported(change, i))

    def _offer_python(self) -> None:
        """Offer each of these changes as Python."""
        self._python.clear()
        frame = self.state.frame
        others = [t for t in self._tracks() if t.id != self.state.selected]
        for text, name, more in (
            (f"Split at frame {frame}", "split_track", {}),
            (f"Not in frame {frame}", "not_in_frame", {}),
            (f"Propose boxes after frame {frame}", "propose_forward", {}),
            (f"Propose boxes before frame {frame}", "propose_backward", {}),
            *((f"Merge with {t.id} {t.label}", "merge_tracks", {"other_id": t.id}) for t in others),
            *((f"Swap with {t.id} {t.label}", "swap_tracks", {"other_id": t.id}) for t in others),
        ):
            action = self._python.addAction(text)
            assert action is not None
            action.triggered.connect(
                lambda _=False, name=name, more=more: self.main.python.copy(name, **more)
            )
        self.addSeparator()
        self.addMenu(self._python)

    def _tracks(self) -> tuple[Track, ...]:
        return self.state.tracks.tracks if self.state.tracks is not None else ()
