"""Every number of the window, once: times, sizes and shares, with their units."""

from __future__ import annotations

POLL_INTERVAL = 250
"""Milliseconds between two looks at a run's files."""
STOP_GRACE = 20.0
"""Seconds that a run has to end by itself after it was asked to stop."""
STOP_STEPS = 15.0
"""Times of a step that it has beyond that: it ends a step and measures the norms, then it saves."""
TERMINATE_GRACE = 5.0
"""Seconds between the polite and the forced end of a process."""
CLOSE_GRACE = 2.0
"""Seconds that a run has to end by itself when the window closes."""
RESULT_INTERVAL = 1000
"""Milliseconds between two refreshes of the masks while they are being predicted."""
HISTORY = 10_000_000
"""Keyframes that the steps of undo hold, 8 bytes each: a day's work with hundreds of tracks."""
SAME_BOX = 1e-3
"""Pixels: boxes that differ by less are the same."""

EDGE_SHARE = 1 / 200
"""Width of a keyframe's outline, of the video's height."""
SLIP = 6.0
"""Pixels of the screen: what is drawn smaller than that is a click that slipped."""
LEAST_EDGE = 2.5
"""Canvas pixels: a keyframe's outline is never thinner on the screen, however small the picture."""
LEAST_ZOOM = 0.01
"""Canvas pixels per pixel of the video: outlines of a smaller picture grow no further."""
INTERPOLATED_EDGE = 0.6
"""Width of an interpolated outline, of a keyframe's."""
INTERPOLATED_ALPHA = 0.65
"""Opacity of an interpolated outline."""
FACE_ALPHA = 0.10
"""Opacity of a keyframe's face."""
INTERPOLATED_FACE = 0.03
"""Opacity of an interpolated face: enough to grab it."""
TEXT_SIZE = 11
"""Points: the label above a box."""
ONION_CORNER = 0.25
"""Of a side: how long the corners of a neighbouring keyframe's box are."""
ONION_COLOUR = (1.0, 1.0, 1.0, 0.85)
"""RGBA of those corners: white, which no track is."""
ONION_TEXT_SIZE = 9
"""Points: the frame's number at them."""

IGNORE_EDGE, IGNORE_FACE = (0.85, 0.85, 0.85, 0.9), (0.5, 0.5, 0.5, 0.45)
"""RGBA of an ignore region's outline and face: grey, which no track is."""
IGNORE_COLOUR = (150, 150, 150)
"""RGB of the band on the timeline's ruler where ignore regions hold."""
IGNORE_CORNERS = 48
"""Corners of a region that was drawn as an ellipse."""

MOST_SHAPES = 10_000
"""Boxes that are opened as one Shapes layer; napari gets slow beyond."""

MASK_OPACITY = 0.55
"""Opacity of the masks layer."""
MASK_CACHE = 16
"""Frames of masks kept in memory."""
TIDY_MOST = 100_000
"""Pixels of the largest hole or speck that the window offers."""

EVIDENCE_OPACITY = 0.5
"""Opacity of the evidence layer where the belief is certain."""
EVIDENCE_BACKGROUND, EVIDENCE_OBJECT = (55, 135, 255), (240, 75, 70)
"""RGB of what is background, and of what is object, by the evidence; legible in both themes."""

RESIDUAL_OPACITY = 0.85
"""Opacity of the residual layer where all matches disagree."""
RESIDUAL_MISSING, RESIDUAL_EXCESS = (255, 221, 40), (140, 70, 255)
"""RGB of what the mask leaves out, and of what it holds too much, by the matches: yellow and
violet, which everybody tells apart."""
RESIDUAL_CACHE = 32
"""Frames whose residuals are kept in memory."""

SCORE_RANGE = (0.5, 0.95)
"""Scores that have the first and the last of the colours below."""
SCORE_COLOURS = ((213, 94, 0), (236, 226, 190), (60, 150, 230))
"""RGB of an unsure, a middling and a sure mask: orange and blue, which everybody tells apart."""
NO_SCORE_COLOUR = (150, 150, 150)
"""RGB of a mask without a score, where masks are coloured by score."""
SCORE_ROWS = 8
"""Most masks of a frame whose scores are listed: the least sure ones."""
REVIEW_APART = 5
"""Frames that lie at least between two masks of a track that are reviewed one after the other."""
ACCEPTED_COLOUR = (60, 190, 130)
"""RGB of the notch where a person accepted a mask."""
GOLD_COLOUR = (226, 172, 34)
"""RGB of gold frames on the timeline: a diamond on the ruler, a framed notch in the lanes."""
GOLD_SIZE = 4.5
"""Pixels from the middle of that diamond to its corners."""
GOLD_HEIGHT = 96
"""Pixels: the curve of the gold frames' scores."""

PICKED_CELLS, MATCH_CELLS, REJECTED_CELLS = 1.25, 1.0, 0.35
"""Diameters of the picked pixel's cross, of a match and of a rejected candidate, in cells."""
VECTOR_CELLS, TUBE_CELLS = 0.2, 0.3
"""Widths of the vectors to the matches, and of the tube, in cells."""
FAINTEST = 0.3
"""Where in the colormap a match at the largest distance lies: still visible on dark pictures."""
TOO_FAR_COLOUR, BEYOND_COLOUR, RADIUS_COLOUR = (190, 190, 190), (86, 180, 233), (0, 178, 130)
"""RGB of candidates that the threshold, the top K and the radius rejected; shapes tell them too."""
CATEGORY_OPACITY = 0.6
"""Opacity of the category layer."""
NEAR_FRAMES = 32
"""Working frames around the shown one that are kept for the inspector: a third of a MB each."""
MOST_EACH_SIDE = 5
"""Frames before and after a picked one that its matches are shown in, at most."""
TUBE_FRAMES = 5
"""Frames of the cyclic tube that is followed: the paper's T."""
FOLLOW_INTERVAL = 40
"""Milliseconds between two answers while the cursor is followed."""

RUN_ROWS = 4
"""Runs that the list shows without scrolling."""
DIVIDER_REACH = 12
"""Pixels of the screen: how near to the divider the mouse takes it."""
DIVIDER_WORDS = 0.05
"""Where the runs' names stand on the divider, of the picture's height from its upper edge."""
COMPARED_FRAMES = 600
"""Most frames that are looked at to find where two runs differ: some seconds at 1080 lines."""
CHANGED_LEAST = 0.02
"""Of a mask: a frame counts as changed by a run in which at least so much is another."""
CHANGED_COLOUR = (160, 105, 255)
"""RGB of the line under the frames that a correction changed, on the timeline: violet, which no
score is."""
COMPARED_NAMED = 4
"""How many of the frames in which two runs differ most are named."""

MAX_STEPS = 100_000
"""Largest number of steps that the window offers."""
SPACING = 6
"""Pixels between rows."""
MARGIN = 10
"""Pixels inside a section."""
AUDIT_DELAY = 600
"""Milliseconds after the last change until the boxes are looked through."""
AUDIT_ROWS = 500
"""Most rows in the list of what is worth a look."""
WATCH_INTERVAL = 2000
"""Milliseconds between two looks at what other windows did to the session."""
FRAMES_DELAY = 1500
"""Milliseconds after a session is opened in which its video is left to the window alone."""
SAVE_DELAY = 1000
"""Milliseconds after the last change until the session's boxes are saved."""
MIN_WIDTH = 300
"""Pixels: the widget's smallest width."""
PREVIEW_CELL = 66
"""Pixels: the least width of a small picture of a chosen frame."""
PREVIEW_LINE, PREVIEW_HEM, PREVIEW_SMOOTH = 3, 5, 2
"""A mask's outline in it, and the dark line under that, in pixels of a picture that is so many
times larger: then it is averaged down."""
