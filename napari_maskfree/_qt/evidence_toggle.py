"""Shows and hides the evidence layer, with the meaning of its colours."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.layer_box import LayerBox
from napari_maskfree._qt.section import Panel, explain, hint
from napari_maskfree._qt.style import css
from napari_maskfree.constants import EVIDENCE_BACKGROUND, EVIDENCE_OBJECT
from napari_maskfree.evidence_layer import EvidenceSource, evidence_source, load_evidence

if TYPE_CHECKING:
    import numpy as np

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["EvidenceToggle"]

_TIP = (
    "What other frames show: blue was seen as background elsewhere, red never was, "
    "clear: nothing known"
)
_LEGEND = (
    f'<span style="color: {css(EVIDENCE_BACKGROUND)}">■ seen as background elsewhere</span><br>'
    f'<span style="color: {css(EVIDENCE_OBJECT)}">■ never seen as background: object</span><br>'
    "□ nothing known; fainter: less sure"
)

_OF_BEST = "<br>As the run knew it at its best step, whose weights are kept."


class EvidenceToggle(Panel):
    """A checkbox that is checked while the layer is shown, or being read."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.project = main, main.state, main.project
        self._available: EvidenceSource | None = None
        self._reading = False
        self.box = LayerBox("Evidence", _TIP, self._set, self.project.evidence.clear)
        self.legend = hint()
        self.add(self.box, self.legend)

    def refresh(self) -> None:
        """Show what there is now: a newer run's evidence replaces the one that is shown."""
        try:
            self._available, why = evidence_source(self.state.session, self.state.video), ""
        except InputError as error:
            self._available, why = None, str(error)
        explain(self.box, why)
        shown = self.project.evidence
        if why or (shown.layer is None and not self._reading):
            self.box.uncheck()
        elif self.box.isChecked() and shown.source != self._available:
            self._read()
        self._explain()

    def _set(self, on: bool) -> None:
        if on:
            self._read()
        else:
            self.project.evidence.clear()
        self._explain()

    def _explain(self) -> None:
        of_best = self._available is not None and self._available.of_best
        legend = _LEGEND + _OF_BEST * of_best
        self.legend.setText("Reading…" if self._reading else legend)
        self.legend.setVisible(self.box.isChecked())

    # ---- reading, in the background

    def _read(self) -> None:
        source = self._available
        if source is None or self._reading:
            return
        self._reading = True
        self.main.background.run(
            functools.partial(load_evidence, source),
            lambda found: self._done(source, found),
            self._failed,
        )

    def _done(self, source: EvidenceSource, found: np.ndarray) -> None:
        self._reading = False
        image = self.project.image
        if self.box.isChecked() and source != self._available:
            self._read()
        elif self.box.isChecked() and image is not None:
            if not reported(self.project.evidence.show, image, found, source)[0]:
                self.box.uncheck()
        self._explain()

    def _failed(self, _text: str) -> None:
        self._reading = False
        self.box.uncheck()
        self._explain()
