"""The box of a frame made again: from the mask, or drawn anew and back to the masks. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree import tracks as bt
from maskfree.errors import InputError
from maskfree.mask_place import box_of_mask
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Callable

    from psygnal import SignalInstance

    from maskfree.types import InstanceMasks
    from napari_maskfree.project import Project
    from napari_maskfree.state import State

__all__ = ["Redraw", "box_from_mask"]


def box_from_mask(state: State, frame: int, masks: InstanceMasks | None) -> str:
    """Make a keyframe of the tight box around the selected track's mask; say what was done.

    Raises
    ------
    InputError
        Where no track is selected, or it has no mask in the frame.
    """
    track, tracks = state.track(), state.tracks
    if track is None or tracks is None:
        raise InputError("Select a track first: the box is made from its mask.")
    known = {} if masks is None else dict(zip(masks.track_ids, masks.masks, strict=True))
    mask = known.get(track.id)
    if mask is None or not mask.any():
        raise InputError(
            f"Track {track.id} has no mask in frame {frame} that a box could be made from. Click "
            "or paint one first (Clicks, Correct), or press Redraw box."
        )
    now, box = state.box_state(track.id, frame), box_of_mask(mask)
    if now is not None and now.keyframe and now.xyxy == box:
        return f"The box of track {track.id} in frame {frame} is that of its mask already."
    keyframe = Keyframe(frame, box, occluded=bool(now and now.occluded))
    changed = bt.set_keyframe(tracks, track.id, keyframe)
    state.apply(f"box of track {track.id} from its mask in frame {frame}", changed)
    x0, y0, x1, y1 = (round(v) for v in box)
    return (
        f"Frame {frame}: the box of track {track.id} is now that of its mask, "
        f"{x1 - x0} x {y1 - y0} pixels. Undo takes it back."
    )


class Redraw:
    """Lets a person draw the selected track's box in the shown frame, then shows the masks again.

    Parameters
    ----------
    project
        Whose layers and state.
    defer
        Calls a function once the current event is over.
    notify
        Shows a sentence to the person.
    """

    def __init__(
        self,
        project: Project,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.project, self.state = project, project.state
        self._defer, self._notify = defer, notify
        self._waits: tuple[int, int, Keyframe | None] | None = None
        self._mode = "pan_zoom"

    def start(self) -> None:
        """Make the boxes layer ready for one box.

        Raises
        ------
        InputError
            Where there is no video or no track is selected.
        """
        self.end()
        track, frame = self.state.track(), self.state.frame
        if track is None:
            raise InputError("Select a track first: the box that you draw is its own.")
        masks = self.project.masks
        self._mode = str(masks.mode) if masks is not None else "pan_zoom"
        self.project.show_boxes()
        self._waits = (track.id, frame, self.state.keyframe(track.id, frame))
        for signal, slot in self._signals():
            signal.connect(slot)
        self._notify(
            f"Draw the box of track {track.id} in frame {frame}. Then the masks are shown again."
        )

    def end(self) -> None:
        """Wait for a box no more; the boxes layer stays as it is."""
        if self._waits is not None:
            self._waits = None
            for signal, slot in self._signals():
                signal.disconnect(slot, missing_ok=True)

    def _signals(self) -> tuple[tuple[SignalInstance, Callable[[], None]], ...]:
        state = self.state
        return (
            (state.tracks_changed, self._on_tracks),
            (state.frame_changed, self.end),
            (state.selection_changed, self.end),
            (state.session_changed, self.end),
        )

    def _on_tracks(self) -> None:
        if self._waits is None:
            return
        track_id, frame, before = self._waits
        now = self.state.keyframe(track_id, frame)
        drawn = None if now is None else now.xyxy
        if self.project.boxes is None:
            self.end()
        elif drawn is not None and (before is None or drawn != before.xyxy):
            self.end()
            self._defer(self._back)

    def _back(self) -> None:
        """Show the masks as they were worked on before."""
        layers, masks, boxes = self.project.viewer.layers, self.project.masks, self.project.boxes
        if boxes is not None:
            boxes.layer.mode = "select"
        if masks is not None and masks in layers:
            layers.selection.active = masks
            masks.mode = self._mode
