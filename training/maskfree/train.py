"""Fine-tuning on one annotated video: a generator of progress that can be stopped at any step."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from maskfree.beginning import began_with, note_beginning
from maskfree.chosen_frames import check_frames
from maskfree.device import check_device, resolve_device
from maskfree.errors import InputError, InputWarning
from maskfree.first_masks import remove_first_masks, wants_first_masks, write_first_masks
from maskfree.gold_scores import gold_frames
from maskfree.hand_pixels import HandPixels
from maskfree.kept_masks import shown_run
from maskfree.prepare import prepare
from maskfree.start import Start, plan_start, read_tubes
from maskfree.supervision import check_supervision, check_told
from maskfree.told_frames import note_training
from maskfree.tracks import check_against_video
from maskfree.training_loop import Progress, take_steps
from maskfree.watch import RunWatch, StopAsked, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    import torch

    from maskfree.config import Config
    from maskfree.model.initial import Pretrained
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.start import StartFrom

__all__ = ["Progress", "finetune"]

_SEEDS = 2**63


def finetune(
    session: Session,
    config: Config,
    *,
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    watch: Watch = unwatched,
    previews: Sequence[int] | Literal["auto"] | None = None,
    keep: Literal["best", "last"] = "last",
    start: StartFrom = "auto",
) -> Iterator[Progress]:
    """Fine-tune on a session's video and boxes; every step is written to the run's metrics.

    Before the first step it looks at the whole video, which takes the longer the longer that is;
    ``watch`` and the metrics hear how far it is. A session without masks of a trained run then gets
    some already (:mod:`maskfree.first_masks`). Stops within one step, or one look at a frame,
    when the run's stop file appears, and within one step when the generator is closed; what was
    learnt is kept. With ``resume`` the newest run goes on where it stopped.

    Parameters
    ----------
    previews
        Frames to redraw while it trains (:mod:`maskfree.preview`); None for none, unless the best
        weights are to be kept. What is learnt is the same, bit for bit.
    keep
        Which weights to predict with: the last, or those of the best preview.
    start
        What a new run begins with, see :func:`maskfree.start.plan_start`. One that goes on from
        another has the steps and the rate of ``config.restart``.

    Yields
    ------
    Progress
        After each optimiser step.

    Raises
    ------
    InputError
        For a missing device, video or box, a video that the boxes do not fit, pretrained weights
        that do not fit the network, masks that are to teach and are not there, or a loss that is
        not finite.
    """
    check_device(device)
    if not 0 <= seed < _SEEDS:
        raise InputError(f"seed must be a whole number from 0 to {_SEEDS - 1}, got {seed}.")
    video, tracks = session.open_video(config.video.for_run()), session.boxes
    with video:
        _, height, width, _ = video.shape
        check_against_video(tracks, num_frames=len(video), height=height, width=width)
        old = session.resumable_run() if resume else None
        begins = Start(None, config) if old is not None else plan_start(session, config, start)
        config = begins.config
        if old is not None:
            config, seed = old.config, old.seed
        corrections = session.corrections.read_all()
        check_supervision(config)
        check_told(config, HandPixels.of(corrections, tracks, video))
        gold = bool(gold_frames(corrections))
        chosen = check_frames(previews, tracks, needed=keep == "best", gold=gold)
        before = begins.run
        run = old or session.new_run(config, seed=seed, start=before.name if before else None)
        shown = shown_run(session)
        try:
            run.clear_stop()
            begun = {"status": "running", "pid": os.getpid()}
            run.append(begun if before is None else {**begun, "start": before.name})
            note_training(run, corrections, resumed=old is not None, before=before)
            looks = RunWatch(run, watch)
            pretrained = None if old or before else _pretrained(config)
            weights = None if before is None else _weights(before)
            prepared = prepare(
                video,
                tracks,
                config,
                tubes=read_tubes(old.tube_path) if old is not None else begins.tubes(),
                evidence=begins.evidence(),
                corrections=corrections,
                watch=looks,
            )
            if old is None and before is None and wants_first_masks(session, config):
                try:
                    write_first_masks(
                        session, run, prepared, tracks, config, corrections=corrections, watch=looks
                    )
                except InputError as error:  # as where another process writes some
                    remove_first_masks(session, run, shown)
                    warnings.warn(f"No masks before the training: {error}", InputWarning, 2)
            # torch takes longer to import than most videos take to look at: masks come first
            from maskfree.trainer import Trainer

            where = resolve_device(device)
            run.append({"device": str(where)})
            trainer = Trainer(
                video,
                tracks,
                config,
                device=where,
                seed=seed,
                resumed=old is not None,
                weights=weights,
                pretrained=pretrained,
                began=began_with(old or before),
                prepared=prepared,
            )
            first = trainer.restore(run.state_path) if old is not None else 0
            if first >= config.optimiser.steps:  # of an older version, which ended after its last
                run.append({"status": "done", "step": first, "message": ""})
                run.drop_state()
                return
            if old is None and (config.model.backbone_weights or config.model.weights):
                note_beginning(run, trainer.began, trainer.begins)
            previewer = None
            if chosen is not None:
                from maskfree.preview import Previewer

                previewer = Previewer(
                    trainer,
                    run,
                    session,
                    video=video,
                    tracks=tracks,
                    corrections=corrections,
                    frames=chosen,
                    first=first,
                )
            run.keep("last")
        except BaseException as error:
            asked = isinstance(error, StopAsked)  # who follows the run hears that it was heeded
            if old is None and not asked:
                remove_first_masks(session, run, shown)
                run.remove()
            else:
                run.append({"status": "stopped", "step": run.steps_done, "message": ""})
            if asked:
                return
            raise
        yield from take_steps(trainer, run, first, previewer=previewer, keep_best=keep == "best")


def _pretrained(config: Config) -> Pretrained | None:
    """Return the weights that the settings name; None: they name none.

    Raises
    ------
    InputError
        For weights that do not fit, before the video is looked at.
    """
    if not (config.model.backbone_weights or config.model.weights):
        return None
    from maskfree.model.initial import chosen_pretrained

    return chosen_pretrained(config)


def _weights(run: Run) -> dict[str, torch.Tensor]:
    """Return what a run has learnt.

    Raises
    ------
    InputError
        For a damaged file, before the video is looked at.
    """
    from maskfree.model.checkpoint import read_tensors

    return read_tensors(run.kept_weights_path)
