"""The score of a recommendation: a small language that combines several predictions into one number. Never run as Python.

    liked * rating^2
    click * (1 + 0.1 * play_time)^0.3
    purchase + 0.2 * click

A task's name means its prediction as people read it: a probability, or a value in the task's unit. For a funnel child
it is the probability of the joint (clicked and bought), so `click * purchase|click` is `purchase`, and `click *
purchase` counts the click twice. `child|parent` is p(child) / p(parent), limited to 1 (a model with independent tasks
may exceed it), and 0 if p(parent) is 0. A power treats a negative base (a regression may predict one) as 0, so that no
power reverses the order. `^` binds tighter than `*`, and `*` tighter than `+`. R rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args

from benchmark.kinds import KINDS
from benchmark.schema import Task
from benchmark.text import unknown

MAX_LENGTH = 500
MAX_DEPTH = 20
MAX_EXPONENT = 10.0
MAX_NUMBER = 1e12

_GRAMMAR = r"""
    ?sum: product ("+" product)+      -> sum
        | product
    ?product: factor ("*" factor)+    -> product
        | factor
    ?factor: _base "^" NUMBER         -> power
        | _base
        | NUMBER                      -> number
    _base: prediction | "(" sum ")"
    prediction: NAME                  -> prediction
        | NAME "|" NAME               -> conditional

    NAME: /[^\W\d]\w*/
    NUMBER: /-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/
    %ignore /\s+/
"""

Predictions = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """The value, as a scalar array."""
        return np.asarray(self.value)

    def __str__(self) -> str:
        return _number(self.value)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction of a task: a probability (for a funnel child, of the joint), or a value in its unit."""

    task: str

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """(R,) the task's predictions."""
        return predictions[self.task]

    def __str__(self) -> str:
        return self.task


@dataclass(frozen=True, slots=True)
class Conditional:
    """`child|parent`: the probability of the child given that the parent is 1."""

    child: str
    parent: str

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """(R,) p(child) / p(parent), in [0, 1]."""
        child, parent = predictions[self.child], predictions[self.parent]
        ratio = np.divide(child, parent, out=np.zeros(len(child)), where=parent != 0)
        return np.minimum(ratio, 1.0)

    def __str__(self) -> str:
        return f"{self.child}|{self.parent}"


@dataclass(frozen=True, slots=True)
class Power:
    """`base ^ exponent`, with max(base, 0)."""

    base: Node
    exponent: float

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """(R,) the power."""
        return np.asarray(np.maximum(self.base.evaluate(predictions), 0.0) ** self.exponent)

    def __str__(self) -> str:
        return f"{_wrapped(self.base, Number, Power, Product, Sum)}^{_number(self.exponent)}"


@dataclass(frozen=True, slots=True)
class Product:
    """Factors, multiplied from left to right."""

    factors: tuple[Node, ...]

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """(R,) the product."""
        result = self.factors[0].evaluate(predictions)
        for factor in self.factors[1:]:
            result = result * factor.evaluate(predictions)
        return result

    def __str__(self) -> str:
        return " * ".join(_wrapped(factor, Product, Sum) for factor in self.factors)


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms, added from left to right."""

    terms: tuple[Node, ...]

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """(R,) the sum."""
        result = self.terms[0].evaluate(predictions)
        for term in self.terms[1:]:
            result = result + term.evaluate(predictions)
        return result

    def __str__(self) -> str:
        return " + ".join(_wrapped(term, Sum) for term in self.terms)


Node = Number | Prediction | Conditional | Power | Product | Sum


@dataclass(frozen=True, slots=True)
class Score:
    """A checked score. `str(score)` is text that parses to the same score.

    Args:
        root: The expression.
    """

    root: Node

    def evaluate(self, predictions: Predictions) -> np.ndarray:
        """The score of each row.

        Args:
            predictions: {task: (R,)}: probabilities, and regression values in the task's unit.

        Returns:
            (R,) float64. NaN if one of its predictions is NaN; infinite on overflow.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.root.evaluate(predictions), dtype=np.float64)

    def __str__(self) -> str:
        return str(self.root)


def parse(text: str, tasks: Sequence[Task]) -> Score:
    """Reads a score.

    Args:
        text: The expression.
        tasks: The tasks it may name.

    Raises:
        ValueError: one line, with the column, if it does not follow the grammar, is too long or too deep, or has too
            large a number or exponent. Also if it names no task, an unknown task, or a `child|parent` that is not a
            step of a funnel.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"score: expected at most {MAX_LENGTH} characters, found {len(text)}")
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"score: expected parentheses at most {MAX_DEPTH} deep, found {_depth(text)}")
    try:
        tree = _PARSER.parse(text)
    except UnexpectedInput as error:
        raise ValueError(f"score {text!r}: {_reason(text, error)}") from None
    root: Node = _ToNodes().transform(tree)
    nodes = list(_walk(root))
    for node in nodes:
        _check(node, tasks)
    if all(isinstance(node, Number | Power | Product | Sum) for node in nodes):
        raise ValueError(f"score {text!r} names no task; known: {', '.join(task.name for task in tasks)}")
    return Score(root)


def default(tasks: Sequence[Task]) -> Score:
    """The default score: the last funnel child (its joint probability), or the only task.

    Raises:
        ValueError: if there are several tasks and no funnel, so that the user must choose.
    """
    names = [task.name for task in tasks]
    children = [task.name for task in tasks if task.given is not None]
    if not children and len(names) > 1:
        raise ValueError(
            f"a score is needed, since no task comes last in a funnel: tasks are {', '.join(names)};"
            f" for example --score '{names[0]} * {names[1]}'"
        )
    return Score(Prediction((children or names)[-1]))


@v_args(inline=True)
class _ToNodes(Transformer[Token, Node]):
    def number(self, value: str) -> Number:
        return Number(float(value))

    def prediction(self, task: str) -> Prediction:
        return Prediction(str(task))

    def conditional(self, child: str, parent: str) -> Conditional:
        return Conditional(str(child), str(parent))

    def power(self, base: Node, exponent: str) -> Power:
        return Power(base, float(exponent))

    def product(self, *factors: Node) -> Product:
        return Product(factors)

    def sum(self, *terms: Node) -> Sum:
        return Sum(terms)


_PARSER = Lark(_GRAMMAR, parser="lalr", start="sum")


def _wrapped(node: Node, *kinds: type) -> str:
    return f"({node})" if isinstance(node, kinds) else str(node)


def _number(value: float) -> str:
    """The shortest text that reads back to the same value; 2, not 2.0."""
    return repr(value).removesuffix(".0")


def _depth(text: str) -> int:
    """The depth of parentheses, known before parsing, so that no input can exhaust the stack."""
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _walk(node: Node) -> Iterator[Node]:
    yield node
    below: tuple[Node, ...] = ()
    match node:
        case Power(base=base):
            below = (base,)
        case Product(factors=nodes) | Sum(terms=nodes):
            below = nodes
    for child in below:
        yield from _walk(child)


def _check(node: Node, tasks: Sequence[Task]) -> None:
    known = {task.name: task for task in tasks}
    match node:
        case Number(value=value) if not abs(value) <= MAX_NUMBER:
            raise ValueError(f"score: numbers must be from {-MAX_NUMBER:g} to {MAX_NUMBER:g}, found {value:g}")
        case Power(exponent=exponent) if not 0 <= exponent <= MAX_EXPONENT:
            raise ValueError(f"score: exponents must be from 0 to {MAX_EXPONENT:g}, found {exponent:g}")
        case Prediction(task=name):
            _require(name, known)
        case Conditional(child=child, parent=parent):
            _require(child, known)
            _require(parent, known)
            are_binary = all(KINDS[known[name].kind].is_binary for name in (child, parent))
            if known[child].given != parent or not are_binary:
                steps = ", ".join(f"{task.name}|{task.given}" for task in tasks if task.given is not None)
                raise ValueError(f"score: {node} is not a step of a funnel of binary tasks; known: {steps or 'none'}")


def _require(name: str, known: Mapping[str, Task]) -> None:
    if name not in known:
        raise ValueError(f"score: {unknown('task', name, known)}")


def _reason(text: str, error: UnexpectedInput) -> str:
    position = error.pos_in_stream
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    if at_end or position is None or not 0 <= position < len(text):
        return "it ends too early: a task, a number or a parenthesis is missing"
    found = f"unexpected {text[position]!r} at column {position + 1}"
    if text[position] == "^":
        return f"{found}: only a task or a parenthesis can be raised to a power, and the exponent is one number"
    return f"{found}; a score has names of tasks, child|parent, numbers, + * ^ ( )"
