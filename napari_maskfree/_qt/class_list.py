"""The classes of the video: colour, digit and name; which one the next new track gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.row_tree import RowTree
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree._qt.swatch import swatch
from napari_maskfree.classes import DIGITS

if TYPE_CHECKING:
    from qtpy.QtWidgets import QTreeWidgetItem

    from napari_maskfree.state import State

__all__ = ["ClassList"]

_NAME = Qt.ItemDataRole.UserRole
_ROW, _DOT, _MOST_ROWS, _DIGIT_WIDTH = 24, 12, 4, 48
_WHICH = "Class of the next new track"
_TIP = (
    "The chosen class is that of the next new track; double-click a name to rename it on all its "
    "tracks"
)


class ClassList(Panel):
    """One row a class, and what can be done with the chosen one."""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.state, self.classes = state, state.classes
        self._filling = False
        self.rows = RowTree("mfClasses", row=_ROW, icon=_DOT, first=_DIGIT_WIDTH, editable=True)
        self.rows.setAccessibleName("Classes")
        self.rows.itemSelectionChanged.connect(self._on_select)
        self.rows.itemDoubleClicked.connect(lambda item, _: self.rows.editItem(item, 1))
        self.rows.itemChanged.connect(self._on_edit)
        delegate = self.rows.itemDelegate()
        assert delegate is not None
        delegate.closeEditor.connect(self._soon)
        self.add_class = button("New class", self._new, "Then write its name")
        self.give = button("Re-class", self._give)
        self.remove = button("Remove class", self._remove, "A class that no track has")
        self.by_class = QCheckBox("Colour by class")
        self.by_class.setProperty("tip", "Boxes, masks and timeline; else each track has its own")
        self.by_class.toggled.connect(self.classes.set_by_class)
        self.add(hint(_WHICH), self.rows, row(self.add_class, self.give, self.remove))
        for signal in (
            state.tracks_changed,
            state.selection_changed,
            state.holder_changed,
            self.classes.active_changed,
        ):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the state's classes."""
        names, active = self.classes.names, self.classes.active
        self._filling = True
        items = self.rows.set_count(len(names))
        for index, (item, name) in enumerate(zip(items, names, strict=True)):
            self._fill(item, index, name)
            if name == active:
                self.rows.setCurrentItem(item)
        self._filling = False
        self._fit()
        explain(self.by_class, "" if names else "There is no class yet.")
        self._refresh_buttons(active if active in names else None)

    def _fill(self, item: QTreeWidgetItem, index: int, name: str) -> None:
        count = self.classes.count(name)
        item.setData(0, _NAME, name)
        item.setIcon(0, swatch(self.classes.class_colour(name), _DOT, _DOT / 2))
        item.setText(0, str(index + 1) if index < DIGITS else "")
        item.setText(1, name)
        item.setText(2, f"{count} track{'s' * (count != 1)}")
        key = " (its key gives it to the selected track)" if index < DIGITS else ""
        for column in range(3):
            item.setToolTip(column, f"{_TIP}{key}")

    def _refresh_buttons(self, active: str | None) -> None:
        track = self.state.track()
        if active is None or track is None:
            why = "Choose a class first." if active is None else "Select a track first."
        else:
            why = f"Track {track.id} is of class {active} already." * (track.label == active)
            self.give.setProperty("tip", f"Track {track.id} becomes one of class {active}")
        held = self.state.why_read_only
        explain(self.give, held or why)
        used = self.classes.count(active) if active is not None else 0
        has = "tracks have" if used > 1 else "track has"
        why = "Choose a class first." if active is None else f"{used} {has} it." * bool(used)
        explain(self.remove, held or why)

    def _fit(self) -> None:
        self.rows.fit(min(max(self.rows.topLevelItemCount(), 1), _MOST_ROWS))

    def _soon(self, *_: object) -> None:
        """Show the state once the editor is gone: a name that was not written makes no class."""
        QTimer.singleShot(0, lambda: self.refresh() if isalive(self) else None)

    # ---- what a person does

    def _new(self) -> None:
        """Open an empty row to write the name in; the class is made with it."""
        self._filling = True
        item = self.rows.append()
        item.setData(0, _NAME, None)
        self._filling = False
        self._fit()
        self.rows.scrollToItem(item)
        self.rows.editItem(item, 1)

    def _on_edit(self, item: QTreeWidgetItem, column: int) -> None:
        text, name = item.text(1).strip(), item.data(0, _NAME)
        if self._filling or column != 1:
            return
        if text and name is None:
            reported(self.classes.add, text)
        elif text:
            reported(self.classes.rename, name, text)
        self._soon()

    def _on_select(self) -> None:
        chosen = self.rows.selectedItems()
        if not self._filling and chosen and chosen[0].data(0, _NAME) is not None:
            self.classes.choose(chosen[0].data(0, _NAME))

    def _give(self) -> None:
        if self.state.selected is not None:
            reported(self.classes.give, self.state.selected, self.classes.active)

    def _remove(self) -> None:
        reported(self.classes.remove, self.classes.active)
