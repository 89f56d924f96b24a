"""Two runs compared by swiping: which other one, the divider, and where they differ most."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QComboBox, QLabel, QSlider

from maskfree.corrected_masks import CorrectedMasks
from maskfree.kept_masks import run_masks
from maskfree.run_difference import compare_runs
from napari_maskfree._qt.background import Background
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree._qt.style import css
from napari_maskfree.constants import COMPARED_FRAMES, COMPARED_NAMED, REVIEW_APART
from napari_maskfree.run_compare import RunCompare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.run_book import RunSummary
    from maskfree.run_difference import RunDifference
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["CompareBar", "said"]

_TIP = (
    "Left of the divider the masks that are shown, right of it the other run's; drag the divider "
    "on the picture, or the slider here"
)
_ALONE = "There is no other run with masks to compare with. Fine-tune once more (section 3)."
_UNKNOWN = "No run is known to have made the masks shown now. Click one in the list first."
_HIDDEN = "The masks layer is not there. Press Show masks first."
_GONE = "That run is not there any more."
_LOOKING = "Looking where the two differ most…"
_SAME = "The two runs have the same masks in every frame that was looked at."


def said(found: RunDifference, colour: str) -> str:
    """Return one line, its frames as links ``#frame`` of a colour as style sheets write it."""
    if not found.most:
        return _SAME
    frames = ", ".join(
        f'<a href="#{f}" style="color: {colour}">{f}</a> (IoU {v:.2f})' for f, v in found.most
    )
    part = f" of {found.seen} of {found.total}" if found.seen < found.total else ""
    return f"Frames that changed most{part}: {frames}. Mean IoU of all: {found.mean:.2f}."


class CompareBar(Panel):
    """A button that stays pressed while two runs are compared."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state = main, main.state
        self._background = Background(self)
        self._shown: str | None = None
        self._picked: str | None = None
        self._differ: RunDifference | None = None
        self._version, self._stopped = 0, False
        self.compare = RunCompare(main.viewer, main.state, lambda call: QTimer.singleShot(0, call))
        self.toggle = button("Compare with", self._toggled, _TIP)
        self.toggle.setCheckable(True)
        self.other = QComboBox()
        self.other.setProperty("tip", "The run whose masks are shown right of the divider")
        self.other.currentIndexChanged.connect(self._other_chosen)
        self.left, self.right = QLabel(), QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Where the divider is on the picture")
        self.slider.valueChanged.connect(self.compare.move)
        self.swipe = row(self.left, self.slider, self.right, grows=self.slider)
        self.where = hint()
        self.where.linkActivated.connect(lambda link: main.project.go_to(int(link[1:])))
        self.add(row(self.toggle, self.other, grows=self.other), self.swipe, self.where)
        self.compare.changed.connect(self._show)
        self.compare.moved.connect(self._follow)
        self.state.session_changed.connect(self.end)
        self.state.video_changed.connect(self.end)
        self._show()

    def stop(self) -> None:
        """End it and look no more."""
        self._stopped = True
        self.compare.changed.disconnect(self._show, missing_ok=True)
        self.compare.moved.disconnect(self._follow, missing_ok=True)
        self.state.session_changed.disconnect(self.end, missing_ok=True)
        self.state.video_changed.disconnect(self.end, missing_ok=True)
        self.end()
        self._background.close()

    def end(self) -> None:
        """Show the masks themselves again."""
        self._version += 1
        self.compare.end()

    def offer(self, runs: Sequence[RunSummary], why_not: str) -> None:
        """Say which runs there are; ``why_not``: why none can be compared now.

        The newest other one is taken unless a person picked one.
        """
        self._shown = next((r.name for r in runs if r.shown), None)
        others = [r.name for r in reversed(runs) if r.frames and not r.shown]
        names = [self.other.itemData(n) for n in range(self.other.count())]
        if names != others:
            comparing = self.compare.layer is not None
            chosen = self.other.currentData() if comparing else self._picked
            blocked = QSignalBlocker(self.other)
            self.other.clear()
            for name in others:
                self.other.addItem(f"run {name}", name)
            self.other.setCurrentIndex(max(0, self.other.findData(chosen)))
            blocked.unblock()
            if comparing and chosen not in others:
                self.end()
        if why_not:
            self.end()
        elif not others:
            why_not = _ALONE
        elif self._shown is None:
            why_not = _UNKNOWN
        elif self.main.project.masks is None:
            why_not = _HIDDEN
        self.setVisible(len(runs) > 1)
        explain(self.toggle, why_not)
        explain(self.other, why_not)

    # ---- what a person does

    def _toggled(self) -> None:
        if self.compare.layer is not None:
            self.end()
        else:
            self._start()
        self._show()

    def _other_chosen(self) -> None:
        self._picked = self.other.currentData()
        if self.compare.layer is not None:
            column = self.compare.divider
            self._start()
            self.compare.move(column)

    def _start(self) -> None:
        session, project, other = self.state.session, self.main.project, self.other.currentData()
        if session is None or project.masks is None or project.image is None or not other:
            return
        if project.editor is not None:
            project.editor.commit()
        runs = {run.name: run for run in session.runs()}
        names = (self._shown or "", str(other))
        if not set(names) <= runs.keys():
            show_info(_GONE)
            return
        stores = [run_masks(session, runs[name], self._shown) for name in names]
        book = self.state.corrections
        left, right = (CorrectedMasks(store, book) for store in stores)
        self.compare.start(project.masks, project.image, left, right, names)
        self._find(*(CorrectedMasks(store, book.copy()) for store in stores))

    def _find(self, left: CorrectedMasks, right: CorrectedMasks) -> None:
        """Look in the background where they differ most."""
        self._version += 1
        version = self._version

        def check() -> None:
            if self._stopped or version != self._version:
                raise CancelledError

        def look() -> RunDifference:
            return compare_runs(
                left.read,
                right.read,
                sorted({*left.frames(), *right.frames()}),
                most=COMPARED_NAMED,
                apart=REVIEW_APART,
                at_most=COMPARED_FRAMES,
                watch=check,
            )

        self._differ = None
        self.where.setText(_LOOKING)
        self._background.run(
            look,
            lambda found: self._tell(found) if version == self._version else None,
        )

    def _tell(self, found: RunDifference) -> None:
        self._differ = found
        self.where.setText(said(found, css(self.main.palette_.text)))

    def restyle(self) -> None:
        """Take over the colours of another theme."""
        if self._differ is not None:
            self._tell(self._differ)

    # ---- what is shown

    def _show(self) -> None:
        layer = self.compare.layer
        self.toggle.setChecked(layer is not None)
        self.swipe.setVisible(layer is not None)
        self.where.setVisible(layer is not None)
        if layer is not None:
            self.left.setText(f"◀ {self._shown}")
            self.right.setText(f"{self.other.currentData()} ▶")
            blocked = QSignalBlocker(self.slider)
            self.slider.setRange(0, layer.data.shape[-1])
            blocked.unblock()
            self._follow(self.compare.divider)

    def _follow(self, column: int) -> None:
        blocked = QSignalBlocker(self.slider)
        self.slider.setValue(column)
        blocked.unblock()
