"""`mtlbench check`: one line for each contract, with the setting and the place where it breaks, and an exit status."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from operator import getitem

import pytest

from benchmark.cli import main
from benchmark.contracts import Case, NotApplicable, checking
from benchmark.contracts.expectation import broken
from benchmark.settings.registry import REGISTRIES
from benchmark.weightings import equal


def holds() -> None: ...


def breaks() -> None:
    broken("one", 2, "Return one")


def skips() -> None:
    raise NotApplicable("its files are not here")


def raises() -> None:
    equal.Equal(None)  # type: ignore[arg-type]  # len(None), in the file of the entry


def raises_elsewhere() -> None:
    raise KeyError("click")


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The contracts of every entry: those that a test adds."""
    found: list[Case] = []

    def iterate(group: str, name: str) -> Iterator[Case]:
        yield from found

    monkeypatch.setattr(checking, "cases", iterate)
    return found


def test_a_contract_has_one_line_whatever_its_settings(cases: list[Case]) -> None:
    cases += [
        Case("outputs are finite", "two tasks", holds),
        Case("outputs are finite", "a funnel", breaks),
        Case("outputs are finite", "one task", raises_elsewhere),
        Case("its state is whole", "", holds),
        Case("labels vary", "", skips),
        Case("its loss falls", "", raises),
        Case("it composes", "", raises_elsewhere),
    ]
    outcomes = list(checking.check("weighting", "equal"))
    line = equal.Equal.__init__.__code__.co_firstlineno + 1
    _, start = inspect.getsourcelines(equal.Equal)
    assert [str(outcome) for outcome in outcomes] == [
        f"broken   outputs are finite: on a funnel, in equal.py, line {start} (Equal), expected one; found 2. Return one.",
        "holds    its state is whole",
        "skipped  labels vary: its files are not here",
        f"broken   its loss falls: TypeError in equal.py, line {line}: object of type 'NoneType' has no len()",
        f"broken   it composes: KeyError in equal.py, line {start} (Equal): 'click'",
    ]
    assert checking.tally(outcomes) == "1 hold, 3 broken, 1 skipped"


def test_a_fault_has_the_line_of_the_method_that_its_contract_is_about(cases: list[Case]) -> None:
    forward = equal.Equal.forward.__code__.co_firstlineno
    for at, place in (
        (("forward",), f"line {forward} (forward)"),
        (("weights", "forward"), f"line {forward} (forward)"),  # it has none of the first name
        (("param_groups", "__init__"), f"line {equal.Equal.__init__.__code__.co_firstlineno} (__init__)"),  # its base's
    ):
        cases[:] = [Case("its loss falls", "", breaks, at)]
        (outcome,) = checking.check("weighting", "equal")
        assert outcome.reason == f"in equal.py, {place}, expected one; found 2. Return one."


class Declaring(equal.Equal):
    """Its faults may be in an attribute of the class or in a property."""

    passes = "1"
    shares: bool = False

    @property
    def scope(self) -> str:
        local = "all"
        return local.upper()


def test_a_fault_has_the_line_of_the_attribute_or_the_property(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = inspect.getsourcelines(Declaring)
    made = type("Made", (Declaring,), {})  # no file has its lines
    for cls, at, place in (
        (Declaring, "passes", f"test_checking.py, line {first + 3} (passes)"),
        (Declaring, "shares", f"test_checking.py, line {first + 4} (shares)"),
        (Declaring, "scope", f"test_checking.py, line {first + 6} (scope)"),
        (Declaring, "local", f"test_checking.py, line {first} (Declaring)"),
        (made, "scope", f"test_checking.py, line {first + 6} (scope)"),
        (made, "shares", "Made"),
    ):
        monkeypatch.setattr(REGISTRIES["weighting"], "get", lambda name, cls=cls: cls)
        raises = partial(getitem, {}, "click")  # from no line of this file
        cases[:] = [Case("its loss falls", "", breaks, (at,)), Case("it composes", "", raises, (at,))]
        one, other = checking.check("weighting", "declaring")
        assert one.reason == f"in {place}, expected one; found 2. Return one."
        assert other.reason == f"KeyError in {place}: 'click'"


def test_what_means_little_without_a_broken_contract_is_not_tried(
    cases: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    cases += [Case("it is whole", "", holds, decides=True), Case("outputs are finite", "", breaks, decides=True)]
    cases += [Case("its loss falls", setting, breaks) for setting in ("one task", "a funnel")]
    with pytest.raises(SystemExit):
        main(["check", "weighting", "equal"])
    _, broken_line, told = capsys.readouterr().out.splitlines()
    assert broken_line.startswith("broken   outputs are finite: ")
    assert told == "weighting equal: 1 hold, 1 broken, 1 not tried until the broken one holds"


def test_the_verb_exits_with_1_if_a_contract_is_broken(cases: list[Case], capsys: pytest.CaptureFixture[str]) -> None:
    cases.append(Case("its state is whole", "", holds))
    main(["check", "weighting", "equal"])
    assert capsys.readouterr().out == "holds    its state is whole\nweighting equal: 1 hold\n"
    cases.append(Case("its loss falls", "", breaks))
    with pytest.raises(SystemExit) as stopped:
        main(["check", "weighting", "equal"])
    assert stopped.value.code == 1
    assert capsys.readouterr().out.endswith("weighting equal: 1 hold, 1 broken\n")


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, told in (
        (["weighting", "eqaul"], "mtlbench: unknown weighting 'eqaul'; did you mean equal? known: "),
        (["weightings", "equal"], "mtlbench: unknown group of contracts 'weightings'; did you mean weighting? known: "),
    ):
        with pytest.raises(SystemExit):
            main(["check", *arguments])
        assert capsys.readouterr().err.startswith(told)
