"""Rows of three columns without a header: what the lists of tracks, classes and scores are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["RowTree"]


class RowTree(QTreeWidget):
    """Rows of one height, of which one can be selected; the middle column takes the room left.

    Parameters
    ----------
    name
        The object name, by which it is styled.
    row, icon
        Height of a row and side of its icon, in pixels.
    first
        Width of the first column, in pixels; None where it is set later.
    editable
        Whether a cell may be edited; the owner opens the editor.
    """

    def __init__(
        self,
        name: str,
        *,
        row: int,
        icon: int,
        first: int | None = None,
        editable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._row, self._editable = row, editable
        self.setObjectName(name)
        self.setColumnCount(3)
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIconSize(QSize(icon, icon))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        if first is None:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        else:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(0, first)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)

    def new_row(self) -> QTreeWidgetItem:
        """Return a row that is in no list yet."""
        return QTreeWidgetItem()

    def append(self) -> QTreeWidgetItem:
        """Add an empty row at the end."""
        item = self.new_row()
        if self._editable:
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
        item.setSizeHint(0, QSize(0, self._row))
        self.addTopLevelItem(item)
        return item

    def set_count(self, count: int) -> list[QTreeWidgetItem]:
        """Add or remove rows at the end; return all there are then."""
        while self.topLevelItemCount() > count:
            self.takeTopLevelItem(self.topLevelItemCount() - 1)
        while self.topLevelItemCount() < count:
            self.append()
        return self.all_rows()

    def all_rows(self) -> list[QTreeWidgetItem]:
        """Return the rows in order."""
        found = (self.topLevelItem(n) for n in range(self.topLevelItemCount()))
        return [item for item in found if item is not None]

    def fit(self, rows: int) -> None:
        """Be as high as so many rows."""
        self.setFixedHeight(rows * self._row + 2 * self.frameWidth() + 2)
