"""Top-K of all items for a user: equal to predicting every pair and sorting, on a log with all kinds of fields."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from torch import Tensor, nn

from architectures import Architecture
from benchmark.datasets import Catalogue, Data, Dataset, Entities
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.records.record import Record
from benchmark.rows import Batch, Features, Split
from benchmark.schema import CategoricalField, Metrics, NumericField, Schema, Task
from benchmark.settings.registry import architectures, datasets
from benchmark.trained import recommender
from benchmark.trained.checkpoint import load, save_checkpoint
from benchmark.trained.recommender import Recommendations, recommend
from benchmark.training.prediction import in_unit

if TYPE_CHECKING:
    from pathlib import Path

USERS, ITEMS = 50, 40
TASKS = (
    Task("click", BINARY),
    Task("buy", BINARY, given="click"),
    Task("stay", REGRESSION, unit="seconds", transform=Transform.LOG1P),
)
SCHEMA = Schema(
    categorical=(
        CategoricalField("hour", 25),
        CategoricalField("item", ITEMS + 1),
        CategoricalField("age", 6),
        CategoricalField("user", USERS),
        CategoricalField("genre", 4),
    ),
    numeric=(NumericField("price"), NumericField("load"), NumericField("income")),
    tasks=TASKS,
    user="user",
    item="item",
)
MEAN_T, STD_T = torch.tensor([0.0, 0.0, 1.5]), torch.tensor([1.0, 1.0, 0.5])


def features(names: tuple[str, ...], codes: np.ndarray, numbers: np.ndarray) -> Features:
    fields = {field.name: field for field in SCHEMA.fields}
    return Features(tuple(fields[name] for name in names), codes.astype(np.int32), numbers.astype(np.float32))


class Log(Dataset):
    """50 users (the last not in train, so of code 0) and 40 items; code and place differ for both."""

    all_tasks = TASKS
    user, item = "user", "item"

    def __init__(self, *, split_seed: int = 0, edition: str = "first") -> None:
        self.split_seed, self.edition = split_seed, edition

    def build(self) -> Data:
        generator = np.random.default_rng(self.split_seed)
        user_codes = np.append(generator.permutation(USERS - 1) + 1, 0).astype(np.int32)
        item_codes = (generator.permutation(ITEMS) + 1).astype(np.int32)
        users = Entities(
            ids=np.array([f"u{number}" for number in range(USERS - 1)] + ["7"]),
            codes=user_codes,
            features=features(
                ("user", "age", "income"),
                np.stack([user_codes, generator.integers(0, 6, USERS)], 1),
                generator.normal(size=(USERS, 1)),
            ),
        )
        items = Entities(
            ids=np.array([str(100 + number) for number in range(ITEMS)]),
            codes=item_codes,
            features=features(
                ("item", "genre", "price"),
                np.stack([item_codes, generator.integers(0, 4, ITEMS)], 1),
                generator.normal(size=(ITEMS, 1)),
            ),
            titles=np.array(["=cmd()", "[bold]Gone", *(f"Title {number}" for number in range(2, ITEMS))]),
        )
        rows = 600
        highest = [field.cardinality for field in SCHEMA.categorical]
        split = Split(
            Features(
                SCHEMA.fields,
                generator.integers(1, highest, (rows, 5)).astype(np.int32),
                generator.normal(size=(rows, 3)).astype(np.float32),
            ),
            labels=np.zeros((rows, 3), dtype=np.float32),
        )
        catalogue = Catalogue(users, items, context=features(("hour", "load"), np.array([[20]]), np.array([[0.25]])))
        return Data(SCHEMA, split, split, split, fingerprint=self.edition, catalogue=catalogue)


class Linear(Architecture):
    """A sum of every field's embedding and the numbers, through one hidden layer."""

    def __init__(self, schema: Schema, *, dim: int = 6) -> None:
        super().__init__(schema)
        self.tables = nn.ModuleList(nn.Embedding(field.cardinality, dim) for field in schema.categorical)
        self.numeric = nn.Linear(len(schema.numeric), dim)
        self.heads = nn.Linear(dim, len(schema.tasks))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        columns = [table(codes) for table, codes in zip(self.tables, batch.categorical.T, strict=True)]
        hidden_BH = torch.stack([*columns, self.numeric(batch.numeric)]).sum(0).tanh()
        return dict(zip(self.schema.task_names, self.heads(hidden_BH).T, strict=True))


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    architectures.register("test_linear")(Linear)
    datasets.register("test_log")(Log)
    yield
    for registry, name in ((architectures, "test_linear"), (datasets, "test_log")):
        del registry._classes[name]
        del ConfigStore.instance().repo[registry.group][f"{name}.yaml"]


Change = Callable[[Linear], None]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Writes the record and checkpoint of a run with random weights, after a change of either."""

    def write(change: Change | None = None, schema: Schema = SCHEMA, **facts: str) -> Path:
        metrics: dict[str, Metrics] = {
            split: {key: {"rows": 9.0} for key in schema.task_names} for split in ("validation", "test")
        }
        record = Record(
            id="0123456789ab",
            status="finished",
            method="test_linear/equal",
            purpose="default",
            seed=0,
            config={
                "dataset": asdict(datasets.config("test_log")),
                "architecture": asdict(architectures.config("test_linear")),
                "weighting": {"name": "equal"},
                "trainer": {"max_epochs": 2},
                "purpose": "default",
                "results_dir": str(tmp_path),
            },
            dataset={"name": "test_log", "fingerprint": "first", "schema": schema.to_json(), **facts},
            metrics=metrics,
            metrics_per_task=metrics,
        )
        model = Linear(schema)
        if change is not None:
            with torch.no_grad():
                change(model)
        path = record.write(tmp_path)
        save_checkpoint(path.with_suffix(".safetensors"), model.state_dict(), MEAN_T, STD_T)
        return path

    return write


def brute_force(path: Path, data: Data, user: int) -> list[tuple[float, int, dict[str, float]]]:
    """(score, item, predictions) of all items, best first, by `buy * stay^2`; rows put together one by one."""
    assert data.catalogue is not None
    users, items = data.catalogue.users, data.catalogue.items
    age, income = (users.features.column(name)[user] for name in ("age", "income"))
    genres, prices = (items.features.column(name) for name in ("genre", "price"))
    categorical = [[20, items.codes[item], age, users.codes[user], genres[item]] for item in range(ITEMS)]
    numeric = [[prices[item], 0.25, income] for item in range(ITEMS)]
    outputs = load(path).predict(
        Features(SCHEMA.fields, np.array(categorical, np.int32), np.array(numeric, np.float32))
    )
    values = {task.name: in_unit(task, outputs[task.name]) for task in TASKS}
    scores = values["buy"] * np.maximum(values["stay"], 0) ** 2
    rows = [(float(scores[item]), item, {name: float(v[item]) for name, v in values.items()}) for item in range(ITEMS)]
    return sorted(rows, key=lambda row: (-row[0], row[1]))


def test_equals_predicting_every_pair_and_sorting(run: Callable[..., Path]) -> None:
    path, data = run(), Log().build()
    assert data.catalogue is not None
    users, items = data.catalogue.users, data.catalogue.items
    assert items.titles is not None
    found = recommend(path, list(users.ids), k=5, score="buy * stay^2")
    expected = []
    for user in range(USERS):
        of_user = data.train.features.categorical[:, 3] == users.codes[user]
        seen = set(data.train.features.categorical[of_user, 1].tolist())
        candidates = [row for row in brute_force(path, data, user) if items.codes[row[1]] not in seen]
        for rank, (score, item, values) in enumerate(candidates[:5], start=1):
            named = {"user": users.ids[user], "rank": rank, "item": items.ids[item], "title": items.titles[item]}
            expected.append({**named, "score": score, **values})
    assert found.rows == expected
    assert found.score == "buy * stay^2"


def test_all_items_are_a_permutation_of_the_unseen(run: Callable[..., Path]) -> None:
    path, data = run(), Log().build()
    assert data.catalogue is not None
    users, items = data.catalogue.users, data.catalogue.items
    of_user = data.train.features.categorical[:, 3] == users.codes[3]
    seen = set(items.ids[np.isin(items.codes, data.train.features.categorical[of_user, 1])])
    assert seen
    unseen = recommend(path, "u3", k=ITEMS)
    assert sorted(row["item"] for row in unseen.rows) == sorted(set(items.ids) - seen)
    assert [row["rank"] for row in unseen.rows] == list(range(1, ITEMS - len(seen) + 1))
    assert f"user u3 has {ITEMS - len(seen)} candidates, fewer than {ITEMS}" in unseen.notes
    everything = recommend(path, "u3", k=ITEMS, include_seen=True)
    assert sorted(row["item"] for row in everything.rows) == sorted(items.ids)


def test_rows_of_a_user_depend_neither_on_others_nor_on_blocks(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run()
    together = recommend(path, ["u9", "u4", "u9"], k=7).rows
    assert [row["user"] for row in together] == ["u9"] * 7 + ["u4"] * 7, "in the order asked for, each once"
    assert together[7:] == recommend(load(path).record, "u4", k=7).rows
    monkeypatch.setattr(recommender, "ITEM_BLOCK", 9)
    in_blocks = recommend(path, ["u9", "u4"], k=7).rows
    assert [row["item"] for row in in_blocks] == [row["item"] for row in together]
    assert [row["score"] for row in in_blocks] == pytest.approx([row["score"] for row in together])


def test_ties_go_to_the_earlier_item(run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = run(lambda model: [value.zero_() for value in model.parameters()])
    ids = [str(100 + number) for number in range(ITEMS)]
    for block in (recommender.ITEM_BLOCK, 9):
        monkeypatch.setattr(recommender, "ITEM_BLOCK", block)
        rows = recommend(path, "u1", k=ITEMS, include_seen=True).rows
        assert [row["item"] for row in rows] == ids
        assert {row["score"] for row in rows} == {0.5}


def test_scores_that_are_not_finite_come_last_and_are_none(
    run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = int(Log().build().catalogue.items.codes[5])  # type: ignore[union-attr]
    path, forward = run(), Linear.forward

    def overflowing(self: Linear, batch: Batch) -> dict[str, Tensor]:
        is_wrong = batch.categorical[:, 1] == code
        return {task: output.masked_fill(is_wrong, np.nan) for task, output in forward(self, batch).items()}

    monkeypatch.setattr(Linear, "forward", overflowing)
    result = recommend(path, "u1", k=ITEMS, include_seen=True)
    assert [row["item"] for row in result.rows if row["score"] is None] == ["105"]
    assert result.rows[-1]["item"] == "105"
    assert json.loads(result.to_json())[-1]["stay"] is None
    assert list(csv.DictReader(io.StringIO(result.to_csv())))[-1]["score"] == ""


def test_a_user_without_rows_in_train_is_served_and_named(run: Callable[..., Path]) -> None:
    result = recommend(run(), 7, k=ITEMS)  # code 0, which rows of train that lack the user do not share with this one
    assert len(result.rows) == ITEMS
    assert {row["user"] for row in result.rows} == {"7"}
    assert "user 7 has no row in train: the model knows only the user's other fields" in result.notes


def test_default_score_is_the_last_child_and_context_is_said(run: Callable[..., Path]) -> None:
    result = recommend(run(), "u1", k=1)
    assert result.rows[0]["score"] == result.rows[0]["buy"]
    assert list(result.rows[0]) == ["user", "rank", "item", "title", "score", "click", "buy", "stay"]
    assert "context fields at their usual value in train: hour, load" in result.notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be at least 1, found 0"),
        ({"users": "u77"}, "unknown user 'u77': test_log has 50 users; nearest: .*u7"),
        ({"users": ["u1", "?"]}, "unknown user '[?]': test_log has 50 users; nearest: u0, u1, u2"),
        ({"users": []}, "users: expected at least one id, found none"),
        ({"score": "clik"}, "unknown task 'clik'; did you mean click[?]"),
        ({"score": "9^9^9"}, r"unexpected '\^' at column 2"),
    ],
)
def test_errors_of_the_caller(run: Callable[..., Path], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recommend(run(), **{"users": "u1", **arguments})


def test_errors_of_the_run(run: Callable[..., Path], tmp_path: Path) -> None:
    roles = Schema(SCHEMA.categorical, SCHEMA.numeric, TASKS, user="user")
    with pytest.raises(ValueError, match=r"^data set census has no item field: nothing to recommend$"):
        recommend(run(schema=roles, name="census"), "u1")
    with pytest.raises(
        ValueError, match="has changed since run 0123456789ab: expected fingerprint second, found first"
    ):
        recommend(run(fingerprint="second"), "u1")
    other = Schema((CategoricalField("hour", 99), *SCHEMA.categorical[1:]), SCHEMA.numeric, TASKS, "user", "item")
    with pytest.raises(ValueError, match="is now prepared differently than for run"):
        recommend(run(schema=other), "u1")
    path = run()
    path.with_suffix(".safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"mtlbench run dataset=test_log .*save_checkpoint=true"):
        recommend(path, "u1")


def test_csv_is_exact_and_starts_no_formula(run: Callable[..., Path]) -> None:
    result = recommend(run(), ["u1", "u2"], k=ITEMS, include_seen=True)
    read = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [float(row["stay"]) for row in read] == [row["stay"] for row in result.rows]
    assert {row["title"] for row in read if row["item"] == "100"} == {"'=cmd()"}
    negative = Recommendations([{"item": "-5", "score": -0.5}], (), "")
    assert negative.to_csv() == "item,score\n-5,-0.5\n"


def test_stdout_has_rows_only(run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    result = recommend(run(), ["u1", "u2"], k=ITEMS, include_seen=True)
    result.print("json")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == result.rows
    assert captured.err == "context fields at their usual value in train: hour, load\n"
    result.print("table")
    table = capsys.readouterr().out
    assert "[bold]Gone" in table
    assert "(seconds)" in table
    with pytest.raises(ValueError, match="format must be one of table, json, csv, found 'xml'"):
        result.print("xml")  # type: ignore[arg-type]


def test_a_task_named_as_a_column_keeps_both() -> None:
    assert recommender._column(Task("score", BINARY)) == "score_prediction"


def test_of_a_folder_the_run_that_is_best_on_validation_recommends(run: Callable[..., Path], tmp_path: Path) -> None:
    best = run()
    written = json.loads(best.read_text())
    for name, criterion in (("a" * 12, 0.1), (best.stem, 0.2), ("f" * 12, 0.15)):
        path = best.with_name(f"{name}.json")
        epochs = [{"epoch": 1, "criterion": criterion}]
        path.write_text(json.dumps({**written, "id": name, "best_epoch": 1, "epochs": epochs}))
        if path != best:
            shutil.copy(best.with_suffix(".safetensors"), path.with_suffix(".safetensors"))
    made = recommend(tmp_path, "u1")
    assert made.rows == recommend(best, "u1").rows
    assert made.notes[0] == f"from the run that is best on validation: test_linear/equal, seed 0, {best}"
    other = {**written, "dataset": {**written["dataset"], "name": "other"}, "best_epoch": 1, "epochs": epochs}
    path.write_text(json.dumps({**other, "id": path.stem}))
    with pytest.raises(ValueError, match=r"expected runs of one data set.*found other by mean, test_log by mean"):
        recommend(tmp_path, "u1")
