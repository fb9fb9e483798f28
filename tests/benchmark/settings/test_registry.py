"""One mechanism for four tables: register, discover, configure, build."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from benchmark import plugins
from benchmark.settings.registry import (
    REGISTRIES,
    ArchitectureConfig,
    ComponentConfig,
    Registry,
    WeightingConfig,
    architectures,
)
from tests.command import mtlbench


@pytest.fixture
def toys() -> Registry:
    registry = Registry("toy", "architectures", ComponentConfig)
    registry._discovered = True  # only what the test registers
    return registry


def test_the_signature_is_the_config(toys: Registry) -> None:
    @toys.register("ball")
    class Ball:
        def __init__(
            self,
            schema: object,
            *,
            radius: float = 1.0,
            dims: tuple[int, ...] = (2, 3),
            colour: Literal["red", "blue"] = "red",
            weights: dict[str, float] = {},  # noqa: B006  a registered class's default is its configuration
            limit: int | None = None,
        ) -> None:
            self.got = (schema, radius, dims, colour, weights, limit)

    config = toys.config("ball", radius=2.0, colour="blue")
    assert config.name == "ball"
    assert toys.build(config, "schema").got == ("schema", 2.0, (2, 3), "blue", {}, None)


def test_one_entry_may_be_the_default(toys: Registry) -> None:
    assert toys.default is None
    toys.register("ball")(type("Ball", (), {"__init__": lambda self: None}))
    assert toys.default is None
    toys.register("kite", default=True)(type("Kite", (), {"__init__": lambda self: None}))
    assert toys.default == "kite"
    with pytest.raises(ValueError, match="the default toy is kite, and drum claims to be it too"):
        toys.register("drum", default=True)(type("Drum", (), {"__init__": lambda self: None}))
    assert toys.names() == ["ball", "kite"]


def test_two_configs_do_not_share_a_default(toys: Registry) -> None:
    @toys.register("bag")
    class Bag:
        def __init__(self, *, weights: dict[str, float] = {}) -> None:  # noqa: B006
            self.weights = weights

    toys.config("bag").weights["click"] = 1.0
    assert toys.config("bag").weights == {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"colour": "green"}, "colour='green' is not known; known: red, blue"),
        ({"color": "red"}, "unknown parameter of toy paint 'color'; did you mean colour\\? known: colour"),
    ],
)
def test_a_wrong_parameter_names_the_known_ones(toys: Registry, parameters: dict[str, str], message: str) -> None:
    @toys.register("paint")
    class Paint:
        def __init__(self, *, colour: Literal["red", "blue"] = "red") -> None:
            self.colour = colour

    with pytest.raises(ValueError, match=message):
        toys.config("paint", **parameters)


def test_a_parameter_without_a_default_is_refused(toys: Registry) -> None:
    class Ball:
        def __init__(self, *, radius: float) -> None:
            self.radius = radius

    with pytest.raises(ValueError, match="radius"):
        toys.register("ball")(Ball)


def test_a_name_is_given_once(toys: Registry) -> None:
    class Ball: ...

    class Bat: ...

    toys.register("ball")(Ball)
    toys.register("ball")(Ball)  # a module may be imported twice
    with pytest.raises(ValueError, match="toy 'ball' is registered twice"):
        toys.register("ball")(Bat)


def test_only_a_data_set_that_a_file_describes_has_the_parameters_of_a_description(toys: Registry) -> None:
    class Described:
        def __init__(self, *, file: str = "", label: str = "", description: str = "") -> None: ...

    with pytest.raises(ValueError, match=r"toy table: the parameters file, label, description belong .* files="):
        toys.register("table")(Described)
    toys.register("table", files=(".yaml",))(Described)
    assert toys.entry_of("mine.yaml") == "table"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"unknown architecture 'mmoee'; did you mean mmoe\? known: .*single_task"):
        architectures.get("mmoee")


@pytest.mark.parametrize("group", REGISTRIES)
def test_configs_reach_the_workers_of_a_sweep(group: str) -> None:
    for name in REGISTRIES[group].names():
        config = REGISTRIES[group].config(name)
        assert pickle.loads(pickle.dumps(config)) == config


def test_a_config_is_of_its_group() -> None:
    assert isinstance(architectures.config("mmoe"), ArchitectureConfig)
    assert not isinstance(architectures.config("mmoe"), WeightingConfig)


def test_a_misspelt_attribute_is_refused() -> None:
    with pytest.raises(AttributeError):
        architectures.config("mmoe").num_expert = 3


PLUGIN = '''
"""An outside package."""
from architectures import Architecture, register
from benchmark.schema import Schema


@register("mynet")
class MyNet(Architecture):
    """The net of somebody else."""

    def __init__(self, schema: Schema, *, width: int = 3) -> None:
        super().__init__(schema)
'''


def install(folder: Path, module: str, source: str) -> None:
    """What pip would leave of a package with an entry point: the module and its dist-info."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mtlbench.architectures]\n{module} = {module}\n")


def test_entry_points_add_entries_and_a_broken_one_is_a_warning(tmp_path: Path) -> None:
    install(tmp_path, "mynet", PLUGIN)
    install(tmp_path, "brokennet", "raise RuntimeError('out of order')")
    commands = (
        ["list", "architectures", "mynet"],
        ["run", "--cfg", "job", "architecture=mynet", "architecture.width=4"],
    )
    code = "".join(f"; main({command})" for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", f"from benchmark.cli import main{code}"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "architecture.width=3" in done.stdout
    assert "plugin 'brokennet' of 'brokennet-package' cannot be loaded and is skipped" in done.stderr
    assert f"RuntimeError in {tmp_path}/brokennet.py, line 1: out of order" in done.stderr
    assert "name: mynet\n  width: 4" in done.stdout


# what is said of a name that is missing ---------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages; what is told of its broken plugins is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_broken", {})
    return tmp_path


KNOWN = f" known: {', '.join(architectures.names())}"


def line_for(name: str) -> str:
    done = mtlbench("run", f"architecture={name}")
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def test_the_error_in_a_plugin_stands_beside_the_unknown_name(site: Path) -> None:
    install(site, "mynet", PLUGIN.replace("-> None:", "-> None"))
    with pytest.warns(UserWarning, match="plugin 'mynet'"):
        plugins.load_plugins("architectures")
    assert line_for("mynet").endswith(
        f"{KNOWN}; plugin 'mynet' of 'mynet-package' cannot be loaded and is skipped: "
        f"SyntaxError in {site}/mynet.py, line 11: expected ':'"
    )


def test_a_plugin_whose_module_is_missing_is_told(site: Path) -> None:
    install(site, "mynet", PLUGIN)
    (site / "mynet.py").unlink()
    with pytest.warns(UserWarning, match="plugin 'mynet'"):
        plugins.load_plugins("architectures")
    assert line_for("mynet").endswith("skipped: ModuleNotFoundError: No module named 'mynet'")


def test_an_entry_point_that_is_not_installed_yet_is_told(site: Path) -> None:
    install(site, "mynet", PLUGIN)
    (site / "my source").mkdir()
    origin = {"url": (site / "my source").as_uri(), "dir_info": {"editable": True}}
    (site / "mynet-1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    pyproject = site / "my source" / "pyproject.toml"
    points = '[project]\nname = "mynet-package"\n[project.entry-points."mtlbench.architectures"]\nmynet = "mynet"\n'
    pyproject.write_text(f'{points}other = "other.model"\n')
    assert line_for("other").endswith(
        f"; the entry point 'other' of {pyproject} is newer than the installation of mynet-package: "
        f"pip install -e '{site}/my source'"
    )
    pyproject.write_text(points)
    assert line_for("other").endswith(
        "; a module in another package (mynet-package) needs an entry point of mtlbench.architectures in pyproject.toml, "
        "and pip install -e again after it is added"
    )
    assert line_for("mmoee").endswith(KNOWN)  # a misspelt name is no plugin
