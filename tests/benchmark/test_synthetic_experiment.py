"""experiment=synthetic: the MMoE paper's figure 4 keeps to the paper, and its runs are paired."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmark.kinds import REGRESSION
from benchmark.schema import NumericField, Schema, Task
from benchmark.settings.composition import compose_run
from benchmark.settings.help import EXPERIMENTS
from benchmark.settings.registry import architectures

FIGURE_4 = ("shared_bottom", "omoe", "mmoe")
SCHEMA = Schema(
    (),
    tuple(NumericField(f"x{number}") for number in range(100)),
    (Task("y1", REGRESSION), Task("y2", REGRESSION)),
)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("shared_bottom", {"bottom_dims": (113,), "tower_dims": (8,)}),
        ("omoe", {"num_experts": 8, "expert_dims": (16,), "tower_dims": (8,)}),
        ("mmoe", {"num_experts": 8, "expert_dims": (16,), "tower_dims": (8,)}),
    ],
)
def test_sizes_are_the_papers(name: str, parameters: dict[str, object]) -> None:
    config = compose_run(["experiment=synthetic", f"architecture=figure4/{name}"])
    assert config.architecture == architectures.config(name, **parameters)


def test_models_are_of_one_size_by_the_papers_count() -> None:
    """Weights of bottom or experts and of the towers' hidden layers, without gates, biases and output layers."""
    counts = {}
    for name in FIGURE_4:
        config = compose_run(["experiment=synthetic", f"architecture=figure4/{name}"])
        model = architectures.build(config.architecture, SCHEMA)
        counts[name] = sum(
            value.numel()
            for key, value in model.named_parameters()
            if key.endswith("weight") and "gate" not in key and "output" not in key
        )
    assert counts == {"shared_bottom": 13_108, "omoe": 13_056, "mmoe": 13_056}


@pytest.mark.parametrize("seed", [0, 7])
def test_every_model_meets_the_same_draw_and_every_seed_another(seed: int) -> None:
    data = []
    for name in FIGURE_4:
        config = compose_run(["experiment=synthetic", f"architecture=figure4/{name}", f"seed={seed}"])
        data.append(config.dataset)
        assert (config.seed, config.dataset.data_seed, config.dataset.curve_seed) == (seed, seed, 0)  # type: ignore[attr-defined]
    assert data[0] == data[1] == data[2]


def test_it_is_270_runs() -> None:
    text = Path(EXPERIMENTS, "synthetic.yaml").read_text()
    params = OmegaConf.create(text).hydra.sweeper.params
    assert params.seed == "range(0,30)"
    sizes = [len(str(params[key]).split(",")) for key in ("architecture", "dataset.task_correlation")]
    assert math.prod([*sizes, 30]) == 270
