"""What makes a run smaller where it does not fit, in the order in which it is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from maskfree.fallbacks import FALLBACKS
from napari_maskfree._qt.section import Panel, button, explain, hint, row

if TYPE_CHECKING:
    from maskfree.preflight import Preflight
    from napari_maskfree.run_plan import RunPlan

__all__ = ["FallbackList"]

_ROW = 24
_NAME = 256  # Qt.UserRole


class FallbackList(Panel):
    """Ticked ones are tried, from the top; drag a row, or move it with the buttons."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__()
        self.plan = plan
        self.rows = QListWidget()
        self.rows.setObjectName("mfFindings")
        self.rows.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.rows.setToolTip("Space ticks a row; drag it, or use the buttons below")
        self.up = button("Earlier", lambda: self._move(-1), "Try this one before the one above it")
        self.down = button("Later", lambda: self._move(1), "Try this one after the one below it")
        self.fold = button(
            "", self._toggle, "What to try in turn where a run needs too much memory"
        )
        self.fold.setObjectName("mfFold")
        self.inner = Panel()
        self.inner.setObjectName("mfBody")
        words = "Tried from the top, each with those above it, until the run fits. Untick any."
        self.inner.add(hint(words), self.rows, row(self.up, self.down))
        self.add(self.fold, self.inner)
        self.set_open(False)
        for name, wanted in plan.fallbacks:
            item = QListWidgetItem(FALLBACKS[name].title)
            item.setData(_NAME, name)
            item.setSizeHint(QSize(0, _ROW))
            item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
            flags = item.flags() & ~Qt.ItemFlag.ItemIsDropEnabled
            item.setFlags(flags | Qt.ItemFlag.ItemIsUserCheckable)
            self.rows.addItem(item)
        self.rows.setFixedHeight(len(plan.fallbacks) * _ROW + 2 * self.rows.frameWidth() + 2)
        self.rows.setCurrentRow(0)
        self.rows.itemChanged.connect(self._changed)
        self.rows.currentRowChanged.connect(self._explain)
        model = self.rows.model()
        if model is not None:
            model.rowsMoved.connect(self._changed)
        self.tell(None)

    def tell(self, found: Preflight | None) -> None:
        """Say behind each what came of it; None: nothing was tried."""
        told = {a.fallback: a for a in found.attempts} if found is not None else {}
        with QSignalBlocker(self.rows):
            for item in self._items():
                fallback = FALLBACKS[item.data(_NAME)]
                attempt = told.get(item.data(_NAME))
                words = "" if attempt is None else f" · {attempt.verdict}"
                item.setText(fallback.title + words)
                why = "" if attempt is None else f" {attempt.why[0].upper()}{attempt.why[1:]}."
                item.setToolTip(fallback.price + why)
        self._explain()

    @property
    def is_open(self) -> bool:
        """Whether the list is shown."""
        return not self.inner.isHidden()

    def set_open(self, is_open: bool) -> None:
        """Show or fold away the list."""
        self.inner.setVisible(is_open)
        self.fold.setText(f"{'▾' if is_open else '▸'} If it does not fit")

    def _toggle(self) -> None:
        self.set_open(not self.is_open)

    def _items(self) -> list[QListWidgetItem]:
        found = [self.rows.item(n) for n in range(self.rows.count())]
        return [item for item in found if item is not None]

    def _move(self, step: int) -> None:
        here = self.rows.currentRow()
        with QSignalBlocker(self.rows):
            item = self.rows.takeItem(here)
            self.rows.insertItem(here + step, item)
            self.rows.setCurrentRow(here + step)
        self._changed()

    def _changed(self, *_: object) -> None:
        ticked = Qt.CheckState.Checked
        self.plan.set_fallbacks([(i.data(_NAME), i.checkState() == ticked) for i in self._items()])
        self._explain()

    def _explain(self, *_: object) -> None:
        here, last = self.rows.currentRow(), self.rows.count() - 1
        none = "Select one in the list." if here < 0 else ""
        explain(self.up, none or ("It is the first already." if here == 0 else ""))
        explain(self.down, none or ("It is the last already." if here == last else ""))
