"""Every run of the session as a list: click one and its masks are shown again."""

from __future__ import annotations

import datetime
import functools
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from maskfree.kept_masks import show_run
from maskfree.run_book import RunBook
from napari_maskfree._qt.background import Background, reported
from napari_maskfree._qt.compare_bar import CompareBar
from napari_maskfree._qt.section import Panel, explain, heading, hint
from napari_maskfree.constants import RUN_ROWS

if TYPE_CHECKING:
    from maskfree.run_book import RunSummary
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["RunsList", "when"]

_ROW = 24
_COLUMNS = ("Run", "Started", "Preset", "Score")
_STRETCHED = 2
_HEADS = (
    "● is the run whose masks are shown",
    "When it began",
    "The starting point that was chosen, and the optimiser steps that were taken",
    "Mean score of its masks: how sure they are, from 0 to 1, without knowing the truth",
)
_ONE = "One run so far. It keeps its masks: after the next run you can go back and compare."
_SEVERAL = "Runs: click one to go back to its masks. What you corrected stays."
_BUSY = "A run is at work. When it is done you can go to any of the runs."
_GOING = "Going to run {}…"
_TIP = (
    "Click: its masks become those of the session, for the viewer and for export. The masks "
    "shown now are kept with their run, and what you painted or accepted stays on top. "
    "Predict again goes on using the newest run."
)
_SHOWN = "These masks are shown, and exported."
_FIRST = "Its masks are of before its network was trained, which took {} steps. "
_NO_MASKS = "Run {} has no masks: it ended before they were predicted."
_NEWEST = " Press Predict again (section 3)."


def when(moment: float | None, now: datetime.datetime | None = None) -> str:
    """Return when that was, as short as can be: ``08:12``, ``21 Nov``, ``21 Nov 2025``."""
    if moment is None:
        return "unknown"
    then, now = datetime.datetime.fromtimestamp(moment), now or datetime.datetime.now()
    if then.date() == now.date():
        return f"{then:%H:%M}"
    if then.year == now.year:
        return f"{then.day} {then:%b}"
    return f"{then.day} {then:%b %Y}"


def _exactly(moment: float | None) -> str:
    if moment is None:
        return "at an unknown time"
    return f"{datetime.datetime.fromtimestamp(moment):%Y-%m-%d %H:%M}"


class RunsList(Panel):
    """The newest first; the shown one is marked. Under them, the comparison of two."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state = main, main.state
        self._background = Background(self)
        self._book: RunBook | None = None
        self._found: list[RunSummary] = []
        self._going: str | None = None
        self._reading = self._again = self._stopped = False
        self.about = hint()
        self.rows = self._make_rows()
        self.compare = CompareBar(main)
        self.add(heading("Runs"), self.about, self.rows, self.compare)
        self.state.session_changed.connect(self.refresh)
        main.scores.changed.connect(self._read)
        main.jobs.updated.connect(self.enable)
        main.jobs.finished.connect(self.refresh)
        self.refresh()

    def _make_rows(self) -> QTreeWidget:
        rows = QTreeWidget()
        rows.setObjectName("mfTracks")
        rows.setColumnCount(len(_COLUMNS))
        rows.setHeaderLabels(_COLUMNS)
        rows.setRootIsDecorated(False)
        rows.setUniformRowHeights(True)
        rows.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        rows.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        head, header = rows.headerItem(), rows.header()
        assert head is not None
        assert header is not None
        for column, words in enumerate(_HEADS):
            head.setToolTip(column, words)
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_STRETCHED, QHeaderView.ResizeMode.Stretch)
        rows.itemClicked.connect(self._chosen)
        rows.itemActivated.connect(self._chosen)  # the return key
        return rows

    def stop(self) -> None:
        """Read no more, and end the comparison."""
        self._stopped = True
        self.state.session_changed.disconnect(self.refresh, missing_ok=True)
        self._background.close()
        self.compare.stop()

    # ---- what is shown

    def refresh(self) -> None:
        """Forget the runs of another session at once, and look again what there is."""
        if not self._is_current():
            self._book = None
            self._show([])
        self.enable()
        self._read()

    def _is_current(self) -> bool:
        session, video, book = self.state.session, self.state.video, self._book
        if session is None or video is None or book is None:
            return False
        return book.session.path == session.path and book.num_frames == video.num_frames

    def _read(self) -> None:
        session, video = self.state.session, self.state.video
        if self._reading:
            self._again = True
            return
        if session is None or video is None or self._stopped:
            return
        if self._found and self._is_current() and self.main.jobs.active:
            return  # nothing can be chosen now; the end of the run is heard of
        if not self._is_current():
            self._book = RunBook(session, video.num_frames)
        book = self._book
        assert book is not None

        def check() -> None:
            if self._stopped or book is not self._book:
                raise CancelledError

        self._reading = True
        self._background.run(
            lambda: book.refresh(check),
            lambda found: self._done(book, found),
            lambda _: self._done(book, None),
        )

    def _done(self, book: RunBook, found: list[RunSummary] | None) -> None:
        self._reading = False
        if found is not None and book is self._book:
            self._show(found)
        if self._again or book is not self._book:
            self._again = False
            self._read()

    def _show(self, found: list[RunSummary]) -> None:
        self._found = found
        self.setVisible(bool(found))
        self.rows.clear()
        for run in reversed(found):
            self.rows.addTopLevelItem(self._item(run, newest=run is found[-1]))
        head = self.rows.header()
        high = head.sizeHint().height() if head is not None else 0
        shown = min(len(found), RUN_ROWS)
        self.rows.setFixedHeight(high + shown * _ROW + 2 * self.rows.frameWidth() + 2)
        self.enable()

    def restyle(self) -> None:
        """Take over the colours of another theme."""
        self._show(self._found)
        self.compare.restyle()

    def _item(self, run: RunSummary, *, newest: bool) -> QTreeWidgetItem:
        steps = str(run.steps)
        if run.planned is not None and run.planned != run.steps:
            steps += f" of {run.planned}"
        score = "" if run.score is None else f"{run.score:.2f}"
        name = f"{'●' if run.shown else '○'} {run.name}"
        made = "first masks" if run.untrained else steps
        item = QTreeWidgetItem([name, when(run.started), f"{run.preset}, {made}", score])
        item.setData(0, Qt.ItemDataRole.UserRole, run.name)
        tip = _SHOWN if run.shown else _TIP if run.frames else _why_none(run, newest)
        first = _FIRST.format(steps) if run.untrained else ""
        item.setSizeHint(_STRETCHED, QSize(0, _ROW))
        for column in range(len(_COLUMNS)):
            item.setToolTip(column, f"Started {_exactly(run.started)}. {first}{tip}")
            if not run.frames:
                item.setForeground(column, QColor(*self.main.palette_.muted))
        if run.shown:
            font = item.font(0)
            font.setBold(True)
            item.setFont(0, font)
        return item

    def enable(self) -> None:
        """Say what a click does now."""
        busy = self.main.busy
        explain(self.rows, _BUSY if busy else _GOING.format(self._going) if self._going else "")
        if self._going is not None:
            words = _GOING.format(self._going)
        elif busy:
            words = _BUSY
        else:
            words = _ONE if len(self._found) == 1 else _SEVERAL
        self.about.setText(words)
        self.compare.offer(self._found, _BUSY if busy else "")

    # ---- what a person does

    def _chosen(self, item: QTreeWidgetItem) -> None:
        name = item.data(0, Qt.ItemDataRole.UserRole)
        run = next((r for r in self._found if r.name == name), None)
        session = self.state.session
        if run is None or run.shown or session is None or self.main.busy or self._going:
            return
        if self.state.read_only:
            show_info(self.state.why_read_only)
            return
        if not run.frames:
            show_info(_why_none(run, newest=run is self._found[-1]))
            return
        self._going = run.name
        self.compare.end()
        self.enable()
        self.main.background.run(
            functools.partial(show_run, session, run.name), self._gone, lambda _: self._gone(None)
        )

    def _gone(self, _result: object) -> None:
        """Read the masks again: everything that shows some hears of it."""
        self._going = None
        reported(self.main.project.show_masks)
        self.state.session_changed.emit()


def _why_none(run: RunSummary, newest: bool) -> str:
    return _NO_MASKS.format(run.name) + (_NEWEST if newest else "")
