"""The page: what was compared, a table a comparison, and what it rests on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maskfree.ablation.groups import BASE, PRESET
from maskfree.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.ablation.comparison import Compared, Row
    from maskfree.ablation.differences import Difference
    from maskfree.config import AblationConfig

__all__ = ["Facts", "as_json", "as_markdown"]

_NOTHING = "–"
_MEGA = 1e6


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the numbers rest on.

    ``clips``: name to the J of its boxes filled in, None where no job is finished; ``settings``:
    what every job changes of the base; ``commits``: to how many results are from it; ``device``:
    its kind; ``command``: what made the page; ``done`` of ``jobs`` are finished, ``failed`` came to
    nothing.
    """

    clips: Mapping[str, float | None]
    seeds: Sequence[int]
    config: AblationConfig
    settings: Mapping[str, str]
    commits: Mapping[str, int]
    device: str
    command: str
    done: int
    jobs: int
    failed: int


def as_json(compared: Sequence[Compared], facts: Facts) -> dict[str, Any]:
    """Return the numbers of the page as plain values."""
    return {
        "base": {"preset": PRESET, **BASE, **facts.settings},
        "clips": dict(facts.clips),
        "seeds": list(facts.seeds),
        "steps": facts.config.steps,
        "confidence": facts.config.confidence,
        "device": facts.device,
        "commits": dict(facts.commits),
        "command": facts.command,
        "done": facts.done,
        "jobs": facts.jobs,
        "failed": facts.failed,
        "groups": [each.to_json() for each in compared],
    }


def as_markdown(compared: Sequence[Compared], facts: Facts) -> str:
    """Return the page."""
    parts = [_head(facts), *(_group(each, facts) for each in compared), _foot(facts)]
    return "\n\n".join(parts) + "\n"


def _head(facts: Facts) -> str:
    boxes = [[name, _number(j)] for name, j in facts.clips.items()]
    missing = ""
    if facts.done < facts.jobs:
        left = facts.jobs - facts.done
        missing = (
            f"\n\n**Not whole: {facts.done} of {facts.jobs} jobs are finished**, {facts.failed} "
            f"failed, {left - facts.failed} were not run. A mean is shown where every clip has a "
            "number; the same command goes on from here."
        )
    return f"""# Ablation

The comparisons of MaskFreeVIS (CVPR 2023, arXiv 2303.15904), run again on these clips: is the
paper's order of settings seen? Its numbers are AP of a pretrained network on YouTube-VIS; these are
J of a small network without pretrained weights, trained for {facts.config.steps} steps on one clip
at a time, so that the numbers themselves cannot be held against each other.

```sh
{printable(facts.command)}
```{missing}

The clips, and J of their boxes filled in, which is what no training at all would reach:

{_table(["clip", "boxes filled in"], boxes)}"""


def _group(compared: Compared, facts: Facts) -> str:
    group = compared.group
    clips = list(facts.clips)
    header = ["setting", "mean J", "to the first", "interval"]
    header += ["kept"] if group.retention else []
    header += ["loss, MB"] if group.memory else []
    header += ["train, s", "jobs", *clips, "the paper's order"]
    rows = []
    for row in compared.rows:
        cells = [row.name, _number(row.j), _mean(row.difference), _interval(row.difference)]
        if group.retention:
            cells.append(_NOTHING if row.retention is None else f"{row.retention:.1%}")
        if group.memory:
            size = row.loss_bytes
            cells.append(_NOTHING if size is None else f"{size / _MEGA:.1f}")
        cells.append(_NOTHING if row.seconds is None else f"{row.seconds:.0f}")
        cells.append(f"{row.done}/{row.jobs}")
        rows.append([*cells, *(_number(row.by_clip[clip]) for clip in clips), _order(row)])
    failed = [f"- {row.name} failed: {why}" for row in compared.rows for why in row.failed]
    told = "\n\n" + "\n".join(failed) if failed else ""
    table = _table(header, rows, last=True)
    return f"## {group.title}\n\nThe paper: {group.claim}\n\n{table}{told}"


def _order(row: Row) -> str:
    if row.verdict:
        return row.verdict
    return _NOTHING if row.difference is None else "no claim"


def _foot(facts: Facts) -> str:
    base = "\n".join(f"- `{key}={value}`" for key, value in BASE.items())
    if facts.settings:
        words = ", ".join(f"`{printable(f'{k}={v}')}`" for k, v in facts.settings.items())
        base += f"\n\nand, as `--set` says: {words}, where the row is not about it."
    seeds = " ".join(map(str, facts.seeds))
    commits = ", ".join(f"{name} ({count})" for name, count in facts.commits.items()) or _NOTHING
    confidence = f"{facts.config.confidence:.0%}"
    return f"""## How to read it

- J is the mean over the tracks of a clip, of all frames that have true masks; *mean J* is the mean
  over clips and seeds ({seeds}), each clip's column the mean over its seeds.
- *To the first* is the mean difference to the first row, of the same clip and seed on either side.
  The *interval* holds the true one with {confidence} confidence: Student's t over the clips,
  each of which counts once, with the mean of its seeds; of a single clip over its seeds. Intervals
  are not corrected for how many there are.
- *Agrees*: the whole interval lies on the side that the paper's order has (for settings that it
  finds as good as each other: within {facts.config.same:g} of nothing); *disagrees*: on the other
  side; *not told apart*: it spans zero, so these clips and seeds do not decide. *No claim*: the
  paper says nothing of it that we know.
- *Loss, MB*: the most that tensors of the temporal loss of one step take, matches and gradients
  included, of the clip that takes most. *Kept*: J as a part of the first row's, mean over clips.
- *Train, s*: by the clock, with {facts.config.threads} thread a job.
- The paper's numbers are from its abstract and from public summaries of its tables.

## The base

Every job is the preset `{PRESET}` with these changes, which leave the paper's terms and take away
what of ours could hide them: background seen elsewhere, the consensus of cues and its refinement,
boxes that follow the picture. What a network without pretrained weights needs to learn at all
stays: tracks bound to queries, the term outside the boxes, the decaying prior. Every annotated
frame has its box, unless a row says else.

{base}

The results are of the commits (how many): {commits}. Device: {facts.device}."""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, last: bool = False) -> str:
    """Return a table: the first column and, where ``last``, the last are words."""
    numbers = len(header) - 1 - last
    rule = ["---", *["---:"] * numbers, *["---"] * last]
    cells = [[printable(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines = [cells[0], rule, *cells[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def _mean(difference: Difference | None) -> str:
    return _NOTHING if difference is None else f"{difference.mean:+.3f}"


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return _NOTHING
    return f"{difference.low:+.3f} to {difference.high:+.3f}"
