"""``maskfree evaluate``: a session's masks, or those of annotations, against true ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.annotated_truth import AnnotatedTruth, read_annotated
from maskfree.errors import InputError
from maskfree.evaluation import evaluate_tracks
from maskfree.formats import Annotations, VideoFacts, get_format, read
from maskfree.frame_check import require_frames
from maskfree.session import Session
from maskfree.video import open_video

if TYPE_CHECKING:
    from maskfree.evaluation import Evaluation
    from maskfree.types import InstanceMasks

__all__ = ["Scored", "evaluate_files"]

_PNGS = "davis"
"""The format of a folder of indexed PNGs."""


@dataclasses.dataclass(frozen=True)
class Scored:
    """What is scored: the masks of the session ``path``, or of annotations in ``format_name``.

    ``video``: with annotations, the path of their video, where they do not say its size.
    """

    path: str
    format_name: str | None = None
    video: str | None = None


def evaluate_files(
    scored: Scored,
    truth: str,
    truth_format: str | None = None,
    *,
    void: int | None = None,
    tracking: bool = False,
) -> Evaluation:
    """Score masks against ``truth``.

    Parameters
    ----------
    scored
        What is scored.
    truth, truth_format
        A folder of indexed PNGs, or with a format annotations.
    void, tracking
        As in `maskfree.evaluation.evaluate_tracks`.

    Raises
    ------
    InputError
        As `maskfree.evaluation.evaluate_tracks`; for an unknown format; where what is scored, or
        its video, cannot be read, or is not that of the session any more.
    """
    for name in filter(None, (scored.format_name, truth_format)):
        get_format(name)
    if scored.format_name is None:
        found, video = _session(scored)
        true: str | AnnotatedTruth = truth
        if truth_format is not None:
            true = read_annotated(truth, truth_format, video=video)
        names = found.frame_names
    else:
        found, given = _annotations(scored)
        true = _truth(truth, truth_format or _PNGS, given, found)
        # Nothing but the truth says which frames there are: those that are not among what is scored
        # were not predicted.
        beside = true.frames_beside(found.frame_names) if given is None else []
        names = [*found.frame_names, *beside]
    count = len(found.frame_names)

    def read_masks(frame: int) -> InstanceMasks | None:
        return found.read_masks(frame) if frame < count else None

    classes = scored.format_name is None or get_format(scored.format_name).holds_classes
    return evaluate_tracks(
        read_masks, true, names, found.boxes, void=void, tracking=tracking, classes=classes
    )


def _truth(truth: str, name: str, given: VideoFacts | None, found: Annotations) -> AnnotatedTruth:
    """Read the truth of annotations, by itself; where it does not say all of its video, as theirs.

    ``given``: the video that was given.
    """
    if given is None:
        try:
            return read_annotated(truth, name)
        except InputError:
            boxes, names = found.boxes, found.frame_names
            given = VideoFacts(len(names), boxes.height, boxes.width, boxes.fps, names)
    return read_annotated(truth, name, video=given)


def _session(scored: Scored) -> tuple[Annotations, VideoFacts]:
    if scored.video is not None:
        raise InputError(
            "--video goes with --from: a session knows its video. Leave it out, or say of which "
            "format the annotations are (--from)."
        )
    session = Session.open(scored.path)
    with session.open_video() as video:
        require_frames(session, video)
        facts = VideoFacts.of(video)
    return Annotations(session.boxes, facts.frame_names, session.masks.read), facts


def _annotations(scored: Scored) -> tuple[Annotations, VideoFacts | None]:
    given = None
    if scored.video is not None:
        with open_video(scored.video) as video:
            given = VideoFacts.of(video)
    return read(scored.path, str(scored.format_name), video=given), given
