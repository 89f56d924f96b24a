"""Why the masks are what they are: background seen elsewhere, as a napari layer.

:func:`load_evidence` reads a run's file and may be called in a background thread;
:class:`EvidenceLayer` shows what it read and touches layers, so only the main thread may use it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from napari_maskfree import constants as c
from napari_maskfree.grid_layer import MAP_METADATA, over_video, signed_colormap

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image

    from maskfree.session import Session
    from napari_maskfree.video_info import VideoInfo

__all__ = [
    "EVIDENCE_NAME",
    "EvidenceLayer",
    "EvidenceSource",
    "evidence_colormap",
    "evidence_source",
    "load_evidence",
]

EVIDENCE_NAME = "Evidence"


@dataclasses.dataclass(frozen=True)
class EvidenceSource:
    """The file with a run's evidence as it was when we looked, and the video that it is about.

    ``of_best``: it is what the run knew when its best weights were scored, which are kept.
    """

    path: Path
    modified: int
    video: VideoInfo
    of_best: bool = False


def evidence_source(session: Session | None, video: VideoInfo | None) -> EvidenceSource:
    """Return where the evidence of the newest run with a checkpoint is, of the kept weights.

    Raises
    ------
    InputError
        When there is none; the message says why and what to do. A damaged file is no reason:
        :func:`load_evidence` tells of it.
    """
    if video is None:
        raise InputError("Choose a video first (section 1).")
    run = session.latest_run() if session is not None else None
    if run is None:
        raise InputError("No run has finished yet. Fine-tune first (section 3).")
    from maskfree.consensus_memory import has_evidence

    path, found, modified = run.kept_memory_path, False, 0
    with contextlib.suppress(OSError):
        modified, found = path.stat().st_mtime_ns, True
    with contextlib.suppress(InputError):
        found = found and has_evidence(path)
    if not found:
        raise InputError(
            f"Run {run.name} did not look for background seen elsewhere: its preset or settings "
            "leave it out. Fine-tune again (section 3)."
        )
    return EvidenceSource(path, modified, video, run.keeps_best)


def load_evidence(source: EvidenceSource) -> np.ndarray:
    """Return the evidence, int8 (T, h, w).

    The file is compressed as a whole, so it is read once; napari then takes a frame at a time.

    Raises
    ------
    InputError
        When the file is damaged or is about another video.
    """
    from maskfree.consensus_memory import read_evidence

    found = read_evidence(source.path)
    if found is None or len(found) != source.video.num_frames:
        frames = "no frame" if found is None else f"{len(found)} frames"
        raise InputError(
            f"{source.path} holds the evidence of {frames}, but {source.video.name} has "
            f"{source.video.num_frames}. Fine-tune again (section 3)."
        )
    return found


def evidence_colormap() -> Any:
    """Return the colours of -SURE to SURE: by the sign, and the fainter the weaker the belief."""
    return signed_colormap("evidence", c.EVIDENCE_BACKGROUND, c.EVIDENCE_OBJECT)


class EvidenceLayer:
    """The layer over the viewer's video while it is shown: ``layer``, of ``source``."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.layer: Image | None = None
        self.source: EvidenceSource | None = None

    def show(self, image: Image, evidence: np.ndarray, source: EvidenceSource) -> None:
        """Show evidence (T, h, w), in place of what was shown, over the video's layer."""
        data, scale, translate = over_video(image, evidence, source.video)
        if self.layer is not None and self.layer.ndim != data.ndim:
            self.clear()
        self.source = source
        if self.layer is not None:
            self.layer.data = data
            self.layer.scale, self.layer.translate = scale, translate
            return
        self.layer = _make(data, scale=scale, translate=translate)
        active = self.viewer.layers.selection.active
        self.viewer.layers.insert(self.viewer.layers.index(image) + 1, self.layer)
        if active is not None:
            self.viewer.layers.selection.active = active

    def clear(self) -> None:
        """Remove the layer, if it is there."""
        layer, self.layer, self.source = self.layer, None, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)


def _make(data: np.ndarray, **geometry: Any) -> Image:
    from napari.layers import Image

    from maskfree.evidence import SURE

    return Image(
        data,
        name=EVIDENCE_NAME,
        rgb=False,
        multiscale=False,
        contrast_limits=(-SURE, SURE),
        colormap=evidence_colormap(),
        blending="translucent",
        opacity=c.EVIDENCE_OPACITY,
        metadata=MAP_METADATA,
        **geometry,
    )
