from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from maskfree.config import Config, PredictConfig
from maskfree.errors import InputError
from maskfree.presets import PRESETS, preset
from maskfree.settings import (
    Section,
    Setting,
    from_dict,
    iter_settings,
    override,
    setting,
    to_dict,
)


@dataclasses.dataclass(frozen=True)
class Inner(Section):
    radius: int = setting(5, "R", unit="cells", low=1, high=32, source="paper")
    shape: str = setting("disc", "window", choices=("disc", "square"))
    limit: float | None = setting(None, "distance or none", unit="Lab", low=0.0)
    sizes: tuple[int, ...] = setting((1, 2), "sizes")


@dataclasses.dataclass(frozen=True)
class Outer(Section):
    flag: bool = setting(True, "a switch")
    rate: float = setting(0.5, "a rate", high=1.0)
    name: str = setting("tiny", "a name")
    count: int = 3  # no hyper-parameter: not declared by setting()
    inner: Inner = dataclasses.field(default_factory=Inner)


def message(call: Any) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"radius": 0}, "radius must lie in 1 to 32 cells, got 0."),
        ({"radius": 33}, "radius must lie in 1 to 32 cells, got 33."),
        ({"limit": -0.5}, "limit must lie in 0.0 to inf Lab, got -0.5."),
        ({"limit": math.nan}, "limit must be a finite number, got nan."),
        ({"limit": math.inf}, "limit must be a finite number, got inf."),
        (
            {"shape": "squere"},
            'shape must be one of disc, square, got "squere". Did you mean "square"?',
        ),
    ],
)
def test_a_section_checks_its_values_when_made(values: dict[str, Any], expected: str) -> None:
    assert message(lambda: Inner(**values)) == expected


def test_none_is_a_word_where_it_is_one_of_the_choices() -> None:
    config = override(Config(), {"temporal.method": "none"})
    assert config.temporal.method == "none"
    assert from_dict(Config, to_dict(config)) == config
    assert override(Inner(), {"limit": "none"}).limit is None
    assert message(lambda: override(Inner(), {"shape": "none"})) == "shape needs a value, got none."


def test_an_upper_bound_alone_is_told_as_such() -> None:
    assert message(lambda: Outer(rate=1.5)) == "rate must lie in -inf to 1.0, got 1.5."


def test_iter_settings_lists_the_declared_ones_with_dotted_keys() -> None:
    listed = list(iter_settings(Outer(inner=Inner(radius=7))))
    assert [s.key for s in listed] == [
        "flag",
        "rate",
        "name",
        "inner.radius",
        "inner.shape",
        "inner.limit",
        "inner.sizes",
    ]
    assert listed[3] == Setting("inner.radius", 7, int, "R", "cells", 1, 32, (), "paper")
    assert [s.kind for s in listed[4:]] == [str, float, tuple]


def test_override_parses_text_by_the_declared_type_and_leaves_the_original() -> None:
    config = Outer()
    changed = override(
        config,
        {
            "flag": "no",
            "rate": "1e-2",
            "inner.radius": "9",
            "inner.limit": "2.5",
            "inner.sizes": "3,4,5",
        },
    )
    assert changed == Outer(flag=False, rate=0.01, inner=Inner(9, "disc", 2.5, (3, 4, 5)))
    assert config == Outer()
    assert override(changed, {"inner.limit": "None"}).inner.limit is None


def test_none_may_be_the_name_of_a_choice() -> None:
    assert override(Config(), {"temporal.method": "none"}).temporal.method == "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("Yes", True), ("on", True), ("1", True), ("FALSE", False), ("off", False)],
)
def test_the_words_for_a_switch(text: str, expected: bool) -> None:
    assert override(Outer(), {"flag": text}).flag is expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("flag", "maybe", "flag must be true or false, got 'maybe'."),
        ("rate", "fast", "rate must be a number, got 'fast'."),
        ("rate", True, "rate must be a number, got True."),
        ("rate", None, "rate needs a value, got none."),
        ("rate", "nan", "rate must be a finite number, got nan."),
        ("inner.radius", "2.5", "inner.radius must be a whole number, got '2.5'."),
        ("inner.radius", 2.5, "inner.radius must be a whole number, got 2.5."),
        ("inner.radius", True, "inner.radius must be a whole number, got True."),
        ("inner.radius", "99", "inner.radius must lie in 1 to 32 cells, got 99."),
        ("inner.sizes", "1,x", "inner.sizes must be a list of numbers like 32,64,96, got '1,x'."),
        ("inner.sizes", 4, "inner.sizes must be a list of numbers like 32,64,96, got 4."),
        (
            "inner.sizes",
            [1.5],
            "inner.sizes must be a list of numbers like 32,64,96, got [1.5].",
        ),
        (
            "inner",
            "5",
            '"inner" is a group of settings; set one of: '
            "inner.radius, inner.shape, inner.limit, inner.sizes.",
        ),
        ("radius", "5", 'There is no setting "radius". Did you mean "inner.radius"?'),
        ("inner.radios", "5", 'There is no setting "inner.radios". Did you mean "inner.radius"?'),
        ("rate.radius", "5", 'There is no setting "rate.radius". Did you mean "inner.radius"?'),
        ("zzzz", "5", 'There is no setting "zzzz".'),
    ],
)
def test_override_refuses(key: str, value: Any, expected: str) -> None:
    assert message(lambda: override(Outer(), {key: value})) == expected


def test_the_preset_is_not_a_setting_of_its_own() -> None:
    with pytest.raises(
        InputError, match=r'"preset" is not set on its own. Choose it with --preset'
    ):
        override(Config(), {"preset": "paper"})
    assert "preset" not in {s.key for s in iter_settings(Config())}
    assert from_dict(Config, {"preset": "paper"}).preset == "paper"


def test_from_dict_takes_defaults_for_what_is_absent() -> None:
    assert from_dict(Outer, {"inner": {"radius": 8}}) == Outer(inner=Inner(radius=8))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"rat": 1}, 'file has no setting "rat". Did you mean "rate"?'),
        ({"inner": {"radios": 1}}, 'file.inner has no setting "radios". Did you mean "radius"?'),
        ([1], "file must be a section of settings, got [1]."),
        ({"inner": 4}, "file.inner must be a section of settings, got 4."),
        ({"inner": {"radius": "x"}}, "file.inner.radius must be a whole number, got 'x'."),
        ({"inner": {"radius": 50}}, "file.inner.radius must lie in 1 to 32 cells, got 50."),
    ],
)
def test_from_dict_refuses(data: Any, expected: str) -> None:
    assert message(lambda: from_dict(Outer, data, "file")) == expected


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_a_json_file(name: str) -> None:
    config = preset(name)
    assert from_dict(Config, json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("each", list(iter_settings(Config())), ids=lambda s: s.key)
def test_every_setting_can_be_set_from_text_and_keeps_its_bounds(each: Setting) -> None:
    value = ",".join(map(str, each.value)) if isinstance(each.value, tuple) else str(each.value)
    assert override(Config(), {each.key: value}) == Config()
    for bound, beyond in ((each.low, -1), (each.high, 1)):
        if bound is not None:
            assert each.key in message(
                lambda b=bound, d=beyond: override(Config(), {each.key: b + d})
            )
    if each.choices:
        assert f"{each.key} must be one of" in message(
            lambda: override(Config(), {each.key: each.choices[0] * 100})
        )


def test_a_threshold_has_a_finite_logit() -> None:
    for value in (0.0, 1.0):
        assert "mask_threshold must lie in" in message(
            lambda v=value: PredictConfig(mask_threshold=v)
        )
