"""Every reader of files that may come from a stranger, by name, called as the program calls it."""

from __future__ import annotations

import functools
import hashlib
import json
import unittest.mock as mock
from typing import TYPE_CHECKING, Any

from maskfree.formats import FORMATS, VideoFacts
from seeds import FRAMES, HEIGHT, MAKERS, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from maskfree.formats import Annotations, Format

MOST_FRAMES = 20
"""Frames of which masks are read."""
VIDEO = VideoFacts(FRAMES, HEIGHT, WIDTH, 25.0, [f"{n:05d}" for n in range(FRAMES)])


def _format(format: Format, path: Path, number: int) -> None:
    """Read a file, every second time with a video, and everything that is read on demand."""
    if format.read_of is not None:
        _walk(format.read_of(path, VIDEO if number % 2 or format.name == "csv" else None))
    else:
        _walk(format.read(path))


def _walk(found: Annotations) -> None:
    for frame in range(min(len(found.frame_names), MOST_FRAMES)):
        found.read_masks(frame)
        if found.read_boxes is not None:
            found.read_boxes(frame)


def _session(path: Path, number: int) -> None:
    from maskfree.errors import InputError
    from maskfree.session import Session
    from maskfree.told_frames import told_digest, told_frames, untrained_masks

    session = Session.open(path)
    looks: list[Callable[[], Any]] = [
        session.info,
        lambda: _all(session.masks.read, session.masks.frames()),
        session.corrections.read_all,
        lambda: untrained_masks(session),
        session.resumable_run,
        session.latest_run,
    ]
    for run in session.runs():
        looks += [lambda run=run: (run.config, run.seed, run.start, run.steps_done, run.status)]
        looks += [lambda run=run: (told_frames(run), told_digest(run), run.keeps_best)]
        looks += [lambda run=run: [run.previews.read(moment) for moment in ("now", "best")]]
        looks += [lambda run=run: run.previews.picture(0)]
        if run.name == "0001":
            looks += [lambda run=run: run.previews.wanted(FRAMES)]
    # One part that is refused must not hide the others.
    refused: InputError | None = None
    for look in looks:
        try:
            look()
        except InputError as error:
            refused = error
    if refused is not None:
        raise refused


def _all(read: Callable[[int], Any], frames: Iterable[int]) -> None:
    for frame in list(frames)[:MOST_FRAMES]:
        read(frame)


def _masks(path: Path, number: int) -> None:
    from maskfree.mask_store import MaskStore

    store = MaskStore(path)
    store.read(0)
    store.read_scores(0)


def _corrections(path: Path, number: int) -> None:
    from maskfree.correction_store import CorrectionStore
    from maskfree.corrections import apply_corrections

    found = CorrectionStore(path).read(0)
    apply_corrections(None, found)
    for each in found.values():
        assert each.is_object.shape == each.size
        assert each.has_object in (True, False)


def _log(path: Path, number: int) -> None:
    from maskfree.json_log import JsonLog

    log = JsonLog(path)
    assert isinstance(log.status, str)
    log.records()


def _journal(path: Path, number: int) -> None:
    """The journal as it is; then with its sums made right, as a stranger's may be."""
    from maskfree.errors import InputError
    from maskfree.journal import Journal, make_line
    from maskfree.journal_waiting import count_waiting
    from napari_maskfree.remembered import Remembered

    damaged = Journal.open(path)
    damaged.close()
    whole = [json.loads(line) for line in path.read_bytes().splitlines() if _is_object(line)]
    path.write_bytes(b"".join(make_line(n, each) for n, each in enumerate(whole, start=1)))
    journal = Journal.open(path)
    try:
        count_waiting(journal.records(), "0" * 64)
        found = Remembered(journal.records(), "journal")
    finally:
        journal.close()
    if found.fault:
        raise InputError(found.fault)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _prints(path: Path, number: int) -> None:
    from maskfree.frame_prints import read_prints

    read_prints(path)


def _run_config(path: Path, number: int) -> None:
    from maskfree.run import Run

    run = Run(path)
    for look in ("config", "seed", "start"):
        getattr(run, look)


def _preview(path: Path, number: int) -> None:
    from maskfree.preview_files import PreviewFiles

    PreviewFiles(path).read("now")


def _preview_picture(path: Path, number: int) -> None:
    from maskfree.errors import InputError
    from maskfree.preview_files import PreviewFiles

    if PreviewFiles(path).picture(0) is None:
        raise InputError("There is none that is whole.")


def _tubes(path: Path, number: int) -> None:
    from maskfree.kept_tubes import KeptTubes

    KeptTubes.from_file(path)


def _consensus(path: Path, number: int) -> None:
    from maskfree.config import ConsensusConfig
    from maskfree.consensus_memory import ConsensusMemory, has_evidence, read_belief

    has_evidence(path)
    read_belief(path)
    ConsensusMemory.from_file(path, ConsensusConfig())


def _frame_index(path: Path, number: int) -> None:
    """The index with its sums made right, as who made the video as well can have them."""
    from maskfree.errors import InputError
    from maskfree.video_index_file import INDEX_FILE, read_index

    data, known_by = path.read_bytes(), b"\0" * 32
    folder = path.parent
    (folder / INDEX_FILE).write_bytes(known_by + hashlib.sha256(data).digest() + data)
    index = read_index(folder, known_by)
    if index is None:
        raise InputError("It is taken for none.")
    index.start_before(len(index) - 1)


def _weights(path: Path, number: int) -> None:
    from maskfree.model.convert import read_weights

    read_weights(path)


def _state(path: Path, number: int) -> None:
    from maskfree.train_state import load_state

    load_state(path)


def _model(path: Path, number: int) -> None:
    """As far as a network would be made, which is too slow ten thousand times."""
    import torch

    from maskfree.errors import InputError
    from maskfree.model import checkpoint

    def not_made(*_: object, **__: object) -> None:
        raise InputError("It is not made here.")

    with mock.patch.object(checkpoint, "build_model", not_made):
        checkpoint.load_model(path / "model.safetensors", torch.device("cpu"))


def _video(path: Path, number: int) -> None:
    from maskfree.video import open_video

    with open_video(path) as video:
        for frame in range(min(len(video), MOST_FRAMES)):
            video[frame]


_CALLS: dict[str, Callable[[Path, int], None]] = {
    "session": _session,
    "masks": _masks,
    "corrections": _corrections,
    "log": _log,
    "journal": _journal,
    "prints": _prints,
    "run-config": _run_config,
    "preview": _preview,
    "preview-picture": _preview_picture,
    "tubes": _tubes,
    "consensus": _consensus,
    "frame-index": _frame_index,
    "weights-zip": _weights,
    "weights-legacy": _weights,
    "weights-pickle": _weights,
    "weights-safetensors": _weights,
    "state": _state,
    "model": _model,
    "video-file": _video,
    "video-folder": _video,
    "video-stack": _video,
    "video-zarr": _video,
}

assert _CALLS.keys() == MAKERS.keys()

REFUSED_SEEDS = frozenset(("model",))
"""Readers whose seed is refused: what they build is too slow to be built ten thousand times."""

READERS: dict[str, Callable[[Path, int], None]] = {
    **{name: functools.partial(_format, format) for name, format in FORMATS.items()},
    **_CALLS,
}
"""What reads a case, and its number, which may choose how; only an InputError may end it."""

_FORMATS_OF_TIFF = dict.fromkeys(("tiff", "ctc"), ("tifffile",))
_VIDEOS = (
    "maskfree.video_file",
    "maskfree.video_folder",
    "maskfree.video_stack",
    "tifffile",
    "zarr",
)
IMPORTS: dict[str, tuple[str, ...]] = {
    **_FORMATS_OF_TIFF,
    "session": ("maskfree.session", "maskfree.told_frames", "maskfree.preview_files"),
    "journal": ("maskfree.journal_waiting", "napari_maskfree.remembered"),
    "consensus": ("maskfree.consensus_memory",),
    "frame-index": ("maskfree.video_index_file",),
    **dict.fromkeys(
        [name for name in _CALLS if name.startswith("weights")], ("maskfree.model.convert",)
    ),
    "state": ("maskfree.train_state",),
    "model": ("maskfree.model.checkpoint",),
    **dict.fromkeys([name for name in _CALLS if name.startswith("video")], _VIDEOS),
}
"""What a reader imports when it is first used: before the fork, not in each child."""
