"""Several files of a session take the place of others: all of them, or none."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from maskfree import swap as module
from maskfree.errors import InputError
from maskfree.swap import finish_left, finish_swap, swap, swap_waits

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["boxes.json", "masks", "runs/0001/told.json", "old.json", "new.json", "never.json"]


def tree(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for base, mark in ((tmp_path, "before"), (tmp_path / ".shifting", "after")):
        for name in ("boxes.json", "masks/00000.json", "runs/0001/told.json"):
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text(f"{mark} {name}")
    (tmp_path / "old.json").write_text("before old")
    (tmp_path / ".shifting/new.json").write_text("after new")
    return tmp_path


AFTER = {
    "boxes.json": "after boxes.json",
    "masks/00000.json": "after masks/00000.json",
    "runs/0001/told.json": "after runs/0001/told.json",
    "new.json": "after new",
    "kept/boxes.json": "before boxes.json",
    "kept/masks/00000.json": "before masks/00000.json",
    "kept/runs/0001/told.json": "before runs/0001/told.json",
    "kept/old.json": "before old",
}


def test_all_are_swapped_and_what_was_there_is_kept(root: Path) -> None:
    swap(root, root / ".shifting", root / "kept", NAMES)
    assert tree(root) == AFTER
    assert not (root / ".shifting").exists()
    assert not swap_waits(root)


@pytest.mark.parametrize("kill_at", range(9))
def test_killed_between_any_two_steps_the_rest_is_done(
    root: Path, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.rename, [kill_at]

    def rename(*paths: object) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*paths)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "rename", rename)
        try:
            swap(root, root / ".shifting", root / "kept", NAMES)
        except KeyboardInterrupt:
            assert swap_waits(root)
    finish_left(root)
    assert tree(root).items() >= AFTER.items()
    assert not swap_waits(root)
    finish_swap(root)
    assert not (tree(root).keys() - AFTER.keys() - {"session.lock"}), "nothing is done twice"


def test_before_the_plan_is_written_nothing_changes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(root)

    def full(*_: object) -> None:
        raise InputError("The disk is full")

    monkeypatch.setattr(module, "atomic_write", full)
    with pytest.raises(InputError, match="full"):
        swap(root, root / ".shifting", root / "kept", NAMES)
    assert tree(root) == before


@pytest.mark.parametrize(
    "name",
    [
        "../out.json",
        "/etc/passwd",
        "C:\\x",
        "a\\..\\..\\b",
        "",
        None,
        5,
        "C:x",
        "a\0b",
        "link/a.json",
    ],
)
def test_a_strangers_plan_leads_nowhere(root: Path, tmp_path: Path, name: object) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "staged").mkdir()
    (root / "staged" / "a.json").write_text("evil")
    for field in ("name", "kept", "staged"):
        plan = {"version": 1, "staged": "staged", "kept": "kept", "moves": []}
        move = {"name": "a.json", "had": True, "gets": True}
        if field == "name":
            move["name"] = name  # type: ignore[assignment]
        else:
            plan[field] = name
        (root / "swap.json").write_text(json.dumps({**plan, "moves": [move]}))
        before = tree(root)
        with pytest.raises(InputError, match=r"is damaged: .* Remove it\."):
            finish_swap(root)
        assert tree(root) == before
    assert not list(outside.iterdir())


def test_a_newer_or_broken_plan(root: Path) -> None:
    for content in ('{"version": 2}', "{", "[]", '{"version": 1, "moves": 3}', '{"version": "1"}'):
        (root / "swap.json").write_text(content)
        before = tree(root)
        with pytest.raises(InputError):
            finish_swap(root)
        assert tree(root) == before
