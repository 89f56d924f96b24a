"""Section 6: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLabel, QLineEdit, QWidget

from maskfree.formats import FORMATS
from maskfree.picture_exports import PICTURES
from maskfree.told_frames import untrained_words
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, button, explain, hint, row, set_primary
from napari_maskfree.constants import SPACING
from napari_maskfree.exporting import export_job

if TYPE_CHECKING:
    from maskfree.formats import ExportReport
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["ExportPanel"]

FILE_SUFFIXES = {
    "ytvis": ".json",
    "boxes": ".json",
    "coco": ".json",
    "mots": ".txt",
    "cvat": ".xml",
    "labelstudio": ".json",
    "tiff": ".tif",
    "npz": ".npz",
    "csv": ".csv",
    "bdd100k": ".json",
    "ovis": ".json",
    **{name: kind.suffix for name, kind in PICTURES.items()},
}
"""Formats that are one file, with its ending; the others are a folder."""


class ExportPanel(Panel):
    """Writes boxes and masks in the format that somebody's training code reads."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self._path: Path | None = None
        self._working = False
        self.format = QComboBox()
        for name, kind in {**FORMATS, **PICTURES}.items():
            self.format.addItem(kind.title, name)
        self.format.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.format.setMinimumContentsLength(10)
        self.format.currentIndexChanged.connect(self._suggest)
        self.path = QLineEdit()
        self.path.textEdited.connect(lambda: self.refresh())
        self.browse = button("…", self._ask, "Choose where to write")
        self.browse.setMaximumWidth(36)
        place = row(self.path, self.browse, grows=self.path)
        form_widget = QWidget()
        form_widget.setObjectName("mfBody")
        form = QFormLayout(form_widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACING)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Format", self.format)
        form.addRow("To", place)
        self.export = button("Export", self._export, "Write, read back, compare")
        self.why = hint()
        self.result = QLabel()
        self.result.setObjectName("mfGood")
        self.result.setWordWrap(True)
        self.losses = hint()
        self.open = button("Show in folder", self._open, "Open the folder it was written to")
        self.add(form_widget, self.export, self.why, self.result, self.losses, self.open)
        for signal in (
            self.state.video_changed,
            self.state.tracks_changed,
            self.state.session_changed,
        ):
            signal.connect(self.refresh)
        self.state.session_changed.connect(self._suggest)
        self.state.video_changed.connect(self._suggest)
        main.jobs.finished.connect(self.refresh)
        self._show_report(None)
        self._suggest()

    # ---- what is shown

    def refresh(self) -> None:
        """Show what can be done now."""
        why = self._why()
        explain(self.export, why)
        set_primary(self.export, not why)
        self.why.setText(why)
        self.why.setVisible(bool(why) and not self._working)

    def _why(self) -> str:
        state = self.state
        if self._working:
            return "The export is being written."
        if state.video is None or state.boxed() is None:
            return "Draw boxes first (section 2)."
        masks = state.session.masks.frames() if state.session is not None else []
        kind = FORMATS.get(self.format.currentData())
        if kind is not None and kind.needs_masks and not masks:
            return "There are no masks yet: fine-tune first (section 3)."
        return "" if self.path.text().strip() else "Choose where to write."

    def _suggest(self) -> None:
        """Propose a place beside the session."""
        if self.state.video is not None:
            name = self.format.currentData()
            folder = self.project.session_folder()
            ending = FILE_SUFFIXES.get(name, "")
            self.path.setText(str(folder.with_name(f"{folder.stem}-{name}{ending}")))
            self.path.setToolTip(self.path.text())
        self.refresh()

    def _show_report(self, report: ExportReport | None) -> None:
        for widget in (self.result, self.losses, self.open):
            widget.setVisible(report is not None)
        if report is None:
            return
        self._path = Path(report.path)
        masked = report.format in PICTURES or FORMATS[report.format].holds_masks
        self.result.setText(
            f"Wrote {report.frames} frames with {report.instances} "
            f"instance{'s' * (report.instances != 1)} to {self._path.name}"
            if masked
            else f"Wrote the boxes to {self._path.name}"
        )
        if masked and self.state.session is not None:
            words = untrained_words(self.state.session)
            self.result.setText(f"{self.result.text()}. {words}" if words else self.result.text())
        self.result.setToolTip(str(self._path))
        said = "In this picture: " if report.format in PICTURES else "In this format: "
        self.losses.setText(said + "; ".join(report.losses) if report.losses else "")
        self.losses.setVisible(bool(report.losses))
        self.main.set_summary("export", self._path.name)

    # ---- what a person does

    def _ask(self) -> None:
        if self.format.currentData() in FILE_SUFFIXES:
            path, _ = QFileDialog.getSaveFileName(self, "Export to", self.path.text())
        else:
            start = str(Path(self.path.text()).parent)
            path = QFileDialog.getExistingDirectory(self, "Export into a folder", start)
        if path:
            self.path.setText(path)
            self.refresh()

    def _export(self) -> None:
        target = Path(self.path.text().strip()).expanduser()
        ok, write = reported(export_job, self.project, target, self.format.currentData())
        if not ok:
            return
        self._working = True
        self.refresh()
        self.main.background.run(write, self._done, lambda _: self._done(None))

    def _done(self, report: ExportReport | None) -> None:
        self._working = False
        self._show_report(report)
        self.refresh()
        if report is not None:
            self.main.guide.note_export()

    def _open(self) -> None:
        if self._path is not None:
            folder = self._path if self._path.is_dir() else self._path.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
