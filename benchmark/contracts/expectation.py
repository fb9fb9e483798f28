"""A contract: a function that says what was expected, what was found and what to do if it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., None])


class Broken(AssertionError):
    """A contract does not hold; the message says what was expected, what was found and what to do."""


class NotApplicable(Exception):
    """A contract cannot be checked for this entry on this machine; the message is the reason."""


def broken(expected: str, found: object, remedy: str) -> NoReturn:
    """Raises `Broken` with its three parts."""
    raise Broken(f"expected {expected}; found {found}. {remedy}.")


def expect(holds: object, expected: str, found: object, remedy: str) -> None:
    """Breaks the contract unless it holds.

    Args:
        holds: Whether it holds.
        expected: What was expected: "one finite value per row".
        found: What was found.
        remedy: What to do about it, a sentence without its full stop.

    Raises:
        Broken: if it does not hold.
    """
    if not holds:
        broken(expected, found, remedy)


def expect_close(found: Any, wanted: Any, expected: str, remedy: str, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Breaks the contract unless tensors, or lists and dicts of them, are equal up to a tolerance; NaN equals NaN.

    Raises:
        Broken: if they are not.
    """
    try:
        torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    except AssertionError as error:
        broken(expected, " ".join(str(error).split()), remedy)


@dataclass(frozen=True, slots=True)
class Case:
    """One contract of one entry, in one setting.

    Args:
        title: The contract, as a sentence: "rows do not see each other in evaluation".
        setting: The setting of the check, such as the schema; empty if there is only one.
        check: Checks it; raises `Broken`, `NotApplicable`, or any exception of the entry itself.
    """

    title: str
    setting: str
    check: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.title}, {self.setting}" if self.setting else self.title


class Contracts:
    """The contracts of one registry, in written order.

    Args:
        settings: By an entry's name, the settings for contracts checked `everywhere`: a title and the arguments after
            the name.
    """

    def __init__(
        self, settings: Callable[[str], Iterator[tuple[str, tuple[Any, ...]]]] = lambda name: iter(())
    ) -> None:
        self.settings = settings
        self._checks: list[tuple[Callable[..., None], bool]] = []

    def once(self, check: F) -> F:
        """A decorator: a contract that is checked once, with only the entry's name."""
        self._checks.append((check, False))
        return check

    def everywhere(self, check: F) -> F:
        """A decorator: a contract that is checked in every setting."""
        self._checks.append((check, True))
        return check

    def cases(self, name: str) -> Iterator[Case]:
        """All contracts of the entry with this name."""
        for check, is_everywhere in self._checks:
            for setting, arguments in self.settings(name) if is_everywhere else [("", ())]:
                yield Case(check.__name__.replace("_", " "), setting, partial(check, name, *arguments))
