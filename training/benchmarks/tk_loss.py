"""TK-Loss on a CPU: time, memory and growth against the same mathematics by unfolding.

Ours and the reference (`tk_reference.py`) get the same logits and Lab, are checked to give the same
value and gradient to 1e-5 and to have found matches, and are then run in turns, forward and
backward and cold: the matching is included and nothing is kept from one run to the next. Times are
CPU seconds of one thread. Memory is the rise of the process's peak (by the operating system) over
what it held just before the call, each in a fresh process.

usage: python training/benchmarks/tk_loss.py [--runs 3] [--only PART …] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_clip
from maskfree.losses import temporal_knn_loss
from report import machine, markdown
from tk_memory import peak_rise
from tk_reference import matches_kept, tk_reference

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main", "scene"]

INSTANCES, FRAMES, HEIGHT, WIDTH = 10, 3, 120, 216
PARTS = ("121 places", "81 places", "9 candidates", "growth")
TOLERANCE = 1e-5
LINEAR = 1.1
"""Largest exponent that is still called linear."""
GROWTH: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "H W": tuple((INSTANCES, FRAMES, 60 * a, 108 * b) for a, b in ((1, 1), (2, 1), (2, 2), (4, 2))),
    "T": tuple((INSTANCES, t, 60, 108) for t in (3, 6, 12, 24)),
    "N": tuple((n, FRAMES, 60, 108) for n in (10, 20, 40, 80)),
}
TIMES, SHARES = {0: 40, 2: 3}, {0: 20, 2: 4}
"""Targets by the setting's number: how much faster, and which part of the memory."""
Clip = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def settings() -> dict[str, TemporalKNNConfig]:
    """Return the settings by their name."""
    paper = TemporalKNNConfig.paper()
    square = dataclasses.replace(paper, window="square")
    return dict(zip(PARTS, (square, paper, TemporalKNNConfig.released()), strict=False))


def scene(instances: int, frames: int, height: int, width: int, seed: int = 0) -> Clip:
    """Return logits, Lab and box masks of a made clip.

    A textured ground moves by a cell or two a frame, under sensor noise; a third of it is smooth.
    No two candidates are equally far, so that the reference's top K is the only one.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    margin = 2 * frames + 4
    ground = noise(3, height + 2 * margin, width + 2 * margin)
    ground = functional.avg_pool2d(ground, 5, 1, 2) * torch.tensor([[[25.0]], [[10.0]], [[10.0]]])
    ground[..., : ground.shape[-1] // 3] *= 0.15
    lab = torch.stack(
        [
            ground[:, margin + t :, margin + 2 * t :][:, :height, :width]
            + 0.6 * noise(3, height, width)
            for t in range(frames)
        ]
    )
    lab += torch.tensor([[[50.0]], [[5.0]], [[10.0]]])
    logits = 40 * functional.avg_pool2d(noise(instances, frames, height, width), 9, 1, 4)
    boxes = torch.zeros(instances, frames, height, width)
    for n in range(instances):
        top, left = height * (n % 5) // 10, width * (n % 10) // 14
        boxes[n, :, top : top + height // 3, left : left + width // 4] = 1
    return logits, lab, boxes


def evaluate(
    loss: Callable[..., torch.Tensor], clip: Clip, config: TemporalKNNConfig, **kwargs: Any
) -> tuple[float, float, torch.Tensor]:
    """Return the CPU seconds of one forward and backward pass, the value and the gradient."""
    logits, lab, boxes = clip
    logits = logits.clone().requires_grad_()
    given = boxes if config.inside_boxes else None
    start = time.process_time()
    value = loss(logits, lab, given, config=config, **kwargs)
    torch.autograd.backward(value)
    taken = time.process_time() - start
    assert logits.grad is not None
    return taken, value.item(), logits.grad


def difference(clip: Clip, config: TemporalKNNConfig) -> float:
    """Return how far ours is from the reference: value, gradient and its worst entry, relative."""
    (_, a, ours), (_, b, theirs) = (
        evaluate(loss, clip, config) for loss in (temporal_knn_loss, tk_reference)
    )
    apart = ours - theirs
    worst = apart.abs().max() / theirs.abs().max()
    return max(abs(a - b) / abs(b), float(apart.norm() / theirs.norm()), float(worst))


# ---- against the reference


def compared(name: str, runs: int) -> dict[str, Any]:
    """Return the times of both in turns, their memory, and that they agree."""
    config, clip = settings()[name], scene(INSTANCES, FRAMES, HEIGHT, WIDTH)
    found: dict[str, Any] = {
        "kept": matches_kept(clip[1], config=config),
        "difference": difference(clip, config),  # warms up as well
    }
    if not found["kept"]:
        raise RuntimeError(f"no match was found with {name}: there is nothing to compare")
    if not found["difference"] <= TOLERANCE:
        raise RuntimeError(
            f"ours and the reference differ by {found['difference']:.1e} with {name}, "
            f"more than {TOLERANCE:.0e}: times would say nothing"
        )
    ours, theirs = [], []
    for _ in range(runs):
        ours += [evaluate(temporal_knn_loss, clip, config)[0] for _ in range(2)]
        theirs.append(evaluate(tk_reference, clip, config)[0])
        ours += [evaluate(temporal_knn_loss, clip, config)[0] for _ in range(2)]
    found["seconds"] = ours, theirs
    found["bytes"] = tuple(_memory(name, which) for which in ("ours", "reference"))
    return found


def _memory(name: str, which: str) -> int:
    """Return the rise of the peak, in bytes, in a fresh process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--memory", which, "--only", name]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    return int(done.stdout.split()[-1])


def _measure_memory(name: str, which: str) -> int:
    config, clip = settings()[name], scene(INSTANCES, FRAMES, HEIGHT, WIDTH)
    loss = temporal_knn_loss if which == "ours" else tk_reference
    evaluate(loss, scene(1, 2, 16, 16), config)  # what torch loads at its first call
    return peak_rise(lambda: evaluate(loss, clip, config))


# ---- growth


def growth(runs: int) -> dict[str, dict[str, Any]]:
    """Return our seconds at four sizes each of H W, T and N, and the fitted exponent.

    The matching does not depend on N: there it is done beforehand.
    """
    config, found = TemporalKNNConfig.paper(), {}
    for axis, sizes in GROWTH.items():
        clips = [scene(*size) for size in sizes]
        done = [match_clip(c[1], config=config) if axis == "N" else None for c in clips]
        seconds: list[list[float]] = [[] for _ in sizes]
        for repeat in range(1 + 2 * runs):
            for clip, matches, into in zip(clips, done, seconds, strict=True):
                taken = evaluate(temporal_knn_loss, clip, config, matches=matches)[0]
                if repeat:  # the first warms up
                    into.append(taken)
        counts = [size[2] * size[3] for size in sizes]
        if axis != "H W":
            counts = [size["NT".index(axis)] for size in sizes]
        medians = [statistics.median(each) for each in seconds]
        found[axis] = {"sizes": counts, "seconds": seconds, "exponent": _exponent(counts, medians)}
    return found


def _exponent(sizes: list[int], seconds: list[float]) -> float:
    """Return b of ``seconds = a sizes^b``, least squares on the logarithms."""
    x, y = (torch.tensor(each, dtype=torch.float64).log() for each in (sizes, seconds))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


# ---- the report


def report(found: dict[str, Any]) -> dict[str, Any]:
    """Return title, rows (targets beside results) and the page."""
    rows, text = [], []
    lines = [_line(name, found[name]) for name in PARTS[:3] if name in found]
    for number, name in enumerate(PARTS[:3]):
        if name in found and number in TIMES:
            rows += _rows(name, found[name], TIMES[number], SHARES[number])
    if lines:
        header = ["against", "kept", "differs", "ours, s", "reference, s", "faster"]
        header += ["ours, MB", "reference, MB", "memory"]
        text += [
            f"N={INSTANCES}, T={FRAMES}, {HEIGHT}×{WIDTH}, forward and backward, cold, one thread: "
            "CPU seconds (median, smallest to largest). *kept*: share of the K matches that are "
            "near enough; *differs*: largest relative difference of value and gradient.",
            markdown(header, lines),
        ]
    if "growth" in found:
        header = ["growing", "sizes", "CPU seconds", "exponent"]
        lines = []
        for axis, each in found["growth"].items():
            medians = [statistics.median(s) for s in each["seconds"]]
            sizes = ", ".join(map(str, each["sizes"]))
            times = ", ".join(f"{m:.4f}" for m in medians)
            lines.append([axis, sizes, times, f"{each['exponent']:.2f}"])
            met = each["exponent"] <= LINEAR
            why = "" if met else f"seconds at {sizes}: {times}"
            rows.append(
                _row(
                    f"TK-Loss: time over {axis}",
                    f"linear (exponent ≤ {LINEAR})",
                    f"exponent {each['exponent']:.2f}",
                    met,
                    why,
                )
            )
        text += [
            "Paper's setting; matching included, but for N, on which it does not depend.",
            markdown(header, lines, words=3),
        ]
    return {"title": "TK-Loss and correspondence", "rows": rows, "text": "\n\n".join(text)}


def _line(name: str, each: dict[str, Any]) -> list[str]:
    ours, theirs = each["seconds"]
    mine, reference = (b / 2**20 for b in each["bytes"])
    return [
        name,
        f"{each['kept']:.2f}",
        f"{each['difference']:.0e}",
        _spread(ours),
        _spread(theirs),
        f"{statistics.median(theirs) / statistics.median(ours):.0f}×",
        f"{mine:.1f}",
        f"{reference:.0f}",
        f"1/{reference / mine:.0f}",
    ]


def _rows(name: str, each: dict[str, Any], times: int, share: int) -> list[dict[str, Any]]:
    ours, theirs = each["seconds"]
    faster = statistics.median(theirs) / statistics.median(ours)
    less = each["bytes"][1] / each["bytes"][0]
    slow = f"ours {_spread(ours)} s, reference {_spread(theirs)} s"
    much = "ours {:.1f} MB, reference {:.1f} MB".format(*(b / 2**20 for b in each["bytes"]))
    return [
        _row(
            f"TK-Loss against {name} unfolded: time",
            f"≥ {times}× faster",
            f"{faster:.0f}×",
            faster >= times,
            "" if faster >= times else slow,
        ),
        _row(
            f"TK-Loss against {name} unfolded: peak memory",
            f"≤ 1/{share}",
            f"1/{less:.0f}",
            less >= share,
            "" if less >= share else much,
        ),
    ]


def _row(what: str, target: str, measured: str, met: bool, why: str) -> dict[str, Any]:
    return {"what": what, "target": target, "measured": measured, "met": met, "why": why}


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--runs", type=int, default=3, help="runs of the reference (default: 3), ours four each")
    add("--only", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART", help="these parts")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    add("--memory", choices=("ours", "reference"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.memory:
        print(_measure_memory(options.only[0], options.memory))
        return 0
    found: dict[str, Any] = {
        name: growth(options.runs) if name == "growth" else compared(name, options.runs)
        for name in options.only
    }
    written = report(found)
    if options.json is not None:
        options.json.write_text(json.dumps(written, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"# {written['title']}\n\n{machine()}\n\n{written['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
