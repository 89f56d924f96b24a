"""``maskfree infer``: the results of a model on a data set, in its evaluation's file."""

from __future__ import annotations

import dataclasses
import hashlib
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.datasets.opening import open_dataset
from maskfree.device import check_device, resolve_device
from maskfree.distributed.run_folder import OF_A_RUN
from maskfree.distributed.team import launched
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names
from maskfree.inference.dataset_inference import infer_videos, without_pictures
from maskfree.inference.layouts import layout_of
from maskfree.inference.shared_classes import shared_classes
from maskfree.inference.spool import ResultsSpool
from maskfree.inference.trained import find_recipe, find_weights, load_trained
from maskfree.interrupts import Interrupted
from maskfree.out_of_memory import is_out_of_memory
from maskfree.output_path import check_output
from maskfree.settings import to_dict
from maskfree.terminal import ProgressBar, clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.datasets.types import DataVideo, VideoDataset

__all__ = ["Asked", "check_out", "infer_dataset"]


_WHOLE = ("video ", "image ", "file ")
"""How what holds pictures is called among what a data set skips; annotations are not asked for."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the command line says.

    ``source``: a run, a checkpoint or weights; ``data``: the data set's folder; ``kind`` and
    ``split``: its layout and which part of it, None: the recipe's; ``recipe``: None: the run's own;
    ``settings``: text by dotted key.
    """

    source: str
    data: str
    out: str
    kind: str | None = None
    split: str | None = None
    recipe: str | None = None
    device: str = "auto"
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def infer_dataset(asked: Asked) -> tuple[dict[str, Any], str]:
    """Write the results and return what came of it, as JSON and as text.

    Raises
    ------
    InputError
        Where weights, recipe, data set or output are at fault; the message says which and how.
    Interrupted
        When it was stopped on request; the next call goes on.
    """
    rank, size = launched()
    if size > 1:
        raise InputError(
            f"maskfree infer works by itself, and this is process {rank} of {size}. Start it "
            "without torchrun or accelerate launch."
        )
    check_device(asked.device)
    weights = find_weights(asked.source)
    check_output(asked.out, inputs=[weights, asked.data])
    check_out(Path(asked.out), (Path(asked.data), Path(asked.source)))
    recipe = find_recipe(asked.source, asked.recipe, asked.settings)
    kind = asked.kind or recipe.data.kind
    split = asked.split or recipe.inference.split
    dataset = open_dataset(kind, Path(asked.data), split, without_boxes=True, pictures="later")
    device = resolve_device(asked.device)
    model, names = load_trained(weights, recipe, dataset.classes, device)
    classes = shared_classes(names, dataset)
    faults: dict[str, str] = {}

    def unread(video: DataVideo, why: str) -> None:
        faults[f"video {video.name}"] = why
        if len(faults) == 1:
            warnings.warn(f"video {video.name} is left out: {why}", InputWarning, stacklevel=2)

    about = {
        "weights": _digest(weights),
        "inference": to_dict(recipe.inference),
        "dataset": [dataset.name, _digest_of(dataset)],
    }
    spool, entries = ResultsSpool(Path(asked.out), about), layout_of(kind)
    done = spool.done()
    missing = {n: why for n, why in without_pictures(dataset).items() if n not in done}
    for number, why in missing.items():
        unread(dataset.videos[number], why)
    if len(missing) == len(dataset.videos):
        spool.remove()
    _need_some(dataset, faults)
    kept, total, started = len(done), len(dataset.videos), time.monotonic()
    with ProgressBar("inferring", "video") as bar:
        try:
            for number, video, found in infer_videos(
                model,
                dataset,
                recipe.inference,
                device=device,
                classes=classes,
                skip=done | missing.keys(),
                unread=unread,
            ):
                spool.put(number, entries(found, video, dataset, recipe.inference))
                done.add(number)
                spent = time.monotonic() - started
                left = spent / (len(done) - kept) * (total - len(done) - len(faults))
                bar.update(len(done), total, seconds_left=left)
        except Interrupted as stop:
            stop.add_note(f"{len(done)} of {total} videos are done; the same command goes on")
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(
                f"There is not enough memory for a whole video ({len(done)} of {total} are done "
                "and kept). Take clips of it: --set inference.clip_length=20 "
                "inference.overlap=5, or smaller frames: inference.short_side."
            ) from error
    left_out = [
        each.what
        for each in dataset.skipped
        if each.what.startswith(_WHOLE) and ", label " not in each.what
    ]
    _need_some(dataset, faults)
    left_out += faults
    damaged = len(faults) > len(missing)
    count, seconds = spool.finish(keep=damaged), time.monotonic() - started
    result = {
        "out": asked.out,
        "dataset": dataset.name,
        "weights": str(weights),
        "videos": total,
        "before": kept,
        "results": count,
        "left_out": left_out,
        "unread": faults,
        "seconds": round(seconds, 1),
    }
    before = f" ({kept} of them before)" if kept else ""
    text = f"{asked.out}: {count} results of {total} videos{before}, {clock(seconds)}"
    if left_out:
        text += f"; nothing of {len(left_out)} that were skipped: {list_names(left_out)}"
    if damaged:
        text += (
            f". The results of the others are kept in {spool.folder}: mend the pictures, and the "
            "same command infers what is missing; or remove that folder"
        )
    return result, text


def _need_some(dataset: VideoDataset, faults: Mapping[str, str]) -> None:
    """Check that not every video is at fault."""
    if faults and len(faults) == len(dataset.videos):
        first, why = next(iter(faults.items()))
        raise InputError(f"No video of {dataset.name} can be read, first {first}: {why}")


def check_out(out: Path, read: tuple[Path, Path]) -> None:
    """Check, before hours of work, that the results take nobody's place.

    ``read``: the data set's folder, and the run's.

    Raises
    ------
    InputError
        For a folder, a file of the data set that is there, and one of a run's own.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder. Name the results file to write with --out.")
    for folder, own in zip(read, ((), OF_A_RUN), strict=True):
        if not folder.is_dir() or not out.exists():
            continue
        if not out.resolve().is_relative_to(folder.resolve()):
            continue
        if not own or out.resolve().relative_to(folder.resolve()).parts[0] in own:
            raise InputError(
                f"{out} is a file of {folder}, which is read, and would be lost. Choose another "
                "path."
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(dataset: VideoDataset) -> str:
    """Return what tells two data sets of one name apart: their videos in order, and their ids."""
    digest = hashlib.sha256(repr((dataset.classes, dataset.class_ids)).encode())
    for video in dataset.videos:
        digest.update(repr((video.id, video.name, video.height, video.width, video.files)).encode())
    return digest.hexdigest()
