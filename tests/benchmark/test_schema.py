from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import CategoricalField, NumericField, Schema, Task

CLICK = Task("click", BINARY)
SECONDS = Task("seconds", REGRESSION)


def make(
    categorical: Sequence[str] = ("user", "item"), numeric: Sequence[str] = ("price",), tasks: Sequence[Task] = (CLICK,)
) -> Schema:
    fields = tuple(CategoricalField(name, 3) for name in categorical)
    return Schema(fields, tuple(map(NumericField, numeric)), tuple(tasks), user="user")


def test_a_schema_survives_json() -> None:
    schema = make(tasks=(CLICK, Task("buy", BINARY, given="click"), SECONDS))
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"numeric": ("user",)}, "field names must differ, found twice: user"),
        ({"tasks": (CLICK, CLICK)}, "task names must differ, found twice: click"),
        ({"tasks": (Task("", BINARY),)}, "every task needs a name, found ''"),
        ({"tasks": (Task(" ", BINARY),)}, "every task needs a name, found ' '"),
        ({"numeric": ("",)}, "every field needs a name, found ''"),
        ({"numeric": ("price", "click")}, "a field has the name of a task: click; is it the label"),
        ({"categorical": ("user", "click")}, "a field has the name of a task: click; is it the label"),
        ({"tasks": ()}, "a schema needs at least one task, found none"),
        (
            {"tasks": (Task("buy", BINARY, given="click"), CLICK)},
            "which must be an earlier task; earlier: none",
        ),
        (
            {"tasks": (SECONDS, Task("buy", BINARY, given="seconds"))},
            "task 'buy' is given 'seconds', which must be binary, found regression",
        ),
        ({"categorical": ("item",)}, "the user field 'user' is not a categorical field of this schema"),
    ],
)
def test_what_is_no_schema_is_refused(changes: dict[str, Sequence[str]], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make(**changes)  # type: ignore[arg-type]


def test_user_fields_survive_json_and_records_without_them_are_of_the_same_schema() -> None:
    plain = make()
    schema = dataclasses.replace(plain, user_fields=("user", "price"))
    assert Schema.from_json(schema.to_json()).user_fields == ("user", "price")
    assert "user_fields" not in plain.to_json()  # as in records from before there were any
    assert plain == schema
    assert hash(plain) == hash(schema)


def test_wrong_user_fields_are_refused() -> None:
    for fields, message in (
        (("user", "age"), "user_fields: 'age' is not a field of this schema"),
        (("price",), "user_fields: expected the user field 'user' too, found price"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(make(), user_fields=fields)
