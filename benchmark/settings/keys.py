"""Which parameters there are, and where: for one that was typed without its group, under another group, or in a short form."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

from benchmark.settings.config import EmbeddingConfig, RunConfig, TrainerConfig
from benchmark.settings.help import experiments
from benchmark.settings.registry import REGISTRIES, parameter_names

EXPERIMENT = "experiment"  # a group of conf/ that has no field in RunConfig
GROUPS = (*REGISTRIES, EXPERIMENT)

SHORT = {
    "arch": "architecture",
    "model": "architecture",
    "models": "architecture",
    "data": "dataset",
    "loss_weighting": "weighting",
    "loss_weights": "weighting",
    "exp": "experiment",
    "config": "experiment",
    "lr": "trainer.learning_rate",
    "bs": "trainer.batch_size",
    "batch": "trainer.batch_size",
    "wd": "trainer.weight_decay",
    "epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "n_epochs": "trainer.max_epochs",
    "opt": "trainer.optimizer",
    "optim": "trainer.optimizer",
    "clip": "trainer.clip_norm",
    "early_stopping": "trainer.patience",
    "experts": "architecture.num_experts",
    "n_experts": "architecture.num_experts",
    "emb_dim": "architecture.embedding_dim",
    "embedding_size": "architecture.embedding_dim",
    "rows": "dataset.num_rows",
    "seeds": "seed",
    "num_seeds": "seed",
    "n_seeds": "seed",
    "random_seed": "seed",
    "gpu": "device",
    "cuda": "device",
    "num_threads": "threads",
    "logger": "tracker",
    "out": "results_dir",
    "output": "results_dir",
    "output_dir": "results_dir",
    "out_dir": "results_dir",
    "results": "results_dir",
    "save": "save_checkpoint",
    "checkpoint": "save_checkpoint",
    "force": "rerun",
    "overwrite": "rerun",
    "launcher": "hydra/launcher",
    "sweeper": "hydra/sweeper",
    "jobs": "hydra.launcher.n_jobs",
    "n_jobs": "hydra.launcher.n_jobs",
    "workers": "hydra.launcher.n_jobs",
    "num_workers": "hydra.launcher.n_jobs",
    "trials": "hydra.sweeper.trials",
    "n_trials": "hydra.sweeper.trials",
    "num_trials": "hydra.sweeper.trials",
}
"""What people type who come from elsewhere, and the key that it stands for here."""


def options(group: str) -> list[str]:
    """The names that a group knows; for a group of Hydra, none."""
    if group == EXPERIMENT:
        return [name for name, _ in experiments()]
    return REGISTRIES[group].names() if group in REGISTRIES else []


def known_keys() -> list[str]:
    """The keys at the top level: `architecture`, `seed`, `experiment`."""
    return [*(field.name for field in fields(RunConfig)), EXPERIMENT]


def places(name: str) -> list[str]:
    """The keys of this last name, or for which it is short: `trainer.learning_rate` for `learning_rate` and for `lr`.

    Args:
        name: Without its path; case does not matter, and a dash is as good as an underscore.
    """
    plain = name.replace("-", "_").lower()
    exact = [f"{path}{field}" for path, config in _configs() for field in parameter_names(config) if field == plain]
    if plain == EXPERIMENT:
        return [EXPERIMENT]
    return list(dict.fromkeys(exact)) or ([SHORT[plain]] if plain in SHORT else [])


def near_places(name: str) -> list[str]:
    """The keys whose last name is much like this one."""
    plain = name.replace("-", "_").lower()
    found = difflib.get_close_matches(plain, [*_leaves(), *SHORT, EXPERIMENT], n=1, cutoff=0.8)
    return places(found[0]) if found else []


def owners(group: str, name: str) -> list[str]:
    """The entries of a group that have a parameter of this name."""
    if group not in REGISTRIES:
        return []
    configs = {entry: REGISTRIES[group].get(entry).Config for entry in REGISTRIES[group].names()}  # type: ignore[attr-defined]
    return [entry for entry, config in configs.items() if name in parameter_names(config)]


def kind(key: str) -> Any:
    """The annotation of a key's parameter, in the first entry that has it; None of a key that is not known, and of Hydra's."""
    for path, config in _configs():
        if key.removeprefix(path) in parameter_names(config) and key.startswith(path):
            return get_type_hints(config)[key.removeprefix(path)]
    return None


def _configs() -> Iterator[tuple[str, type]]:
    yield "", RunConfig
    yield "trainer.", TrainerConfig
    yield "embedding.", EmbeddingConfig
    for group, registry in REGISTRIES.items():
        for name in registry.names():
            yield f"{group}.", registry.get(name).Config  # type: ignore[attr-defined]


def _leaves() -> set[str]:
    return {name for _, config in _configs() for name in parameter_names(config)}
