"""Section 5: why the masks are what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton, QSpinBox

from maskfree.errors import InputError
from maskfree.presets import preset
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.category_toggle import CategoryToggle
from napari_maskfree._qt.patch_strip import PatchStrip
from napari_maskfree._qt.pixel_picker import PixelPicker
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree._qt.style import css
from napari_maskfree.constants import (
    BEYOND_COLOUR,
    MOST_EACH_SIDE,
    RADIUS_COLOUR,
    TOO_FAR_COLOUR,
    TUBE_FRAMES,
)
from napari_maskfree.correspondence_layers import distance_colours
from napari_maskfree.inspection import (
    frames_around,
    inspect,
    method_words,
    path_words,
    sentence,
    tube_frames,
)
from napari_maskfree.near_frames import MatchedVideo, NearFrames

if TYPE_CHECKING:
    from napari.layers import Layer

    from maskfree.config import Config, TemporalKNNConfig
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.inspection import Inspection

__all__ = ["CorrespondencePanel"]

_HOW = (
    "The temporal loss asks a pixel and its look-alikes in the next frame to agree. "
    "Pick a pixel to see which they are."
)
_OUTSIDE = "That is outside the picture: click on a pixel of the video."
_SHADES = 5

_SPIN_WIDTH = 90
"""Pixels: the row has to fit the narrowest dock."""


class CorrespondencePanel(Panel):
    """Pick a pixel, or follow the cursor: its look-alikes, and why others are none."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self.found: Inspection | None = None
        self._spot: tuple[int, tuple[float, float]] | None = None
        self._before: Layer | None = None
        self.near = NearFrames(
            main.background.run, source=self._source, ready=self._ready, failed=self._failed
        )
        self.picker = PixelPicker(main.viewer, self)
        self.picker.clicked.connect(self.pick_at)
        self.picker.hovered.connect(self._hover)
        self._build()
        state = self.state
        state.video_changed.connect(self._on_video)
        state.frame_changed.connect(self._on_frame)
        state.tracks_changed.connect(self.near.renew)
        state.session_changed.connect(self.near.renew)
        main.jobs.finished.connect(self.near.renew)
        self.refresh()

    def _build(self) -> None:
        self.how = hint(_HOW)
        self.pick = _toggle("Pick a pixel", "Then click on the picture; click here again to stop")
        self.pick.toggled.connect(self._set_picking)
        self.live = _toggle(
            "Follow cursor", "Answers for the pixel under the cursor; a click pins it"
        )
        self.live.toggled.connect(self._set_live)
        self.clear = button("Clear", self._clear, "Empty and hide the layers of this section")
        self.each_side = QSpinBox()
        self.each_side.setRange(1, MOST_EACH_SIDE)
        self.each_side.setPrefix("± ")
        self.each_side.setMaximumWidth(_SPIN_WIDTH)
        self.each_side.setProperty("tip", "Frames before and after that are compared with")
        self.each_side.valueChanged.connect(self._options_changed)
        self.rejected = QCheckBox("Rejected")
        self.rejected.setProperty(
            "tip", "Also the candidates that were no match, and by which rule"
        )
        self.rejected.toggled.connect(self._update)
        self.tube = QCheckBox("Tube")
        self.tube.setProperty(
            "tip",
            f"The best match followed over {TUBE_FRAMES} frames, and from the last back to the "
            "first, as the paper pairs them",
        )
        self.tube.toggled.connect(self._options_changed)
        self.result = QLabel()
        self.result.setWordWrap(True)
        self.strip = PatchStrip(lambda: self.main.palette_)
        self.strip.frame_clicked.connect(self.project.go_to)
        self.legend = hint()
        self.method = hint()
        self.method.setToolTip(
            "Training also zooms each clip a little, at random: this is the frame before that"
        )
        self.categories = CategoryToggle(self.main, self.near)
        self.add(
            self.how,
            row(self.pick, self.live),
            row(QLabel("Frames"), self.each_side, 1, self.clear),
            row(self.rejected, self.tube, 1),
            self.result,
            self.strip,
            self.legend,
            self.method,
            self.categories,
        )

    def close_panel(self) -> None:
        """Stop listening to the mouse."""
        self.picker.close()

    def refresh(self) -> None:
        """Show what can be done now."""
        video = self.state.video
        why = "Choose a video first (section 1)." if video is None else ""
        if video is not None and video.num_frames < 2:
            why = "Matches lead into other frames, but this is a single image."
        for widget in (self.pick, self.live, self.each_side, self.rejected, self.tube):
            explain(widget, why)
        if why:
            self.pick.setChecked(False)
            self.live.setChecked(False)
        self.categories.refresh(why)
        self.result.setVisible(bool(self.result.text()))
        for label in (self.legend, self.method):
            label.setVisible(self.found is not None)

    # ---- which pixel

    def _set_picking(self, on: bool) -> None:
        self.pick.setText("Click on it…" if on else "Pick a pixel")
        self._listen()
        selection, image = self.main.viewer.layers.selection, self.project.image
        if on and image is not None:
            # a click is to draw no box; the layer that was drawn on is active again afterwards
            self._before = selection.active
            selection.active = image
            if self._spot is None:
                self._say("Click on a pixel of the picture.")
        elif not on:
            before, self._before = self._before, None
            # equal, not the same: a plugin's viewer hands out proxies
            there = image is not None and before in self.main.viewer.layers
            if there and selection.active == image:
                selection.active = before

    def _set_live(self, on: bool) -> None:
        self._listen()
        self.picker.set_follow(on)
        if on and self._spot is None:
            self._say("Move the cursor over the picture.")

    @property
    def _listening(self) -> bool:
        return self.pick.isChecked() or self.live.isChecked()

    def _listen(self) -> None:
        on = self._listening
        self.picker.set_clicks(on)
        image = self.project.image
        if on and image is not None:
            self.main.show_section("correspondence")
            self.project.matches.prepare(image)
            self._read_ahead()
        elif self.found is None:
            self._say("")
            QTimer.singleShot(0, self._drop)

    def pick_at(self, position: tuple[float, ...]) -> None:
        """Pin the pixel at a position of the viewer (world coordinates)."""
        self.live.setChecked(False)
        self._spot = self._spot_at(position)
        self._update()

    def _hover(self, position: tuple[float, ...]) -> None:
        spot, found = self._spot_at(position), self.found
        if not self.live.isChecked() or spot is None:
            return
        if found is not None and (spot[0], found.grid.cell_at(np.array(spot[1]))) == (
            found.frame,
            found.cell,
        ):
            return  # still in the cell that is shown
        self._spot = spot
        self._update()

    def _spot_at(self, position: tuple[float, ...]) -> tuple[int, tuple[float, float]] | None:
        """Return the frame, and the position in the video's pixels."""
        image = self.project.image
        if image is None or self.state.video is None:
            return None
        yx = np.asarray(image.world_to_data(np.asarray(position, float)[-image.ndim :]))[-2:]
        return self.state.frame, (float(yx[0]), float(yx[1]))

    def _on_frame(self) -> None:
        if self._listening:
            self._read_ahead()
        if self.live.isChecked():
            self.picker.tell_again()
        self.categories.follow()

    def _on_video(self) -> None:
        self.near.forget()
        self._forget()
        self.categories.forget()
        self.refresh()
        self.categories.follow()
        # we may be called while napari removes several layers, and it has counted them
        QTimer.singleShot(0, self._drop)

    # ---- its answer

    def _frames(self, frame: int) -> tuple[list[int], list[int]]:
        """Return the frames that a pixel of this one is compared with, and those of its tube."""
        total = self.state.video.num_frames if self.state.video is not None else 0
        tube = tube_frames(frame, TUBE_FRAMES, total) if self.tube.isChecked() else []
        return frames_around(frame, self.each_side.value(), total), tube

    def _options_changed(self) -> None:
        if self._listening:
            self._read_ahead()
        self._update()

    def _read_ahead(self) -> None:
        """Have the frames around the shown one read before somebody clicks."""
        frame = self.state.frame
        targets, tube = self._frames(frame)
        self.near.want("ahead", [frame, *targets, *tube])

    def _update(self) -> None:
        """Answer for the pixel that is looked at, as soon as its frames are there."""
        image, video = self.project.image, self.state.video
        if self._spot is None or image is None or video is None:
            return
        frame, yx = self._spot
        targets, tube = self._frames(frame)
        if not self.near.want("pick", [frame, *targets, *tube]):
            self._say("Reading frames…" if self.near.reading else "The video cannot be read.")
            return
        grid = self.near.grid
        assert grid is not None
        found = inspect(self.near.frames, grid, frame, yx, targets=targets, tube=tube)
        if found is None:
            if not self.live.isChecked():
                self._say(_OUTSIDE)
            return
        self.found = found
        self.project.matches.show(image, video, found, rejected=self.rejected.isChecked())
        self._say(" ".join(part for part in (sentence(found), path_words(found)) if part))
        self.strip.show_found(found)
        of = self.near.matched.of if self.near.matched is not None else ""
        self.method.setText(method_words(grid, of))
        self.legend.setText(_legend(grid.config, self.rejected.isChecked(), bool(tube)))
        for label in (self.legend, self.method):
            label.setVisible(True)

    def _ready(self) -> None:
        self._update()
        self.categories.follow()

    def _failed(self, text: str) -> None:
        self.categories.failed(text)
        if self._spot is not None:
            self._say(text)

    def _source(self) -> MatchedVideo | None:
        ok, video = reported(self.project.video)
        if not ok:
            return None
        config, of = self._config()
        return MatchedVideo(video, self.state.boxed(), config, of)

    def _config(self) -> tuple[Config, str]:
        """Return the settings of the newest run, else those that the next one starts from."""
        session = self.state.session
        run = session.latest_run() if session is not None else None
        if run is not None:
            try:
                return run.config, f"as run {run.name} did"
            except InputError:  # of another version: its masks stay, its settings are lost
                pass
        name = self.main.finetune.preset.currentData()
        return preset(name), f"as a run with the preset {name} would"

    def _say(self, text: str) -> None:
        self.result.setText(text)
        self.result.setVisible(bool(text))

    # ---- the end

    def _clear(self) -> None:
        self.pick.setChecked(False)
        self.live.setChecked(False)
        self.categories.box.setChecked(False)
        self.categories.forget()
        self._forget()
        self._drop()

    def _drop(self) -> None:
        """Empty the layers that show nothing any more."""
        if not isalive(self):
            return
        image, matches = self.project.image, self.project.matches
        if self.found is None:
            matches.clear_pick()
            if self._listening and image is not None:
                matches.prepare(image)
        if self.categories.found is None:
            matches.categories.clear()

    def _forget(self) -> None:
        self._spot = self.found = None
        self.strip.show_found(None)
        self.refresh()
        self._say("")


def _toggle(text: str, tip: str) -> QPushButton:
    made = QPushButton(text)
    made.setCheckable(True)
    made.setProperty("tip", tip)
    return made


def _legend(config: TemporalKNNConfig, rejected: bool, tube: bool) -> str:
    """Return what the colours and shapes in the picture mean."""
    limit = config.limit
    shades = "".join(
        f'<span style="color: {css((round(r * 255), round(g * 255), round(b * 255)))}">●</span>'
        for r, g, b, _ in distance_colours(np.linspace(0, limit, _SHADES), limit)
    )
    lines = [f"{shades} matches: distance 0 to {limit:g}; rings are other frames' in this one"]
    if rejected:
        rules = (
            ("✕", TOO_FAR_COLOUR, "too far in colour"),
            ("■", BEYOND_COLOUR, f"beyond the best {config.num_neighbors}"),
            ("▲", RADIUS_COLOUR, "outside the search radius"),
        )
        lines.append(
            " · ".join(
                f'<span style="color: {css(rgb)}">{symbol}</span> {words}'
                for symbol, rgb, words in rules
            )
        )
    if tube:
        lines.append("◇ tube: dark to bright along the frames, white back to the first")
    return "<br>".join(lines)
