"""*Copy as Python* in the context menu of every button that has it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QMenu

from napari_maskfree.as_python import NAMES, Situation, as_python, why_none
from napari_maskfree.constants import TUBE_FRAMES
from napari_maskfree.gold import is_marked

if TYPE_CHECKING:
    from qtpy.QtCore import QPoint
    from qtpy.QtWidgets import QTreeWidget, QWidget

    from napari_maskfree._qt.main_widget import MaskFreeWidget

    More = dict[str, Any]

__all__ = ["NEW_NAME", "CopyPython"]

NEW_NAME = "new name"
"""Stands for the name that a person would write."""
_WORDS = "Copy as Python"
_NONE = "No Python: {}"
_OF_PIXEL = ("pick_pixel", "follow_cursor", "tube")


class CopyPython:
    """Puts an action's Python on the clipboard, for the video, track and frame as they are."""

    def __init__(self, main: MaskFreeWidget) -> None:
        self.main = main

    def offer(self, name: str, target: QWidget, more: More | None = None) -> None:
        """Give a widget a context menu: its action's Python, or why it has none.

        ``more``: what else is so, as fields of :class:`.Situation`.
        """
        if name in NAMES or why_none(name):
            target.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
            target.customContextMenuRequested.connect(
                lambda at: self._ask(target, at, name, more or {})
            )

    def offer_rows(self, view: QTreeWidget, name: str, field: str) -> None:
        """Give each row a context menu; what the row is about is a ``field`` of the situation."""
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)

        def ask(at: QPoint) -> None:
            item = view.itemAt(at)
            about = item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None
            if about is not None:
                more = {"name": NEW_NAME, field: about}
                self._ask(view.viewport() or view, at, name, more)

        view.customContextMenuRequested.connect(ask)

    def copy(self, name: str, /, **more: Any) -> None:
        """Put the Python of an action on the clipboard."""
        now = dataclasses.replace(self.situation(name), **more)
        text, clipboard = as_python(name, now), QGuiApplication.clipboard()
        if text is not None and clipboard is not None:
            clipboard.setText(text)
            show_info("Copied. It works on the session's folder, as it is saved.")

    # ---- what the window is about

    def situation(self, name: str = "") -> Situation:
        """Return what the window is about now; ``name``: the action that it is asked for."""
        main, state = self.main, self.main.state
        known, video = Situation(), state.video
        return dataclasses.replace(
            known,
            session=str(main.project.session_folder()) if video is not None else known.session,
            saved=state.session is not None,
            video=video.source if video is not None else None,
            frames=video.num_frames if video is not None else 1,
            frame=state.frame,
            range=state.range or (state.frame, state.frame),
            label=state.classes.active or known.label,
            gold=is_marked(state, state.frame),
            source=main.changes.source,
            **self._track(),
            **self._regions(),
            **self._run(),
            **self._masks(),
            **self._pixel(name),
            format=main.export.format.currentData(),
            target=main.export.path.text() or known.target,
        )

    def _track(self) -> More:
        state, known = self.main.state, Situation()
        track = state.track()
        if track is None:
            return {}
        now, before = state.box_state(track.id), state.box_state(track.id, state.frame - 1)
        keyframe, back = state.keyframe(track.id), state.next_keyframe(track.id, 1)
        each = state.tracks.tracks if state.tracks is not None else ()
        frames = state.video.num_frames if state.video is not None else 1
        return {
            "track_id": track.id,
            "other_id": next((t.id for t in each if t.id != track.id), known.other_id),
            "box": now.xyxy if now is not None else None,
            "last_box": before.xyxy if before is not None else None,
            "occluded": bool(now and now.occluded),
            "last_occluded": bool(before and before.occluded),
            "outside": bool(keyframe and keyframe.outside),
            "absent_until": frames - 1 if back is None else back - 1,
            "proposed_from": state.proposal.start if state.proposal.boxes else state.frame,
            "forward": state.proposal.forward,
            "clicks": tuple(
                (click.y, click.x, click.belongs)
                for click in self.main.masks.clicks.mode.clicks.of(state, state.frame, track.id)
            ),
        }

    def _regions(self) -> More:
        place, regions = self.main.boxes.ignored.rows.currentRow(), self.main.state.ignoring.all
        if not 0 <= place < len(regions):
            return {}
        return {"region": place, "until": regions[place].until}

    def _run(self) -> More:
        main, plan = self.main, self.main.state.plan
        form, view, found = main.finetune, main.jobs.view, main.finetune.strip.found
        return {
            "preset": form.preset.currentData(),
            "steps": form.steps.value(),
            "device": form.device.currentData(),
            "seed": form.seed.value(),
            "start": form.begin.currentData(),
            "settings": plan.settings,
            "fallbacks": plan.order,
            "previews": tuple(form.strip.frames),
            "training": view is not None and view.active and view.stage == "finetune",
            "keeps_best": bool(found and found.keeps_best),
            "run": main.masks.runs.compare.other.currentData(),
        }

    def _masks(self) -> More:
        tools, panel = self.main.masks.tools, self.main.correspondence
        return {
            "size": tools.size.value() or None,
            "all_tracks": tools.all.isChecked(),
            "each_side": panel.each_side.value(),
            "tube": TUBE_FRAMES,
        }

    def _pixel(self, name: str) -> More:
        """Return the picked pixel, else that under the cursor, else the middle of the box."""
        main, found = self.main, self.main.correspondence.found
        if name in _OF_PIXEL and found is not None:
            return {"frame": found.frame, "yx": _whole(found.yx)}
        image, video = main.project.image, main.state.video
        if image is not None and video is not None:
            position = np.asarray(main.viewer.cursor.position, float)[-image.ndim :]
            y, x = _whole(np.asarray(image.world_to_data(position))[-2:])
            if 0 <= y < video.height and 0 <= x < video.width:
                return {"yx": (y, x)}
        now = main.state.box_state(main.state.selected or 0)
        if now is None:
            return {}
        x0, y0, x1, y1 = now.xyxy
        return {"yx": _whole(((y0 + y1) / 2, (x0 + x1) / 2))}

    def _ask(self, target: QWidget, at: QPoint, name: str, more: More) -> None:
        menu, why = QMenu(target), why_none(name)
        action = menu.addAction(_NONE.format(why) if why else _WORDS)
        assert action is not None
        action.setEnabled(not why)
        action.triggered.connect(lambda: self.copy(name, **more))
        menu.exec(target.mapToGlobal(at))
        menu.deleteLater()


def _whole(yx: Any) -> tuple[int, int]:
    y, x = (round(float(v)) for v in yx)
    return y, x
