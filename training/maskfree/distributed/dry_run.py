"""What a training run would take, without one: data, sizes, parameters, memory and time.

One clip is taken forward and backward at the largest size that the recipe makes of the data, and
the optimiser takes a step with its gradient; a process's memory and time follow from how many clips
it has. Where a clip of half that size says that there would be no memory for it, the figures follow
from that one (both grow with the pixels): a system would end the process, not refuse it. Time is
that of computing: reading clips goes on beside it. Nothing is written.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, Any

import psutil
import torch

from maskfree.datasets.padding import pad_clips, whole_size
from maskfree.datasets.views import check_view, resized
from maskfree.distributed.learner import Learner, check_share
from maskfree.distributed.norms import check_norms
from maskfree.distributed.shares import Share, numbers_of
from maskfree.memory_use import memory_of
from maskfree.model.build import build_model
from maskfree.out_of_memory import is_out_of_memory
from maskfree.terminal import clock, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.config import DataConfig, RecipeConfig
    from maskfree.datasets.types import VideoDataset
    from maskfree.distributed.data import RunData
    from maskfree.distributed.team import Team
    from maskfree.sampling import TrainingClip

__all__ = ["dry_run", "largest_size"]

_GIGA = 1e9
_FLOAT = 4
"""Bytes of a number: of a parameter, of its gradient, of each of AdamW's two means."""
_SAFE = 0.7
"""Of the memory that is there: a clip that is thought to need more is not tried."""
_LEAST_SIDE = 32
_COPIES = 3
"""The gradient and the two means."""


def dry_run(
    recipe: RecipeConfig, data: RunData, *, team: Team, seed: int
) -> tuple[dict[str, Any], str]:
    """Return what a run would take, by process, and the same in words; empty but in the first.

    Raises
    ------
    InputError
        As a run would: for clips that cannot be read, and settings that make no network.
    """
    check_share(recipe, team)
    size = largest_size(recipe, data.datasets)
    own = team.together(lambda: _measured(recipe, data, size, team, seed))
    everyone = team.gather(own)
    if not team.main:
        return {}, ""
    steps = recipe.schedule.steps
    slowest = max((each["seconds_a_step"] or 0.0 for each in everyone), default=0.0)
    result = {
        "recipe": recipe.name,
        "data": data.facts,
        "size": list(size),
        "steps": steps,
        "processes": team.size,
        "seconds": slowest * steps if all(each["seconds_a_step"] for each in everyone) else None,
        "ranks": everyone,
    }
    return result, _words(result)


def largest_size(recipe: RecipeConfig, datasets: Sequence[VideoDataset]) -> tuple[int, int]:
    """Return the height and width that hold every clip, as far as sizes of the videos tell."""
    tall, wide = 0, 0
    for dataset, config in zip(datasets, (recipe.data, recipe.extra), strict=False):
        check_view(config)
        for height, width in {(video.height, video.width) for video in dataset.videos}:
            for shown in ((height, width), *_cuts((height, width), config)):
                last = resized(shown, max(config.short_sides), config.long_side)
                if config.scale_side:
                    last = config.scale_side, config.scale_side
                rows, columns = whole_size(*last)
                tall, wide = max(tall, rows), max(wide, columns)
    return tall, wide


def _cuts(size: tuple[int, int], config: DataConfig) -> Iterator[tuple[int, int]]:
    """Yield the highest and the widest that may be cut out of a frame, before it is resized."""
    if not config.crop or config.scale_side:
        return
    for short in config.crop_short_sides:
        height, width = resized(size, short, config.crop_long_side)
        least, most = config.crop_sides
        yield min(most, height), min(least, width)
        yield min(least, height), min(most, width)


def _measured(
    recipe: RecipeConfig, data: RunData, size: tuple[int, int], team: Team, seed: int
) -> dict[str, Any]:
    """Return what this process would do and need; without figures where one clip is too much."""
    schedule = recipe.schedule
    clips = len(numbers_of(0, schedule.batch_size, team.rank, team.size))
    torch.manual_seed(seed)
    model = build_model(recipe.model, num_classes=len(data.classes), num_queries=1)
    check_norms(model, team)
    numbers = sum(each.numel() for each in model.parameters())
    found: dict[str, Any] = {
        "rank": team.rank,
        "device": str(team.device),
        "clips": clips,
        "parameters": numbers,
        "bytes": None,
        "estimated": False,
        "bytes_there": memory_of(team.device).there(),
        "seconds_a_step": None,
    }
    first = numbers_of(0, schedule.batch_size, team.rank, team.size)[0]
    one = _clip(recipe, data, size, first, seed)
    found["clip"] = list(one.clip.rgb.shape)
    single = dataclasses.replace(schedule, batch_size=1, accumulate=1)
    alone = dataclasses.replace(recipe, schedule=single)
    learner = Learner(model, alone, seed=seed, team=team.by_itself())
    probe, before = memory_of(team.device), _taken(team.device)
    learnt = sum(each.numel() for each in model.parameters() if each.requires_grad)
    copies = _COPIES + (team.size > 1)  # what the processes sum their gradients in
    state = _FLOAT * (copies * learnt + (numbers if schedule.ema_decay and team.main else 0))

    def figures(clip: TrainingClip) -> tuple[int, float]:
        """Return the bytes that a clip takes, and the seconds."""
        learner.step(0, Share((first,), (clip,)))
        started = time.perf_counter()
        learner.step(1, Share((first,), (clip,)))
        return max(0, probe.peak() - before - state), time.perf_counter() - started

    try:
        half = whole_size(size[0] // 2, size[1] // 2)
        small = _clip(_halved(recipe), data, half, first, seed)
        more = one.clip.rgb.numel() / small.clip.rgb.numel()
        a_clip, seconds = (figure * more for figure in figures(small))
        found["estimated"] = before + state + a_clip > _SAFE * found["bytes_there"]
        if not found["estimated"]:
            a_clip, seconds = figures(one)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return found
    at_once = math.ceil(clips / min(clips, schedule.accumulate))
    found["bytes"] = int(_FLOAT * numbers + state + at_once * a_clip)
    found["seconds_a_step"] = seconds * clips
    return found


def _clip(
    recipe: RecipeConfig, data: RunData, size: tuple[int, int], number: int, seed: int
) -> TrainingClip:
    """Return a clip, padded to ``size`` where that is larger."""
    one, _ = data.clips(recipe, seed=seed).draw(number)
    rows, columns = (max(a, b) for a, b in zip(size, one.clip.rgb.shape[-2:], strict=True))
    return pad_clips([one], (rows, columns))[0]


def _halved(recipe: RecipeConfig) -> RecipeConfig:
    """Return a recipe whose clips have half the sides, and are not cut."""
    return dataclasses.replace(
        recipe, data=_halved_clips(recipe.data), extra=_halved_clips(recipe.extra)
    )


def _halved_clips(data: DataConfig) -> DataConfig:
    side = max(_LEAST_SIDE, max(data.short_sides) // 2)
    half = data.scale_side // 2
    return dataclasses.replace(data, short_sides=(side,), scale_side=half, crop=False)


def _taken(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def _words(result: dict[str, Any]) -> str:
    data, size = result["data"], result["size"]
    lines = [
        f"{result['recipe']}: {data['videos']} videos, {data['frames']} frames, "
        f"{data['instances']} instances, {data['boxes']} boxes, {len(data['classes'])} classes; "
        f"{data['skipped']} items skipped",
        f"clips of at most {size[1]} x {size[0]} pixels; {result['steps']} steps; "
        f"{result['ranks'][0]['parameters']:,} parameters",
    ]
    header = ("rank", "device", "clips a step", "memory", "of", "seconds a step")
    rows = [
        (
            each["rank"],
            each["device"],
            each["clips"],
            _memory(each),
            _gigabytes(each["bytes_there"]),
            "-" if each["seconds_a_step"] is None else f"{each['seconds_a_step']:.2f}",
        )
        for each in result["ranks"]
    ]
    lines.append(table(header, rows))
    seconds = result["seconds"]
    lines.append("time: unknown" if seconds is None else f"time: about {clock(seconds)}")
    return "\n".join(lines)


def _memory(rank: dict[str, Any]) -> str:
    if rank["bytes"] is None:
        return "more than there is"
    return f"{'some ' if rank['estimated'] else ''}{_gigabytes(rank['bytes'])}"


def _gigabytes(count: int) -> str:
    return f"{count / _GIGA:.1f} GB"
