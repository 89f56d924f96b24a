"""What the window is about: the video, its boxes, the selected track, the session. No Qt here.

Every change goes through :class:`State`, which tells those who listen by psygnal signals. Panels
and layers read it and call its methods; none of them keeps a second copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree import track_edits as te
from maskfree import tracks as bt
from maskfree.corrections import rename_tracks, without_track
from maskfree.errors import InputError
from maskfree.track_classes import relabel_track
from maskfree.types import Keyframe
from napari_maskfree.classes import Classes
from napari_maskfree.clip_box import clip_box
from napari_maskfree.content import boxed
from napari_maskfree.holding import Holding
from napari_maskfree.ignoring import Ignoring
from napari_maskfree.proposal import Proposal
from napari_maskfree.run_plan import RunPlan
from napari_maskfree.watched import Watched

if TYPE_CHECKING:
    from maskfree.tracks import BoxState
    from maskfree.types import Box, BoxTracks, Track

__all__ = ["State"]


class State(Holding):
    """The one input state of the plugin. Signals fire after the change."""

    def __init__(self) -> None:
        super().__init__()
        self.keep_inside_box = False
        self.classes = Classes(self)
        self.ignoring = Ignoring(self)
        self.proposal = Proposal()
        self.plan = RunPlan()
        self.watched = Watched()

    # ---- tracks

    def select_next(self, step: int) -> None:
        """Select the track ``step`` further down the list; after the last comes the first."""
        ids = [t.id for t in self.tracks.tracks] if self.tracks else []
        if ids:
            here = ids.index(self.selected) if self.selected in ids else -max(step, 0)
            self.select(ids[(here + step) % len(ids)])

    def track(self, track_id: int | None = None) -> Track | None:
        """Return the track of that id, by default the selected one."""
        wanted = self.selected if track_id is None else track_id
        found = [t for t in (self.tracks.tracks if self.tracks else ()) if t.id == wanted]
        return found[0] if found else None

    def new_track(self, label: str | None = None) -> int:
        """Add a track, select it and return its id; the label is by default the active class."""
        tracks = self._require_tracks()
        changed, track_id = bt.add_track(tracks, label or self.classes.active)
        self.apply(f"new track {track_id}", changed)
        self.select(track_id)
        return track_id

    def remove_track(self, track_id: int) -> None:
        """Remove a track with all its boxes; the nearest other one becomes the selected."""
        tracks = self._require_tracks()
        ids = [t.id for t in tracks.tracks]
        gone = without_track(self.corrections.items(), track_id)
        self.apply(f"delete track {track_id}", bt.remove_track(tracks, track_id), gone)
        if self.selected == track_id:
            place = ids.index(track_id)
            rest = ids[:place] + ids[place + 1 :]
            self.select(rest[min(place, len(rest) - 1)] if rest else None)

    def rename_track(self, track_id: int, label: str) -> None:
        """Give a track another label; blank text changes nothing."""
        track = self.track(track_id)
        if track is not None and label.strip() and label.strip() != track.label:
            changed = relabel_track(self._require_tracks(), track_id, label)
            self.apply(f"rename track {track_id} to {label.strip()}", changed)

    def split_track(self, track_id: int, frame: int | None = None) -> int:
        """Make what a track is from ``frame`` (by default the shown one) on a track of its own.

        Selects the new track and returns its id.

        Raises
        ------
        InputError
            Where it has no box before that frame, or none from there on.
        """
        frame = self.frame if frame is None else frame
        changed, new_id = te.split_track(self._require_tracks(), track_id, frame)
        moved = rename_tracks(self.corrections.items(), {track_id: new_id}, frame)
        self.apply(f"split track {track_id} at frame {frame}", changed, moved)
        self.select(new_id)
        return new_id

    def merge_tracks(self, track_id: int, other_id: int) -> None:
        """Put the boxes of ``other_id`` into ``track_id``, which becomes the selected one.

        Raises
        ------
        InputError
            Where both are boxed over the same frames.
        """
        changed = te.merge_tracks(self._require_tracks(), track_id, other_id)
        moved = rename_tracks(self.corrections.items(), {other_id: track_id}, 0)
        self.apply(f"merge track {other_id} into track {track_id}", changed, moved)
        self.select(track_id)

    def swap_tracks(self, track_id: int, other_id: int, frame: int | None = None) -> None:
        """Exchange what two tracks are from ``frame`` (by default the shown one) on."""
        frame = self.frame if frame is None else frame
        changed = te.swap_tracks(self._require_tracks(), track_id, other_id, frame)
        ids = {track_id: other_id, other_id: track_id}
        moved = rename_tracks(self.corrections.items(), ids, frame)
        self.apply(f"swap tracks {track_id} and {other_id} from frame {frame}", changed, moved)

    def clear_range(self, track_id: int, first: int, last: int) -> None:
        """Say that a track is in none of the frames ``first`` to ``last``, both included."""
        changed = te.clear_range(self._require_tracks(), track_id, first, last)
        where = f"frame {first}" if first == last else f"frames {first} to {last}"
        gone = without_track(self.corrections.items(), track_id, first, last)
        self.apply(f"clear track {track_id} in {where}", changed, gone)

    def remove_keyframes(self, track_id: int, first: int, last: int) -> None:
        """Remove a track's keyframes in the frames ``first`` to ``last``, both included.

        Raises
        ------
        InputError
            Where there is none.
        """
        changed = te.remove_keyframes(self._require_tracks(), track_id, first, last)
        self.apply(f"delete keyframes of track {track_id} in frames {first} to {last}", changed)

    def clear_here(self, track_id: int) -> None:
        """Say that a track is not in the shown frame.

        Raises
        ------
        InputError
            Where it is not there, or nothing drawn comes after.
        """
        if self.box_state(track_id) is None:
            raise InputError(f"Track {track_id} is not in frame {self.frame} as it is.")
        self.clear_range(track_id, self.frame, self.frame)

    # ---- keyframes

    def set_box(self, track_id: int, xyxy: Box, frame: int | None = None) -> bool:
        """Make a keyframe of ``xyxy``, cut to the frame; False when nothing of it is left."""
        video = self._require_video()
        frame = self.frame if frame is None else frame
        box = clip_box(xyxy, video.width, video.height)
        if box is None:
            return False
        now = self.box_state(track_id, frame)
        keyframe = Keyframe(frame, box, occluded=bool(now and now.occluded))
        word = "move" if now is not None else "draw"
        self._put(f"{word} the box of track {track_id} in frame {frame}", track_id, keyframe)
        return True

    def keep_box(self, track_id: int) -> None:
        """Make a keyframe of the track's interpolated box in the shown frame."""
        now = self.box_state(track_id)
        if now is not None and not now.keyframe:
            keyframe = Keyframe(self.frame, now.xyxy, occluded=now.occluded)
            self._put(f"keep the box of track {track_id} in frame {self.frame}", track_id, keyframe)

    def copy_last_box(self, track_id: int) -> None:
        """Make a keyframe of the track's box in the frame before.

        Raises
        ------
        InputError
            Where it has none there.
        """
        last = self.box_state(track_id, self.frame - 1)
        if last is None:
            where = f"in frame {self.frame - 1}" if self.frame else "before the first frame"
            raise InputError(
                f"Track {track_id} has no box {where} that could be copied. Draw one here."
            )
        keyframe = Keyframe(self.frame, last.xyxy, occluded=last.occluded)
        self._put(f"copy the box of track {track_id} into frame {self.frame}", track_id, keyframe)

    def box_state(self, track_id: int, frame: int | None = None) -> BoxState | None:
        """Return where the track is in a frame (by default the shown one)."""
        track = self.track(track_id)
        return bt.box_at(track, self.frame if frame is None else frame) if track else None

    def keyframe(self, track_id: int, frame: int | None = None) -> Keyframe | None:
        """Return the track's keyframe in a frame, None where there is none."""
        track = self.track(track_id)
        return bt.keyframe_at(track, self.frame if frame is None else frame) if track else None

    def delete_keyframe(self, track_id: int, frame: int | None = None) -> None:
        """Remove the track's keyframe in a frame, if it has one."""
        frame = self.frame if frame is None else frame
        if self.keyframe(track_id, frame) is not None:
            changed = bt.remove_keyframe(self._require_tracks(), track_id, frame)
            self.apply(f"delete the keyframe of track {track_id} in frame {frame}", changed)

    def set_outside(self, track_id: int, outside: bool) -> None:
        """Say that the object is not in the picture from this frame on, or take that back."""
        if outside:
            keyframe = Keyframe(self.frame, None, outside=True)
            changed = bt.set_keyframe(self._require_tracks(), track_id, keyframe)
            back = self.next_keyframe(track_id, 1)
            last = changed.num_frames - 1 if back is None else back - 1
            gone = without_track(self.corrections.items(), track_id, self.frame, last)
            self.apply(f"track {track_id} outside from frame {self.frame}", changed, gone)
        else:
            now = self.keyframe(track_id)
            if now is not None and now.outside:
                self.delete_keyframe(track_id)

    def set_occluded(self, track_id: int, occluded: bool) -> None:
        """Say whether something hides the object from this frame on: makes a keyframe."""
        now = self.box_state(track_id)
        if now is not None and now.occluded != occluded:
            keyframe = Keyframe(self.frame, now.xyxy, occluded=occluded)
            word = "occluded" if occluded else "in view"
            self._put(f"track {track_id} {word} from frame {self.frame}", track_id, keyframe)

    def next_keyframe(self, track_id: int, step: int) -> int | None:
        """Return the frame of the following (``step`` 1) or previous (-1) keyframe, or None."""
        track = self.track(track_id)
        frames = [k.frame for k in track.keyframes] if track else []
        ahead = [f for f in frames if (f - self.frame) * step > 0]
        return min(ahead, key=lambda f: abs(f - self.frame)) if ahead else None

    # ---- what may be done now, and why not

    def boxed(self) -> BoxTracks | None:
        """Return the tracks that have a box, None when there is none."""
        return None if self.tracks is None else boxed(self.tracks)

    def why_no_run(self) -> str:
        """Say what is missing before a fine-tuning can start; empty text when nothing is."""
        if self.video is None:
            return "Choose a video first (section 1)."
        if self.boxed() is None:
            return "Draw a box around each object first (section 2)."
        return self.why_read_only

    # ---- inside

    def _start_anew(self) -> None:
        self.watched.forget()
        super()._start_anew()

    def _put(self, name: str, track_id: int, keyframe: Keyframe) -> None:
        self.apply(name, bt.set_keyframe(self._require_tracks(), track_id, keyframe))
