"""What is said of a JSON file that cannot be read; `where` names its kind and path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

__all__ = ["first_twice", "not_json", "twice", "unique_fields", "unreadable"]

T = TypeVar("T", bound="Hashable")


def not_json(where: str, what: str, line: int, column: int) -> InputError:
    """Return the error for text that is no JSON; ``line`` and ``column`` count from 1."""
    return InputError(
        f"The {where} is not JSON: {what} at line {line}, column {column}. Mend that place in a "
        "text editor."
    )


def unreadable(where: str, error: ValueError | RecursionError) -> InputError:
    """Return the error for JSON that Python's decoder refused with ``error``."""
    if isinstance(error, RecursionError):
        return InputError(f"The {where} is nested too deeply. Check that it is the file you meant.")
    return InputError(f"The {where} cannot be read: {error}. Mend it in a text editor.")


def twice(name: str) -> ValueError:
    """Return the error for a field that one object holds twice: one of the two would be lost."""
    return ValueError(f'the field "{name}" comes twice in one object')


def first_twice(values: Iterable[T]) -> T:
    """Return the first value that comes for the second time; there must be one."""
    seen: set[T] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    raise ValueError("no value comes twice")


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a file; for the decoder's ``object_pairs_hook``.

    Raises
    ------
    ValueError
        Where a field comes twice.
    """
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise twice(first_twice(name for name, _ in pairs))
    return fields
