"""The text of `mtlbench run --help`. It is made from the registries, so it cannot drift from the code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hydra.core.config_store import ConfigStore

from benchmark.settings.config import EmbeddingConfig, RunConfig, TrainerConfig
from benchmark.settings.hydra_text import value_text
from benchmark.settings.listing import aligned, argument_meanings, summary
from benchmark.settings.registry import REGISTRIES

EXPERIMENTS = Path(__file__).parents[1] / "conf" / "experiment"

# command, what it does; a test composes every one of them
EXAMPLES = (
    ("mtlbench run", "one run with all defaults"),
    (
        "mtlbench run dataset=shop architecture=mmoe architecture.num_experts=4 seed=1",
        "one run with some parameters set",
    ),
    ("mtlbench run architecture=mmoe,shared_bottom seed='range(0,5)'", "a sweep: 2 architectures x 5 seeds"),
    ("mtlbench run trainer.learning_rate=1e-4,1e-3,1e-2", "a sweep over any parameter"),
    ("mtlbench run experiment=demo", "a sweep defined in conf/experiment"),
    ("mtlbench run --cfg job architecture=mmoe", "print the whole configuration and train nothing"),
)

INTRODUCTION = """\
Trains one run or a sweep of runs. Every run writes one record. Finished runs are skipped, so the same command continues
where it was interrupted.

Usage: mtlbench run [key=value ...] [options]
Choose from a group by name (architecture=mmoe) and set its parameters after a dot (architecture.num_experts=4). Several
values with commas between them, or range(0,5), make a sweep over all combinations."""

CLOSING = """\
Records go to <results_dir>/<dataset>/<architecture>/<weighting>/<id>.json.
  mtlbench report results/runs          compare the records
  mtlbench list architectures mmoe      one entry: its parameters, equations and paper

Options
  --dry-run               say which runs these are, which are done before, and about how long they take; train nothing
  --cfg job               print the composed configuration
  --config-dir FOLDER     a folder with your own experiments and option files
  --multirun, -m          accepted but not needed: any command can sweep
  --hydra-help            all options of Hydra
  hydra/launcher=joblib   run in parallel; also submitit_local, submitit_slurm and ray (conf/hydra/launcher)"""


def help_text() -> str:
    """The whole text."""
    parts = [INTRODUCTION, "", "Examples", *aligned(EXAMPLES, indent=2)]
    for group, registry in REGISTRIES.items():
        rows = [(name, summary(registry.get(name))) for name in registry.names()]
        parts += ["", f"{group}=", *aligned(rows, indent=2)]
    parts += ["", "experiment=", *aligned(experiments(), indent=2)]
    parts += ["", "How lists are embedded (genres, a user's history)", *_keys(EmbeddingConfig, "embedding.")]
    parts += ["", "How a model is trained", *_keys(TrainerConfig, "trainer.")]
    parts += ["", "Everything else", *_keys(RunConfig, ""), "", CLOSING]
    return "\n".join(parts)


def experiments() -> list[tuple[str, str]]:
    """The shipped experiments: name, and the first comment line of the file."""
    rows = []
    for path in sorted(EXPERIMENTS.glob("*.yaml")):
        comments = [
            line for line in path.read_text("utf-8").splitlines() if line.startswith("#") and "@package" not in line
        ]
        rows.append((path.stem, comments[0].lstrip("# ") if comments else ""))
    return rows


def register_help() -> None:
    """Stores the text as the option `hydra/help: mtlbench`."""
    text = help_text().replace("$", "")  # omegaconf and string.Template would both interpret it
    node = {"app_name": "mtlbench", "header": "", "footer": "", "template": text}
    ConfigStore.instance().store(group="hydra/help", name="mtlbench", node=node, provider="mtlbench")


def _keys(config: type, prefix: str) -> list[str]:
    meanings = argument_meanings(config.__doc__)
    rows = []
    for field in dataclasses.fields(config):
        is_list = field.default_factory is list  # a run or a search writes what has another factory
        if field.name not in REGISTRIES and (is_list or field.default is not dataclasses.MISSING):
            value = value_text([] if is_list else field.default)
            rows.append((f"{prefix}{field.name}={value}", meanings[field.name]))
    return aligned(rows, indent=2)
