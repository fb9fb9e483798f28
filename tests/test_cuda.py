"""Training on a GPU, where there is one: the numbers of the CPU, but for rounding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark import Record, run
from benchmark.contracts.toys import SCHEMAS, build, make_batch, training_loss
from benchmark.settings.composition import compose_run
from benchmark.settings.registry import architectures, weightings
from benchmark.trained.recommender import recommend

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SHOP = ["dataset=shop", "dataset.num_users=200", "dataset.num_items=100", "dataset.num_rows=20000"]
SHOP += ["trainer.max_epochs=2", "trainer.batch_size=512"]


def trained(folder: Path, device: str, *arguments: str) -> Record:
    return run(compose_run([*SHOP, *arguments, f"device={device}", f"results_dir={folder / device}"]))


def assert_close(found: Record, expected: Record) -> None:
    assert found.status == expected.status == "finished"
    assert found.cost["device"] == torch.cuda.get_device_name()
    for ours, theirs in zip(found.epochs, expected.epochs, strict=True):
        assert ours["train_losses"] == pytest.approx(theirs["train_losses"], rel=1e-2)
    for task, values in expected.metrics.items():
        for metric in {"auc", "mse"} & set(values):
            assert found.metrics[task][metric] == pytest.approx(values[metric], rel=2e-2), (task, metric)


@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_computes_the_same_there(name: str) -> None:
    for schema in SCHEMAS.values():
        if architectures.get(name).requires(schema) is not None:
            continue
        model, batch = build(name, schema).eval(), make_batch(schema, 64)
        training_loss(model, batch).backward()
        expected, gradients = model(batch), [p.grad for p in model.parameters()]
        model.zero_grad()
        model.cuda()
        there = type(batch)(*(getattr(batch, part).cuda() for part in ("categorical", "numeric", "labels", "observed")))
        training_loss(model, there).backward()
        for task, value_B in model(there).items():
            torch.testing.assert_close(value_B.cpu(), expected[task], rtol=1e-4, atol=1e-4)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            if gradient is not None:
                torch.testing.assert_close(parameter.grad.cpu(), gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("weighting", weightings.names())
def test_every_weighting_trains_there(weighting: str, tmp_path: Path) -> None:
    arguments = [f"weighting={weighting}"]
    if weighting == "fixed":
        arguments.append("weighting.weights={click: 1, purchase: 2, duration: 0.5}")
    assert_close(trained(tmp_path, "cuda", *arguments), trained(tmp_path, "cpu", *arguments))


def test_a_model_that_was_trained_there_recommends_on_the_cpu(tmp_path: Path) -> None:
    record = trained(tmp_path, "cuda", "architecture=ple", "save_checkpoint=true")
    (path,) = (tmp_path / "cuda").rglob(f"{record.id}.json")
    assert len(recommend(path, "1", k=3).rows) == 3
