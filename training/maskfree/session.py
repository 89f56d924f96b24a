"""A session: the project folder of one video on disk, with its boxes, runs and masks.

::

    session.json            the video (absolute and relative path, how it is opened)
    boxes.json              the boxes file
    frame_index.bin         where the video file's frames are
    frame_prints.json       what some of its frames show
    boxes.previous.json     what the boxes were before another boxes file was brought in
    runs/0001/              config.json, metrics.jsonl, model.safetensors, masks/, gold.json, …
    masks/00000.json …      the predicted masks of the session's video
    corrections/00000.json  what a person said about them
    other/NAME/masks/…      the masks of other videos
    predict.jsonl           the log of the last predictions
    session.lock            who edits it, see session_hold.py
    shifted/0001/…          what was there before the frames got other numbers

All of it is specified in docs/session-format.md. Every file is written whole or not at all, so
that a reader in another process, a full disk or a killed program never leaves a half-written one.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.boxes_file import read_boxes, write_boxes
from maskfree.corrected_masks import CorrectedMasks
from maskfree.correction_store import CorrectionStore
from maskfree.errors import InputError
from maskfree.free_folder import check_free, remove_new
from maskfree.json_checks import as_object, as_whole
from maskfree.json_log import JsonLog
from maskfree.mask_store import MaskStore
from maskfree.run import Run, list_runs, new_run
from maskfree.session_guard import check_contents
from maskfree.storage import atomic_write, make_folder, read_json, writing
from maskfree.swap import finish_left, swap_waits
from maskfree.video_link import VideoLink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskfree.config import Config, VideoConfig
    from maskfree.types import BoxTracks
    from maskfree.video import Video
    from maskfree.video_source import Progress

__all__ = ["MaskStore", "Run", "Session", "is_session"]

VERSION = 1
"""The version of the folder that we write, and the newest that we read."""
_FILE = "session.json"
_BOXES = "boxes.json"
_PREVIOUS = "boxes.previous.json"
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_HOW = "Make one with: maskfree finetune VIDEO --boxes boxes.json --session DIR"


class Session:
    """An opened session; make one with `create`, `open` or `create_or_open`."""

    def __init__(self, path: Path, link: VideoLink, extra: Mapping[str, Any]) -> None:
        self.path = path
        self._link = link
        self._extra = extra

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        video_source: str | os.PathLike[str] | None,
        boxes: BoxTracks,
        video_options: Mapping[str, Any] | None = None,
    ) -> Session:
        """Make a session in a new or empty folder.

        Parameters
        ----------
        path
            The folder; parents are made.
        video_source
            The video's file or folder; None for frames that exist in memory only.
        boxes
            The boxes; there may be none yet.
        video_options
            As `maskfree.video.open_video`: ``axes``, ``depth``, ``channels``, ``fps``.

        Raises
        ------
        InputError
            Where the folder holds something already, or may not be written, or the disk is full;
            nothing is left behind.
        """
        folder = Path(os.path.abspath(path))
        check_free(folder, _FILE)
        session = cls(folder, VideoLink.make(folder, video_source, video_options), {})
        made = [p for p in (folder, *folder.parents) if not os.path.exists(p)]
        make_folder(folder)
        try:
            write_boxes(folder / _BOXES, boxes)
            session._save()
        except BaseException:
            remove_new(folder, (_BOXES, _FILE), made)
            raise
        return session

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Session:
        """Open the session in the folder ``path``.

        Raises
        ------
        InputError
            Where there is none, a newer version made it, or something in it leads out of it.
        """
        folder = Path(os.path.abspath(path))
        if swap_waits(folder):  # a shift that was killed
            check_contents(folder)
            finish_left(folder)
        if not os.path.exists(folder):
            raise InputError(f"There is no session folder {folder}. {_HOW}")
        if not os.path.isdir(folder):
            raise InputError(f"A session is a folder, but {folder} is a file. {_HOW}")
        if not is_session(folder):
            raise InputError(f"{folder} is not a session: there is no {_FILE} in it. {_HOW}")
        check_contents(folder)
        data = _read(folder / _FILE)
        link = VideoLink.from_json(data.pop("video", None), str(folder / _FILE))
        return cls(folder, link, data)

    @classmethod
    def create_or_open(
        cls,
        path: str | os.PathLike[str],
        *,
        video_source: str | os.PathLike[str] | None = None,
        boxes: BoxTracks | None = None,
        video_options: Mapping[str, Any] | None = None,
    ) -> Session:
        """Open the session in ``path`` and bring in what is given, or make it.

        Other boxes replace those of the session, which are kept as ``boxes.previous.json``.

        Raises
        ------
        InputError
            As `create` and `open`; where a new session has no boxes; where the session belongs to
            another video that still exists (its masks would not fit).
        """
        folder = Path(os.path.abspath(path))
        if not is_session(folder):
            if boxes is None:
                check_free(folder, _FILE)
                raise InputError(f"{folder} is not a session yet and no boxes were given. {_HOW}")
            return cls.create(
                folder, video_source=video_source, boxes=boxes, video_options=video_options
            )
        session = cls.open(folder)
        if video_source is not None:
            session._adopt_video(video_source, video_options)
        if boxes is not None:
            session._adopt_boxes(boxes)
        return session

    def _adopt_video(
        self, source: str | os.PathLike[str], options: Mapping[str, Any] | None
    ) -> None:
        current = self.video_source
        same = self._link.leads_to(source, self.path)
        if current is not None and os.path.exists(current) and not same:
            raise InputError(
                f"The session {self.path} belongs to the video {current}, got "
                f"{os.fspath(source)}. Choose another session folder for another video."
            )
        chosen = self._link.options if options is None else options
        if not same or VideoLink.make(self.path, source, chosen).options != self._link.options:
            self.set_video_source(source, chosen)

    def _adopt_boxes(self, boxes: BoxTracks) -> None:
        path = self.path / _BOXES
        try:
            if boxes == self.boxes:
                return
        except InputError:  # a broken file is no reason to refuse a good one, but is kept as well
            pass
        if path.is_file():
            with writing(self.path / _PREVIOUS):
                atomic_write(self.path / _PREVIOUS, path.read_bytes())
        self.save_boxes(boxes)

    def set_video_source(
        self, source: str | os.PathLike[str], options: Mapping[str, Any] | None = None
    ) -> None:
        """Say where the video is now; ``options`` as in `create`, None to keep them.

        Raises
        ------
        InputError
            Where the folder may not be written or the disk is full.
        """
        previous, self._link = self._link, self._link.to(self.path, source, options)
        try:
            self._save()
        except BaseException:
            self._link = previous
            raise

    def _save(self) -> None:
        data = {**self._extra, "version": VERSION, "video": self._link.to_json()}
        atomic_write(self.path / _FILE, json.dumps(data, indent=1) + "\n")

    @property
    def video_source(self) -> str | None:
        """The video's absolute path; None where its frames existed in memory only.

        A session that was moved together with its video finds it by the relative path. Where
        neither is there any more, this is where the video was.
        """
        return self._link.find(self.path)

    def open_video(
        self, config: VideoConfig | None = None, progress: Progress | None = None
    ) -> Video:
        """Open the session's video as it was opened when the session was made.

        A video file's frame index is kept in the folder; ``progress`` as in `video.open_video`.

        Raises
        ------
        InputError
            Where it is not there any more, existed in memory only, or cannot be read.
        """
        from maskfree.video import open_video

        source = self.video_source
        if source is None:
            raise InputError(
                f"The session {self.path} was made from frames in memory. Save them as a TIFF "
                "stack or a folder of images and make a session from that."
            )
        if not os.path.exists(source):
            raise InputError(
                f"The video {source} of the session {self.path} is not there any more. Put it "
                f"back, or say where it is now: maskfree finetune VIDEO --session {self.path}"
            )
        kept: dict[str, Any] = {"index_folder": self.path, "progress": progress}
        return open_video(source, config=config, **kept, **self._link.options)

    @property
    def boxes(self) -> BoxTracks:
        """The boxes, read anew each time: the plugin and a trainer share the file."""
        return read_boxes(self.path / _BOXES, allow_empty=True)

    def save_boxes(self, tracks: BoxTracks, announce: Callable[[str], None] | None = None) -> None:
        """Save the boxes; where that fails the previous ones stay. ``announce``: `write_boxes`.

        Raises
        ------
        InputError
            As `maskfree.tracks.write_boxes`.
        """
        write_boxes(self.path / _BOXES, tracks, announce)

    def new_run(self, config: Config, *, seed: int, start: str | None = None) -> Run:
        """Make the next run; safe where two processes do so at once.

        ``start``: the name of the run that it goes on from, None where it begins afresh.

        Raises
        ------
        InputError
            Where the folder may not be written or the disk is full.
        """
        return new_run(self.path / "runs", config, seed=seed, start=start)

    def runs(self) -> list[Run]:
        """Return the runs, oldest first."""
        return list_runs(self.path / "runs")

    def latest_run(self) -> Run | None:
        """Return the newest run that has a checkpoint, None where no run has one."""
        return next((run for run in reversed(self.runs()) if run.has_checkpoint), None)

    def resumable_run(self) -> Run | None:
        """Return the newest run if it ended before all was saved and can go on, else None.

        Runs that ended before they had weights do not count.
        """
        for run in reversed(self.runs()):
            if run.state_path.is_file():  # runs of older versions that are done have one as well
                return None if run.status == "done" else run
            if run.weights_path.is_file():
                return None
        return None

    def mask_store(self, name: str | None = None) -> MaskStore:
        """Return the predicted masks of the session's video, or of another video by ``name``.

        Characters that a file name cannot hold on every system become ``_``.

        Raises
        ------
        InputError
            For a name without a letter or digit.
        """
        if name is None:
            return MaskStore(self.path / "masks")
        safe = _UNSAFE.sub("_", name).strip(". ")
        if not any(character.isalnum() for character in safe):
            raise InputError(
                f'The name of a video\'s masks must have a letter or digit, got "{name}". '
                "Rename the video."
            )
        return MaskStore(self.path / "other" / safe / "masks")

    @property
    def corrections(self) -> CorrectionStore:
        """What a person said about the masks; no run ever changes it."""
        return CorrectionStore(self.path / "corrections")

    @property
    def masks(self) -> CorrectedMasks:
        """The masks as they stand: predicted, then corrected."""
        return CorrectedMasks(self.mask_store(), self.corrections)

    @property
    def predict_log(self) -> JsonLog:
        """The log of predictions, ``predict.jsonl``."""
        return JsonLog(self.path / "predict.jsonl")

    def info(self) -> dict[str, Any]:
        """Return what the session holds, as plain values for ``maskfree info``.

        ``path``, ``video``, ``frames``, ``size`` ([height, width]), ``fps``, ``tracks`` (``id``,
        ``label``, ``keyframes``), ``runs`` (``name``, ``status``, ``steps``, ``preset``,
        ``checkpoint``), ``masks`` (``frames``), ``corrections`` (``frames``), ``boxes`` (how many
        were drawn).
        """
        boxes = self.boxes
        return {
            "path": str(self.path),
            "video": self.video_source,
            "frames": boxes.num_frames,
            "size": [boxes.height, boxes.width],
            "fps": boxes.fps,
            "tracks": [
                {"id": track.id, "label": track.label, "keyframes": len(track.keyframes)}
                for track in boxes.tracks
            ],
            "runs": [_run_info(run) for run in self.runs()],
            "masks": {"frames": len(self.masks.frames())},
            "corrections": {"frames": len(self.corrections.frames())},
            "boxes": sum(k.xyxy is not None for t in boxes.tracks for k in t.keyframes),
        }


def _run_info(run: Run) -> dict[str, Any]:
    try:
        preset = run.config.preset
    except InputError:  # made by another version: still worth listing
        preset = "unknown"
    return {
        "name": run.name,
        "status": run.status,
        "steps": run.steps_done,
        "preset": preset,
        "checkpoint": run.has_checkpoint,
    }


def is_session(folder: str | os.PathLike[str]) -> bool:
    """Return whether `Session.open` would find a session in ``folder``."""
    return os.path.isfile(os.path.join(folder, _FILE))


def _read(path: Path) -> dict[str, Any]:
    data = as_object(read_json(path, "session file"), str(path), "a session", "version")
    version = as_whole(data.get("version"), str(path), "version", low=1)
    if version > VERSION:
        raise InputError(
            f"{path}: expected a session of version {VERSION}, got {version}: it was made by a "
            "newer napari-maskfree. Update with: pip install --upgrade napari-maskfree"
        )
    return data
