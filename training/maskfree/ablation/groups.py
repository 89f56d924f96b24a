"""What is compared with what: the base, and the paper's comparisons as lists of settings.

Source of the claims: Mask-Free Video Instance Segmentation (CVPR 2023, arXiv 2303.15904). Figure 1
gives the 42.5 mask AP; the other numbers are those that public summaries of its tables repeat, and
where none was found the claim is in words. All of them are AP on YouTube-VIS 2019 with a pretrained
network: here only the order of settings can be looked for, never the numbers.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from maskfree.errors import InputError, nearest
from maskfree.presets import preset
from maskfree.settings import changes, override

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BASE", "GROUPS", "Beside", "Group", "Recipe", "Variant", "chosen_groups", "recipe_of"]

Expected = Literal["below", "same", "above", ""]
"""What the paper leads one to expect of a J beside another: the same, or nothing is said."""
PRESET = "tiny"
BASE: Mapping[str, str] = {
    "sampling.clip_length": "3",
    "sampling.frame_area": "57344",
    "evidence.seek": "false",
    "evidence.weight": "0",
    "consensus.train": "false",
    "consensus.refine": "false",
    "follow.between": "false",
    "follow.held_passes": "0",
}
"""What every job changes of the preset: all that could hide what the paper's terms do is off, which
is background seen elsewhere, the consensus of cues, the refinement of masks and boxes that follow
the picture. Frames have half the default's area, so that the grid is a matter of hours on two
cores. What a network without pretrained weights needs to learn at all stays: the binding of
tracks to queries, the term outside the boxes, the decaying prior."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row of a group.

    ``settings`` are put into the base. ``share``: the part of the annotated frames that have a box,
    evenly spread. ``oracle``: every frame's true masks are what is learnt from. ``expected``: of
    its J beside the reference's.
    """

    name: str
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    share: float = 1.0
    oracle: bool = False
    expected: Expected = ""


@dataclasses.dataclass(frozen=True)
class Beside:
    """Two variants of a group by name, none its reference: what is expected of the first's J."""

    name: str
    other: str
    expected: Expected


@dataclasses.dataclass(frozen=True)
class Group:
    """A comparison: the first of ``variants`` is the reference.

    ``key`` is its name on the command line. ``beside``: what else of the paper's order is looked
    for; ``memory``: the peak memory of the temporal loss is shown as well; ``retention``: each J as
    a part of the reference's.
    """

    key: str
    title: str
    claim: str
    variants: tuple[Variant, ...]
    beside: tuple[Beside, ...] = ()
    memory: bool = False
    retention: bool = False

    @property
    def reference(self) -> Variant:
        """What the others are compared with."""
        return self.variants[0]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What of a variant changes a result; equal ones are run once, whatever group they are in.

    ``settings``: what differs from the preset, as ``key=value`` words, sorted.
    """

    settings: tuple[str, ...]
    share: float = 1.0
    oracle: bool = False


def recipe_of(variant: Variant, steps: int) -> Recipe:
    """Return what is run for a variant.

    Raises
    ------
    InputError
        For a setting that does not exist or a value that does not fit.
    """
    start = preset(PRESET)
    chosen = {**BASE, **variant.settings, "optimiser.steps": str(steps)}
    words = changes(start, override(start, chosen))
    return Recipe(tuple(sorted(words)), variant.share, variant.oracle)


def chosen_groups(keys: Sequence[str] | None) -> list[Group]:
    """Return the groups of these names, or all of them, in the order that they are listed in.

    Raises
    ------
    InputError
        For an unknown name.
    """
    known = {group.key: group for group in GROUPS}
    for key in keys or ():
        if key not in known:
            raise InputError(
                f'There is no group "{key}" of settings.{nearest(key, known)} Choose among '
                f"{', '.join(known)}."
            )
    return [group for group in GROUPS if keys is None or group.key in keys]


def _numbers(
    key: str, reference: int, values: Sequence[int], symbol: str, expected: Expected
) -> tuple[Variant, ...]:
    """Return the variants of one whole number, the reference first."""
    others = (
        Variant(f"{symbol} = {value}", {key: str(value)}, expected=expected)
        for value in values
        if value != reference
    )
    return Variant(f"{symbol} = {reference}", {key: str(reference)}), *others


def _tube(name: str, expected: Expected = "") -> Variant:
    # of three frames a cycle joins the same pairs as all do
    return Variant(name, {"temporal.tube": name, "sampling.clip_length": "5"}, expected=expected)


_SHARES = (0.5, 0.25, 0.1)
"""Parts of the annotated frames that have a box."""

GROUPS = (
    Group(
        "method",
        "What joins the frames",
        "The spatial terms alone reach 38.6 AP, with matches by optical flow (RAFT) 40.2, with the "
        "TK-Loss 42.5; it is better than the pairwise term in three dimensions as well (Table 2).",
        (
            Variant("TK-Loss", {"temporal.method": "knn"}),
            Variant("spatial only", {"temporal.method": "none"}, expected="below"),
            Variant("optical flow", {"temporal.method": "flow"}, expected="below"),
            Variant("pairwise in 3D", {"temporal.method": "pairwise3d"}, expected="below"),
        ),
        beside=(Beside("optical flow", "spatial only", "above"),),
    ),
    Group(
        "neighbours",
        "K, the matches of a cell",
        "From K = 1 to K = 5 AP rises by 1.7; more than one match is what serves (Table 4).",
        _numbers("temporal.num_neighbors", 1, (3, 5, 7), "K", "above"),
    ),
    Group(
        "radius",
        "R, how far matches are looked for",
        "R = 5 is chosen, as the best (Table 6).",
        _numbers("temporal.search_radius", 5, (3, 7), "R", "below"),
    ),
    Group(
        "patch",
        "N, the side of the compared patches",
        "N = 3 is chosen, as the best (Table 7).",
        _numbers("temporal.patch_size", 3, (1, 5, 7), "N", "below"),
    ),
    Group(
        "metric",
        "How patches are compared",
        "The L2 distance serves better than L1 and NCC (Table 5). It is taken of Lab colours; of "
        "RGB nothing was found.",
        (
            Variant("L2", {"temporal.metric": "l2"}),
            Variant("L1", {"temporal.metric": "l1"}, expected="below"),
            Variant("NCC", {"temporal.metric": "ncc"}, expected="below"),
            Variant("L2 of RGB", {"temporal.metric": "l2", "temporal.colour_space": "rgb"}),
        ),
    ),
    Group(
        "tube",
        "Which frames are joined, of five",
        "A cycle is as good as all pairs and takes much less memory; it is preferred to "
        "neighbouring frames alone (Table 8).",
        (_tube("cyclic"), _tube("dense", "same"), _tube("neighbour", "below")),
        memory=True,
    ),
    Group(
        "matching",
        "How predictions find their tracks",
        "Matching whole tubes of box masks serves better than boxes frame by frame, where one "
        "outlier frame spoils the match (Table 9). The binding of tracks to queries is ours.",
        (
            Variant("tube", {"matching.mode": "tube"}),
            Variant("frame", {"matching.mode": "frame"}, expected="below"),
            Variant("bound", {"matching.mode": "bound"}),
        ),
    ),
    Group(
        "retention",
        "Boxes against true masks",
        "Without any mask 42.5 of 46.4 AP are kept, 91.5 %. Fewer data give less AP, from boxes as "
        "from masks (Figure 6; that the TK-Loss is worth 3 AP or more at every share is not looked "
        "at here).",
        (
            Variant(
                "true masks",
                {"objective.supervision": "masks", "matching.mode": "bound"},
                oracle=True,
            ),
            *(Variant(f"boxes in {share:.0%}", share=share) for share in (1.0, *_SHARES)),
        ),
        beside=tuple(
            Beside(f"boxes in {share:.0%}", "boxes in 100%", "below") for share in _SHARES
        ),
        retention=True,
    ),
)
"""The comparisons, in the report's order."""
