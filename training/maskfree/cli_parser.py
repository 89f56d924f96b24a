"""The command line's grammar: commands, options, help with examples."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from maskfree import __version__
from maskfree.ablation.parser import ABLATE_EPILOG, ABLATE_SUMMARY, add_ablate
from maskfree.errors import InputError, nearest
from maskfree.evaluate_parser import EVALUATE_EPILOG, EVALUATE_SUMMARY, add_evaluate
from maskfree.infer_parser import (
    AP_EPILOG,
    AP_SUMMARY,
    INFER_EPILOG,
    INFER_SUMMARY,
    add_ap,
    add_infer,
)
from maskfree.shift_parser import SHIFT_EPILOG, SHIFT_SUMMARY, add_shift
from maskfree.train_parser import TRAIN_EPILOG, TRAIN_SUMMARY, add_train

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build_parser", "parse"]

_VIDEO = "a video file, a folder of images (natural order), a TIFF stack or a zarr array"
_DEVICE = "auto (the fastest there is), cpu, cuda or mps; default: auto"
_PRESET = (
    "tiny, paper, released, boxinst, resnet18, resnet50, r50, r101, swin-t, swin-s, swin-b or "
    "swin-l; default: tiny"
)
_WEIGHTS = (
    "a trained network to begin with: a checkpoint, a run's weights, a folder or a hub id; "
    "the same as --set model.weights=FROM"
)
_STEPS = "optimiser steps; default: the preset's"
_FORMATS = (
    "davis, ytvis, boxes, coco, mots, mots-png, mot, cvat, labelstudio, labelme, ctc, tiff, npz, "
    "csv, yolo, bdd100k, bdd100k-masks, ovis or ome-zarr"
)
_PICTURES = "; to look at: mp4, gif or sheet"
_JSON = "print the result as JSON, for scripts"

_MAIN_EPILOG = """\
a first run, from boxes to exported masks:
  maskfree finetune video.mp4 --boxes boxes.json --session work
  maskfree predict work
  maskfree export work --format davis --out masks

Exit code: 0 done; 2 something about the input is wrong, one line on stderr says what and what
to do; 3 a preflight found nothing that fits; 130 stopped with Ctrl-C (what was learnt is kept);
1 a fault of ours.
`maskfree COMMAND --help` says more about each command.
"""

_FINETUNE_EPILOG = """\
examples:
  maskfree finetune video.mp4 --boxes boxes.json --session work
  maskfree finetune --session work --steps 600 --seed 1      (the session has video and boxes)
  maskfree finetune --session work --boxes better.json       (other boxes, the same video)
  maskfree finetune --session work --resume                  (go on where a run was stopped)
  maskfree finetune --session work                           (after corrections: a short run,
                                       with the --preset, --set and --steps of the run before)
  maskfree finetune --session work --keep best               (not the last weights, but the best)

settings that are often changed, with --set key=value:
  optimiser.steps=600            longer training; the same as --steps 600
  optimiser.learning_rate=5e-4   lower where the loss jumps about
  sampling.frame_area=230000     larger training frames, in pixels: finer masks, more time
  sampling.clip_length=3         frames looked at together
  temporal.search_radius=7       how far objects move between two frames, in cells of 4 pixels
  evidence.weight=0              without "background seen elsewhere"
`maskfree settings` lists every setting with its default, unit and range.

Previews are scored by J on the session's gold frames, where there are some, else by how sure the
masks are. They take about 5% of the time and change nothing of what is learnt.
"""

_PREFLIGHT_EPILOG = """\
A step is measured on a few frames of the video, nothing is written. It is a step of the run that
finetune would begin: after corrections a short one, which goes on from the newest run. Where it
does not fit into the memory that is free, the fallbacks are tried in turn, each on top of those
before it:
  amp     mixed precision, on an NVIDIA GPU
  clip    shorter clips
  frame   smaller frames
  freeze  the backbone learns nothing, where it has pretrained weights
  cpu     without the GPU
Exit code: 0 it fits, as it is or with what is printed; 3 nothing fits.

examples:
  maskfree preflight video.mp4 --boxes boxes.json
  maskfree preflight work --preset resnet50 --device cuda
  maskfree preflight work --fallbacks frame,clip     (these two, in this order)
  maskfree preflight work --fallbacks none           (the estimate alone)
  maskfree preflight work --start fresh              (a whole run, also after corrections)
"""

_PREDICT_EPILOG = """\
examples:
  maskfree predict work
  maskfree predict work --frames 0:25                (frames 0 to 24 only)
  maskfree predict work --video another.mp4          (kept beside, in work/other)
"""

_EXPORT_EPILOG = """\
examples:
  maskfree export work --format davis --out masks           (one indexed PNG a frame)
  maskfree export work --format ytvis --out instances.json  (YouTube-VIS, run-length masks)
What was written is read back and compared before it takes its place.
"""

_CORRESPOND_EPILOG = """\
The frames are taken at full size, cut to a multiple of 4 pixels at the right and lower edge, and
averaged down to stride 4: one grid cell is 4 x 4 pixels. The file holds `target_yx` (K, H4, W4, 2),
absolute cells of frame B, nearest first; `distance` (K, H4, W4) by temporal.metric; `valid`
(K, H4, W4), inside the frame and near enough; `frames`, A and B.

example:
  maskfree correspond video.mp4 10 11 --set search_radius=7 num_neighbors=3 --out matches.npz
"""

_CONVERT_EPILOG = """\
examples:
  maskfree convert masks instances.json --from davis --to ytvis
  maskfree convert instances.json masks --from ytvis --to davis
"""

_RUNS_EPILOG = """\
Every run keeps the masks that it predicted. * marks the run whose masks the session has now: those
are exported and evaluated. What a person corrected stays on top. The score is the mean over the
run's masks, without the truth. Do not change the run while a prediction of the session is at work.

example:
  maskfree runs work --show 0001
"""

_WEIGHTS_EPILOG = """\
IN is a .pth, .pt or .bin file that torch.save wrote, a .pkl, or a .safetensors file. It is read
without running any code that it may hold: a file that would run code is refused. A checkpoint of
Mask2Former or MaskFreeVIS that detectron2 wrote (.pkl, .pth) is written by our own names, and it is
said which of its tensors are used, left over or missing.

examples:
  maskfree convert-weights model_final.pth model.safetensors
  maskfree convert-weights model_final.pth model.safetensors --classes ytvis2019
  maskfree finetune --session work --preset r50 --weights model.safetensors
"""


class _Parser(argparse.ArgumentParser):
    """Faults become an InputError, one line; options may not be abbreviated."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )
        self.flags: list[str] = []

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        action = super().add_argument(*names, **options)
        if hasattr(self, "flags"):  # --help is added before there are any
            self.flags.extend(action.option_strings)
        return action

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. See: {self.prog} --help")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for.

    Raises
    ------
    InputError
        For an unknown command or option (with the nearest valid one) or a wrong value.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = build_parser()
    word = next((each for each in given if not each.startswith("-")), None)
    if word is not None and word not in commands:
        raise InputError(
            f'There is no command "{word}". Choose one of {", ".join(commands)}.'
            f"{nearest(word, commands)}"
        )
    args, unknown = parser.parse_known_args(given)
    if args.command is None:
        wrong = f'"{unknown[0]}" is no option of maskfree itself. ' if unknown else ""
        raise InputError(f"{wrong}Name a command: {', '.join(commands)}. See: maskfree --help")
    if unknown:
        flags = commands[args.command].flags
        hint = nearest(unknown[0].partition("=")[0], flags) if unknown[0].startswith("-") else ""
        raise InputError(
            f'maskfree {args.command} does not take "{unknown[0]}".{hint} '
            f"See: maskfree {args.command} --help"
        )
    return args


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, _Parser]]:
    """Return the parser, and the parser of each command by its name."""
    parser = _Parser(
        prog="maskfree",
        description="Instance masks for every frame of a video, from boxes on a few of them.",
        epilog=_MAIN_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"maskfree {__version__}")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    commands: dict[str, _Parser] = {}

    def command(name: str, summary: str, epilog: str = "") -> _Parser:
        made: _Parser = group.add_parser(name, help=summary, description=summary, epilog=epilog)
        commands[name] = made
        return made

    _add_finetune(command("finetune", "learn from a video and its boxes", _FINETUNE_EPILOG))
    _add_preflight(
        command("preflight", "time and memory of a run before it is begun", _PREFLIGHT_EPILOG)
    )
    _add_predict(command("predict", "masks for every frame, with what was learnt", _PREDICT_EPILOG))
    _add_export(command("export", "write the masks in another tool's format", _EXPORT_EPILOG))
    add_evaluate(command("evaluate", EVALUATE_SUMMARY, EVALUATE_EPILOG))
    add_infer(command("infer", INFER_SUMMARY, INFER_EPILOG))
    add_ap(command("ap", AP_SUMMARY, AP_EPILOG))
    _add_correspond(command("correspond", "the 1:K matches between two frames", _CORRESPOND_EPILOG))
    _add_convert(command("convert", "annotations from one format to another", _CONVERT_EPILOG))
    _add_convert_weights(
        command("convert-weights", "a foreign checkpoint to safetensors", _WEIGHTS_EPILOG)
    )
    info = command("info", "what a session holds")
    info.add_argument("session", metavar="DIR", help="the session's folder")
    info.add_argument("--json", action="store_true", help=_JSON)
    runs = command("runs", "every run of a session, and the way back to one", _RUNS_EPILOG)
    runs.add_argument("session", metavar="DIR", help="the session's folder")
    runs.add_argument("--show", metavar="RUN", help="make this run's masks those of the session")
    runs.add_argument("--json", action="store_true", help=_JSON)
    add_train(command("train", TRAIN_SUMMARY, TRAIN_EPILOG))
    add_shift(command("shift", SHIFT_SUMMARY, SHIFT_EPILOG))
    add_ablate(command("ablate", ABLATE_SUMMARY, ABLATE_EPILOG))
    settings = command("settings", "every setting with its default, unit, range and source")
    settings.add_argument("match", nargs="?", metavar="TEXT", help="only keys that contain this")
    settings.add_argument("--preset", default="tiny", help="whose values; default: tiny")
    settings.add_argument("--recipe", help="those of a recipe, as ytvis19-r50, in its place")
    settings.add_argument("--json", action="store_true", help=_JSON)
    return parser, commands


def _add_set(parser: _Parser, help: str) -> None:
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value", help=help
    )


def _add_finetune(parser: _Parser) -> None:
    parser.add_argument(
        "video", nargs="?", metavar="VIDEO", help=f"{_VIDEO}; left out where the session has it"
    )
    parser.add_argument(
        "--boxes", metavar="FILE", help="the boxes file; left out where the session has it"
    )
    parser.add_argument(
        "--session", required=True, metavar="DIR", help="the project folder; made where absent"
    )
    parser.add_argument("--preset", help=_PRESET)
    parser.add_argument("--weights", metavar="FROM", help=_WEIGHTS)
    parser.add_argument("--steps", metavar="N", help=_STEPS)
    parser.add_argument("--device", default="auto", help=_DEVICE)
    parser.add_argument(
        "--seed", type=int, help="the same seed gives the same result on one machine; default: 0"
    )
    _add_set(parser, "change a setting; see below")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the newest run where it was stopped"
    )
    _add_start(parser)
    parser.add_argument(
        "--preview",
        metavar="FRAMES",
        help="redraw these frames while it trains, in the run's folder: 0,30,60 or auto",
    )
    parser.add_argument(
        "--keep",
        choices=("last", "best"),
        default="last",
        help="predict with the last weights, or those of the best preview; default: last",
    )
    parser.add_argument("--json", action="store_true", help=_JSON)


def _add_start(parser: _Parser) -> None:
    parser.add_argument(
        "--start",
        choices=("auto", "last", "fresh"),
        default="auto",
        help="begin with the newest run's weights (last: a short run) or with fresh ones; default: "
        "auto, the newest run's after corrections",
    )


def _add_preflight(parser: _Parser) -> None:
    parser.add_argument("source", metavar="VIDEO|DIR", help=f"{_VIDEO}; or a session's folder")
    parser.add_argument(
        "--boxes", metavar="FILE", help="the boxes file; left out where the session has it"
    )
    parser.add_argument("--preset", help=_PRESET)
    parser.add_argument("--weights", metavar="FROM", help=_WEIGHTS)
    parser.add_argument("--steps", metavar="N", help=_STEPS)
    parser.add_argument("--device", default="auto", help=_DEVICE)
    _add_set(parser, "change a setting, as for finetune")
    _add_start(parser)
    parser.add_argument(
        "--fallbacks", metavar="A,B", help="what to try in turn, or none; default: all of them"
    )
    parser.add_argument(
        "--log", metavar="FILE", help="write there how far it is, and the result, as JSON lines"
    )
    parser.add_argument("--json", action="store_true", help=_JSON)


def _add_predict(parser: _Parser) -> None:
    parser.add_argument("session", metavar="DIR", help="the session's folder")
    parser.add_argument(
        "--video", metavar="OTHER", help=f"another video than the session's: {_VIDEO}"
    )
    parser.add_argument("--frames", metavar="A:B", help="frames A to B - 1 only; default: all")
    parser.add_argument("--device", default="auto", help=_DEVICE)
    parser.add_argument("--json", action="store_true", help=_JSON)


def _add_export(parser: _Parser) -> None:
    parser.add_argument("session", metavar="DIR", help="the session's folder")
    parser.add_argument("--format", required=True, metavar="NAME", help=_FORMATS + _PICTURES)
    parser.add_argument("--out", required=True, metavar="PATH", help="the file or folder to write")
    parser.add_argument("--json", action="store_true", help=_JSON)


def _add_correspond(parser: _Parser) -> None:
    parser.add_argument("video", metavar="VIDEO", help=_VIDEO)
    parser.add_argument("source", metavar="A", type=int, help="the frame that holds the centres")
    parser.add_argument("target", metavar="B", type=int, help="the frame that is searched")
    _add_set(parser, 'change a setting of "temporal", as search_radius=7')
    parser.add_argument("--out", required=True, metavar="FILE", help="the .npz file to write")
    parser.add_argument("--json", action="store_true", help=_JSON)


def _add_convert(parser: _Parser) -> None:
    parser.add_argument("source", metavar="IN", help="the file or folder to read")
    parser.add_argument("target", metavar="OUT", help="the file or folder to write")
    parser.add_argument("--from", required=True, dest="source_format", metavar="F", help=_FORMATS)
    parser.add_argument(
        "--to", required=True, dest="target_format", metavar="G", help=_FORMATS + _PICTURES
    )
    parser.add_argument("--video", metavar="PATH", help="the video, where IN does not say its size")
    parser.add_argument("--json", action="store_true", help=_JSON)


def _add_convert_weights(parser: _Parser) -> None:
    parser.add_argument("source", metavar="IN", help="the checkpoint to read")
    parser.add_argument("target", metavar="OUT", help="the .safetensors file to write")
    parser.add_argument(
        "--classes",
        metavar="LIST",
        help="what its class outputs are called: coco, ytvis2019, ytvis2021, ovis, bdd100k, or a "
        "file with one name a line; a run that begins with it takes over those of its own labels",
    )
    parser.add_argument("--json", action="store_true", help=_JSON)
