"""Shows and hides where the masks of matched pixels disagree, and says it for the shown frame."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.layer_box import LayerBox
from napari_maskfree._qt.section import Panel, explain
from napari_maskfree._qt.style import css
from napari_maskfree._qt.wrapped import Wrapped
from napari_maskfree.constants import RESIDUAL_EXCESS, RESIDUAL_MISSING
from napari_maskfree.residual_reader import ResidualReader, residual_key
from napari_maskfree.residual_words import residual_words

if TYPE_CHECKING:
    from maskfree.tk_residual import Residual
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.residual_reader import Key

__all__ = ["ResidualToggle"]

_TIP = (
    "Where a pixel and its look-alikes in the frames before and after are not in the same mask. "
    "The method calls this the TK residual; it needs no truth"
)
_LEGEND = (
    f'<span style="color: {css(RESIDUAL_MISSING)}">■</span> matches the object, not in the mask<br>'
    f'<span style="color: {css(RESIDUAL_EXCESS)}">■</span> in the mask, matches what is not<br>'
    "□ agrees or no match; fainter: less sure"
)
_ONE_FRAME = "Masks are compared with the frames before and after, but this is a single image."


class ResidualToggle(Panel):
    """A checkbox; while it is checked its layer follows the shown frame and its masks."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.project = main, main.state, main.project
        self._reader: ResidualReader | None = None
        self._about: tuple[object, ...] = ()
        self._computing = False
        self.box = LayerBox("Disagreement", _TIP, self._set, self.project.residual.clear)
        self.says = Wrapped()
        self.legend = Wrapped(_LEGEND, muted=True)
        self.add(self.box, self.legend, self.says)
        self.state.frame_changed.connect(self._follow)
        self.state.corrections.changed.connect(self._follow)
        self.state.tracks_changed.connect(self._follow)
        self.project.residual.lost.connect(self._uncheck)
        self._set_visible(False)

    def refresh(self, *, has_masks: bool) -> None:
        """Show what there is now: masks may have been predicted, or be another session's."""
        video, why = self.state.video, ""
        if video is None or self.project.image is None:
            why = "Choose a video first (section 1)."
        elif video.num_frames < 2:
            why = _ONE_FRAME
        elif not has_masks:
            why = "There are no masks yet. Fine-tune first (section 3)."
        explain(self.box, why)
        if why:
            self._reader = None
            self._uncheck()
        else:
            self._follow()

    def _set(self, on: bool) -> None:
        self._set_visible(on)
        if on:
            self._follow()
        else:
            self._reader = None
            self.project.residual.clear()

    def _set_visible(self, on: bool) -> None:
        self.legend.setVisible(on)
        self.says.setVisible(on)

    def _uncheck(self) -> None:
        self.box.uncheck()
        self._set_visible(False)

    # ---- the shown frame

    def _follow(self, *_: object) -> None:
        """Show the shown frame's residual; where it is not known yet, have it found."""
        shown = self.project.shown_masks()
        if not self.box.isChecked() or shown is None or not self._ready():
            return
        key, reader = residual_key(self.state.frame, shown), self._reader
        assert reader is not None
        if key in reader:
            self._show(reader[key])
            return
        self.project.residual.blank()
        self.says.setText(f"Comparing frame {self.state.frame} with the frames beside it…")
        if not self._computing:
            self._compute(reader, key)

    def _ready(self) -> bool:
        """Make a reader for the open video and session; False where the video cannot be read."""
        state = self.state
        boxed = state.boxed()
        ignore = boxed.ignore if boxed is not None else ()
        session = state.session and state.session.path
        about = (self.project.image, state.video, session, ignore)
        if self._reader is None or self._about != about:
            ok, video = reported(self.project.video)
            if not ok:
                return False
            self._reader, self._about = ResidualReader(video, boxed), about
        return True

    def _show(self, found: Residual | str | None) -> None:
        image, video = self.project.image, self.state.video
        if isinstance(found, str):
            self.says.setText(found)
        else:
            self.says.setText(residual_words(found, self.state.frame, self._name))
        if found is None or isinstance(found, str) or image is None or video is None:
            self.project.residual.blank()
        else:
            masks = self.project.masks
            reported(self.project.residual.show, image, masks, found.signed, video)

    def _name(self, track_id: int) -> str:
        track = self.state.track(track_id)
        return f"track {track_id}" + (f" {track.label}" if track is not None else "")

    # ---- the arithmetic, in the background

    def _compute(self, reader: ResidualReader, key: Key) -> None:
        frozen = self.project.shown_masks(frozen=True)
        assert frozen is not None
        self._computing = True
        done = functools.partial(self._done, reader, key)
        self.main.background.run(reader.job(self.state.frame, frozen), done, done)

    def _done(self, reader: ResidualReader, key: Key, found: Residual | str | None) -> None:
        """Keep what was found and look where we are now: the latest wish counts."""
        self._computing = False
        reader.keep(key, found)
        self._follow()
