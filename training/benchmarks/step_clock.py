"""Takes training steps and says where their time went; one process a state of the engine.

Functions of the engine are wrapped by name where the state has them, so that the same file measures
an older one; what a state lacks is part of what called it. Times are those of a stage without the
stages inside it: on the clock, and of all threads of the process (``cpu``), which other programs on
the machine change less. The backward pass is split where autograd comes to what a part returned: it
works through the newest part of the graph first, so all from there to the next part's is that part.

Lines on stdin ask for steps, ``COUNT`` or ``COUNT sampled``; each is answered by a line of JSON.

usage: python training/benchmarks/step_clock.py CLIP [--warm-up 3] [--seed 0]
"""

from __future__ import annotations

import argparse
import collections
import functools
import importlib
import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType

__all__ = ["BACKWARD", "STAGES", "Clock", "Sampler"]

REST = "the rest of the step"
BACKWARD = "backward: "
STAGES = (
    ("decode, resize", "working", "WorkingFrames.__getitem__"),
    ("augment, targets", "sampling", "ClipSampler.draw"),
    ("Lab", "lab", "to_lab"),
    ("labels", "sampling", "ClipSampler._labels"),
    ("transformer decoder", "model.mask2former_video", "Mask2FormerVideo.forward"),
    ("objective, rest", "objective", "Objective.__call__"),
    ("match", "correspondence", "match_clip"),
    ("queries to tracks", "matching", "assign_queries"),
    ("loss: projection", "losses.projection", "projection_loss"),
    ("loss: pairwise", "losses.pairwise", "pairwise_loss"),
    ("loss: temporal", "losses.temporal_knn", "temporal_knn_loss"),
    ("loss: class", "objective", "Objective._class_loss"),
    ("loss: outside", "objective", "Objective._outside"),
    ("loss: evidence", "objective", "Objective._evidence"),
    ("loss: prior", "objective", "Objective._prior"),
)
"""What a stage is called, and the function of the engine that it is."""
NETWORK = (
    ("backbone", "encoder"),
    ("pixel decoder", "decoder"),
    ("deformable encoder", "decoder.encoder"),
)
"""Parts of the network's pixel level module."""
FIRST, SHOWN_STEPS = 1, 40
"""Steps that are taken over and over: before the teacher's turn, which is no step."""
EVERY = 0.002
"""Seconds between two looks at the stack."""
HIDDEN = ("step_clock.py", "torch", "contextlib", "functools")
"""Files whose frames say nothing of where the time goes: wrappers."""


class Clock:
    """Seconds of each stage, on the clock and of the processor, without the stages inside it."""

    def __init__(self) -> None:
        self.totals: dict[str, list[float]] = collections.defaultdict(lambda: [0.0, 0.0])
        self.names: list[str] = []
        self.arrived: list[tuple[str, float, float]] = []
        self._since = (0.0, 0.0)

    def _turn(self) -> None:
        """Give the time since the last turn to the innermost stage."""
        now = (time.perf_counter(), time.process_time())
        if self.names:
            total = self.totals[self.names[-1]]
            for n in range(2):
                total[n] += now[n] - self._since[n]
        self._since = now

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is a stage, and whose result marks its backward pass."""

        @functools.wraps(call)
        def timed(*arguments: Any, **options: Any) -> Any:
            self._turn()
            self.names.append(name)
            try:
                result = call(*arguments, **options)
                self.mark(name, result)
                return result
            finally:
                self._turn()
                self.names.pop()

        return timed

    def mark(self, name: str, result: Any) -> None:
        """Note when the backward pass comes to what a stage returned: a hook runs just then."""
        for tensor in _tensors(result):
            if tensor.requires_grad:
                tensor.register_hook(lambda _: self._note(name))

    def _note(self, name: str) -> None:
        self.arrived.append((BACKWARD + name, time.perf_counter(), time.process_time()))

    def backward(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the backward pass as stages: one for each part that it comes to."""

        @functools.wraps(call)
        def timed(*arguments: Any, **options: Any) -> None:
            self._turn()
            self.arrived = [(BACKWARD + "rest", *self._since)]
            self.names.append(BACKWARD + "rest")
            call(*arguments, **options)
            self.names.pop()
            now = (time.perf_counter(), time.process_time())
            first: dict[str, tuple[float, float]] = {}
            for name, *at in self.arrived:
                first.setdefault(name, (at[0], at[1]))
            turns = list(first.items())
            ends = [at for _, at in turns[1:]] + [now]
            for (name, start), end in zip(turns, ends, strict=True):
                for n in range(2):
                    self.totals[name][n] += end[n] - start[n]
            self.arrived, self._since = [], now

        return timed

    def stack(self) -> list[str]:
        """Return the part of the backward pass that is being worked on; empty outside of it."""
        return [name.removeprefix(BACKWARD) for name, *_ in self.arrived[-1:]]


def _tensors(result: Any) -> Iterable[Any]:
    import torch

    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, dict):
        for value in result.values():
            yield from _tensors(value)
    elif isinstance(result, list | tuple):
        for value in result:
            yield from _tensors(value)
    elif hasattr(result, "mask_logits"):
        yield from _tensors((result.class_logits, result.mask_logits))


class Sampler(threading.Thread):
    """Looks at the main thread's stack every now and then: how often it saw which."""

    def __init__(self, clock: Clock, root: CodeType) -> None:
        super().__init__(daemon=True)
        self._clock, self._root, self._main = clock, root, threading.main_thread().ident
        self._ended = threading.Event()
        self.seen: collections.Counter[tuple[str, ...]] = collections.Counter()

    def run(self) -> None:
        """Look until it is stopped."""
        while not self._ended.wait(EVERY):
            frame = sys._current_frames().get(self._main or 0)
            names: list[str] = []
            while frame is not None and frame.f_code is not self._root:
                names.append(_named(frame))
                frame = frame.f_back
            if frame is not None:
                own = [name for name in reversed(names) if name]
                self.seen[(*own, *self._clock.stack())] += 1

    def stop(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()


def _named(frame: Any) -> str:
    """Return how a frame is called in the picture; empty where it is a wrapper."""
    path = Path(frame.f_code.co_filename)
    name = frame.f_code.co_qualname.rpartition("<locals>.")[2]
    if path.name == HIDDEN[0] or any(part in HIDDEN for part in path.parts[-4:-1]):
        return BACKWARD.rstrip(": ") if name == "backward" else ""
    if path.stem in HIDDEN or name.startswith("<") or name == "wrapper":
        return ""
    return f"{name} · {path.stem}"


def _replace(module: str, path: str, wrap: Callable[[Any], Any]) -> None:
    """Wrap a function of the engine wherever it was imported to; nothing where it is missing."""
    try:
        owner: Any = importlib.import_module(f"maskfree.{module}")
    except ImportError:
        return
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each, None)
    plain = getattr(owner, name, None)
    if plain is None:
        return
    wrapped = wrap(plain)
    setattr(owner, name, wrapped)
    for other in [m for key, m in sys.modules.items() if key.startswith("maskfree.")]:
        if not classes and vars(other).get(name) is plain:
            setattr(other, name, wrapped)


def make_trainer(clip: Path, seed: int, clock: Clock) -> Any:
    """Return a trainer on a clip's boxes, its stages wrapped."""
    import torch

    import baseline
    from clips import boxes_from_masks
    from maskfree.presets import preset
    from maskfree.video import open_video

    video = open_video(clip / "frames")
    trainer: Any = baseline.trainer_class()(
        video, boxes_from_masks(clip, 5), preset("tiny"), device=torch.device("cpu"), seed=seed
    )
    for stage, module, path in STAGES:
        _replace(module, path, functools.partial(clock.wrap, stage))
    pixel_level = trainer.model.model.pixel_level_module
    for stage, name in NETWORK:
        part = pixel_level.get_submodule(name)
        part.forward = clock.wrap(stage, part.forward)
    torch.autograd.backward = clock.backward(torch.autograd.backward)
    for value in list(vars(trainer).values()):
        if isinstance(value, torch.optim.Optimizer):
            value.step = clock.wrap("optimiser", value.step)  # type: ignore[method-assign]
    torch.nn.utils.clip_grad_norm_ = clock.wrap("optimiser", torch.nn.utils.clip_grad_norm_)
    return trainer


def take(trainer: Any, clock: Clock, numbers: Iterable[int]) -> list[dict[str, list[float]]]:
    """Take steps; return each one's milliseconds by stage, ``[clock, cpu]``."""
    found = []
    step = clock.wrap(REST, trainer.step)
    for number in numbers:
        clock.totals.clear()
        step(FIRST + number % SHOWN_STEPS)
        found.append({name: [1e3 * each for each in own] for name, own in clock.totals.items()})
    return found


def main() -> None:
    """Answer lines on stdin until it ends."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    clock = Clock()
    trainer = make_trainer(options.clip, options.seed, clock)
    root = type(trainer).step.__code__
    take(trainer, clock, range(options.warm_up))
    print(json.dumps("ready"), flush=True)
    number = options.warm_up
    for line in sys.stdin:
        count, *how = line.split()
        numbers = range(number, number := number + int(count))
        if how:
            sampler = Sampler(clock, root)
            sampler.start()
            steps = take(trainer, clock, numbers)
            sampler.stop()
            print(json.dumps([steps, list(sampler.seen.items())]), flush=True)
        else:
            print(json.dumps(take(trainer, clock, numbers)), flush=True)


if __name__ == "__main__":
    main()
