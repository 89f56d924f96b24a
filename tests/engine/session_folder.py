"""What lies in a session."""

from __future__ import annotations

import numpy as np

from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

BOXES = BoxTracks(3, 9, 8, 25.0, (Track(1, "car", (Keyframe(0, (1.0, 2.5, 3.0, 4.0)),)),))
MASKS = InstanceMasks((1,), np.ones((1, 9, 8), dtype=bool), (0.5,))
