"""Whether a run fits, how long it takes, and what makes it fit where it does not. No torch here.

Every attempt is a measured step, see :mod:`maskfree.preflight_measure`. Where one does not fit, the
fallbacks are tried in turn, each on top of those before it, until one does.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maskfree.config import PreflightConfig
from maskfree.errors import InputError
from maskfree.fallbacks import FALLBACKS, Plan, check_order
from maskfree.preflight_figures import Estimate, Exhausted, Measured
from maskfree.settings import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.config import Config

__all__ = ["Attempt", "Preflight", "gigabytes", "preflight"]

FITS, TOO_LARGE, EXHAUSTED, NOT_HERE = "fits", "too large", "out of memory", "not here"
_GIGA = 1e9


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One thing that was tried.

    ``fallback``: its name, empty for the settings as they were given; ``verdict``: "fits", "too
    large", "out of memory" or "not here"; ``why``: that in words; ``settings``: all that differs
    from what was given, for ``--set``; ``measured``: None where there is no figure.
    """

    fallback: str
    device: str
    settings: tuple[str, ...]
    verdict: str
    why: str
    measured: Measured | None = None


@dataclasses.dataclass(frozen=True)
class Preflight:
    """Everything that was tried, in turn; the last one that was measured is what counts."""

    attempts: tuple[Attempt, ...]

    @property
    def fits(self) -> bool:
        """Whether anything fits."""
        return self.attempts[-1].verdict == FITS

    @property
    def taken(self) -> Attempt | None:
        """The attempt that fits, None where none does."""
        return self.attempts[-1] if self.fits else None

    @property
    def as_given(self) -> bool:
        """Whether nothing need be changed."""
        return self.fits and len(self.attempts) == 1

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"fits": self.fits, "attempts": [dataclasses.asdict(a) for a in self.attempts]}

    @classmethod
    def from_json(cls, data: Any) -> Preflight:
        """Take up what :meth:`to_json` returned.

        Raises
        ------
        InputError
            For anything else.
        """
        try:
            attempts = tuple(_attempt(each) for each in data["attempts"])
            if not attempts:
                raise ValueError("no attempt")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"This is no estimate ({error}). Make it again.") from error
        return cls(attempts)


def _attempt(data: Any) -> Attempt:
    found = data["measured"]
    measured = found and Measured(**{**found, "seconds": Estimate(**found["seconds"])})
    return Attempt(**{**data, "settings": tuple(data["settings"]), "measured": measured})


def preflight(
    config: Config,
    device: str,
    measure: Callable[[Config, str], Measured | Exhausted],
    *,
    order: Sequence[str] | None = None,
    settings: PreflightConfig | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Preflight:
    """Measure a run as given and, until something fits, with one fallback more each time.

    Parameters
    ----------
    device
        As a person says it, "auto" included: the measurement says what that is.
    measure
        Takes a step with a config on a device.
    order
        The fallbacks to try, by name; None: the default order.
    report
        Told what is tried next.

    Raises
    ------
    InputError
        For an unknown fallback, and where the measurement says so.
    """
    settings = settings or PreflightConfig()
    names = check_order(settings.order if order is None else order)
    report("as it is")
    found = measure(config, device)
    plan = Plan(config, found.device)
    attempts = [_judged("", plan, config, found, settings)]
    for name in names:
        if attempts[-1].verdict == FITS:
            break
        fallback = FALLBACKS[name]
        smaller = fallback.apply(plan, settings)
        if smaller is None:
            same = changes(config, plan.config)
            attempts.append(Attempt(name, plan.device, same, NOT_HERE, fallback.not_here))
            continue
        plan = smaller
        report(fallback.title[0].lower() + fallback.title[1:] if name != "cpu" else "the CPU")
        found = measure(plan.config, plan.device)
        plan = dataclasses.replace(plan, device=found.device)
        attempts.append(_judged(name, plan, config, found, settings))
    return Preflight(tuple(attempts))


def _judged(
    name: str,
    plan: Plan,
    given: Config,
    found: Measured | Exhausted,
    settings: PreflightConfig,
) -> Attempt:
    changed = changes(given, plan.config)
    if isinstance(found, Exhausted):
        room = f" of {gigabytes(found.there)}" if found.there else ""
        why = f"ran out of the memory{room} that is free"
        if found.killed:
            why = "was ended by the system, as it does when memory runs out"
        return Attempt(name, plan.device, changed, EXHAUSTED, why)
    fits = found.needed <= settings.memory_share * found.there
    why = f"needs {found.needed / _GIGA:.1f} of {gigabytes(found.there)}"
    if not fits:
        why += f", of which {settings.memory_share:.0%} may be used"
    return Attempt(name, plan.device, changed, FITS if fits else TOO_LARGE, why, found)


def gigabytes(count: float) -> str:
    """Return bytes as people say them: ``20.3 GB``."""
    return f"{count / _GIGA:.1f} GB"
