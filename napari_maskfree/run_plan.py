"""What the next run is made with beside the form: an estimate, fallbacks, changed settings. No Qt.

The estimate knows what it was made for, so that whoever shows it can say when that has changed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from psygnal import Signal

from maskfree.config import PreflightConfig
from maskfree.fallbacks import made_to_fit
from maskfree.presets import names_weights, preset

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.preflight import Preflight
    from maskfree.types import BoxTracks
    from napari_maskfree.video_info import VideoInfo

__all__ = ["MadeFor", "RunPlan"]

_WEIGHTS = "model.weights="


@dataclasses.dataclass(frozen=True)
class MadeFor:
    """Everything that an estimate depends on.

    ``start``: what the person wants the run to begin with; ``goes_on``: the run that it may go on
    from then, None: it begins with fresh weights.
    """

    video: VideoInfo | None
    boxes: BoxTracks | None
    preset: str
    steps: int
    device: str
    settings: tuple[str, ...]
    order: tuple[str, ...]
    start: str = "auto"
    goes_on: str | None = None


class RunPlan:
    """Estimate, fallbacks and settings; ``changed`` fires after each change.

    ``fallbacks``: their names in the order in which they are tried, each with whether it is;
    ``fitting``: ``key=value`` words that the next run gets so that it fits; ``weights``: what it
    begins with, empty: what its preset says; ``found``: the last estimate; ``about``: the video
    that all but the weights are about. The weights stay when the preset or the video is another
    (what does not fit is refused, and said), until a session is opened whose newest run had others.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.fallbacks = [(name, True) for name in PreflightConfig().order]
        self.fitting: tuple[str, ...] = ()
        self.weights = ""
        self.found: Preflight | None = None
        self.made_for: MadeFor | None = None
        self.about: VideoInfo | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """All words that the next run gets."""
        return (*self.fitting, _WEIGHTS + self.weights) if self.weights else self.fitting

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the fallbacks that are tried, in turn."""
        return tuple(name for name, wanted in self.fallbacks if wanted)

    def set_fallbacks(self, fallbacks: list[tuple[str, bool]]) -> None:
        """Take another order of the same fallbacks, and other ones of them."""
        if fallbacks != self.fallbacks:
            assert sorted(n for n, _ in fallbacks) == sorted(n for n, _ in self.fallbacks)
            self.fallbacks = list(fallbacks)
            self.changed.emit()

    def put(self, found: Preflight, made_for: MadeFor) -> None:
        """Keep an estimate."""
        self.found, self.made_for, self.about = found, made_for, made_for.video
        self.changed.emit()

    def is_for(self, now: MadeFor) -> bool:
        """Whether the estimate is about the run that would start now."""
        return self.made_for == now

    def use(self, now: MadeFor) -> None:
        """Give the next run the settings that fit; ``now``: what the estimate then is for."""
        taken = self.found.taken if self.found is not None else None
        if taken is not None:
            words = (w for w in (*self.fitting, *taken.settings) if not w.startswith(_WEIGHTS))
            self.fitting = tuple({word.partition("=")[0]: word for word in words}.values())
            self.made_for = dataclasses.replace(now, settings=self.settings)
            self.about = now.video
            self.changed.emit()

    def take_over(self, config: Config, video: VideoInfo | None) -> None:
        """Give the next run what an earlier one had: its weights, and what made it fit."""
        self.fitting = made_to_fit(config, preset(config.preset))
        self.weights = config.model.weights if names_weights(config) else ""
        self.about = video
        self.changed.emit()

    def set_weights(self, source: str) -> None:
        """Let the next run begin with a trained network; empty: with what its preset says."""
        if source != self.weights:
            self.weights = source
            self.changed.emit()

    def drop_settings(self) -> None:
        """Let the next run have the preset's own settings; its weights stay."""
        if self.fitting:
            self.fitting = ()
            self.changed.emit()

    def forget(self) -> None:
        """Forget estimate and settings: they are about another video."""
        known = self.fitting or self.found is not None
        self.fitting, self.found, self.made_for, self.about = (), None, None, None
        if known:
            self.changed.emit()
