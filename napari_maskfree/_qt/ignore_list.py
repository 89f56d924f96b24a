"""The ignore regions: which there are, in which frames each holds, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from maskfree.ignore_regions import holds_at
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, button, explain, row
from napari_maskfree.ignoring import words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["IgnoreList"]

_ROW, _MOST_ROWS = 24, 4
_DRAW = (
    "Draw what is neither object nor background, as a time stamp: a rectangle, or a polygon (P), "
    "which a double click ends. No loss and no score looks there"
)
_NONE = "Choose a region in the list first."


class IgnoreList(Panel):
    """One row a region, and what can be done with the chosen one."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.ignoring = main, main.state, main.state.ignoring
        self.draw = button("Ignore region", self._draw, _DRAW)
        self.rows = QListWidget()
        self.rows.setObjectName("mfIgnored")
        self.rows.setAccessibleName("Ignore regions")
        self.rows.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.rows.currentRowChanged.connect(lambda _: self._explain())
        self.rows.itemActivated.connect(lambda _: self._go())
        hold = self.ignoring
        self.everywhere = button(
            "All frames", self._with(hold.hold_everywhere), "It holds over the whole video"
        )
        self.to_here = button(
            "Hold to here",
            self._with(hold.hold_to_here),
            "It holds in all frames from its own to the shown one",
        )
        self.alone = button(
            "Only here", self._with(hold.hold_here_alone), "It holds in the shown frame alone"
        )
        self.remove = button(
            "Delete region", self._with(lambda n: hold.remove([n])), "In all frames"
        )
        self.spans = row(self.everywhere, self.to_here, self.alone)
        self.add(row(self.draw, self.remove), self.rows, self.spans)
        state = self.state
        for signal in (state.tracks_changed, state.frame_changed, state.holder_changed):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the state's regions."""
        regions, chosen = self.ignoring.all, self.rows.currentRow()
        more = len(regions) > self.rows.count()
        self.rows.blockSignals(True)
        while self.rows.count() > len(regions):
            self.rows.takeItem(self.rows.count() - 1)
        while self.rows.count() < len(regions):
            item = QListWidgetItem()
            item.setSizeHint(QSize(0, _ROW))
            self.rows.addItem(item)
        for n, region in enumerate(regions):
            item = self.rows.item(n)
            assert item is not None
            item.setText(f"{n + 1}  {words_of(region)}")
            here = holds_at(region, self.state.frame)
            item.setToolTip("Holds in this frame" if here else "Not in this frame; double-click")
        last = len(regions) - 1
        self.rows.setCurrentRow(last if more else min(max(chosen, 0), last))
        self.rows.blockSignals(False)
        count = min(max(len(regions), 1), _MOST_ROWS)
        self.rows.setFixedHeight(count * _ROW + 2 * self.rows.frameWidth() + 2)
        for part in (self.rows, self.spans, self.remove):
            part.setVisible(bool(regions))
        self._explain()

    def _explain(self) -> None:
        place, frame = self.rows.currentRow(), self.state.frame
        regions = self.ignoring.all
        region = regions[place] if 0 <= place < len(regions) else None
        held = self.state.why_read_only
        explain(self.draw, held)
        none = held or (_NONE if region is None else "")
        explain(self.remove, none)
        is_everywhere = region is not None and (region.frame, region.until) == (0, None)
        explain(self.everywhere, none or "It holds in all frames already." * is_everywhere)
        is_here = region is not None and holds_at(region, frame)
        explain(self.to_here, none or "It holds in this frame already." * is_here)
        is_alone = region is not None and region.frame == region.until == frame
        explain(self.alone, none or "It holds in this frame alone already." * is_alone)

    def _draw(self) -> None:
        reported(self.main.project.ignored.draw)

    def _go(self) -> None:
        """Go to the first frame in which the chosen region holds, unless it holds here."""
        place = self.rows.currentRow()
        if 0 <= place < len(self.ignoring.all):
            region = self.ignoring.all[place]
            if not holds_at(region, self.state.frame):
                self.main.project.go_to(region.frame)

    def _with(self, change: Callable[[int], object]) -> Callable[[], None]:
        def act() -> None:
            reported(change, self.rows.currentRow())

        return act
