"""A checkpoint gives back, to the last bit, what its run was judged by; and says clearly why it cannot."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from safetensors import safe_open
from torch import Tensor, nn

from architectures import Architecture
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.records.record import Record
from benchmark.rows import Batch, Features
from benchmark.schema import CategoricalField, Metrics, NumericField, Schema, Task
from benchmark.settings.registry import architectures
from benchmark.trained.checkpoint import load, save_checkpoint
from benchmark.training.prediction import in_unit, predict

if TYPE_CHECKING:
    from collections.abc import Iterator

CLICK = Task("click", BINARY)
STAY = Task("stay", REGRESSION, unit="seconds", transform=Transform.LOG1P)
SCHEMA = Schema(
    categorical=(CategoricalField("user", 30), CategoricalField("item", 20)),
    numeric=(NumericField("price"),),
    tasks=(CLICK, STAY),
)
MEAN_T, STD_T = torch.tensor([0.0, 2.5]), torch.tensor([1.0, 0.7])


class Tiny(Architecture):
    """Has what a state is made of: embeddings, running statistics, tied weights, dropout."""

    def __init__(self, schema: Schema, *, dim: int = 4, dims: tuple[int, ...] = (8,), dropout: float = 0.5) -> None:
        super().__init__(schema)
        self.tables = nn.ModuleList(nn.Embedding(field.cardinality, dim) for field in schema.categorical)
        self.body = nn.Sequential(
            nn.Linear(2 * dim + len(schema.numeric), dims[0]), nn.BatchNorm1d(dims[0]), nn.Dropout(dropout)
        )
        self.heads = nn.ModuleDict({task.name: nn.Linear(dims[0], 1) for task in schema.tasks})
        self.heads["stay"].weight = self.heads["click"].weight

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        columns = [table(codes) for table, codes in zip(self.tables, batch.categorical.T, strict=True)]
        hidden_BH = self.body(torch.cat([*columns, batch.numeric], dim=1))
        return {name: head(hidden_BH).squeeze(1) for name, head in self.heads.items()}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    architectures.register("test_tiny")(Tiny)
    yield
    del architectures._classes["test_tiny"]
    del ConfigStore.instance().repo["architecture"]["test_tiny.yaml"]


def trained() -> Tiny:
    model = Tiny(SCHEMA, dim=5)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.1)
    return model


def rows(count: int = 9000) -> Features:
    generator = np.random.default_rng(2)
    categorical = generator.integers(0, [30, 20], (count, 2)).astype(np.int32)
    return Features(SCHEMA.fields, categorical, generator.normal(size=(count, 1)).astype(np.float32))


METRICS: dict[str, Metrics] = {key: {key: {"rows": 9.0} for key in SCHEMA.task_names} for key in ("validation", "test")}


def written(folder: Path, *, status: str = "finished", model: Tiny | None = None) -> Path:
    """A record with its checkpoint, as a run leaves them."""
    record = Record(
        id="0123456789ab",
        status=status,
        method="test_tiny/equal",
        purpose="default",
        seed=3,
        config={
            "dataset": {"name": "shop"},
            "architecture": {"name": "test_tiny", "dim": 5, "dims": [8], "dropout": 0.5},
            "weighting": {"name": "equal"},
            "trainer": {"max_epochs": 2, "clip_norm": 1.5},
            "purpose": "default",
            "seed": 3,
            "results_dir": str(folder),
        },
        dataset={"name": "shop", "schema": SCHEMA.to_json()},
        metrics=METRICS,
        metrics_per_task=METRICS,
        error=None if status == "finished" else {"type": "Diverged", "message": "loss of stay is NaN"},
    )
    path = record.write(folder)
    if model is not None:
        save_checkpoint(path.with_suffix(".safetensors"), model.state_dict(), MEAN_T, STD_T)
    return path


def test_load_predicts_to_the_last_bit(tmp_path: Path) -> None:
    model = trained()
    expected = predict(model, rows(), target_mean_T=MEAN_T, target_std_T=STD_T)
    path = written(tmp_path, model=model)
    state = torch.get_rng_state()
    for predictor in (load(path), load(str(path)), load(Record(**json.loads(path.read_text())))):
        assert predictor.schema == SCHEMA
        found = predictor.predict(rows())
        assert found.keys() == {"click", "stay"}
        for name, values in found.items():
            assert values.dtype == np.float64
            np.testing.assert_array_equal(values, expected[name])
    assert torch.equal(torch.get_rng_state(), state), "loading moved the caller's random numbers"


def test_predict_is_forward_in_evaluation_mode_in_the_unit_of_the_target() -> None:
    model = trained()
    model.train()
    features = rows(50)
    for array in features.arrays():
        array.flags.writeable = False  # as memory maps may be
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = predict(model, features, target_mean_T=MEAN_T, target_std_T=STD_T, batch_size=7)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
    nothing = torch.zeros(50, 2)
    outputs = model(Batch(features.to("cpu"), nothing, nothing > 0))
    np.testing.assert_allclose(found["click"], outputs["click"].detach(), rtol=1e-5)
    np.testing.assert_allclose(found["stay"], 2.5 + 0.7 * outputs["stay"].detach().double(), rtol=1e-5)
    empty = predict(model, features.cut(0, 0), target_mean_T=MEAN_T, target_std_T=STD_T)
    assert {name: values.shape for name, values in empty.items()} == {"click": (0,), "stay": (0,)}


def test_in_unit_is_a_probability_or_the_transform_undone() -> None:
    np.testing.assert_allclose(in_unit(CLICK, np.array([0.0, -800.0, 800.0])), [0.5, 0.0, 1.0])
    np.testing.assert_allclose(in_unit(STAY, np.log1p([0.0, 5.0])), [0.0, 5.0])
    assert in_unit(STAY, np.array([1e4]))[0] == np.inf
    assert in_unit(Task("stars", REGRESSION), np.array([3.5]))[0] == 3.5


def test_a_checkpoint_has_clear_names_and_replaces_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "run.safetensors"
    state = trained().state_dict()
    save_checkpoint(path, state, MEAN_T, STD_T)
    with safe_open(path, "pt") as file:
        names = set(file.keys())
    assert names == {f"model.{name}" for name in state} | {"target.mean", "target.std"}
    assert path.stat().st_mode & 0o777 == 0o644
    before = path.read_bytes()

    def fail(tensors: dict[str, Tensor], target: str) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("benchmark.trained.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, state, MEAN_T, STD_T)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_no_checkpoint_says_the_command_that_makes_one(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        load(path)
    assert str(caught.value) == (
        f"no checkpoint at {path.with_suffix('.safetensors')}; to make one: mtlbench run dataset=shop "
        "architecture=test_tiny architecture.dim=5 weighting=equal trainer.max_epochs=2 trainer.clip_norm=1.5 "
        f"trainer.validations_per_epoch=1 seed=3 results_dir={tmp_path} save_checkpoint=true"
    )


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(
        ValueError, match="has no finished run with a checkpoint; the same command with save_checkpoint=true makes them"
    ):
        load(tmp_path)


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_run_that_did_not_finish_has_no_model(tmp_path: Path, status: str) -> None:
    path = written(tmp_path, status=status, model=trained())
    with pytest.raises(ValueError, match=rf"no model to load: it {status} \(loss of stay is NaN\)"):
        load(path)


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    path = written(tmp_path, model=Tiny(SCHEMA, dim=6))
    with pytest.raises(
        ValueError, match=r"3 tensors differ, the first is 'model.body.0.weight': expected \(8, 11\), found \(8, 13\)"
    ):
        load(path)
    state = trained().state_dict()
    del state["body.0.bias"]
    save_checkpoint(path.with_suffix(".safetensors"), state, MEAN_T, STD_T)
    with pytest.raises(ValueError, match=r"1 tensors differ, .*'model.body.0.bias': expected \(8,\), found none"):
        load(path)
    path.with_suffix(".safetensors").write_bytes(b"not safe")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        load(path)


def test_rows_that_do_not_fit(tmp_path: Path) -> None:
    predictor = load(written(tmp_path, model=trained()))
    features = rows(4)
    categorical, numeric = features.arrays()
    with pytest.raises(ValueError, match=r"categorical must be \(4, 2\), found \(4, 1\)"):
        predictor.predict(Features(SCHEMA.fields, categorical[:, :1], numeric))
    with pytest.raises(ValueError, match=r"numeric must be \(4, 1\), found \(3, 1\)"):
        predictor.predict(Features(SCHEMA.fields, categorical, numeric[:3]))
    with pytest.raises(ValueError, match=r"expected the field NumericField\(name='price'\), found None"):
        predictor.predict(Features(SCHEMA.fields[:2], categorical, numeric))
    categorical[2, 1] = 20
    with pytest.raises(ValueError, match="field 'item' has codes 0 to 19, found 20"):
        predictor.predict(features)


def test_the_config_of_a_record_in_memory_has_the_same_command(tmp_path: Path) -> None:
    """`asdict` leaves tuples where JSON has lists."""
    record = Record(**json.loads(written(tmp_path).read_text()))
    record.config["architecture"] = asdict(architectures.config("test_tiny", dims=(8, 4)))
    with pytest.raises(FileNotFoundError, match=r"'architecture.dims=\[8,4\]' weighting=equal"):
        load(record)
