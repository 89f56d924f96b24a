"""The guide: from an empty window to exported masks, one thing to do at a time. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree.kept_masks import runs_with_masks
from maskfree.told_frames import untrained_masks

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskfree.state import State

__all__ = ["END", "INVITATION", "STEPS", "Facts", "Guide", "Step", "facts_of"]

INVITATION = (
    "New here? The guide leads from an empty window to exported masks, one step at a time. The "
    "sample clip is a rabbit, its run takes a few minutes."
)
END = (
    "That was the whole loop: boxes, masks, review, correction, export. Everything here has a key: "
    "press ? for the page of keys."
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a person has done so far, as far as the guide asks."""

    video: bool = False
    frames: int = 0
    boxes: int = 0
    most_keyframes: int = 0
    masks: bool = False
    looked_at: int = 0
    painted: int = 0
    runs: int = 0
    exported: bool = False


def facts_of(state: State, *, exported: bool, painted: bool) -> Facts:
    """Return what is so now.

    ``exported``: whether this window has written an export; ``painted``: whether a mask was
    painted or clicked on in it, which one that is accepted does not tell.
    """
    tracks = state.tracks.tracks if state.tracks is not None else ()
    boxes = [sum(k.xyxy is not None for k in t.keyframes) for t in tracks]
    session = state.session
    own = [c for frame in state.corrections.items().values() for c in frame.values()]
    return Facts(
        video=state.video is not None,
        frames=state.video.num_frames if state.video is not None else 0,
        boxes=sum(boxes),
        most_keyframes=max(boxes, default=0),
        masks=session is not None
        and bool(set(session.mask_store().frames()) - untrained_masks(session)),
        looked_at=sum(c.carried is None for c in own),
        painted=painted + sum(c.carried is None and not c.accepted for c in own),
        runs=len(runs_with_masks(session)) if session is not None else 0,
        exported=exported,
    )


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing to do.

    ``section`` is where, ``target`` the widget there that is pointed at, as a dotted name from the
    main widget; ``busy`` replaces ``words`` while a run is at work.
    """

    key: str
    title: str
    words: str
    section: str
    target: str
    done: Callable[[Facts], bool]
    busy: str = ""


STEPS = (
    Step(
        "video",
        "Open a video",
        "Press Sample clip, or open a video of your own in section 1.",
        "video",
        "video.open_file",
        lambda f: f.video,
    ),
    Step(
        "box",
        "Draw a box",
        "Press the outlined button, then drag a rectangle around the object, as tight as you can. "
        "The sample clip has boxes that are drawn already: then the button under it loads them.",
        "boxes",
        "boxes.new",
        lambda f: f.boxes > 0,
    ),
    Step(
        "follow",
        "Box it again further on",
        "Move the slider under the picture on by five to ten frames and draw the box where the "
        "object is now (or press S and pull it there). Between, it is interpolated. A further "
        "object: press New track, then draw.",
        "boxes",
        "boxes.new",
        lambda f: f.most_keyframes > 1 or f.frames == 1,
    ),
    Step(
        "train",
        "Fine-tune",
        "Press Fine-tune: the network learns from your boxes alone, then predicts the masks of "
        "every frame. Estimate says beforehand how long it takes.",
        "finetune",
        "finetune.start",
        lambda f: f.masks,
        busy="The run is at work, and the masks appear by themselves. You may go on drawing boxes "
        "for the next run meanwhile.",
    ),
    Step(
        "review",
        "Look at the least sure mask",
        "Press Next to review: it goes to the mask that needs your eyes most. If it is right, "
        "press Accept and go on; if not, the next step mends it.",
        "masks",
        "masks.review.next",
        lambda f: f.looked_at > 0,
    ),
    Step(
        "correct",
        "Correct a mask",
        "Press Correct, then paint what is missing; 1 takes the eraser, 2 the brush. Your pixels "
        "stay as they are in every later run.",
        "masks",
        "masks.correct",
        lambda f: f.painted > 0,
    ),
    Step(
        "teach",
        "Let it learn from that",
        "Press Fine-tune again: what you corrected goes into the new run as truth. In section 4 "
        "you can compare both runs and go back in one click.",
        "finetune",
        "finetune.start",
        lambda f: f.runs > 1,
        busy="The new run is at work. The masks you have stay until its own are there.",
    ),
    Step(
        "export",
        "Export",
        "Choose a format and press Export: the masks are written, read back and compared.",
        "export",
        "export.export",
        lambda f: f.exported,
    ),
)
"""In the order of the work."""
_BY_RUNS = [step.key for step in STEPS].index("review")
"""Steps before there are masks of a run."""


class Guide:
    """Which step is shown: the first that is neither done nor skipped.

    What was once done stays ticked, so that undoing a box does not lead back.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.active = False
        self._passed: set[str] = set()
        self._early = 0, 0

    @property
    def step(self) -> Step | None:
        """The step to do now; None when all are done."""
        return next((s for s in STEPS if s.key not in self._passed), None)

    @property
    def number(self) -> int:
        """Its number from 1; one more than there are steps when all are done."""
        step = self.step
        return len(STEPS) + 1 if step is None else STEPS.index(step) + 1

    def start(self, facts: Facts) -> None:
        """Begin at the first step that is not done."""
        self.active = True
        self._early = (0, 0)
        self._passed = {s.key for s in STEPS if s.done(facts)}
        self.changed.emit()

    def end(self) -> None:
        """Leave the guide."""
        self.active = False
        self.changed.emit()

    def skip(self) -> None:
        """Go on without having done this step."""
        step = self.step
        if self.active and step is not None:
            self._passed.add(step.key)
            self.changed.emit()

    def look(self, facts: Facts) -> None:
        """Tick what is done."""
        if self.active and self._pass(facts):
            self.changed.emit()

    def _pass(self, facts: Facts) -> bool:
        """Tick what is done; say whether that is more than before.

        Masks made by hand before any run is looked at or corrected are not what the steps ask for.
        """
        if self.number <= _BY_RUNS:
            self._early = facts.looked_at, facts.painted
        looked_at, painted = self._early
        since = dataclasses.replace(
            facts, looked_at=facts.looked_at - looked_at, painted=facts.painted - painted
        )
        done = {s.key for s in STEPS if s.done(since)} - self._passed
        self._passed |= done
        return bool(done)
