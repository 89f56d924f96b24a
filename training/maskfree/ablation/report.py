"""The page: what was compared, a table a comparison, and what it rests on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maskfree.ablation.groups import BASE, PRESET
from maskfree.presets import preset
from maskfree.settings import as_text, iter_settings, override
from maskfree.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.ablation.comparison import Compared, Row
    from maskfree.ablation.differences import Difference
    from maskfree.config import AblationConfig

__all__ = ["Facts", "as_json", "as_markdown"]

_NOTHING = "–"
_DIFFERENCE = ("to the first", "median", "interval", "higher on")
_ORDER = "the paper's order"
_TOLD = (
    "objective.projection_weight",
    "pairwise.weight",
    "pairwise.similarity_threshold",
    "temporal.weight",
    "objective.temporal_mean",
    "temporal.normaliser",
    "temporal.max_distance",
    "temporal.max_distance_l1",
    "temporal.max_distance_ncc",
)
"""Settings of the preset that the tables hang on, named on the page as they are."""
_MEGA = 1e6


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the numbers rest on.

    ``clips``: name to the J of its boxes filled in, None where no job is finished; ``settings``:
    what every job changes of the base; ``commits``: to how many results are from it; ``device``:
    its kind; ``command``: what made the page; ``done`` of ``jobs`` are finished, ``failed`` came to
    nothing; ``drawn``: name of the picture, if there is one; ``reasons``: a group's key to what a
    person says of it, Markdown.
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
    drawn: str = ""
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)


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
        "reasons": dict(facts.reasons),
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
            "number, differences are of the pairs that are there, and the paper's order is judged "
            "where every clip has one; the same command goes on from here."
        )
    picture = f"\n\n![Differences and their intervals]({facts.drawn})" if facts.drawn else ""
    return f"""# Ablation

The comparisons of MaskFreeVIS (CVPR 2023, arXiv 2303.15904), run again on these clips: is the
paper's order of settings seen? Its numbers are AP of a pretrained network on YouTube-VIS; these are
J of a small network without pretrained weights, trained for {facts.config.steps} steps on one clip
at a time, so that the numbers themselves cannot be held against each other.

```sh
{printable(facts.command)}
```{missing}{picture}

The clips, and J of their boxes filled in, which is what one has without any training:

{_table(["clip", "boxes filled in"], boxes)}"""


def _group(compared: Compared, facts: Facts) -> str:
    group = compared.group
    clips = list(facts.clips)
    header = ["setting", "mean J", *_DIFFERENCE]
    header += ["kept", "interval of it"] if group.retention else []
    header += ["loss, MB", "to the first's"] if group.memory else []
    header += ["train, s", "jobs", *clips, _ORDER]
    rows = []
    for row in compared.rows:
        cells = [row.name, _number(row.j), *_difference(row.difference)]
        if group.retention:
            kept = row.retention
            cells.append(_NOTHING if kept is None else f"{kept.mean:.1%}")
            cells.append(_interval(kept, ".1%"))
        if group.memory:
            size, ratio = row.loss_bytes, row.loss_ratio
            cells.append(_NOTHING if size is None else f"{size / _MEGA:.1f}")
            cells.append(_NOTHING if ratio is None else f"{ratio:.2f}")
        cells.append(_NOTHING if row.seconds is None else f"{row.seconds:.0f}")
        cells.append(f"{row.done}/{row.jobs}")
        cells += (_clip(row.by_clip[clip], row.filled[clip]) for clip in clips)
        rows.append([*cells, _order(row)])
    parts = [f"## {group.title}", f"The paper: {group.claim}", _table(header, rows, last=True)]
    parts += [_beside(compared)] if compared.beside else []
    parts += ["\n".join(notes)] if (notes := _notes(compared)) else []
    if why := facts.reasons.get(group.key):
        parts.append("\n".join(map(printable, why.splitlines())))
    return "\n\n".join(parts)


def _beside(compared: Compared) -> str:
    rows = [
        [f"{each.name} beside {each.other}", *_difference(each.difference), each.verdict]
        for each in compared.beside
    ]
    return _table(["and", "difference", *_DIFFERENCE[1:], _ORDER], rows, last=True)


def _notes(compared: Compared) -> list[str]:
    """Return what is remarkable of single rows, as a list."""
    first = compared.rows[0].name
    alike = [
        f"- {row.name} and {first} have the very same J on {', '.join(row.difference.equal)}: the "
        "setting decides nothing there."
        for row in compared.rows
        if row.difference is not None and row.difference.equal
    ]
    failed = [f"- {row.name} failed: {why}" for row in compared.rows for why in row.failed]
    return alike + failed


def _order(row: Row) -> str:
    if row.verdict:
        return row.verdict
    return _NOTHING if row.difference is None else "no claim"


def _foot(facts: Facts) -> str:
    base = "\n".join(f"- `{key}={value}`" for key, value in BASE.items())
    if facts.settings:
        words = ", ".join(f"`{printable(f'{k}={v}')}`" for k, v in facts.settings.items())
        base += f"\n\nand, as `--set` says: {words}, where the row is not about it."
    config = override(preset(PRESET), {**BASE, **facts.settings})
    known = {each.key: each.value for each in iter_settings(config)}
    told = "\n".join(f"- `{key}={printable(as_text(known[key]))}`" for key in _TOLD)
    seeds = " ".join(map(str, facts.seeds))
    commits = ", ".join(f"{name} ({count})" for name, count in facts.commits.items()) or _NOTHING
    confidence = f"{facts.config.confidence:.0%}"
    return f"""## How to read it

- J is intersection over union with the true mask, the mean over the tracks of a clip and over all
  frames that have true masks and show the track; *mean J* is the mean over clips and seeds
  ({seeds}), each clip's column the mean over its seeds: *in italics* where it is below the boxes
  filled in that it learnt from, so that the training failed there. *Jobs*: how many are finished,
  of clips times seeds.
- *To the first* is the mean difference to the first row, of the same clip and seed on either side.
  The *interval* holds the true one with {confidence} confidence: Student's t over the clips,
  each of which counts once, with the mean of its seeds; of a single clip over its seeds. Intervals
  are not corrected for how many there are. One clip that is far from all others widens it: look at
  the *median* over clips, and at *higher on*, on how many the setting is better.
- *Agrees*: the whole interval lies on the side that the paper's order has (for settings that it
  finds as good as each other: within {facts.config.same:g} of nothing); *disagrees*: it lies on
  another; *not told apart*: neither, or there is no interval: these clips and seeds do not decide.
  *Not whole*: a clip has no pair yet. *No claim*: the paper says nothing of it that we know. Where
  a claim has no number, its direction is our reading of it.
- *Loss, MB*: the most that tensors of the temporal loss of one step take, matches and gradients
  included, of the clip that takes most; *to the first's*: mean ratio over clips. *Kept*: J as a
  part of the first row's, mean over clips.
- *Train, s*: by the clock, with {facts.config.threads} thread a job, whatever ran beside it.
- The paper's numbers are from its Figure 1 and from public summaries of its tables.

## The base

Every job is the preset `{PRESET}` with these changes, which leave the paper's terms and take away
what of ours could hide them: background seen elsewhere, the consensus of cues and its refinement,
boxes that follow the picture. What a network without pretrained weights needs to learn at all
stays: tracks bound to queries, the term outside the boxes, the decaying prior. Every annotated
frame has its box, unless a row says else.

{base}

Other values that the tables hang on, the same in every row that is not about them:

{told}

By the grid normaliser the temporal loss is a sum over matches and pairs of frames: more of them (K,
dense tubes) weigh more. D (`temporal.max_distance`) is the same for every N and colour space.

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


def _clip(j: float | None, filled: float | None) -> str:
    below = j is not None and filled is not None and j < filled
    return f"*{_number(j)}*" if below else _number(j)


def _difference(found: Difference | None) -> tuple[str, str, str, str]:
    """Return the cells of `_DIFFERENCE`."""
    if found is None:
        return _NOTHING, _NOTHING, _NOTHING, _NOTHING
    higher = f"{found.higher}/{found.units}"
    return f"{found.mean:+.3f}", f"{found.median:+.3f}", _interval(found, "+.3f"), higher


def _interval(found: Difference | None, form: str) -> str:
    if found is None or found.low is None or found.high is None:
        return _NOTHING
    return f"{found.low:{form}} to {found.high:{form}}"
