"""A person at work without a window, to be killed: draws, paints, undoes, saves, trains, exports.

Started by `survival.py`. Each line on stdout is one JSON object: ``doing`` before an edit, ``done``
once it is on the disk, with a digest of all that there is. With ``--die N`` it kills itself at
its N-th write, flush or rename, in the middle of a write where that is one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree import journal, storage
from maskfree.boxes_json import boxes_to_json
from maskfree.correction_store import frame_to_json
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.session import Session, is_session
from napari_maskfree.reopening import bring_back, reopen
from napari_maskfree.saving import save_session_boxes
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

if TYPE_CHECKING:
    from maskfree.config import Config

__all__ = ["EXPORT", "FRAMES", "HEIGHT", "VIDEO", "WIDTH", "digest_of", "work_on"]

FRAMES, HEIGHT, WIDTH = 12, 64, 96
VIDEO = "clip.tif"
EXPORT = "export.npz"
_SAVES = 0.15
"""Share of the steps that save the boxes."""
_MANY = 100_000
_OFTEN = ("box", "box", "paint", "undo", "redo")
_RARE = ("undo", "track", "label", "delete", "split", "swap", "ignore", "occluded", "clear")


def work_on(folder: Path) -> tuple[State, list[str]]:
    """Open the video in ``folder``, and the session there where there is one, as a window does."""
    state = State()
    video = folder / VIDEO
    state.corrections.changed.connect(lambda *_: state.corrections.try_save())
    state.set_video(VideoInfo("clip", str(video), FRAMES, HEIGHT, WIDTH))
    if is_session(folder / "session"):
        return state, reopen(state, Session.open(folder / "session"))
    said = bring_back(state)
    if state.tracks is None:
        state.start_boxes()
    return state, said


def digest_of(state: State) -> dict[str, Any]:
    """Return a digest of boxes and corrections, and how many steps undo and redo have."""
    assert state.tracks is not None
    said = {f: frame_to_json(c) for f, c in sorted(state.corrections.items().items())}
    text = json.dumps([boxes_to_json(state.tracks), said, state.undo_name])
    steps = [len(each) for each in state.history_steps]
    return {"digest": hashlib.sha256(text.encode()).hexdigest(), "steps": steps}


def small_config() -> Config:
    """Return settings for a training of a second."""
    from maskfree.presets import preset
    from maskfree.settings import override

    return override(
        preset("tiny"),
        {
            "model.backbone_sizes": "8,8,16,16",
            "model.hidden_size": "32",
            "model.feedforward_size": "32",
            "model.num_heads": "2",
            "model.encoder_layers": "1",
            "model.decoder_layers": "2",
            "sampling.clip_length": "2",
            "sampling.max_gap": "1",
            "sampling.frame_area": str(HEIGHT * WIDTH),
            "sampling.max_enlarge": "1",
            "optimiser.steps": "4",
            "optimiser.checkpoint_every": "1",
            "consensus.first_boxes": "0",
        },
    )


def export(session: Session, target: Path) -> None:
    """Export the session's masks into one file."""
    from maskfree.formats import Annotations
    from maskfree.formats import export as export_to

    names = [f"{n:05d}" for n in range(FRAMES)]
    export_to(Annotations(session.boxes, names, session.masks.read), target, "npz")


# ---- the person


class Person:
    """Does one thing after the other, by the seed."""

    def __init__(self, state: State, seed: int) -> None:
        self.state, self.random = state, random.Random(seed)
        self.number = 0

    def edit(self) -> None:
        """Do one thing, and say so before and after."""
        name = self.random.choice(
            (
                "box",
                "box",
                "box",
                "paint",
                "paint",
                "undo",
                "undo",
                "redo",
                "track",
                "label",
                *_RARE,
            )
        )
        say(doing=name if name in ("undo", "redo") else "edit")
        with contextlib.suppress(InputError):  # such as a split where nothing is
            getattr(self, f"_{name}")()
        self.number += 1
        say(done=digest_of(self.state))

    def step(self) -> None:
        """Edit, or save the boxes."""
        if self.state.session is not None and self.random.random() < _SAVES:
            save_session_boxes(self.state)
        else:
            self.edit()

    def _track_id(self) -> int:
        assert self.state.tracks is not None
        ids = [t.id for t in self.state.tracks.tracks]
        return self.random.choice(ids) if ids else self.state.new_track("object")

    def _frame(self) -> int:
        return self.random.randrange(FRAMES)

    def _box(self) -> None:
        x, y = self.random.uniform(0, WIDTH - 20), self.random.uniform(0, HEIGHT - 20)
        box = (x, y, x + self.random.uniform(5, 20), y + self.random.uniform(5, 20))
        self.state.set_box(self._track_id(), box, self._frame())

    def _paint(self) -> None:
        state, frame = self.state, self._frame()
        rng = np.random.default_rng(self.random.randrange(_MANY))
        mask = rng.random((HEIGHT, WIDTH)) < 0.3
        known = dict(state.corrections[frame])
        if known and self.random.random() < 0.2:
            known = {}
        else:
            known[self._track_id()] = Correction.whole(mask)
        assert state.tracks is not None
        state.apply(f"paint frame {frame}", state.tracks, {frame: known})

    def _undo(self) -> None:
        self.state.undo()

    def _redo(self) -> None:
        self.state.redo()

    def _track(self) -> None:
        if self.state.tracks is not None and len(self.state.tracks.tracks) < 6:
            self.state.new_track(self.random.choice(("car", "dog")))

    def _label(self) -> None:
        self.state.rename_track(self._track_id(), f"kind {self.random.randrange(5)}")

    def _delete(self) -> None:
        if self.state.tracks is not None and len(self.state.tracks.tracks) > 3:
            self.state.remove_track(self._track_id())

    def _split(self) -> None:
        self.state.split_track(self._track_id(), self._frame())

    def _swap(self) -> None:
        self.state.swap_tracks(self._track_id(), self._track_id(), self._frame())

    def _ignore(self) -> None:
        x, y = self.random.uniform(0, WIDTH - 20), self.random.uniform(0, HEIGHT - 20)
        self.state.ignoring.draw([(x, y), (x + 9, y), (x + 9, y + 7)], self._frame())

    def _occluded(self) -> None:
        self.state.set_frame(self._frame())
        self.state.set_occluded(self._track_id(), self.random.random() < 0.5)

    def _clear(self) -> None:
        first, last = sorted((self._frame(), self._frame()))
        self.state.clear_range(self._track_id(), first, last)


def say(**record: Any) -> None:
    """Tell who watches; what was said is out of this process."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


# ---- killed by itself


def die_at(number: int, half: random.Random) -> None:
    """Let the process be killed at its ``number``-th write, flush or rename."""
    left = [number]

    def now() -> bool:
        left[0] -= 1
        return left[0] == 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def around(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            dying, after = now(), half.random() < 0.5
            if dying and not after:
                die()
            result = real(*arguments, **options)
            if dying:
                die()
            return result

        setattr(module, name, call)

    def write_all(file: Any, payload: bytes) -> None:
        if now():
            file.write(payload[: half.randrange(len(payload) + 1)])
            die()
        storage.write_all(file, payload)

    journal.write_all = write_all  # type: ignore[attr-defined]
    for name in ("fsync", "replace"):
        around(os, name)


def main(arguments: list[str] | None = None) -> int:
    """Work until killed."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phase", default="edit", choices=("edit", "train", "predict", "export"))
    parser.add_argument("--before", type=int, default=5, help="edits before the phase")
    parser.add_argument("--die", type=int, default=0, help="at the N-th write, flush or rename")
    options = parser.parse_args(arguments)
    state, _ = work_on(options.folder)
    person = Person(state, options.seed)
    say(done=digest_of(state), opened=True)
    if options.die:
        die_at(options.die, random.Random(options.seed))
    if options.phase != "edit":
        importlib.import_module("maskfree.train")  # what takes long is not what is to be killed
    for _ in range(options.before):
        person.step()
    say(phase=options.phase)
    session = state.session
    if session is not None and options.phase != "edit":
        with contextlib.suppress(InputError):  # such as a run without a box
            _phase(options, person, session)
    for _ in range(_MANY):
        person.step()
    return 0


def _phase(options: argparse.Namespace, person: Person, session: Session) -> None:
    from maskfree.predict import predict
    from maskfree.train import finetune

    if options.phase == "export":
        for _ in range(_MANY):
            export(session, options.folder / EXPORT)
            person.step()
    if options.phase == "train" or session.latest_run() is None:
        save_session_boxes(person.state)
        resume = session.resumable_run() is not None
        for _ in finetune(session, small_config(), device="cpu", resume=resume):
            person.step()
    if options.phase == "predict":
        for _ in predict(session, device="cpu"):
            person.step()


if __name__ == "__main__":
    raise SystemExit(main())
