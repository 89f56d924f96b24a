"""Actions on the masks of a frame, and what explains them, as Python. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_maskfree.constants import CHANGED_LEAST, COMPARED_FRAMES
from napari_maskfree.python_situation import joined, tracks_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_maskfree.python_situation import Code, Situation

__all__ = ["MASKS"]


def _read(now: Situation) -> str:
    return f"masks, known = session.masks.read({now.frame}), session.corrections.read({now.frame})"


def _accept(now: Situation) -> Code:
    return (
        ("from maskfree.vouch import accepted",),
        f"""
{_read(now)}
made, left_out = accepted(session.boxes, {now.frame}, masks, known)
session.corrections.write({now.frame}, made)
print(left_out)  # tracks whose mask is not where their box is
""",
    )


def _gold(now: Situation) -> Code:
    if now.gold:
        return (
            ("from maskfree.vouch import without_gold",),
            f"known = session.corrections.read({now.frame})\n"
            f"session.corrections.write({now.frame}, without_gold(known))",
        )
    return (
        ("from maskfree.vouch import gold_of",),
        f"""
{_read(now)}
made, empty, elsewhere = gold_of(session.boxes, {now.frame}, masks, known)
assert not elsewhere, elsewhere  # tracks whose mask is not where their box is
session.corrections.write({now.frame}, made)
""",
    )


def _take_back(now: Situation) -> Code:
    return (), f"session.corrections.write({now.frame}, {{}})"


def _paint(now: Situation) -> Code:
    y, x = now.yx
    return (
        (
            "from maskfree.corrections import from_labels",
            "from maskfree.mask_place import labels_of",
        ),
        f"""
tracks = session.boxes
{_read(now)}
before = labels_of(masks, tracks.height, tracks.width)  # track ids by pixel, 0 for none
after = before.copy()
after[{y} : {y + 8}, {x} : {x + 8}] = {now.track_id}  # yours; 0 takes away
session.corrections.write({now.frame}, from_labels(before, after, known))
""",
    )


def _click(now: Situation, *, belongs: bool) -> Code:
    y, x = now.yx
    return (
        (
            "import numpy as np",
            "from maskfree.click_correction import click_on",
            "from maskfree.clicks import Click",
            "from maskfree.config import ClicksConfig",
            "from maskfree.mask_place import labels_of",
            "from maskfree.tracks import boxes_at",
        ),
        f"""
{_read(now)}
with session.open_video() as video:
    picture = np.ascontiguousarray(video[{now.frame}])
made, pixels = click_on(
    picture,
    labels_of(masks, *picture.shape[:2]),
    boxes_at(session.boxes, {now.frame})[{now.track_id}].xyxy,
    {now.track_id},
    Click(y={y}, x={x}, belongs={belongs}),
    known,
    earlier=[Click(*said) for said in {list(now.clicks)}],  # y, x, whether it belongs
    config=ClicksConfig(),
)
session.corrections.write({now.frame}, made)
""",
    )


def _box_from_mask(now: Situation) -> Code:
    said = ", occluded=True" * now.occluded
    imports, body = tracks_code(
        (
            "from maskfree.mask_place import box_of_mask",
            "from maskfree.tracks import set_keyframe",
            "from maskfree.types import Keyframe",
        ),
        f"keyframe = Keyframe({now.frame}, box_of_mask(mask){said})\n"
        f"tracks = set_keyframe(tracks, {now.track_id}, keyframe)",
    )
    mask = f"""masks = session.masks.read({now.frame})
mask = masks.masks[masks.track_ids.index({now.track_id})]
"""
    return imports, mask + body


def _tidy(now: Situation) -> Code:
    track = "None" if now.all_tracks else now.track_id
    return (
        ("from maskfree.tidy_mask import tidy_frame",),
        f"""
{_read(now)}
tidied = tidy_frame(masks, known, track_id={track}, max_size={now.size})
session.corrections.write({now.frame}, {{**known, **tidied.changed}})
print(tidied.filled, tidied.dropped)  # pixels
""",
    )


def _carry_on(now: Situation) -> Code:
    return (
        (
            "from maskfree.carrying import find_carried, take_carried",
            "from maskfree.config import CarryConfig",
        ),
        f"""
predicted, known = session.mask_store(), session.corrections.read_all()
with session.open_video() as video:
    found = find_carried(
        video,
        session.boxes,
        predicted.read({now.frame}),
        known,
        {now.frame},
        config=CarryConfig(),
    )
changes, pixels = take_carried(predicted.read, known, {now.frame}, found)
for frame, made in changes.items():
    session.corrections.write(frame, made)
print(pixels)  # by frame
""",
    )


def _changed(now: Situation) -> Code:
    """Print what a correction changed elsewhere: carried there, or by the run that learnt it."""
    if now.source is not None:
        return (
            ("from maskfree.changed_frames import carried_changes",),
            f"""
known = session.corrections.read_all()
for track_id, changes in carried_changes(session.mask_store().read, known, {now.source}).items():
    print(track_id, changes)
""",
        )
    return (
        (
            "from maskfree.changed_frames import run_changes",
            "from maskfree.kept_masks import run_before, run_masks, shown_run",
            "from maskfree.evenly import evenly",
        ),
        f"""
after, run = session.mask_store(), run_before(session)
if run is not None:
    before = run_masks(session, run, shown_run(session))
    frames = evenly(sorted({{*before.frames(), *after.frames()}}), {COMPARED_FRAMES})
    found = run_changes(before.read, after.read, frames, least={CHANGED_LEAST})
    for track_id, changes in found.items():
        print(track_id, changes)
""",
    )


def _least_sure(_now: Situation) -> Code:
    return (
        (),
        """
store, known = session.mask_store(), session.corrections.read_all()
scores = []
for frame in store.frames():
    reviewed = {i for i, own in known.get(frame, {}).items() if own.is_reviewed}
    found = store.read_scores(frame).items()
    scores += [(score, frame, i) for i, score in found if i not in reviewed]
for score, frame, track_id in sorted(scores)[:10]:
    print(f"frame {frame}, track {track_id}: {score:.2f}")
""",
    )


def _confidence(now: Situation) -> Code:
    return (
        (),
        f"""
masks = session.masks.read({now.frame})
for track_id, score in zip(masks.track_ids, masks.scores, strict=True):
    print(f"track {{track_id}}: {{score:.2f}}")  # 0 to 1, without knowing the truth
""",
    )


def _evidence(_now: Situation) -> Code:
    return (
        ("from maskfree.consensus_memory import read_evidence",),
        """
run = session.latest_run()
evidence = read_evidence(run.kept_memory_path)  # int8 (T, h, w): below 0 background, above object
print(evidence.shape)
""",
    )


def _disagreement(now: Situation) -> Code:
    return (
        ("from maskfree.tk_residual import ResidualMaker",),
        f"""
with session.open_video() as video:
    residual = ResidualMaker(video, session.boxes).of({now.frame}, session.masks.read)
print(residual.signed.shape)  # float32 (h, w): above 0 is missing, below 0 too much
for finding in residual.findings:
    print(finding)
""",
    )


# ---- correspondences


def _grid(now: Situation) -> Code:
    return (
        (
            "from maskfree.matching_grid import compared_video, grid_of_run",
            "from maskfree.presets import preset",
        ),
        f"""
run, tracks = session.latest_run(), session.boxes
config = run.config if run is not None else preset({now.preset!r})
""",
    )


def _pixel(now: Situation) -> Code:
    others = [
        frame
        for frame in range(now.frame - now.each_side, now.frame + now.each_side + 1)
        if 0 <= frame < now.frames and frame != now.frame
    ]
    look = (
        ("from maskfree.inspect_patch import Fate, inspect_cell",),
        f"""
with session.open_video() as video:
    grid = grid_of_run(video, tracks, config)
    whole = compared_video(video, tracks, config)
    frames = {{t: grid.frame(whole[t]) for t in {sorted([now.frame, *others])}}}
cell = grid.cell_at({now.yx})
for target in {others}:
    found = inspect_cell(
        frames[{now.frame}],
        frames[target],
        cell,
        config=grid.config,
        stretch=grid.stretch,
        ignored=(grid.ignored({now.frame}), grid.ignored(target)),
    )
    for yx, distance, fate in zip(found.yx, found.distance, found.fate, strict=True):
        print(target, yx, distance, Fate(fate).name)
""",
    )
    return joined(_grid(now), look)


def _tube(now: Situation) -> Code:
    frames = list(range(now.frame, min(now.frame + now.tube, now.frames)))
    look = (
        ("from maskfree.patch_path import follow_cell",),
        f"""
with session.open_video() as video:
    grid = grid_of_run(video, tracks, config)
    whole = compared_video(video, tracks, config)
    frames = {{t: grid.frame(whole[t]) for t in {frames}}}
path = follow_cell(
    frames,
    {frames},
    grid.cell_at({now.yx}),
    config=grid.config,
    stretch=grid.stretch,
    ignored=grid.ignored,
)
print(path)
""",
    )
    return joined(_grid(now), look)


def _categories(now: Situation) -> Code:
    last = now.frame + 1 >= now.frames
    other = now.frame - 1 if last else now.frame + 1
    look = (
        ("from maskfree.frame_categories import categorise_frame",),
        f"""
with session.open_video() as video:
    grid = grid_of_run(video, tracks, config)
    whole = compared_video(video, tracks, config)
    pair = grid.frame(whole[{now.frame}]), grid.frame(whole[{other}])
found = categorise_frame({now.frame}, {other}, pair, grid, config.category)
print(found.counts)  # cells by category, see maskfree.category
""",
    )
    return joined(_grid(now), look)


MASKS: Mapping[str, Callable[[Situation], Code]] = {
    "correct": _paint,
    "click_mode": lambda now: _click(now, belongs=True),
    "click_belongs": lambda now: _click(now, belongs=True),
    "click_not": lambda now: _click(now, belongs=False),
    "box_from_mask": _box_from_mask,
    "accept": _accept,
    "accept_next": lambda now: joined(_accept(now), _least_sure(now)),
    "gold": _gold,
    "take_back": _take_back,
    "tidy_masks": _tidy,
    "carry_on": _carry_on,
    "next_changed": _changed,
    "previous_changed": _changed,
    "next_review": _least_sure,
    "confidence": _confidence,
    "evidence": _evidence,
    "disagreement": _disagreement,
    "pick_pixel": _pixel,
    "follow_cursor": _pixel,
    "tube": _tube,
    "categories": _categories,
}
"""By the action's name."""
