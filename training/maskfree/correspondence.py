"""1:K patch correspondences between frames: what the temporal loss uses and the viewer shows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch

from maskfree.category import CATEGORY_COLOURS, Category, categorise
from maskfree.errors import nearest
from maskfree.kernels.nearest import nearest as nearest_candidates
from maskfree.lab import to_lab
from maskfree.search_window import candidate_offsets
from maskfree.types import Matches

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = [
    "CATEGORY_COLOURS",
    "Category",
    "candidate_offsets",
    "categorise",
    "directed_pairs",
    "drop_ignored",
    "frame_pairs",
    "list_matches",
    "match_clip",
    "match_patches",
    "to_lab",
]

_TUBES = ("cyclic", "neighbour", "dense")


def frame_pairs(num_frames: int, tube: str) -> list[tuple[int, int]]:
    """Return the frame pairs t→t̂ that a tube of ``num_frames`` frames connects.

    ``cyclic``: t→t+1 and last→first; ``neighbour``: t→t+1; ``dense``: all t < t̂. One frame has
    no pair.

    Raises
    ------
    ValueError
        For another tube.

    Notes
    -----
    MaskFreeVIS figure 5: the paper's is cyclic, the released code's dense with T=3.
    """
    if tube not in _TUBES:
        hint = nearest(tube, _TUBES)
        raise ValueError(f'tube must be one of {", ".join(_TUBES)}, got "{tube}".{hint}')
    if tube == "dense":
        return list(itertools.combinations(range(num_frames), 2))
    pairs = list(itertools.pairwise(range(num_frames)))
    if tube == "cyclic" and num_frames > 1:
        pairs.append((num_frames - 1, 0))
    return pairs


def directed_pairs(num_frames: int, config: TemporalKNNConfig) -> list[tuple[int, int]]:
    """Return the frame pairs of a tube, the frame that holds the centres first."""
    pairs = frame_pairs(num_frames, config.tube)
    return pairs if config.centre_frame == "source" else [(later, first) for first, later in pairs]


def match_patches(
    lab_source: torch.Tensor, lab_target: torch.Tensor, *, config: TemporalKNNConfig
) -> Matches:
    """Find for the patch around each cell of one frame its K nearest patches in another.

    The distance of cells p and q is ``sqrt(sum_o |Lab_source(p + o) - Lab_target(q + o)|^2)`` over
    the N x N offsets o of a patch (or by another ``config.metric``, in another ``colour_space``:
    see :mod:`maskfree.kernels.nearest_plain`); cells of a patch beyond the image's edge have Lab 0.
    Candidates q lie within ``search_radius`` of p. Of equally distant ones the least displaced
    comes first.

    Parameters
    ----------
    lab_source, lab_target
        ``(3, H4, W4)``, see :func:`maskfree.lab.to_lab`; compared in float32. The source holds the
        centres, the target the candidates, whatever ``config.centre_frame`` (which says how
        :func:`match_clip` orders a pair).
    config
        R and its window and stride, K, N, the metric and its D.

    Returns
    -------
    Matches
        ``target_yx`` long ``(K, H4, W4, 2)``, ``distance`` float32 ``(K, H4, W4)`` in the metric's
        units, ``valid`` bool ``(K, H4, W4)``: in the image and at most ``config.limit`` away. Where
        there are fewer than K candidates the rest is infinitely far, not valid, and points at p
        itself.
        With ``config.outside_counts`` candidates outside the image (patches of Lab 0, in so far as
        they lie there) compete as well; they have their true coordinates and are never valid.

    Raises
    ------
    ValueError
        For frames of other or unequal shapes.

    Notes
    -----
    MaskFreeVIS section 3.3, steps 1 and 2. For one offset, the distances of all cells are a box sum
    over one image of squared differences, and only the K nearest so far are kept: memory is
    O(K H4 W4), whatever R and N.
    """
    _check_frame("lab_source", lab_source)
    _check_frame("lab_target", lab_target)
    if lab_source.shape != lab_target.shape:
        raise ValueError(
            f"lab_source and lab_target must have one shape, got {tuple(lab_source.shape)} and "
            f"{tuple(lab_target.shape)}. Take two frames of one video at one size."
        )
    return _match(lab_source[None], lab_target[None], config)[0]


def match_clip(
    lab: torch.Tensor, *, config: TemporalKNNConfig
) -> list[tuple[tuple[int, int], Matches]]:
    """Match the frame pairs of a clip at once, to be shared by all decoder layers.

    Parameters
    ----------
    lab
        ``(T, 3, H4, W4)``.
    config
        As for :func:`match_patches`; ``tube`` says which frames are paired and ``centre_frame``
        which frame of a pair holds the centres.

    Returns
    -------
    list
        ``((source, target), matches)`` for each pair: the frame that holds the centres, the frame
        that holds the candidates, and the matches from the one into the other.

    Raises
    ------
    ValueError
        For another shape.
    """
    if lab.ndim != 4 or lab.shape[1] != 3:
        raise ValueError(
            f"lab must be (T, 3, H, W), got {tuple(lab.shape)}. Pass the Lab frames of one clip."
        )
    pairs = directed_pairs(len(lab), config)
    if not pairs:
        return []
    source, target = (list(frames) for frames in zip(*pairs, strict=True))
    return list(zip(pairs, _match(lab[source], lab[target], config), strict=True))


def drop_ignored(
    matches: Matches, ignored_source: torch.Tensor, ignored_target: torch.Tensor
) -> Matches:
    """Return the matches with those from or into an ignored cell not valid, infinitely far.

    ``ignored_source``, ``ignored_target``: bool ``(H4, W4)``, of the frame that holds the centres
    and of the one that holds the candidates.
    """
    height, width = ignored_target.shape
    y = matches.target_yx[..., 0].clamp(0, height - 1)
    x = matches.target_yx[..., 1].clamp(0, width - 1)
    dropped = ignored_source | ignored_target[y, x]
    return Matches(
        matches.target_yx,
        matches.distance.masked_fill(dropped, torch.inf),
        matches.valid & ~dropped,
    )


def _check_frame(name: str, lab: torch.Tensor) -> None:
    if lab.ndim != 3 or lab.shape[0] != 3:
        raise ValueError(
            f"{name} must be (3, H, W), got {tuple(lab.shape)}. Pass the Lab image of one frame."
        )


@torch.no_grad()
def _match(source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig) -> list[Matches]:
    """Match P pairs of frames, ``(P, 3, H, W)`` each, at once."""
    return list_matches(*nearest_candidates(source, target, config), config)


def list_matches(
    index: torch.Tensor, distance: torch.Tensor, config: TemporalKNNConfig
) -> list[Matches]:
    """Return the matches of P frame pairs from what the search found, ``(P, K, H, W)`` each.

    ``index`` is the place in :func:`candidate_offsets`, their number where there is none.
    """
    height, width = index.shape[-2:]
    offsets = torch.tensor([*candidate_offsets(config), (0, 0)], device=index.device)
    rows, columns = (torch.arange(n, device=index.device) for n in (height, width))
    cell = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
    target_yx = offsets.index_select(0, index.flatten()).view(*index.shape, 2).add_(cell)
    valid = distance <= config.limit
    if config.outside_counts:
        y, x = target_yx.unbind(-1)
        valid &= (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return [Matches(*each) for each in zip(target_yx, distance, valid, strict=True)]
