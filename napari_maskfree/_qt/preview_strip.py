"""The chosen frames, redrawn while a run goes on: before, now and best; and the best kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_maskfree._qt.background import Background, reported
from napari_maskfree._qt.preview_cell import PreviewCell
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree.constants import SPACING
from napari_maskfree.preview_reader import PreviewReader, score_words

if TYPE_CHECKING:
    from napari_maskfree._qt.finetune_panel import FinetunePanel
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.preview_reader import Look, Previews

__all__ = ["PreviewStrip"]

_WATCH = (
    "Redraw this frame while it trains: before, now and best. Press again to let it go. Where you "
    "choose none, some are chosen"
)
_STOP = "Stop after this step and predict with the weights of the best preview, not the last"
_USE_BEST = "Predict again, with the weights of the best preview"
_USE_LAST = "Predict again, with the weights of the last step"
_NO_BEST = "No preview has been scored yet."
_IS_BEST = "The last weights are the best."
_HEADS = {"before": "Before", "now": "Now", "best": "Best"}
_TIPS = {
    "before": "The masks that the session had before the first step, or its boxes",
    "now": "The masks of the last preview, refined as those of a prediction are",
    "best": "The masks of the preview with the best score; its weights are kept",
}


class PreviewStrip(Panel):
    """Small pictures, one row a frame and one column a moment, and two buttons."""

    def __init__(self, main: MaskFreeWidget, panel: FinetunePanel) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self._panel = main, main.state, panel
        self.reader = PreviewReader()
        self._background = Background(self)
        self._version, self._looking = 0, False
        self.cells: dict[tuple[int, str], PreviewCell] = {}
        self._wish: list[int] = []
        self._shown: Previews | None = None
        self.watch = button("Watch this frame", self._watch, _WATCH)
        self.watch.setCheckable(True)
        self.keep = button("Stop, keep best", self._keep, _STOP)
        self.about, self.scores = hint(), hint()
        self.heads = {moment: _head(_TIPS[moment]) for moment in _HEADS}
        self._grid_place = QWidget()
        self._grid_place.setObjectName("mfBody")
        self._grid = QGridLayout(self._grid_place)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACING - 2)
        for column, head in enumerate(self.heads.values(), start=1):
            self._grid.addWidget(head, 0, column)
            self._grid.setColumnStretch(column, 1)
        self._numbers: list[QLabel] = []
        self.add(row(self.watch, self.keep), self.about, self._grid_place, self.scores)
        self.state.frame_changed.connect(self._enable)
        self.state.watched.changed.connect(self.refresh)  # with all else the panel refreshes it
        self.state.classes.colouring_changed.connect(self._draw)
        self.refresh()

    @property
    def frames(self) -> list[int]:
        """The frames that the next run redraws."""
        return self.state.watched.frames(self.state.tracks, self.state.frame)

    @property
    def _watched(self) -> list[int]:
        """The frames that a person chose, or that the run at work shows."""
        if not self.state.watched.is_chosen and self.main.jobs.active and self.found is not None:
            return self.found.frames
        return [frame for frame in self.frames if frame in self.state.watched]

    @property
    def found(self) -> Previews | None:
        """What the newest run has shown so far; while one is trained, what that one has."""
        found, job = self.reader.found, self.main.jobs.job
        if found is None or job is None or not self._training:
            return found
        return found if found.run.path == job.run_folder else None

    @property
    def _training(self) -> bool:
        view = self.main.jobs.view
        return view is not None and view.active and view.stage == "finetune"

    # ---- what is shown

    def refresh(self) -> None:
        """Read what is new, beside the window while a run goes on, and say what can be done."""
        shown = self._shown
        if self._training:
            self._look()
        else:
            self._version += 1
            self.reader.refresh(self.state.session)
        self._show(shown)

    def _show(self, shown: Previews | None) -> None:
        """Show what was read where it is other than ``shown``, and say what can be done."""
        self._shown = self.found
        if self._shown is not shown:
            self._draw()
        self._tell_run()
        self._enable()

    def _look(self) -> None:
        """Read what is new in a thread of its own."""
        if self._looking:
            return
        self._looking, version, session = True, self._version, self.state.session

        def done(look: Look | None) -> None:
            self._looking = False
            if look is not None and version == self._version:
                self.reader.take(look)
                self._show(self._shown)

        def failed(_text: str) -> None:
            self._looking = False

        self._background.run(lambda: self.reader.look(session), done, failed)

    def stop(self) -> None:
        """Join the thread."""
        self._background.close()

    def restyle(self) -> None:
        """Take the theme's colours."""
        for cell in self.cells.values():
            cell.colours = self.main.palette_
            cell.update()

    def _draw(self) -> None:
        """Show the pictures as they are now."""
        found = self.found
        self._grid_place.setVisible(found is not None)
        self.scores.setVisible(found is not None)
        if found is None:
            return
        self._lay_out(found.frames)
        colours = self.state.classes.colours()
        for (frame, moment), cell in self.cells.items():
            shot = found.shots.get(moment)
            masks = None if shot is None else shot.masks.get(frame)
            cell.show_masks(found.pictures[frame], masks, colours)
        for moment, head in self.heads.items():
            shot = found.shots.get(moment)
            step = f" · {shot.step}" if shot is not None and moment != "before" else ""
            head.setText(_HEADS[moment] + step)
            font = head.font()
            font.setBold(found.keeps_best and moment == "best")
            head.setFont(font)
        kept = " Predictions use the best." if found.keeps_best else ""
        self.scores.setText(score_words(found) + kept)

    def _lay_out(self, frames: list[int]) -> None:
        """Make a row for each frame."""
        if list(dict.fromkeys(frame for frame, _ in self.cells)) == frames:
            return
        for widget in (*self._numbers, *self.cells.values()):
            self._grid.removeWidget(widget)
            widget.deleteLater()
        self._numbers, self.cells = [], {}
        for line, frame in enumerate(frames, start=1):
            number = hint(str(frame))
            number.setWordWrap(False)
            number.setToolTip(f"Frame {frame}")
            self._numbers.append(number)
            self._grid.addWidget(number, line, 0, Qt.AlignmentFlag.AlignRight)
            for column, moment in enumerate(_HEADS, start=1):
                cell = PreviewCell(self.main.palette_, self._background.run)
                cell.setToolTip(f"Frame {frame}. {_TIPS[moment]}. Click to go there.")
                cell.clicked.connect(lambda frame=frame: self.main.project.go_to(frame))
                self.cells[frame, moment] = cell
                self._grid.addWidget(cell, line, column)

    def _enable(self) -> None:
        found, watched = self.found, self.state.watched
        frames = found.frames if self._training and found is not None else self.frames
        no_boxes = "" if self.state.boxed() is not None else "Draw a box first (section 2)."
        self.watch.setChecked(self.state.frame in self._watched)
        explain(self.watch, no_boxes)
        listed = ", ".join(map(str, frames))
        chosen = "" if watched.is_chosen else ", chosen for you"
        some = "frames" if len(frames) > 1 else "frame"
        shown = found is not None and not self._training
        when = "The next run redraws" if shown else "Redrawn while it trains:"
        self.about.setText(f"{when} {some} {listed}{chosen}." if frames else "")
        self.about.setVisible(bool(frames))
        view = self.main.jobs.view
        training = self._training
        choice = found is not None and (found.best_is_earlier or found.best_is_left)
        self.keep.setVisible(training or choice)
        if training:
            self._name_keep("Stop, keep best", _STOP)
            asked = view is not None and (view.keeping or view.state == "stopping")
            has_best = found is not None and "best" in found.shots
            explain(self.keep, "The run is stopping." if asked else "" if has_best else _NO_BEST)
        elif found is not None and choice:
            moment = "now" if found.keeps_best else "best"
            which = "last" if found.keeps_best else "best"
            tip = _USE_LAST if found.keeps_best else _USE_BEST
            self._name_keep(f"Use the {which}: step {found.shots[moment].step}", tip)
            explain(self.keep, "A run is at work." if self.main.busy else "")
        else:
            explain(self.keep, _IS_BEST if found and "best" in found.shots else _NO_BEST)

    def _name_keep(self, text: str, tip: str) -> None:
        self.keep.setText(text)
        self.keep.setProperty("tip", tip)

    # ---- what a person does

    def _watch(self) -> None:
        """Choose the shown frame, or let it go; a run at work hears of it."""
        self.state.watched.choose(self._watched)
        reported(self.state.watched.toggle, self.state.frame)
        self._wish = self.frames if self._training else []
        self._tell_run()
        self._enable()

    def _tell_run(self) -> None:
        """Tell the run at work which frames are wanted, as soon as it has a folder to read it."""
        if self._wish and not self._training:
            self._wish = []
        if self._wish and self.found is not None:
            reported(self.found.run.previews.want, self._wish)
            self._wish = []

    def _keep(self) -> None:
        """Stop and keep the best; after the run, go to the best or back to the last."""
        if self.main.jobs.active:
            reported(self.main.jobs.keep_best)
        elif self.found is not None:
            which = "last" if self.found.keeps_best else "best"
            ok, _ = reported(self.found.run.keep, which)
            if ok:
                self._panel.predict_again()
        self.refresh()


def _head(tip: str) -> QLabel:
    made = hint()
    made.setWordWrap(False)
    made.setAlignment(Qt.AlignmentFlag.AlignCenter)
    made.setToolTip(tip)
    return made
