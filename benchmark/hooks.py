"""Methods that the harness calls: an attribute that hides one is refused where it is set, not where the call fails."""

from __future__ import annotations

import inspect


def refuse_hiding(owner: object, name: str, value: object) -> None:
    """Refuses `self.<name> = value` where the class has a method of that name; a function in its place is meant so.

    Args:
        owner: The object that is to have the attribute.
        name: The attribute's name.
        value: The attribute's value.

    Raises:
        ValueError: with the class that has the method.
    """
    cls = type(owner)
    if inspect.isroutine(getattr(cls, name, None)) and not inspect.isroutine(value):
        having = next(base for base in cls.__mro__ if name in vars(base))
        raise ValueError(
            f"{cls.__name__}: self.{name} ({type(value).__name__}) hides the method {having.__name__}.{name}; "
            f"give the attribute another name, such as self.own_{name}"
        )
