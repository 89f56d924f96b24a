"""The two GPU kernels of TK-Loss against what the GPU's memory and its arithmetic allow.

Every size is first checked against the plain version on the same GPU. The memory bound of a kernel
is the bytes that it has to move at least (each input read once, each output written once) over the
bandwidth of a large copy, measured in the same run. The bound by arithmetic is the instructions of
the matching's inner loop over what the GPU issues at its clock. Times are the GPU's own (events),
medians after a warm-up, with the caches overwritten before each. Needs CUDA and Triton; where there
is none, it says so and ends with 0.

usage: python training/benchmarks/gpu_kernels.py [--repeats 30] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_clip
from maskfree.kernels.fused import fused_on
from maskfree.kernels.nearest_plain import nearest_plain
from maskfree.losses.agreement import sum_pairs_plain
from maskfree.losses.temporal_knn import list_pairs
from maskfree.search_window import candidate_offsets
from report import machine, markdown
from tk_loss import scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.losses.agreement import Pairs

__all__ = ["agreement_bytes", "main", "nearest_bytes"]

SIZES = {
    "540×960 at stride 4": (135, 240),
    "1080×1920 at stride 4": (270, 480),
    "1080×1920 at stride 2": (540, 960),
    "1080×1920": (1080, 1920),
}
INSTANCES, FRAMES = 10, 3
FEW = 3
"""Calls of a plain version, which is slow."""
SHARE = 0.6
"""Part of the memory-bandwidth bound that is the target."""
INSTRUCTIONS = 132
"""A cell and a candidate cost so many instructions (compute capability 9.0, float32, K=5, N=3):
counted in the compiled inner loop, 265 for two cells."""
LANES = 128
"""Instructions that one multiprocessor issues in a cycle: four schedulers of 32 threads."""
COPY = 2**29
"""Bytes of the copy that measures the bandwidth."""
TOLERANCE = 1e-5
NO_GPU = "no CUDA GPU with Triton here: run this script on one"


@dataclasses.dataclass(frozen=True)
class Measured:
    """One kernel at one size: milliseconds of ours and of the plain version, and the bounds."""

    kernel: str
    size: str
    ours: list[float]
    plain: list[float]
    bytes: int
    bandwidth: float
    arithmetic: float | None = None

    @property
    def share(self) -> float:
        """Part of the memory-bandwidth bound that was reached."""
        return self.bytes / self.bandwidth / (statistics.median(self.ours) / 1e3)


def nearest_bytes(pairs: int, height: int, width: int, config: TemporalKNNConfig) -> int:
    """Return the bytes that matching has to move: float32 frames in, index and distance out."""
    return pairs * height * width * (2 * 3 * 4 + config.num_neighbors * (8 + 4))


def agreement_bytes(logits: torch.Tensor, lists: Sequence[Pairs]) -> int:
    """Return the bytes that the term has to move: lists and logits in, the gradient out."""
    listed = sum(each.first.nbytes + each.second.nbytes for each in lists)
    return listed + 2 * logits.nbytes


def measure(repeats: int) -> list[Measured]:
    """Measure both kernels at every size."""
    bandwidth, found = _bandwidth(repeats), []
    for size, (height, width) in SIZES.items():
        logits, lab, _ = (x.to("cuda") for x in scene(INSTANCES, FRAMES, height, width))
        found.append(_matching(size, lab, repeats, bandwidth))
        found.append(_term(size, logits, lab, repeats, bandwidth))
    return found


def _matching(size: str, lab: torch.Tensor, repeats: int, bandwidth: float) -> Measured:
    from maskfree.kernels.nearest_triton import nearest_triton

    config = TemporalKNNConfig.paper()
    source, target = lab, lab.roll(-1, 0)
    ours, theirs = (
        functools.partial(call, source, target, config) for call in (nearest_triton, nearest_plain)
    )
    torch.testing.assert_close(ours(), theirs(), rtol=TOLERANCE, atol=TOLERANCE)
    pairs, _, height, width = lab.shape
    return Measured(
        "matching",
        size,
        _milliseconds(ours, repeats),
        _milliseconds(theirs, FEW),
        nearest_bytes(pairs, height, width, config),
        bandwidth,
        _arithmetic(pairs * height * width * len(candidate_offsets(config))),
    )


def _term(
    size: str, logits: torch.Tensor, lab: torch.Tensor, repeats: int, bandwidth: float
) -> Measured:
    from maskfree.kernels.agreement_triton import sum_pairs_triton

    config = TemporalKNNConfig.paper()
    lists = [list_pairs(m, f, logits, None, config) for f, m in match_clip(lab, config=config)]
    ours, theirs = (
        functools.partial(call, logits, lists, gradient=True)
        for call in (sum_pairs_triton, sum_pairs_plain)
    )
    torch.testing.assert_close(ours(), theirs(), rtol=TOLERANCE, atol=TOLERANCE)
    return Measured(
        "term and gradient",
        size,
        _milliseconds(ours, repeats),
        _milliseconds(theirs, FEW),
        agreement_bytes(logits, lists),
        bandwidth,
    )


def _milliseconds(call: Callable[[], object], repeats: int) -> list[float]:
    """Return the GPU's own milliseconds of each call, the caches overwritten before it."""
    filler = torch.empty(COPY // 2, dtype=torch.uint8, device="cuda")
    taken = []
    for number in range(repeats + 3):
        filler.zero_()
        start: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        if number >= 3:  # the first ones compile and warm up
            taken.append(start.elapsed_time(end))
    return taken


def _bandwidth(repeats: int) -> float:
    """Return bytes a second, read and written, of a large copy."""
    a = torch.ones(COPY, dtype=torch.uint8, device="cuda")
    b = torch.empty_like(a)
    return 2 * COPY / (statistics.median(_milliseconds(lambda: b.copy_(a), repeats)) / 1e3)


def _arithmetic(candidates: int) -> float | None:
    """Return the milliseconds that issuing the instructions takes at least; None: clock unknown."""
    properties = torch.cuda.get_device_properties("cuda")
    kilohertz: int | None = getattr(properties, "clock_rate", None)
    if not kilohertz:
        return None
    return candidates * INSTRUCTIONS / int(properties.multi_processor_count * LANES * kilohertz)


def report(found: Sequence[Measured]) -> dict[str, Any]:
    """Return title, rows (targets beside results) and the page; ``found`` empty: no GPU."""
    title, target = "GPU kernels of TK-Loss", f"≥ {SHARE:.0%} of the memory bandwidth's bound"
    rows: list[dict[str, Any]]
    if not found:
        rows = [
            {
                "what": f"{kernel} on a GPU",
                "target": target,
                "measured": "not measured",
                "met": None,
                "why": NO_GPU,
            }
            for kernel in ("matching", "term and gradient")
        ]
        return {"title": title, "rows": rows, "text": f"There is {NO_GPU}."}
    rows = []
    for each in found:
        met = each.share >= SHARE
        rows.append(
            {
                "what": f"{each.kernel} on a GPU, {each.size}",
                "target": target,
                "measured": f"{each.share:.0%}",
                "met": met,
                "why": "" if met else _why(each),
            }
        )
    header = ["kernel", "frame", "ours, ms", "plain, ms", "faster", "MB", "memory bound, ms"]
    header += ["share", "arithmetic bound, ms"]
    text = [
        f"{torch.cuda.get_device_name()}; T={FRAMES}, N={INSTANCES}, paper's setting; a copy moves "
        f"{found[0].bandwidth / 1e9:.0f} GB/s.",
        markdown(header, [_line(each) for each in found], words=2),
    ]
    return {"title": title, "rows": rows, "text": "\n\n".join(text)}


def _why(each: Measured) -> str:
    if each.arithmetic is None:
        return f"{statistics.median(each.ours):.3f} ms for {each.bytes / 1e6:.1f} MB"
    part = each.arithmetic / statistics.median(each.ours)
    return (
        f"bound by arithmetic: {INSTRUCTIONS} instructions a cell and candidate take "
        f"{each.arithmetic:.3f} ms at least, the bytes {_bound(each):.3f} ms; "
        f"{part:.0%} of the arithmetic's bound is reached"
    )


def _bound(each: Measured) -> float:
    return each.bytes / each.bandwidth * 1e3


def _line(each: Measured) -> list[str]:
    ours, other = statistics.median(each.ours), statistics.median(each.plain)
    return [
        each.kernel,
        each.size,
        f"{ours:.3f} ({min(each.ours):.3f} to {max(each.ours):.3f})",
        f"{other:.2f}",
        f"{other / ours:.0f}×",
        f"{each.bytes / 1e6:.1f}",
        f"{_bound(each):.4f}",
        f"{each.share:.0%}",
        "" if each.arithmetic is None else f"{each.arithmetic:.3f}",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--repeats", type=int, default=30, help="calls of each kernel (default: 30)")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    options = parser.parse_args(arguments)
    usable = torch.cuda.is_available() and fused_on(torch.device("cuda"))
    written = report(measure(options.repeats) if usable else [])
    if options.json is not None:
        options.json.write_text(json.dumps(written, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"# {written['title']}\n\n{machine()}\n\n{written['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
