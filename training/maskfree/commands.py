"""What the commands of ``maskfree`` do; torch is imported only by those that need it."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from maskfree.errors import InputError, InputWarning
from maskfree.settings import as_text
from maskfree.terminal import clock, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch

    from maskfree.formats import Annotations, ExportReport
    from maskfree.session import Session
    from maskfree.settings import Setting
    from maskfree.types import Matches

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


def _finetune(args: argparse.Namespace) -> None:
    from maskfree.finetune_command import finetune_session

    result = finetune_session(
        args.session,
        video=args.video,
        boxes=args.boxes,
        preset_name=args.preset,
        settings=parse_settings(args.set),
        steps=args.steps,
        device=args.device,
        seed=args.seed,
        resume=args.resume,
        previews=_parse_preview(args.preview),
        keep=args.keep,
    )
    best = f" (the best, of step {result['kept_step']})" if "kept_step" in result else ""
    text = (
        f"run {result['run']} {result['status']}: {result['steps']} steps, loss "
        f"{result['loss']:.3f}, {clock(result['seconds'])}, in {result['weights']}{best}\n"
        f"next: maskfree predict {args.session}"
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
        settings=parse_settings(args.set),
        steps=args.steps,
        device=args.device,
        order=[] if names == ["none"] else names,
        log=args.log,
    )
    _show(args, as_json(found), as_text(found))
    return 0 if found.fits else NOTHING_FITS


def _predict(args: argparse.Namespace) -> None:
    from maskfree.interrupts import Interrupted, follow
    from maskfree.predict import predict
    from maskfree.session import Session
    from maskfree.terminal import ProgressBar

    session = Session.open(args.session)
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
    gold = _gold(session) if name is None else None
    if gold:
        text += f"\n{gold['text']}"
    if name is None:
        text += f"\nnext: maskfree export {args.session} --format davis --out masks"
    scored = {"gold": gold["json"]} if gold else {}
    _show(args, {"frames": done, "masks": where, **scored}, text)


def _gold(session: Session) -> dict[str, Any] | None:
    """Return every run's scores on the gold frames; None where no frame is gold."""
    from maskfree.gold_scores import gold_frames, gold_json, gold_scores, gold_text
    from maskfree.kept_masks import shown_run

    corrections = session.corrections.read_all()
    frames = gold_frames(corrections)
    if not frames:
        return None
    found = gold_scores(session, corrections)
    text = gold_text(found, shown_run(session), len(frames))
    return {"json": gold_json(found, frames), "text": text}


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
    from maskfree.session import Session

    get_format(args.format)  # an unknown one is said before the video is opened
    session = Session.open(args.session)
    with session.open_video() as video:
        report = export(annotations_of(session, video.names), args.out, args.format)
    _show_export(args, report)


def annotations_of(session: Session, names: Sequence[str]) -> Annotations:
    """Return what a session knows of its video: boxes, names of the frames, masks."""
    from maskfree.formats import Annotations

    return Annotations(session.boxes, tuple(names), session.masks.read)


def _show_export(args: argparse.Namespace, report: ExportReport) -> None:
    result = {**dataclasses.asdict(report), "path": str(report.path)}
    counts = f"{report.frames} frames, {report.instances} instances"
    lines = [f"{report.path}: {report.format}, {counts}"]
    lines += [f"note: {loss}" for loss in report.losses]
    _show(args, result, "\n".join(lines))


def _evaluate(args: argparse.Namespace) -> None:
    from maskfree.ignore_masks import IgnoreMasks
    from maskfree.metrics import evaluate
    from maskfree.session import Session

    session = Session.open(args.session)
    with session.open_video() as video:
        scores = evaluate(
            session.masks.read,
            args.truth,
            video.names,
            ignored=IgnoreMasks(session.boxes).at,
            void=args.void,
        )
    _show(args, scores.to_json(), scores.to_text())


def _correspond(args: argparse.Namespace) -> None:
    from maskfree.config import Config
    from maskfree.correspondence import match_patches
    from maskfree.settings import override
    from maskfree.video import open_video

    config = override(Config(), parse_settings(args.set, prefix="temporal.")).temporal
    with open_video(args.video) as video:
        for frame in (args.source, args.target):
            if not 0 <= frame < len(video):
                raise InputError(
                    f"{args.video} has the frames 0 to {len(video) - 1}, got frame {frame}. "
                    "Count from the first frame, which is 0."
                )
        source, target = _lab(video[args.source]), _lab(video[args.target])
    matches = match_patches(source, target, config=config)
    _write_matches(args.out, matches, (args.source, args.target))
    kept = float(matches.valid.any(0).float().mean())
    count, height, width = matches.valid.shape
    result = {"out": args.out, "shape": [count, height, width], "matched": kept}
    text = f"{args.out}: {count} x {height} x {width} matches, {kept:.1%} of the cells have one"
    _show(args, result, text)


def _lab(frame: np.ndarray) -> torch.Tensor:
    """Return uint8 RGB ``(H, W, 3)`` as Lab ``(3, H4, W4)``, cut to whole grid cells."""
    import torch

    from maskfree.lab import GRID_STRIDE, to_lab

    height, width = (side // GRID_STRIDE * GRID_STRIDE for side in frame.shape[:2])
    if not height or not width:
        raise InputError(
            f"A frame must be at least {GRID_STRIDE} pixels high and wide, got "
            f"{frame.shape[1]}x{frame.shape[0]} (width x height). Give a larger video."
        )
    rgb = torch.tensor(frame[:height, :width]).permute(2, 0, 1).float() / 255
    return to_lab(rgb[None])[0]


def _write_matches(path: str, matches: Matches, frames: tuple[int, int]) -> None:
    import numpy as np

    from maskfree.storage import atomic_file

    if not path.endswith(".npz"):
        raise InputError(f"--out must end in .npz, got {path}. Try {path}.npz")
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            target_yx=matches.target_yx.numpy(),
            distance=matches.distance.numpy(),
            valid=matches.valid.numpy(),
            frames=np.array(frames),
        )


def _convert(args: argparse.Namespace) -> None:
    from maskfree.formats import convert

    report = convert(args.source, args.target, args.source_format, args.target_format)
    _show_export(args, report)


def _convert_weights(args: argparse.Namespace) -> None:
    from maskfree.model.convert import convert_weights

    tensors = convert_weights(args.source, args.target)
    parameters = sum(tensor.numel() for tensor in tensors.values())
    result = {"out": args.target, "tensors": len(tensors), "parameters": parameters}
    _show(args, result, f"{args.target}: {len(tensors)} tensors, {parameters:,} numbers")


def _info(args: argparse.Namespace) -> None:
    from maskfree.session import Session

    session = Session.open(args.session)
    info = session.info()
    try:
        gold = _gold(session)
    except InputError as error:  # a broken correction: the rest is still worth telling
        gold = None
        warnings.warn(str(error), InputWarning, stacklevel=2)
    info["gold"] = gold["json"] if gold else {"frames": [], "runs": []}
    height, width = info["size"]
    rate = "" if info["fps"] is None else f", {info['fps']:g} frames a second"
    lines = [
        f"session  {info['path']}",
        f"video    {info['video'] or 'frames in memory'}",
        f"         {info['frames']} frames, {width}x{height} (width x height){rate}",
        f"masks    {info['masks']['frames']} of {info['frames']} frames, "
        f"{info['corrections']['frames']} corrected",
    ]
    if gold:
        lines.append(f"gold     {gold['text']}")
    if info["tracks"]:
        rows = [[t["id"], t["label"], t["keyframes"]] for t in info["tracks"]]
        lines += ["", table(["track", "label", "keyframes"], rows)]
    if info["runs"]:
        rows = [
            [r["name"], r["preset"], r["status"], r["steps"], "yes" if r["checkpoint"] else "no"]
            for r in info["runs"]
        ]
        lines += ["", table(["run", "preset", "status", "steps", "checkpoint"], rows)]
    _show(args, info, "\n".join(lines))


def _runs(args: argparse.Namespace) -> None:
    from maskfree.runs_command import runs_of

    _show(args, *runs_of(args.session, args.show))


def _settings(args: argparse.Namespace) -> None:
    from maskfree.errors import nearest
    from maskfree.presets import preset
    from maskfree.settings import iter_settings

    every = list(iter_settings(preset(args.preset)))
    wanted = args.match or ""
    found = [each for each in every if wanted in each.key]
    if not found:
        hint = nearest(wanted, [each.key for each in every])
        raise InputError(f'No setting has "{wanted}" in its key.{hint} Leave it out to see all.')
    listing = [
        {
            "key": each.key,
            "default": each.value,
            "type": each.kind.__name__,
            "unit": each.unit,
            "low": each.low,
            "high": each.high,
            "choices": list(each.choices),
            "help": each.help,
            "source": each.source,
        }
        for each in found
    ]
    _show(args, listing, "\n".join(_describe(each) for each in found))


def _describe(setting: Setting) -> str:
    limits = _range(setting)
    line = f"{setting.key}={as_text(setting.value)}" + (f"  ({limits})" if limits else "")
    return f"{line}\n    {setting.help}" + (f"  [{setting.source}]" if setting.source else "")


def _range(setting: Setting) -> str:
    if setting.choices:
        return " | ".join(as_text(choice) for choice in setting.choices)
    bounds = ""
    if setting.low is not None and setting.high is not None:
        bounds = f"{setting.low} to {setting.high}"
    elif setting.low is not None:
        bounds = f"{setting.low} or more"
    elif setting.high is not None:
        bounds = f"at most {setting.high}"
    return ", ".join(part for part in (bounds, setting.unit) if part)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "finetune": _finetune,
    "preflight": _preflight,
    "predict": _predict,
    "export": _export,
    "evaluate": _evaluate,
    "correspond": _correspond,
    "convert": _convert,
    "convert-weights": _convert_weights,
    "info": _info,
    "runs": _runs,
    "settings": _settings,
}
