"""The command `mtlbench`, and `python -m mtlbench`: checks that the packages Python finds are ours, then runs `benchmark.cli`.

Their names are common words. A folder of the user's own of that name, earlier on Python's path, hides them, and the first
error after that says nothing about it. So the check comes before the first import of ours, and stands outside of them.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parents[1]
IS_CHECKOUT = HERE.name == "_toplevel"  # else all packages lie side by side, as the wheel has them
OWN = {
    "benchmark": HERE.parent if IS_CHECKOUT else HERE / "benchmark",
    "architectures": HERE.parents[1] / "architectures" if IS_CHECKOUT else HERE / "architectures",
    "hydra_plugins": HERE / "hydra_plugins",
}


def main() -> None:
    """The command `mtlbench`; hidden packages are one line on stderr, and exit status 1."""
    for name, own in OWN.items():
        found = places(name)
        if not any(place.exists() and place.samefile(own) for place in found):
            sys.exit(f"mtlbench: {_explained(name, own, found)}")
    try:
        from benchmark.cli import main as command
        from benchmark.stopping import own_process

        own_process()
        command()
    except KeyboardInterrupt:  # before the command listens to signals
        sys.exit(130)


def places(name: str) -> list[Path]:
    """Where Python finds a package, without importing it: one place, or those of a namespace package."""
    spec = find_spec(name)
    if spec is None:
        return []
    if spec.origin is None:
        return [Path(place) for place in spec.submodule_search_locations or ()]
    origin = Path(spec.origin)
    return [origin.parent if origin.name == "__init__.py" else origin]


def _explained(name: str, own: Path, found: list[Path]) -> str:
    if not found:
        return f"Python does not find the package {name}, expected in {own}; install mtlbench again"
    place, folder = found[0], found[0].parent.resolve()
    paths = os.environ.get("PYTHONPATH")
    words = [word for word in paths.split(os.pathsep) if Path(word).resolve() == folder] if paths else []
    if words:
        remedy = f"take {words[0] or '.'} out of PYTHONPATH"
    elif folder == Path.cwd():
        remedy = "run mtlbench in another folder"
    else:
        remedy = "install mtlbench in a virtual environment of its own"
    return (
        f"{place.absolute()} hides the package {name} of mtlbench, which is in {own}; {remedy}, or rename {place.name}"
    )


if __name__ == "__main__":
    main()
