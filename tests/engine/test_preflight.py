"""What is tried and what is taken, on devices that exist here on paper only."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from maskfree.config import Config, PreflightConfig
from maskfree.errors import InputError
from maskfree.preflight import Attempt, Preflight, preflight
from maskfree.preflight_figures import Counts, Estimate, Exhausted, Measured, Rates, estimate
from maskfree.settings import override

if TYPE_CHECKING:
    from collections.abc import Callable

GIGA = 10**9
SECONDS = Estimate(1.0, 2.0, 3.0)
FULL = override(
    Config(),
    {"optimiser.amp": False, "sampling.frame_area": 100_000, "sampling.clip_length": 3},
)
CLIP = ("sampling.clip_length=2", "predict.clip_length=3")


class Device:
    """A GPU with little memory beside a machine with more; it notes what it was asked."""

    def __init__(self, *, gpu: float, cpu: float, ends: bool = False, name: str = "cuda") -> None:
        self._there = {"cuda": gpu * GIGA, "cpu": cpu * GIGA}
        self._ends, self._name = ends, name
        self.asked: list[tuple[Config, str]] = []

    def __call__(self, config: Config, device: str) -> Measured | Exhausted:
        self.asked.append((config, device))
        where = self._name if device == "auto" else device
        need = config.sampling.clip_length * config.sampling.frame_area / 100_000
        need *= 0.5 if config.optimiser.amp and where == "cuda" else 1
        there = int(self._there[where])
        if self._ends and need * GIGA > there:
            return Exhausted(where, there)
        return Measured(where, SECONDS, int(need * GIGA), there)


def verdicts(found: Preflight) -> list[tuple[str, str]]:
    return [(attempt.fallback, attempt.verdict) for attempt in found.attempts]


def test_what_fits_is_left_as_it_is() -> None:
    device = Device(gpu=4, cpu=8)
    found = preflight(FULL, "auto", device)
    assert verdicts(found) == [("", "fits")]
    assert found.fits
    assert found.as_given
    assert found.taken == found.attempts[0]
    assert (found.taken.settings, found.taken.device) == ((), "cuda")
    assert found.taken.why == "needs 3.0 of 4.0 GB"
    assert device.asked == [(FULL, "auto")]


def test_a_measurement_that_the_system_ended_is_followed_by_others_on_the_same_device() -> None:
    class Killed(Device):
        def __call__(self, config: Config, device: str) -> Measured | Exhausted:
            found = super().__call__(config, device)
            return Exhausted("cuda", 0, killed=True) if len(self.asked) == 1 else found

    device = Killed(gpu=4, cpu=8)
    found = preflight(FULL, "auto", device)
    assert [each for _, each in device.asked] == ["auto", "cuda"]
    assert found.attempts[0].why == "was ended by the system, as it does when memory runs out"
    assert [a.device for a in found.attempts] == ["cuda", "cuda"]


def test_where_it_ended_before_its_device_was_known_the_next_one_says_it() -> None:
    class Killed(Device):
        def __call__(self, config: Config, device: str) -> Measured | Exhausted:
            found = super().__call__(config, device)
            return Exhausted("auto", 0, killed=True) if len(self.asked) == 1 else found

    device = Killed(gpu=4, cpu=8)
    found = preflight(FULL, "auto", device, order=["clip"])
    assert [each for _, each in device.asked] == ["auto", "auto"]
    assert [a.device for a in found.attempts] == ["auto", "cuda"]


def test_fallbacks_are_taken_one_on_top_of_the_other_until_it_fits() -> None:
    # 3 GB, with half precision 1.5, two frames 1.0, half the area 0.5
    device = Device(gpu=1, cpu=8)
    found = preflight(FULL, "auto", device)
    assert verdicts(found) == [
        ("", "too large"),
        ("amp", "too large"),
        ("clip", "too large"),
        ("frame", "fits"),
    ]
    assert found.fits
    assert not found.as_given
    assert found.taken is not None
    assert set(found.taken.settings) == {
        "optimiser.amp=true",
        *CLIP,
        "sampling.frame_area=50000",
        "sampling.max_frame_area=524288",
    }
    assert [each for _, each in device.asked] == ["auto", "cuda", "cuda", "cuda"]
    assert [a.why for a in found.attempts][:2] == [
        "needs 3.0 of 1.0 GB, of which 90% may be used",
        "needs 1.5 of 1.0 GB, of which 90% may be used",
    ]
    assert found.attempts[2].measured is not None
    assert found.attempts[2].measured.needed == GIGA, "1.0 of 1.0 GB is more than 90%"


def test_memory_that_runs_out_is_an_answer() -> None:
    found = preflight(FULL, "cuda", Device(gpu=0.1, cpu=8, ends=True))
    assert verdicts(found) == [
        ("", "out of memory"),
        ("amp", "out of memory"),
        ("clip", "out of memory"),
        ("frame", "out of memory"),
        ("freeze", "not here"),
        ("cpu", "fits"),
    ]
    assert found.taken is not None
    assert found.taken.device == "cpu"
    assert found.attempts[0].why == "ran out of the memory of 0.1 GB that is free"
    assert found.attempts[0].measured is None
    assert "no pretrained weights" in found.attempts[4].why


def test_nothing_fits() -> None:
    found = preflight(FULL, "auto", Device(gpu=0.1, cpu=0.1))
    assert verdicts(found)[-1] == ("cpu", "too large")
    assert not found.fits
    assert found.taken is None
    # also where the last one has nothing to offer
    small = preflight(FULL, "auto", Device(gpu=0.1, cpu=0.1), order=["clip", "freeze"])
    assert verdicts(small) == [("", "too large"), ("clip", "too large"), ("freeze", "not here")]
    assert not small.fits
    assert small.attempts[-1].settings == CLIP


def test_the_order_is_a_persons_own() -> None:
    device = Device(gpu=1.2, cpu=8)
    found = preflight(FULL, "auto", device, order=["frame", "amp"])
    assert verdicts(found) == [("", "too large"), ("frame", "too large"), ("amp", "fits")]
    assert verdicts(preflight(FULL, "auto", device, order=["cpu", "amp"]))[-1] == ("cpu", "fits")
    assert verdicts(preflight(FULL, "auto", device, order=[])) == [("", "too large")]
    other = PreflightConfig(order=("cpu",))
    assert verdicts(preflight(FULL, "auto", device, settings=other))[-1] == ("cpu", "fits")


def test_a_machine_without_a_gpu_is_not_asked_for_one() -> None:
    device = Device(gpu=0, cpu=2.5, name="cpu")
    found = preflight(FULL, "auto", device)
    assert verdicts(found) == [("", "too large"), ("amp", "not here"), ("clip", "fits")]
    assert found.taken is not None
    assert found.taken.device == "cpu"


def test_a_wrong_order_is_refused_before_anything_is_measured() -> None:
    device = Device(gpu=1, cpu=1)
    with pytest.raises(InputError, match="no fallback"):
        preflight(FULL, "auto", device, order=["clips"])
    assert not device.asked


def test_who_waits_is_told_what_is_tried() -> None:
    said: list[str] = []
    preflight(FULL, "auto", Device(gpu=0.1, cpu=8), report=said.append)
    assert said == ["as it is", "mixed precision", "shorter clip", "smaller frame", "the CPU"]


def test_json_and_back() -> None:
    found = preflight(FULL, "cuda", Device(gpu=0.1, cpu=8, ends=True))
    assert Preflight.from_json(json.loads(json.dumps(found.to_json()))) == found
    goes_on = Measured("cpu", Estimate(1.0, 2.0, 3.0), 4, 5, start="0001", steps=12)
    found = Preflight((Attempt("", "cpu", (), "fits", "", goes_on),))
    data = json.loads(json.dumps(found.to_json()))
    assert Preflight.from_json(data) == found
    for earlier in ("start", "steps"):  # a version that did not write it
        del data["attempts"][0]["measured"][earlier]
    before = Preflight.from_json(data).attempts[0].measured
    assert before == Measured("cpu", Estimate(1.0, 2.0, 3.0), 4, 5)
    for broken in ({}, {"attempts": []}, {"attempts": [{}]}, None, {"attempts": [3]}):
        with pytest.raises(InputError, match="no estimate"):
            Preflight.from_json(broken)


# the arithmetic of an estimate


@pytest.fixture
def rates() -> Rates:
    return Rates(start=5, prepare=10, settle=2, step=0.5, norm=0.125, look=0.8, refine=0.25)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # 100 * 0.5 + 60 * 0.125 + 24 * 0.8 / 2 + 2 and 5 + 30 * 0.8 + 90 * 0.25
        (lambda c: c, Estimate(15, 50 + 7.5 + 9.6 + 2, 5 + 24 + 22.5)),
        (lambda c: dataclasses.replace(c, views=1), Estimate(15, 50 + 7.5 + 19.2 + 2, 51.5)),
        (lambda c: dataclasses.replace(c, taught=0), Estimate(15, 57.5, 51.5)),
        (lambda c: dataclasses.replace(c, steps=10, norms=0, taught=0), Estimate(15, 5, 51.5)),
        (lambda c: dataclasses.replace(c, taught=0, first=20), Estimate(15 + 5, 57.5, 51.5)),
    ],
)
def test_an_estimate_by_hand(
    rates: Rates, change: Callable[[Counts], Counts], expected: Estimate
) -> None:
    counts = Counts(frames=90, steps=100, norms=60, taught=24, views=2, clips=30)
    found = estimate(rates, change(counts))
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected))
    assert found.total == pytest.approx(sum(dataclasses.astuple(expected)))
