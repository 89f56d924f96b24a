"""Every action as Python: the same through the engine, on the saved session. No Qt here."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskfree.types import Box

__all__ = ["NAMES", "Situation", "as_python"]

_NOWHERE = "clip.maskfree"


@dataclasses.dataclass(frozen=True)
class Situation:
    """What an action is about, as it stands in the window.

    ``session``, ``video``, ``target``: paths; ``video`` is None where there is no file of it, and
    matters until the session is ``saved``. ``settings``: ``key=value`` of the next run beside the
    form's. ``range``: first and last frame of the selected ones, the shown one where none is.
    ``box``, ``last_box``: where the track is in the shown frame and in the one before.
    """

    session: str = _NOWHERE
    saved: bool = True
    video: str | None = None
    frame: int = 0
    range: tuple[int, int] = (0, 0)
    track_id: int = 1
    label: str = "object"
    settings: tuple[str, ...] = ()
    box: Box | None = None
    last_box: Box | None = None
    occluded: bool = False
    last_occluded: bool = False
    preset: str = "tiny"
    steps: int = 1
    device: str = "auto"
    seed: int = 0
    format: str = "davis"
    target: str = "masks"


def as_python(name: str, now: Situation) -> str | None:
    """Return Python that does what the action ``name`` of the window does; None: it has none.

    The names are those of :data:`.keys.KEYS`. What only moves about in the window has none. The
    code works on the session as it is saved; open it again in the window to see what it did.
    """
    make = _MADE.get(name)
    if make is None:
        return None
    imports, body = make(now)
    start, opened = _opened(now)
    lines = sorted({"from maskfree.session import Session", *start, *imports})
    return "\n".join([*lines, "", opened, textwrap.dedent(body).strip(), ""])


Code = tuple[tuple[str, ...], str]


def _opened(now: Situation) -> Code:
    if now.saved:
        return (), f"session = Session.open({now.session!r})"
    return ("from maskfree.tracks import read_boxes",), (
        'boxes = read_boxes("boxes.json")  # saved from section 2\n'
        f"session = Session.create_or_open(\n    {now.session!r}, "
        f"video_source={now.video or 'video.mp4'!r}, boxes=boxes\n)"
    )


def _tracks(imports: tuple[str, ...], change: str) -> Code:
    return imports, f"tracks = session.boxes\n{change}\nsession.save_boxes(tracks)"


def _edit(function: str, arguments: str, module: str = "track_edits") -> Code:
    return _tracks(
        (f"from maskfree.{module} import {function}",), f"tracks = {function}(tracks, {arguments})"
    )


def _keyframe(now: Situation, box: Box | None, **states: bool) -> Code:
    said = "".join(f", {word}=True" for word, is_so in states.items() if is_so)
    place = "None" if box is None else repr(tuple(round(float(v), 2) for v in box))
    imports = ("from maskfree.tracks import set_keyframe", "from maskfree.types import Keyframe")
    change = f"keyframe = Keyframe({now.frame}, {place}{said})\n"
    return _tracks(imports, f"{change}tracks = set_keyframe(tracks, {now.track_id}, keyframe)")


def _gone(code: Code, arguments: str) -> Code:
    """Return code that drops a track's corrections as well, where the track is no more."""
    imports, body = code
    return (
        (*imports, "from maskfree.corrections import without_track"),
        f"""{body}
for frame, left in without_track(session.corrections.read_all(), {arguments}).items():
    session.corrections.write(frame, left)
""",
    )


def _cleared(now: Situation, frames: tuple[int, int]) -> Code:
    where = f"{now.track_id}, {frames[0]}, {frames[1]}"
    return _gone(_edit("clear_range", where), where)


def _new_track(now: Situation) -> Code:
    return _tracks(
        ("from maskfree.tracks import add_track",),
        f"tracks, track_id = add_track(tracks, {now.label!r})",
    )


def _split(now: Situation) -> Code:
    return _tracks(
        (
            "from maskfree.corrections import rename_tracks",
            "from maskfree.track_edits import split_track",
        ),
        f"tracks, new_id = split_track(tracks, {now.track_id}, {now.frame})\n"
        f"known, ids = session.corrections.read_all(), {{{now.track_id}: new_id}}\n"
        f"for frame, own in rename_tracks(known, ids, {now.frame}).items():\n"
        "    session.corrections.write(frame, own)",
    )


def _propose(now: Situation, *, forward: bool) -> Code:
    imports = ("from maskfree.config import Config", "from maskfree.propagate import propagate_box")
    return (
        imports,
        f"""
with session.open_video() as video:
    way = propagate_box(
        video,
        session.boxes,
        {now.track_id},
        {now.frame},
        forward={forward},
        config=Config(),
    )
    boxes = dict(way)  # xyxy by frame
print(boxes)
""",
    )


_PREDICT = "from maskfree.predict import predict"


def _settings(now: Situation) -> dict[str, object]:
    chosen = dict(word.split("=", 1) for word in now.settings)
    return {**chosen, "optimiser.steps": now.steps}


def _fine_tune(now: Situation) -> Code:
    imports = (
        "from maskfree.presets import preset",
        "from maskfree.settings import override",
        "from maskfree.train import finetune",
        _PREDICT,
    )
    return (
        imports,
        f"""
config = override(preset({now.preset!r}), {_settings(now)!r})
for progress in finetune(session, config, device={now.device!r}, seed={now.seed}):
    print(progress.step, progress.total)  # break at any step: what was learnt is kept
for done in predict(session, device={now.device!r}):
    pass
""",
    )


def _keep_best(now: Situation) -> Code:
    imports, body = _predict(now)
    keep = 'run = session.latest_run()\nrun.keep("best")  # run.keep("last") goes back\n'
    return imports, keep + body


def _predict(now: Situation) -> Code:
    return (_PREDICT,), f"for done in predict(session, device={now.device!r}):\n    pass"


def _evidence(_now: Situation) -> Code:
    imports = ("from maskfree.consensus_memory import read_evidence",)
    return (
        imports,
        """
run = session.latest_run()
evidence = read_evidence(run.memory_path)  # int8 (T, h, w): below 0 background, above it object
print(evidence.shape)
""",
    )


def _accept(now: Situation) -> Code:
    return (
        ("from maskfree.corrections import Correction, is_gold",),
        f"""
masks, known = session.masks.read({now.frame}), session.corrections.read({now.frame})
accepted = {{
    i: Correction.whole(mask, gold=is_gold(known))
    for i, mask in zip(masks.track_ids, masks.masks, strict=True)
}}
session.corrections.write({now.frame}, {{**known, **accepted}})
""",
    )


def _gold(now: Situation) -> Code:
    return (
        ("from maskfree.corrections import Correction",),
        f"""
masks = session.masks.read({now.frame})
truth = zip(masks.track_ids, masks.masks, strict=True)
gold = {{i: Correction.whole(mask, gold=True) for i, mask in truth}}
session.corrections.write({now.frame}, gold)
""",
    )


def _take_back(now: Situation) -> Code:
    return (), f"session.corrections.write({now.frame}, {{}})"


def _carry_on(now: Situation) -> Code:
    imports = (
        "from maskfree.carry import carry, changes_of, with_carried",
        "from maskfree.config import CarryConfig",
        "from maskfree.corrections import is_gold",
        "from maskfree.tracks import box_at, find_track",
    )
    return (
        imports,
        f"""
frame, tracks, store = {now.frame}, session.boxes, session.mask_store()
known = session.corrections.read_all()


def barred(track_id, there):
    own = known.get(there, {{}}).get(track_id)
    absent = box_at(find_track(tracks, track_id), there) is None
    said = is_gold(known.get(there, {{}})) or (own is not None and own.carried is None)
    return absent or said


ids = [track.id for track in tracks.tracks]
changes = changes_of(store.read(frame), known.get(frame, {{}}))
changes = {{i: change for i, change in changes.items() if i in ids}}
with session.open_video() as video:
    for forward in (False, True):
        way = carry(
            video, changes, frame, forward=forward, barred=barred, config=CarryConfig()
        )
        for there, carried in way:
            made = with_carried(store.read(there), known.get(there, {{}}), carried, frame)
            session.corrections.write(there, made)
""",
    )


def _least_sure(_now: Situation) -> Code:
    return (
        (),
        """
store = session.mask_store()
scores = []
for frame in store.frames():
    masks = store.read(frame)
    scores += [(s, frame, i) for i, s in zip(masks.track_ids, masks.scores, strict=True)]
for score, frame, track_id in sorted(scores)[:10]:
    print(f"frame {frame}, track {track_id}: {score:.2f}")
""",
    )


def _findings(_now: Situation) -> Code:
    return (
        ("from maskfree.box_audit import audit_boxes",),
        """
for finding in audit_boxes(session.boxes, session.masks.read):
    print(finding.frame, finding.message)
""",
    )


def _export(now: Situation) -> Code:
    return (
        ("from maskfree.formats import Annotations, export",),
        f"""
with session.open_video() as video:
    annotations = Annotations(session.boxes, video.names, session.masks.read)
    report = export(annotations, {now.target!r}, {now.format!r})
print(report.frames, report.losses)
""",
    )


_MADE: Mapping[str, Callable[[Situation], Code]] = {
    "draw_boxes": lambda now: _keyframe(now, now.box or (10, 10, 50, 50)),
    "new_track": _new_track,
    "copy_last_box": lambda now: _keyframe(now, now.last_box, occluded=now.last_occluded),
    "keep_box": lambda now: _keyframe(now, now.box, occluded=now.occluded),
    "delete_keyframe": lambda now: _edit(
        "remove_keyframe", f"{now.track_id}, {now.frame}", module="tracks"
    ),
    "outside": lambda now: _keyframe(now, None, outside=True),
    "occluded": lambda now: _keyframe(now, now.box, occluded=True),
    "not_in_frame": lambda now: _cleared(now, (now.frame, now.frame)),
    "split_track": _split,
    "delete_track": lambda now: _gone(
        _edit("remove_track", str(now.track_id), module="tracks"), str(now.track_id)
    ),
    "propose_forward": lambda now: _propose(now, forward=True),
    "propose_backward": lambda now: _propose(now, forward=False),
    "next_finding": _findings,
    "not_in_range": lambda now: _cleared(now, now.range),
    "delete_range": lambda now: _edit(
        "remove_keyframes", f"{now.track_id}, {now.range[0]}, {now.range[1]}"
    ),
    "fine_tune": _fine_tune,
    "predict_again": _predict,
    "keep_best": _keep_best,
    "evidence": _evidence,
    "accept": _accept,
    "next_review": _least_sure,
    "gold": _gold,
    "take_back": _take_back,
    "carry_on": _carry_on,
    "export": _export,
}

NAMES = tuple(_MADE)
"""The actions that have Python, by their names in :data:`.keys.KEYS`."""
