"""What the commands of ``maskfree`` do; torch is imported only by those that need it."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maskfree.errors import InputError, InputWarning
from maskfree.storage import home_path
from maskfree.terminal import clock

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from maskfree.formats import Annotations, ExportReport
    from maskfree.session import Session

__all__ = ["annotations_of", "parse_settings", "run"]


NOTHING_FITS = 3
"""Exit code of a preflight after which nothing fits."""


def run(args: argparse.Namespace) -> int:
    """Run the command that was parsed, print its result and return the exit code.

    Raises
    ------
    InputError
        Where the input is at fault.
    Interrupted
        When it was stopped on request.
    """
    return _COMMANDS[args.command](args) or 0


def _show(args: argparse.Namespace, result: dict[str, Any] | list[Any], text: str) -> None:
    print(json.dumps(result) if args.json else text)


def parse_settings(pairs: Sequence[str], prefix: str = "") -> dict[str, str]:
    """Return ``key=value`` words as a dictionary; keys get ``prefix`` where they lack it.

    Raises
    ------
    InputError
        For a word without ``=``.
    """
    chosen = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(
                f'--set expects key=value, got "{pair}". For instance --set optimiser.steps=600; '
                "give other arguments before it."
            )
        chosen[key if key.startswith(prefix) else prefix + key] = value
    return chosen


def _run_settings(args: argparse.Namespace) -> dict[str, str]:
    """Return what --set says of a run, and --weights."""
    chosen = parse_settings(args.set)
    if args.weights is not None:
        chosen["model.weights"] = args.weights
    for key in ("model.weights", "temporal.flow_weights"):
        if value := chosen.get(key):
            path = home_path(value)
            chosen[key] = str(path.absolute()) if path.exists() else value
    return chosen


def _finetune(args: argparse.Namespace) -> None:
    from maskfree.finetune_command import finetune_session

    result = finetune_session(
        args.session,
        video=args.video,
        boxes=args.boxes,
        preset_name=args.preset,
        settings=_run_settings(args),
        steps=args.steps,
        device=args.device,
        seed=args.seed,
        resume=args.resume,
        previews=_parse_preview(args.preview),
        keep=args.keep,
        start=args.start,
    )
    start = f", from run {result['start']}" if result["start"] else ""
    best = f" (the best, of step {result['kept_step']})" if "kept_step" in result else ""
    begins = f"{result['begins']}\n" if result["begins"] else ""
    text = (
        f"run {result['run']} {result['status']}: {result['steps']} steps{start}, loss "
        f"{result['loss']:.3f}, {clock(result['seconds'])}, in {result['weights']}{best}\n"
        f"{begins}next: maskfree predict {args.session}"
    )
    _show(args, result, text)


def _parse_preview(text: str | None) -> list[int] | Literal["auto"] | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            f'--preview expects frames such as 0,30,60, or auto, got "{text}".'
        ) from None


def _preflight(args: argparse.Namespace) -> int:
    from maskfree.preflight_command import as_json, as_text, preflight_source

    names = None if args.fallbacks is None else args.fallbacks.split(",")
    found = preflight_source(
        args.source,
        boxes=args.boxes,
        preset_name=args.preset,
        settings=_run_settings(args),
        steps=args.steps,
        device=args.device,
        order=[] if names == ["none"] else names,
        start=args.start,
        log=args.log,
    )
    _show(args, as_json(found), as_text(found))
    return 0 if found.fits else NOTHING_FITS


def _predict(args: argparse.Namespace) -> None:
    from maskfree.info_command import gold_of
    from maskfree.interrupts import Interrupted, follow
    from maskfree.journal_waiting import warn_of_waiting
    from maskfree.predict import predict
    from maskfree.session import Session
    from maskfree.terminal import ProgressBar

    session = Session.open(args.session)
    warn_of_waiting(session)
    frames = _parse_frames(args.frames)
    done = 0
    with ProgressBar("predicting", "frame") as bar:

        def report(progress: Any) -> None:
            nonlocal done
            done = progress.done
            bar.update(progress.done, progress.total, seconds_left=progress.seconds_left)

        try:
            follow(predict(session, video=args.video, frames=frames, device=args.device), report)
        except Interrupted as stop:
            stop.add_note(f"{done} frames were finished and are kept in {session.path}")
            raise
    name = None if args.video is None else Path(args.video).absolute().stem
    where = str(session.mask_store(name).path)
    text = f"masks of {done} frames in {where}"
    gold = gold_of(session) if name is None else None
    if gold:
        text += f"\n{gold['text']}"
    if name is None:
        text += f"\nnext: maskfree export {args.session} --format davis --out masks"
    scored = {"gold": gold["json"]} if gold else {}
    _show(args, {"frames": done, "masks": where, **scored}, text)


def _parse_frames(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not colon or not (first.isdecimal() and last.isdecimal()):
        raise InputError(
            f'--frames expects A:B, for instance 0:25 for the frames 0 to 24, got "{text}".'
        )
    return int(first), int(last)


def _export(args: argparse.Namespace) -> None:
    from maskfree.formats import export, get_format
    from maskfree.frame_check import require_frames
    from maskfree.journal_waiting import warn_of_waiting
    from maskfree.output_path import check_output
    from maskfree.picture_exports import PICTURES, export_picture
    from maskfree.session import Session
    from maskfree.told_frames import untrained_words

    drawn = args.format in PICTURES  # an unknown one is said before the video is opened
    holds_masks = drawn or get_format(args.format, others=PICTURES).holds_masks
    session = Session.open(args.session)
    warn_of_waiting(session)
    check_output(args.out, inputs=[session.video_source])
    with session.open_video() as video:
        require_frames(session, video)
        annotations = annotations_of(session, video.names)
        if drawn:
            report = export_picture(annotations, video, args.out, args.format)
        else:
            report = export(annotations, args.out, args.format)
    if holds_masks and (words := untrained_words(session)):
        warnings.warn(words, InputWarning, stacklevel=2)
    _show_export(args, report)


def annotations_of(session: Session, names: Sequence[str]) -> Annotations:
    """Return what a session knows of its video: boxes, names of the frames, masks."""
    from maskfree.formats import Annotations

    return Annotations(session.boxes, names, session.masks.read)


def _show_export(args: argparse.Namespace, report: ExportReport) -> None:
    result = {**dataclasses.asdict(report), "path": str(report.path)}
    counts = f"{report.frames} frames, {report.instances} instances"
    lines = [f"{report.path}: {report.format}, {counts}"]
    lines += [f"note: {loss}" for loss in report.losses]
    _show(args, result, "\n".join(lines))


def _evaluate(args: argparse.Namespace) -> None:
    from maskfree.evaluate_command import Scored, evaluate_files
    from maskfree.output_path import check_output
    from maskfree.score_plot import plot_scores
    from maskfree.storage import atomic_write

    for path in filter(None, (args.plot, args.markdown)):
        check_output(path, inputs=[args.session, args.truth, args.video])
    scored = Scored(args.session, args.source_format, args.video)
    options = {"void": args.void, "tracking": args.tracking}
    found = evaluate_files(scored, args.truth, args.truth_from, **options)
    if args.plot is not None:
        plot_scores(found, args.plot)
    if args.markdown is not None:
        atomic_write(Path(args.markdown), found.to_markdown())
    _show(args, found.to_json(full=args.full), found.to_text(full=args.full))


def _infer(args: argparse.Namespace) -> None:
    from maskfree.infer_command import Asked, infer_dataset

    settings = parse_settings(args.set)
    asked = Asked(
        args.source, args.data, args.out, args.kind, args.split, args.recipe, args.device, settings
    )
    _show(args, *infer_dataset(asked))


def _ap(args: argparse.Namespace) -> None:
    from maskfree.ap_command import average_precision

    options = {"kind": args.kind, "split": args.split, "full": args.full}
    _show(args, *average_precision(args.results, args.data, **options))


def _correspond(args: argparse.Namespace) -> None:
    from maskfree.correspond_command import correspond
    from maskfree.output_path import check_output

    check_output(args.out, inputs=[args.video])
    chosen = parse_settings(args.set, prefix="temporal.")
    _show(args, *correspond(args.video, args.source, args.target, chosen, args.out))


def _convert(args: argparse.Namespace) -> None:
    from maskfree.formats import VideoFacts, convert
    from maskfree.output_path import check_output
    from maskfree.picture_exports import PICTURES

    facts = None
    check_output(args.target, inputs=[args.source, args.video])
    if args.target_format in PICTURES:
        _show_export(args, _picture_of(args))
        return
    if args.video is not None:
        from maskfree.video import open_video

        with open_video(args.video) as video:
            facts = VideoFacts.of(video)
    formats = args.source_format, args.target_format
    report = convert(args.source, args.target, *formats, video=facts)
    _show_export(args, report)


def _picture_of(args: argparse.Namespace) -> ExportReport:
    from maskfree.formats import VideoFacts, read
    from maskfree.picture_exports import export_picture
    from maskfree.video import open_video

    if args.video is None:
        raise InputError(
            f"{args.target_format} shows the video's frames. Give the video as well: maskfree "
            "convert … --video PATH."
        )
    with open_video(args.video) as video:
        annotations = read(args.source, args.source_format, video=VideoFacts.of(video))
        return export_picture(annotations, video, args.target, args.target_format)


def _convert_weights(args: argparse.Namespace) -> None:
    from maskfree.model.class_names import read_classes
    from maskfree.model.convert import convert_checkpoint
    from maskfree.output_path import check_output

    check_output(args.target, inputs=[args.source])
    classes = read_classes(args.classes) if args.classes else ()
    tensors, converted = convert_checkpoint(args.source, args.target, classes=classes)
    parameters = sum(tensor.numel() for tensor in tensors.values())
    result: dict[str, Any] = {
        "out": args.target,
        "tensors": len(tensors),
        "parameters": parameters,
    }
    text = f"{args.target}: {len(tensors)} tensors, {parameters:,} numbers"
    if converted is not None:
        result["used"] = converted.used
        for name in ("training_only", "left_over", "missing"):
            result[name] = list(getattr(converted, name))
        text += f"\n{converted.report()}"
    _show(args, result, text)


def _info(args: argparse.Namespace) -> None:
    from maskfree.info_command import info_of

    _show(args, *info_of(args.session))


def _shift(args: argparse.Namespace) -> None:
    from maskfree.shift_command import shift

    options = {"accept": args.accept, "undo": args.undo, "redo": args.redo}
    _show(args, *shift(args.session, frames=args.frames, video=args.video, **options))


def _runs(args: argparse.Namespace) -> None:
    from maskfree.runs_command import runs_of

    _show(args, *runs_of(args.session, args.show))


def _train(args: argparse.Namespace) -> None:
    from maskfree.train_command import TrainJob, train_dataset

    job = TrainJob(
        recipe=args.recipe,
        data=args.data,
        out=args.out,
        extra_data=args.extra_data,
        weights=args.weights,
        device=args.device,
        seed=args.seed,
        settings=parse_settings(args.set),
        resume=args.resume,
        dry_run=args.dry_run,
    )
    result, text = train_dataset(job)
    if result:  # one process of those that train together speaks
        _show(args, result, text)


def _ablate(args: argparse.Namespace) -> None:
    from maskfree.ablation.command import ablate

    _show(args, *ablate(args, parse_settings(args.set)))


def _settings(args: argparse.Namespace) -> None:
    from maskfree.settings_command import settings_of

    _show(args, *settings_of(args.preset, args.match or "", recipe=args.recipe))


_COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "finetune": _finetune,
    "preflight": _preflight,
    "predict": _predict,
    "export": _export,
    "evaluate": _evaluate,
    "infer": _infer,
    "ap": _ap,
    "correspond": _correspond,
    "convert": _convert,
    "convert-weights": _convert_weights,
    "info": _info,
    "shift": _shift,
    "runs": _runs,
    "train": _train,
    "ablate": _ablate,
    "settings": _settings,
}
