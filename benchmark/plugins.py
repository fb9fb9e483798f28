"""Entry points: how an outside package adds to our tables. Imports no other module of mtlbench."""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points


def load_plugins(what: str) -> None:
    """Imports all modules that installed packages name under `mtlbench.<what>`. A broken module gives a warning.

    Args:
        what: The table in the plural: `architectures`, `kinds`.
    """
    for point in entry_points(group=f"mtlbench.{what}"):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001  a plugin may raise anything, and must not break the rest
            owner = point.dist.name if point.dist else "unknown"
            warnings.warn(
                f"plugin {point.name!r} of {owner!r} cannot be loaded and is skipped: {type(error).__name__}: {error}",
                stacklevel=3,
            )
