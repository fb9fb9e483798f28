"""What a sweep leaves out because it would train a copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import RunConfig, TrainerConfig, configure, run
from benchmark.runs.jobs import Job, without_copies
from benchmark.settings.registry import architectures, weightings


def jobs(*methods: str, seeds: int = 3, **changes: object) -> list[Job]:
    made = []
    for method in methods:
        architecture, _, weighting = method.partition("/")
        config = RunConfig(dataset="shop", architecture=architecture, weighting=weighting, **changes)  # type: ignore[arg-type]
        made += [Job([method], replace(config, seed=seed)) for seed in range(seeds)]
    return made


def methods(found: list[Job]) -> list[str]:
    return list(dict.fromkeys(job.config.method for job in found))


def test_a_weighting_of_gradients_is_not_trained_again_where_nothing_is_shared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = without_copies(jobs("single_task/equal", "single_task/pcgrad", "mmoe/equal", "mmoe/pcgrad"))
    assert methods(found) == ["single_task/equal", "mmoe/equal", "mmoe/pcgrad"]
    assert len(found) == 9
    assert capsys.readouterr().err == (
        "mtlbench: single_task/pcgrad is single_task/equal: not trained again (3 runs)\n"
    )


def test_a_weighting_of_losses_is_trained() -> None:
    every = jobs("single_task/equal", "single_task/uncertainty", "single_task/dwa", "single_task/fixed")
    assert without_copies(every) == every


def test_what_the_sweep_does_not_have_otherwise_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    alone = jobs("single_task/pcgrad", "mmoe/pcgrad")
    assert without_copies(alone) == alone
    other = [*jobs("single_task/equal"), *jobs("single_task/pcgrad", trainer=TrainerConfig(learning_rate=1e-4))]
    assert without_copies(other) == other
    more_seeds = [*jobs("single_task/equal", seeds=1), *jobs("single_task/pcgrad", seeds=2)]
    assert [job.config.seed for job in without_copies(more_seeds)] == [0, 1]
    assert "not trained again (1 run)" in capsys.readouterr().err


@pytest.mark.parametrize("architecture", [name for name in architectures.names() if not architectures.get(name).shares])  # type: ignore[attr-defined]
@pytest.mark.parametrize(
    "weighting", [name for name in weightings.names() if hasattr(weightings.config(name), "scope")]
)
def test_a_copy_is_equal_to_the_last_bit(tmp_path: Path, architecture: str, weighting: str) -> None:
    found = []
    for name in ("equal", weighting):
        record = run(
            RunConfig(
                dataset=configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000),
                architecture=architecture,  # type: ignore[arg-type]
                weighting=name,  # type: ignore[arg-type]
                trainer=TrainerConfig(max_epochs=2, batch_size=256, clip_norm=1.0),
                threads=1,
                results_dir=str(tmp_path),
            )
        )
        assert record.shared_parameters == 0
        found.append((record.metrics, [entry["train_losses"] for entry in record.epochs]))
    assert found[0] == found[1]
