"""From overrides to a RunConfig: what Hydra needs to compose it, and the checks that Hydra does not make.

Python and the command line meet here: `compose_run(["architecture=mmoe", "architecture.num_experts=4"])` equals
`RunConfig(dataset="shop", architecture=architectures.config("mmoe", num_experts=4))`. This module imports no torch; the
discovery of architectures does.
"""

from __future__ import annotations

import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import cast

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmark.settings import registry
from benchmark.settings.config import RunConfig
from benchmark.settings.errors import explain, unknown_key
from benchmark.settings.help import register_help
from benchmark.settings.registry import ComponentConfig

CONFIG_MODULE = "benchmark.conf"
LAUNCHERS = Path(__file__).parents[1] / "conf" / "hydra" / "launcher"
LAUNCHER_EXTRAS = {"ray": "ray"}  # all other launchers: sweeps


def prepare() -> None:
    """Registers with Hydra what `conf/config.yaml` names: groups, schema and help. Hydra finds the sweeper itself. Idempotent.

    Raises:
        ValueError: if Hydra does not find the sweeper, as in a checkout that is not installed.
    """
    registry.discover()
    ConfigStore.instance().store(name="run_schema", node=RunConfig, provider="mtlbench")
    register_help()  # it lists the registries, so it comes after their discovery
    Plugins.instance()  # imports the plugins, which store their options
    if "mtlbench.yaml" not in ConfigStore.instance().repo["hydra"]["sweeper"]:
        raise ValueError("this checkout is not installed, and Hydra does not find its sweeper: pip install -e .")
    _prefer_launchers_of_conf()


def launchers() -> list[str]:
    """The launchers configured in `conf/hydra/launcher`, with or without their plugins installed."""
    return sorted(path.stem for path in LAUNCHERS.glob("*.yaml"))


def check_launcher(config: DictConfig) -> None:
    """Refuses a launcher whose plugin is not installed, and Slurm's launcher on a machine without Slurm.

    Args:
        config: As Hydra composed it, with the key `hydra`.

    Raises:
        ValueError: with the extra that installs the plugin, or with a launcher to use instead.
    """
    if config.hydra.launcher._target_ not in Plugins.instance().class_name_to_class:
        name = config.hydra.runtime.choices["hydra/launcher"]
        raise ValueError(
            f"hydra/launcher={name} needs a plugin that is not installed: "
            f"pip install -e '.[{LAUNCHER_EXTRAS.get(name, 'sweeps')}]'"
        )
    if config.hydra.launcher._target_.endswith(".SlurmLauncher") and shutil.which("srun") is None:
        raise ValueError(
            "hydra/launcher=submitit_slurm: expected Slurm's commands, found no srun on this machine; "
            "start it on a node of the cluster, or use hydra/launcher=joblib"
        )


def _prefer_launchers_of_conf() -> None:
    """Removes the plugins' own options of the same names: Hydra would merge ours into them, and warn each time."""
    options = ConfigStore.instance().repo["hydra"]["launcher"]
    for name in launchers():
        options.pop(f"{name}.yaml", None)


def compose_run(overrides: list[str]) -> RunConfig:
    """The configuration that the command line `mtlbench run <overrides>` would run, for notebooks and tests.

    Args:
        overrides: Hydra overrides of one run: `["dataset=shop", "trainer.max_epochs=2"]`.

    Raises:
        ValueError: in one line, for anything misspelt or of the wrong type.
    """
    prepare()
    GlobalHydra.instance().clear()  # an earlier app that failed leaves Hydra initialised
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            node = compose("config", overrides)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ValueError(explain(error, overrides)) from error
    return typed(node)


def typed(config: RunConfig | DictConfig) -> RunConfig:
    """The configuration as a checked RunConfig, from Hydra or from a notebook.

    Raises:
        ValueError: in one line, for a value of the wrong type or out of range, for a key that no parameter has
            (`+architecture.foo=3`, which Hydra accepts), and for a changed name (`architecture.name=ple`).
    """
    try:
        node = config if isinstance(config, DictConfig) else OmegaConf.structured(config)
        _refuse_surplus_keys(node)
        made = cast(RunConfig, OmegaConf.to_object(node))
    except OmegaConfBaseException as error:
        raise ValueError(explain(error)) from error
    for group in registry.REGISTRIES:
        _refuse_changed_name(group, getattr(made, group))
    return made


def _refuse_surplus_keys(node: DictConfig, path: str = "") -> None:
    owner = OmegaConf.get_type(node)
    for key in map(str, node):
        if is_dataclass(owner) and key not in {field.name for field in fields(owner)}:
            raise ValueError(unknown_key(cast(type, owner), f"{path}{key}"))
        if not OmegaConf.is_missing(node, key) and isinstance(node[key], DictConfig):
            _refuse_surplus_keys(node[key], f"{path}{key}.")


def _refuse_changed_name(group: str, part: ComponentConfig) -> None:
    registered_as = type(part).registered_as  # type: ignore[attr-defined]
    if part.name != registered_as:
        raise ValueError(
            f"{group}.name is {part.name!r}, its parameters those of {registered_as}: choose by {group}={part.name}"
        )
