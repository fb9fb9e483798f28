"""A contract: a function that says what was expected, what was found and what to do if it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., None])


class Broken(AssertionError):
    """A contract does not hold; the message says what was expected, what was found and what to do.

    Args:
        message: The three parts.
        at: The method or attribute of the entry that is to blame. If it is empty, `Case.at` says where.
    """

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.at = at


class NotApplicable(Exception):
    """A contract cannot be checked for this entry on this machine; the message is the reason."""


def broken(expected: str, found: object, remedy: str, at: str = "") -> NoReturn:
    """Raises `Broken` with its parts. A tensor is shown as numbers."""
    if isinstance(found, Tensor):
        found = ", ".join(f"{value:.4g}" for value in found.detach().flatten().tolist())
    raise Broken(f"expected {expected}; found {found}. {remedy}.", at)


def expect(holds: object, expected: str, found: object, remedy: str, at: str = "") -> None:
    """Breaks the contract unless it holds.

    Args:
        holds: Whether it holds.
        expected: What was expected: "one finite value per row".
        found: What was found.
        remedy: What to do about it, a sentence without its full stop.
        at: As in `Broken`.

    Raises:
        Broken: if it does not hold.
    """
    if not holds:
        broken(expected, found, remedy, at)


def expect_close(found: Any, wanted: Any, expected: str, remedy: str, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Breaks the contract unless tensors, or lists and dicts of them, are equal up to a tolerance; NaN equals NaN.

    Raises:
        Broken: if they are not.
    """
    differs = _difference(found, wanted, "", rtol, atol)
    if differs:
        broken(expected, differs, remedy)


def _difference(found: Any, wanted: Any, name: str, rtol: float, atol: float) -> str:
    """The first difference, at its largest: `0.5552 and not 0.2223 for like`; empty if there is none."""
    of = f" for {name}" if name else ""
    if isinstance(wanted, Mapping):
        if found.keys() != wanted.keys():
            return f"{', '.join(found)} and not {', '.join(wanted)}{of}"
        parts = ((found[key], wanted[key], str(key)) for key in wanted)
        return next(filter(None, (_difference(*part, rtol, atol) for part in parts)), "")
    if isinstance(wanted, str):
        return "" if found == wanted else f"{found!r} and not {wanted!r}{of}"
    if isinstance(wanted, list | tuple):
        if len(found) != len(wanted):
            return f"{len(found)} values and not {len(wanted)}{of}"
        pairs = zip(found, wanted, strict=True)
        return next(filter(None, (_difference(*pair, name, rtol, atol) for pair in pairs)), "")
    try:
        torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    except AssertionError as error:
        is_plain = isinstance(found, Tensor) and found.shape == wanted.shape and found.dtype == wanted.dtype
        if not is_plain or found.is_complex():
            return " ".join(str(error).split()) + of
        same = torch.isclose(found, wanted, rtol=0, atol=0, equal_nan=True)  # equal infinities too
        gap = (found.double() - wanted.double()).abs().nan_to_num(torch.inf, torch.inf).masked_fill(same, 0).flatten()
        place = int(gap.argmax())
        one, other = found.flatten()[place].item(), wanted.flatten()[place].item()
        return f"{one:.6g} and not {other:.6g}{of}" + (f" ({gap[place]:.2g} apart)" if gap[place].isfinite() else "")
    return ""


@dataclass(frozen=True, slots=True)
class Case:
    """One contract of one entry, in one setting.

    Args:
        title: The contract, as a sentence: "rows do not see each other in evaluation".
        setting: The setting of the check, such as the schema; empty if there is only one.
        check: Checks it; raises `Broken`, `NotApplicable`, or any exception of the entry itself.
        at: The methods of the entry that it is about. The first that the entry's file defines is the place of a fault.
        decides: Do the contracts after it mean something only if it holds?
    """

    title: str
    setting: str
    check: Callable[[], None]
    at: tuple[str, ...] = ()
    decides: bool = False

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
        self._checks: list[tuple[Callable[..., None], bool, tuple[str, ...], bool]] = []

    def once(self, *at: str, decides: bool = False) -> Callable[[F], F]:
        """A decorator: a contract that is checked once, with only the entry's name.

        Args:
            at: As in `Case`.
            decides: As in `Case`.
        """
        return self._entered(at, is_everywhere=False, decides=decides)

    def everywhere(self, *at: str, decides: bool = False) -> Callable[[F], F]:
        """A decorator: a contract that is checked in every setting. Arguments are those of `once`."""
        return self._entered(at, is_everywhere=True, decides=decides)

    def _entered(self, at: tuple[str, ...], *, is_everywhere: bool, decides: bool) -> Callable[[F], F]:
        def enter(check: F) -> F:
            self._checks.append((check, is_everywhere, at, decides))
            return check

        return enter

    def cases(self, name: str) -> Iterator[Case]:
        """All contracts of the entry with this name."""
        for check, is_everywhere, at, decides in self._checks:
            title = check.__name__.replace("_", " ")
            for setting, arguments in self.settings(name) if is_everywhere else [("", ())]:
                yield Case(title, setting, partial(check, name, *arguments), at, decides)
