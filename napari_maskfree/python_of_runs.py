"""Runs, their masks and their scores, and what goes in and out, as Python. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_maskfree.constants import COMPARED_FRAMES, COMPARED_NAMED, REVIEW_APART
from napari_maskfree.python_situation import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_maskfree.python_situation import Code, Situation

__all__ = ["RUNS"]


def _settings(now: Situation) -> dict[str, object]:
    chosen = dict(word.split("=", 1) for word in now.settings)
    return {**chosen, "optimiser.steps": now.steps}


def _config(now: Situation) -> Code:
    return (
        ("from maskfree.presets import preset", "from maskfree.settings import override"),
        f"config = override(preset({now.preset!r}), {_settings(now)!r})",
    )


def _predict(now: Situation) -> Code:
    return (
        ("from maskfree.predict import predict",),
        f"for done in predict(session, device={now.device!r}):\n    pass",
    )


def _fine_tune(now: Situation) -> Code:
    given = f"device={now.device!r}, seed={now.seed}"
    if now.start != "auto":
        given += f", start={now.start!r}"
    if now.previews:
        given += f", previews={list(now.previews)}"
    train = (
        ("from maskfree.train import finetune",),
        f"""
for progress in finetune(session, config, {given}):
    print(progress.step, progress.total)  # break at any step: what was learnt is kept
""",
    )
    return joined(_config(now), train, _predict(now))


def _at_work(call: str) -> Code:
    return (), f"run = session.runs()[-1]  # the one at work, in whatever process\nrun.{call}"


def _watch(now: Situation) -> Code:
    return _at_work(f"previews.want({list(now.previews)})") if now.training else _fine_tune(now)


def _keep_best(now: Situation) -> Code:
    if now.training:
        return _at_work("request_stop(keep_best=True)")
    which, other = ("last", "best") if now.keeps_best else ("best", "last")
    keep = f'run = session.runs()[-1]\nrun.keep("{which}")  # run.keep("{other}") goes back'
    return joined(((), keep), _predict(now))


def _estimate(now: Situation) -> Code:
    order = f", order={list(now.fallbacks)}" if now.fallbacks else ""
    start = f', "start": "{now.start}"' if now.start != "auto" else ""
    ask = (
        (
            "from maskfree.preflight import preflight",
            "from maskfree.preflight_command import as_text",
            "from maskfree.preflight_process import Child",
        ),
        f"""
measure = Child({{"session": str(session.path){start}}})
found = preflight(config, {now.device!r}, measure{order})
print(as_text(found))
if found.taken is not None:
    config = override(config, dict(word.split("=", 1) for word in found.taken.settings))
""",
    )
    return joined(_config(now), ask)


def _show_run(now: Situation) -> Code:
    return (
        ("from maskfree.kept_masks import show_run",),
        f"show_run(session, {now.run or '0001'!r})",
    )


def _compare(now: Situation) -> Code:
    return (
        (
            "from maskfree.corrected_masks import CorrectedMasks",
            "from maskfree.kept_masks import run_masks, shown_run",
            "from maskfree.run_difference import compare_runs",
        ),
        f"""
shown, runs = shown_run(session), {{run.name: run for run in session.runs()}}
one, other = (
    CorrectedMasks(run_masks(session, runs[name], shown), session.corrections)
    for name in (shown, {now.run or "0001"!r})
)
found = compare_runs(
    one.read,
    other.read,
    sorted({{*one.frames(), *other.frames()}}),
    most={COMPARED_NAMED},
    apart={REVIEW_APART},
    at_most={COMPARED_FRAMES},
)
print(found.most, found.mean)  # frames that differ most, with their IoU; mean of all
""",
    )


def _gold_scores(_now: Situation) -> Code:
    return (
        ("from maskfree.gold_scores import gold_scores",),
        """
for found in gold_scores(session):
    print(found.run, found.scores, found.left_out)
""",
    )


def _runs(_now: Situation) -> Code:
    return (
        ("from maskfree.run_book import RunBook",),
        """
for run in RunBook(session, session.boxes.num_frames).refresh():
    print(run)
""",
    )


def _open_video(_now: Situation) -> Code:
    return (
        (),
        """
with session.open_video() as video:
    print(video.shape)  # frames, height, width, 3
""",
    )


def _open_session(_now: Situation) -> Code:
    return (), "print(session.info())"


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


RUNS: Mapping[str, Callable[[Situation], Code]] = {
    "open_video": _open_video,
    "open_session": _open_session,
    "fine_tune": _fine_tune,
    "predict_again": _predict,
    "cancel": lambda _: _at_work("request_stop()"),
    "watch_frame": _watch,
    "keep_best": _keep_best,
    "estimate": _estimate,
    "runs": _runs,
    "show_run": _show_run,
    "compare": _compare,
    "gold_scores": _gold_scores,
    "export": _export,
}
"""By the action's name."""
