"""What each key does: the button that it presses, or a call; and what has Python, but no key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_maskfree.classes import DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QAbstractButton, QWidget

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["key_targets", "other_targets"]


def key_targets(widget: MaskFreeWidget) -> dict[str, QAbstractButton | Callable[[], object]]:
    """Return them by the names of :data:`napari_maskfree.keys.KEYS`."""
    boxes, finetune, masks, state = widget.boxes, widget.finetune, widget.masks, widget.state
    clicks = masks.clicks
    return {
        "draw_boxes": boxes.new,
        "new_track": boxes.add_track,
        "next_track": lambda: state.select_next(1),
        "previous_track": lambda: state.select_next(-1),
        "next_keyframe": boxes.next,
        "previous_keyframe": boxes.previous,
        "copy_last_box": lambda: boxes.with_track(state.copy_last_box),
        "keep_box": boxes.keep,
        "delete_keyframe": boxes.delete,
        "outside": boxes.outside,
        "occluded": boxes.occluded,
        "not_in_frame": lambda: boxes.with_track(state.clear_here),
        "split_track": lambda: boxes.with_track(state.split_track),
        **{f"class_{n}": partial(boxes.press_class, n) for n in range(1, DIGITS + 1)},
        "colour_by_class": boxes.classes.by_class,
        "onion_skin": boxes.onion,
        "ignore_region": boxes.ignored.draw,
        "delete_track": boxes.remove_track,
        "propose_forward": boxes.proposal.forward,
        "propose_backward": boxes.proposal.backward,
        "accept_proposal": boxes.proposal.accept,
        "undo": boxes.undo,
        "redo": boxes.redo,
        "next_finding": boxes.audit.next,
        "timeline": boxes.timeline,
        "zoom_in": lambda: widget.timeline.zoom_by(2),
        "zoom_out": lambda: widget.timeline.zoom_by(1 / 2),
        "range_start": lambda: state.start_range(),
        "range_end": lambda: state.end_range(),
        "not_in_range": lambda: boxes.with_range(state.clear_range),
        "delete_range": lambda: boxes.with_range(state.remove_keyframes),
        "fine_tune": finetune.start,
        "predict_again": finetune.predict,
        "cancel": finetune.cancel,
        "watch_frame": finetune.strip.watch,
        "keep_best": finetune.strip.keep,
        "outlines": masks.outline,
        "evidence": masks.evidence.box,
        "disagreement": masks.residual.box,
        "confidence": masks.confidence.box,
        "compare": masks.runs.compare.toggle,
        "correct": masks.correct,
        "click_mode": clicks.clicks,
        "click_belongs": lambda: clicks.mode.click_under_mouse(True),
        "click_not": lambda: clicks.mode.click_under_mouse(False),
        "box_from_mask": clicks.from_mask,
        "redraw_box": clicks.again,
        "accept": masks.accept,
        "carry_on": masks.carry.button,
        "next_changed": masks.changed.next,
        "previous_changed": masks.changed.previous,
        "next_review": masks.review.next,
        "accept_next": masks.review.accept,
        "gold": masks.gold.mark,
        "take_back": masks.take_back,
        "keep_inside": masks.tools.inside,
        "tidy_masks": masks.tools.tidy,
        "pick_pixel": widget.correspondence.pick,
        "follow_cursor": widget.correspondence.live,
        "export": widget.export.export,
        "guide": widget.guide.open,
        "show_keys": widget.keys,
    }


def other_targets(widget: MaskFreeWidget) -> list[tuple[str, QWidget]]:
    """Return what has no key and can be copied as Python, with its name in :mod:`.as_python`."""
    video, boxes, masks = widget.video, widget.boxes, widget.masks
    return [
        ("open_video", video.open_file),
        ("open_video", video.open_folder),
        ("open_session", video.open_session),
        ("load_boxes", boxes.load),
        ("load_boxes", boxes.sample),
        ("save_boxes", boxes.save),
        ("new_class", boxes.classes.add_class),
        ("reclass", boxes.classes.give),
        ("remove_class", boxes.classes.remove),
        ("delete_region", boxes.ignored.remove),
        ("ignore_everywhere", boxes.ignored.everywhere),
        ("ignore_to_here", boxes.ignored.to_here),
        ("ignore_here_alone", boxes.ignored.alone),
        ("accept_to_here", boxes.proposal.accept_here),
        ("estimate", widget.finetune.estimate.estimate),
        ("estimate", widget.finetune.estimate.use),
        ("gold_scores", masks.gold.curve),
        ("tube", widget.correspondence.tube),
        ("categories", widget.correspondence.categories.box),
    ]
