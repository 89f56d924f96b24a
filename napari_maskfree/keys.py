"""What has a key: its words and the key it has unless a person chose another. No Qt here.

The manifest (`napari.yaml`) offers the same names in napari's preferences.
"""

from __future__ import annotations

from napari_maskfree.classes import DIGITS

__all__ = ["GIVEN", "KEYS"]

KEYS: dict[str, tuple[str, str]] = {
    "draw_boxes": ("Draw boxes", "Alt+D"),
    "new_track": ("New track", "Alt+N"),
    "next_track": ("Select the next track", "Alt+PgDown"),
    "previous_track": ("Select the track before", "Alt+PgUp"),
    "next_keyframe": ("To the next keyframe", "Alt+Right"),
    "previous_keyframe": ("To the keyframe before", "Alt+Left"),
    "copy_last_box": ("Copy the box of the frame before", "Alt+R"),
    "keep_box": ("Make the interpolated box a keyframe", "Alt+K"),
    "delete_keyframe": ("Delete the keyframe", "Alt+Backspace"),
    "outside": ("Outside from this frame on", "Alt+O"),
    "occluded": ("Occluded from this frame on", "Alt+B"),
    "not_in_frame": ("Not in this frame", "Alt+X"),
    "split_track": ("Split the track at this frame", "Alt+T"),
    **{
        f"class_{n}": (f"Class {n} for the selected track", f"Alt+{n}")
        for n in range(1, DIGITS + 1)
    },
    "colour_by_class": ("Colour by class", "Alt+Shift+Y"),
    "onion_skin": ("Onion skin: the boxes of the keyframes around", "Alt+Shift+N"),
    "ignore_region": ("Draw an ignore region", "Alt+Shift+I"),
    "delete_track": ("Delete the track", "Alt+Shift+Backspace"),
    "propose_forward": ("Propose boxes in the frames after this one", "Alt+Shift+Right"),
    "propose_backward": ("Propose boxes in the frames before this one", "Alt+Shift+Left"),
    "accept_proposal": ("Accept the proposed boxes", "Alt+Shift+Return"),
    "undo": ("Undo", "Alt+Z"),
    "redo": ("Redo", "Alt+Shift+Z"),
    "next_finding": ("To the next box that is worth a look", "Alt+G"),
    "timeline": ("Show or hide the timeline", "Alt+Shift+L"),
    "zoom_in": ("Zoom into the timeline", "Alt+="),
    "zoom_out": ("Zoom out of the timeline", "Alt+-"),
    "range_start": ("Select frames from this one on", "Alt+["),
    "range_end": ("Select frames up to this one", "Alt+]"),
    "not_in_range": ("Not in the selected frames", "Alt+Shift+O"),
    "delete_range": ("Delete the keyframes in the selected frames", "Alt+Shift+K"),
    "fine_tune": ("Fine-tune", "Alt+Shift+F"),
    "predict_again": ("Predict again", "Alt+Shift+M"),
    "cancel": ("Cancel the run", "Alt+Shift+X"),
    "watch_frame": ("Redraw this frame while it trains", "Alt+Home"),
    "keep_best": ("Stop the run and keep its best weights, or use them later", "Alt+End"),
    "outlines": ("Masks as outlines only", "Alt+M"),
    "evidence": ("Show the evidence", "Alt+E"),
    "disagreement": ("Show where masks disagree", "Alt+Shift+D"),
    "confidence": ("Colour masks by confidence", "Alt+Shift+U"),
    "compare": ("Compare two runs by swiping", "Alt+Y"),
    "correct": ("Correct the masks with the brush", "Alt+J"),
    "click_mode": ("Correct the mask by clicks", "Alt+Shift+P"),
    "click_belongs": ("What is under the mouse belongs to the track", "Alt+Shift+T"),
    "click_not": ("What is under the mouse does not belong to it", "Alt+Shift+W"),
    "box_from_mask": ("Make the box of this frame from the mask", "Alt+Shift+B"),
    "redraw_box": ("Redraw the box of this frame, then go on", "Alt+Shift+R"),
    "accept": ("Accept the masks of this frame", "Alt+A"),
    "carry_on": ("Carry this frame's corrections on", "Alt+Shift+J"),
    "next_changed": ("To the next frame that a correction changed", "Alt+."),
    "previous_changed": ("To the changed frame before", "Alt+,"),
    "next_review": ("To the least sure mask that nobody looked at", "Alt+Q"),
    "accept_next": ("Accept this frame and go to the next to review", "Alt+Shift+Q"),
    "gold": ("Mark this frame as gold, or take that back", "Alt+Shift+G"),
    "take_back": ("Drop the corrections of this frame", "Alt+Shift+A"),
    "keep_inside": ("Brush and eraser keep inside the box", "Alt+I"),
    "tidy_masks": ("Fill holes, drop specks", "Alt+U"),
    "pick_pixel": ("Pick a pixel to see its look-alikes", "Alt+Shift+V"),
    "follow_cursor": ("Look-alikes of the pixel under the cursor", "Alt+Shift+Home"),
    "export": ("Export", "Alt+Shift+E"),
    "guide": ("Open or close the guide", "Alt+Shift+H"),
    "show_keys": ("Show all keys", "?"),
}
"""By name: what it does, and its key as Qt writes it."""

GIVEN = (
    ("Draw a rectangle (boxes layer)", "R"),
    ("Select and move boxes (boxes layer)", "S"),
    ("Undo, redo (boxes and masks layers)", "Ctrl+Z, Ctrl+Shift+Z"),
    ("Paint a new object (masks layer)", "M"),
    ("One frame back, one on", "Left, Right"),
    ("Move the picture while it is held", "Space"),
)
"""Keys that are napari's own, or bound to a layer: shown, not changed here."""
