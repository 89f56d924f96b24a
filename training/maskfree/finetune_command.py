"""``maskfree finetune``: everything is checked before the first file is written."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.beginning import beginning_of
from maskfree.boxes_file import read_boxes
from maskfree.chosen_frames import check_frames
from maskfree.device import check_device
from maskfree.errors import InputError, InputWarning
from maskfree.frame_check import forget_frames, note_frames, require_frames
from maskfree.frame_prints import PRINTS_FILE, read_prints
from maskfree.interrupts import Interrupted, follow
from maskfree.journal_waiting import warn_of_waiting
from maskfree.presets import preset
from maskfree.session import Session, is_session
from maskfree.settings import override
from maskfree.start import plan_start
from maskfree.terminal import ProgressBar
from maskfree.tracks import check_against_video
from maskfree.video import open_video
from maskfree.video_index_file import INDEX_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from maskfree.config import Config
    from maskfree.run import Run
    from maskfree.start import StartFrom
    from maskfree.train import Progress
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["DEFAULT_PRESET", "check_input", "check_start", "finetune_session"]

DEFAULT_PRESET = "tiny"


def finetune_session(
    folder: str,
    *,
    video: str | None,
    boxes: str | None,
    preset_name: str | None,
    settings: Mapping[str, str],
    steps: str | None,
    device: str,
    seed: int | None,
    resume: bool,
    previews: Sequence[int] | Literal["auto"] | None = None,
    keep: Literal["best", "last"] = "last",
    start: StartFrom = "auto",
) -> dict[str, Any]:
    """Make or reopen the session ``folder``, train a run to its end and return what came of it.

    ``video`` and ``boxes`` (paths) may be None for a session that has them. ``settings`` and
    ``steps`` are text, as given on the command line. ``previews``, ``keep`` and ``start``: see
    :func:`maskfree.train.finetune`.

    Raises
    ------
    InputError
        Where the input is at fault; a session folder that was made by this call and in which
        nothing was learnt is removed again.
    Interrupted
        When it was stopped on request; what was learnt is kept.
    """
    config = override(preset(DEFAULT_PRESET if preset_name is None else preset_name), settings)
    if steps is not None:
        config = override(config, {"optimiser.steps": steps})
    existing = Session.open(folder) if is_session(folder) else None
    if existing is not None:
        warn_of_waiting(existing)
    tracks = check_input(existing, folder, video, boxes, config)
    check_device(device)
    if previews is not None and previews != "auto":
        _check_preview(previews, tracks)
    if resume:
        _check_resume(existing, folder, config, explicit=bool(settings or steps or preset_name))
    elif start == "last":
        check_start(existing, folder, config, tracks)
    elif start == "auto" and existing is not None:
        _warn_of_another_preset(existing, config)
        _warn_of_other_weights(existing, config, tracks)
    session = existing
    place = Path(folder).absolute()
    new_folders = [each for each in (place, *place.parents) if not each.exists()]
    if session is None or video is not None or boxes is not None:
        session = Session.create_or_open(
            folder, video_source=video, boxes=None if boxes is None else tracks
        )
    if existing is None or (video is not None and boxes is not None):
        forget_frames(session)
    _note_frames(session, config)
    options: dict[str, Any] = {"resume": resume, "previews": previews, "keep": keep}
    try:
        return _train(session, config, device=device, seed=seed or 0, start=start, **options)
    except InputError:
        if existing is None and not session.runs():
            _take_back(session.path, new_folders)
        raise


def _note_frames(session: Session, config: Config) -> None:
    """Keep what the video shows, where that is not known yet."""
    if read_prints(session.path) is None:
        with session.open_video(config.video.for_run()) as video:
            note_frames(session, video)


def check_input(
    existing: Session | None, folder: str, video: str | None, boxes: str | None, config: Config
) -> BoxTracks:
    """Check boxes and video, and that they fit each other; return the boxes.

    Raises
    ------
    InputError
        Where they do not, or are missing.
    """
    if existing is None:
        missing = [name for name, path in (("VIDEO", video), ("--boxes", boxes)) if path is None]
        if missing:
            raise InputError(
                f"{folder} is not a session yet, so it needs {' and '.join(missing)}. Run: "
                f"maskfree finetune VIDEO --boxes boxes.json --session {folder}"
            )
    tracks = existing.boxes if boxes is None and existing is not None else read_boxes(boxes or "")
    if not any(keyframe.xyxy for track in tracks.tracks for keyframe in track.keyframes):
        raise InputError(
            f"The session {folder} has no box to learn from. Draw a box on at least one frame, or "
            "give a boxes file with --boxes."
        )
    if video is None and existing is not None:
        opened = existing.open_video(config.video)
    else:
        opened = open_video(video or "", config=config.video)
    with opened:
        if existing is not None and boxes is None:
            _check_frames(existing, opened, own=video is None or _is_own(existing, video))
        _, height, width, _ = opened.shape
        check_against_video(tracks, num_frames=len(opened), height=height, width=width)
    return tracks


def _is_own(session: Session, video: str) -> bool:
    own = session.video_source
    return own is not None and os.path.exists(own) and os.path.samefile(own, video)


def _check_frames(session: Session, video: Video, *, own: bool) -> None:
    """Check that it shows the frames that the boxes were drawn on, as far as that is known."""
    if words := require_frames(session, video, own=own):
        warnings.warn(words, InputWarning, stacklevel=2)


def _check_preview(previews: Sequence[int], tracks: BoxTracks) -> None:
    check_frames(previews, tracks)


def _check_resume(session: Session | None, folder: str, config: Config, *, explicit: bool) -> None:
    if session is None or not session.runs():
        warnings.warn(
            f"{folder} has no run to go on with: --resume begins the first one.",
            InputWarning,
            stacklevel=2,
        )
        return
    run = session.resumable_run()
    if run is None:
        newest = session.runs()[-1]
        raise InputError(
            f"The newest run {newest.name} of {session.path} ({newest.status}, "
            f"{newest.steps_done} steps) cannot go on. Leave --resume out to train a new run."
        )
    if explicit and run.config != config:
        warnings.warn(
            f"--resume goes on with the settings that run {run.name} was begun with; those given "
            "now are not used.",
            InputWarning,
            stacklevel=2,
        )


def _newest(session: Session) -> tuple[Run | None, Config | None]:
    """Return the newest run and its settings; None where they cannot be read."""
    run = session.latest_run()
    try:
        return run, None if run is None else run.config
    except InputError:
        return run, None


def _warn_of_another_preset(session: Session, config: Config) -> None:
    run, then = _newest(session)
    if run is not None and then is not None and then.preset != config.preset:
        warnings.warn(
            f"Run {run.name} was made with the preset {then.preset}; this one is of "
            f"{config.preset} and begins anew. To go on from what was learnt: --preset "
            f"{then.preset}, and the same --set and --steps.",
            InputWarning,
            stacklevel=3,
        )


def _warn_of_other_weights(session: Session, config: Config, boxes: BoxTracks) -> None:
    run, before = _newest(session)
    if run is None or before is None or before.preset != config.preset:
        return
    then, now = before.model.weights, config.model.weights
    if then not in ("", now) and plan_start(session, config, boxes=boxes).run is None:
        begins = f"those of {now}" if now else "none"
        warnings.warn(
            f"Run {run.name} began with the weights of {then}; this one begins anew, and with "
            f"{begins}. To begin with them again: --weights {then}",
            InputWarning,
            stacklevel=3,
        )


def check_start(session: Session | None, folder: str, config: Config, boxes: BoxTracks) -> None:
    """Check that a run with these boxes can go on from the newest run of a session.

    Raises
    ------
    InputError
        Where it cannot, or there is no session.
    """
    if session is None:
        raise InputError(f"{folder} has no run to go on from. Leave --start last out.")
    plan_start(session, config, "last", boxes=boxes)


def _train(session: Session, config: Config, **options: Any) -> dict[str, Any]:
    from maskfree.train import finetune

    last: Progress | None = None
    started = time.monotonic()
    with ProgressBar("fine-tuning", "step") as bar:

        def report(progress: Progress) -> None:
            nonlocal last
            last = progress
            bar.update(
                progress.step,
                progress.steps,
                seconds_left=progress.seconds_left,
                note=f"loss {progress.total:.3f}",
            )

        steps = finetune(session, config, watch=bar.prepare, **options)
        try:
            follow(steps, report)
        except Interrupted as stop:
            stop.add_note(_what_is_kept(session, last))
            raise
    run = _own_run(session) if session.runs() else None
    if last is None and run is not None and run.status == "done":
        raise InputError(
            f"Run {run.name} of {session.path} has had all of its steps. Leave --resume out to "
            "train a new run."
        )
    if last is None or run is None:
        raise InputError(
            f"The run in {session.path} was asked to stop before its first step. Run it again."
        )
    return {
        "session": str(session.path),
        "run": run.name,
        "status": run.status,
        "start": run.start,
        "steps": last.step,
        "loss": last.total,
        "losses": last.losses,
        "seconds": round(time.monotonic() - started, 1),
        "weights": str(run.kept_weights_path),
        "begins": beginning_of(run),
        **_kept_step(run),
    }


def _kept_step(run: Run) -> dict[str, int]:
    best = run.previews.read("best") if run.keeps_best else None
    return {} if best is None else {"kept_step": best.step}


def _own_run(session: Session) -> Run:
    """Return the run that this process has trained; another may have been begun meanwhile."""
    runs = session.runs()
    own = [run for run in runs if any(r.get("pid") == os.getpid() for r in run.records())]
    return (own or runs)[-1]


def _what_is_kept(session: Session, last: Progress | None) -> str:
    if last is None:
        return "nothing was learnt yet"
    if last.step == last.steps:
        return f"all {last.steps} steps are done, and kept in {_own_run(session).path}"
    return (
        f"what was learnt in {last.step} of {last.steps} steps is kept in "
        f"{_own_run(session).path}. Go on: maskfree finetune --session {session.path} --resume"
    )


def _take_back(path: Path, new_folders: list[Path]) -> None:
    """Remove the files of a session just made, and the folders that were made for it."""
    with contextlib.suppress(OSError):
        for name in ("session.json", "boxes.json", PRINTS_FILE, INDEX_FILE):
            (path / name).unlink(missing_ok=True)
        for folder in (path / "runs", *new_folders):
            if folder.is_dir():
                folder.rmdir()
