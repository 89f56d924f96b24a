"""What makes a run smaller, one thing at a time. No torch here.

Each fallback takes a plan and returns a smaller one, or None where it has nothing to offer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.errors import InputError, nearest
from maskfree.settings import as_text, iter_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.config import Config, PreflightConfig

__all__ = ["FALLBACKS", "Fallback", "Plan", "check_order", "made_to_fit"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run's settings and the device that it is to run on: cpu, cuda or mps."""

    config: Config
    device: str


@dataclasses.dataclass(frozen=True)
class Fallback:
    """One way to need less.

    ``title``: what it does in a few words; ``price``: what is lost; ``not_here``: why it returns
    None where it does.
    """

    title: str
    price: str
    not_here: str
    apply: Callable[[Plan, PreflightConfig], Plan | None]


def amp(plan: Plan, _settings: PreflightConfig) -> Plan | None:
    """Compute in half precision; on CUDA alone."""
    if plan.device != "cuda" or plan.config.optimiser.amp:
        return None
    return _with(plan, "optimiser", amp=True)


def clip(plan: Plan, settings: PreflightConfig) -> Plan | None:
    """Look at fewer frames together, in training and in prediction."""
    training = min(plan.config.sampling.clip_length, settings.least_clip)
    predicting = min(plan.config.predict.clip_length, settings.least_predict_clip)
    made = _with(plan, "sampling", clip_length=training)
    made = _with(made, "predict", clip_length=predicting)
    return None if made == plan else made


def frame(plan: Plan, settings: PreflightConfig) -> Plan | None:
    """Train on smaller frames, and predict from smaller ones."""
    sampling, least = plan.config.sampling, settings.least_frame_area
    areas = {
        name: min(area, max(least, round(settings.frame_share * area)))
        for name, area in (
            ("frame_area", sampling.frame_area),
            ("max_frame_area", sampling.max_frame_area),
        )
    }
    made = _with(plan, "sampling", **areas)
    return None if areas["frame_area"] == sampling.frame_area else made


def freeze(plan: Plan, _settings: PreflightConfig) -> Plan | None:
    """Leave the backbone as it is; one that has learnt nothing yet must learn."""
    model = plan.config.model
    learnt = model.backbone_weights or model.weights
    if not learnt or not plan.config.optimiser.backbone_multiplier:
        return None
    return _with(plan, "optimiser", backbone_multiplier=0.0)


def cpu(plan: Plan, _settings: PreflightConfig) -> Plan | None:
    """Compute without a GPU."""
    return None if plan.device == "cpu" else dataclasses.replace(plan, device="cpu")


FALLBACKS = {
    "amp": Fallback(
        "Mixed precision",
        "Half the memory for much of the work, hardly any loss.",
        "it is on already, or this is no NVIDIA GPU",
        amp,
    ),
    "clip": Fallback(
        "Shorter clip",
        "Fewer frames are compared with each other.",
        "clips are as short as they get",
        clip,
    ),
    "frame": Fallback(
        "Smaller frame",
        "Half the area: the finest details are lost.",
        "frames are as small as they get",
        frame,
    ),
    "freeze": Fallback(
        "Frozen backbone",
        "Only the rest of the network learns; for presets with pretrained weights.",
        "the backbone is frozen already, or it has no pretrained weights to rely on",
        freeze,
    ),
    "cpu": Fallback("CPU", "No GPU: a lot slower.", "it runs on the CPU already", cpu),
}
"""By name: all there are, in the order in which they are tried unless a person says otherwise."""
_FITTING = (
    "sampling.clip_length",
    "predict.clip_length",
    "sampling.frame_area",
    "sampling.max_frame_area",
    "optimiser.backbone_multiplier",
)
"""What fallbacks make smaller; one switches ``optimiser.amp`` on."""


def check_order(order: Sequence[str]) -> tuple[str, ...]:
    """Return the names of fallbacks as they are to be tried.

    Raises
    ------
    InputError
        For a name that none has, and for one that is given twice.
    """
    for name in order:
        if name not in FALLBACKS:
            raise InputError(
                f'There is no fallback "{name}". Choose of {", ".join(FALLBACKS)}.'
                f"{nearest(name, FALLBACKS)}"
            )
    if len(set(order)) < len(order):
        raise InputError(f"Each fallback is tried once, got {','.join(order)}.")
    return tuple(order)


def made_to_fit(config: Config, usual: Config) -> tuple[str, ...]:
    """Return what of a run's settings was made smaller than usual, as ``key=value`` words."""
    was = {each.key: each.value for each in iter_settings(usual)}
    return tuple(
        f"{each.key}={as_text(each.value)}"
        for each in iter_settings(config)
        if (each.key in _FITTING and each.value < was[each.key])
        or (each.key == "optimiser.amp" and each.value > was[each.key])
    )


def _with(plan: Plan, section: str, **values: object) -> Plan:
    changed = dataclasses.replace(getattr(plan.config, section), **values)
    return dataclasses.replace(plan, config=dataclasses.replace(plan.config, **{section: changed}))
