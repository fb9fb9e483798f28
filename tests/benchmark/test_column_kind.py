"""A kind of column from outside, whole in this one file: bags of tags, as many a row as there are, embedded by their mean.

It goes from the parsed table to recommendations, and no other file knows of it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from hydra.core.config_store import ConfigStore
from torch import Tensor, nn

from architectures.layers import FeatureEmbedding
from benchmark import Record, RunConfig, TrainerConfig, configure, load, load_record, metrics, recommend, report, run
from benchmark.contracts.toys import CART, CLICK, LIKE, SHARE, build, training_loss
from benchmark.datasets import Data, Dataset
from benchmark.datasets._fit import Numbers, Treatment
from benchmark.datasets.prepare import TRAIN, Table, prepare, random_split
from benchmark.numbering import Numbering
from benchmark.reference.lines import make_references
from benchmark.reference.trees import check as check_trees
from benchmark.rows import Batch, Features, Split
from benchmark.schema import Arrays, CategoricalField, NumericField, OtherField, Schema, column_kind
from benchmark.seeding import initialise, seeded
from benchmark.settings.registry import architectures, datasets
from benchmark.training.prediction import in_unit

# the kind --------------------------------------------------------------------------------------------------------------


@column_kind("tags")
@dataclass(frozen=True)
class Tags(OtherField):
    """A bag of tags in no order. Of R rows: the codes of all, one row's after another's, and R + 1 bounds between them."""

    cardinality: int = 0
    stored: ClassVar[tuple[str, ...]] = ("codes", "bounds")

    def content(self, values: pl.Series) -> bytes:
        return "\x1e".join(values.list.join("\x1f")).encode()

    def fit(self, values: pl.Series, train: np.ndarray, numbering: Numbering) -> tuple[Tags, Arrays, list[str]]:
        every, lengths = values.explode().drop_nulls(), values.list.len()
        known = values.filter(pl.Series(train)).explode().drop_nulls().unique().sort()
        numbers = pl.Series(range(1, len(known) + 1), dtype=pl.Int32)
        codes = every.replace_strict(known, numbers, default=0, return_dtype=pl.Int32).to_numpy()
        bounds = np.append(0, np.cumsum(lengths.to_numpy(), dtype=np.int64))
        fitted = dataclasses.replace(self, cardinality=len(known) + 1)
        return fitted, {"codes": codes, "bounds": bounds}, known.to_list()

    def check(self, arrays: Arrays, what: str) -> None:
        wrong = arrays["codes"][(arrays["codes"] < 0) | (arrays["codes"] >= self.cardinality)]
        if len(wrong):
            raise ValueError(f"{what}: field {self.name!r} has codes 0 to {self.cardinality - 1}, found {wrong[0]}")

    def usual(self, arrays: Arrays) -> Arrays:
        most_frequent = np.bincount(arrays["codes"]).argmax(keepdims=True).astype(np.int32)
        return {"codes": most_frequent, "bounds": np.array([0, 1])}

    def key(self, arrays: Arrays) -> np.ndarray:
        mixed = (arrays["codes"].astype(np.uint64) + np.uint64(1)) ** 3 * np.uint64(0x9E3779B97F4A7C15)
        return np.diff(np.append(np.uint64(0), np.cumsum(mixed))[arrays["bounds"]])[:, None]

    def num_rows(self, arrays: Arrays) -> int:
        return len(arrays["bounds"]) - 1

    def take(self, arrays: Arrays, index: Any) -> Arrays:
        if isinstance(index, np.ndarray):  # one gather for both: torch's, on the same memory
            tensors = {name: to_tensor(array) for name, array in arrays.items()}
            return {name: taken.numpy() for name, taken in self.take(tensors, to_tensor(index)).items()}
        starts = arrays["bounds"][index]
        lengths = arrays["bounds"][index + 1] - starts
        bounds = F.pad(lengths.cumsum(0), (1, 0))
        row = torch.repeat_interleave(lengths)
        places = torch.arange(len(row), device=row.device) + (starts - bounds[:-1])[row]
        return {"codes": arrays["codes"][places], "bounds": bounds}

    def cut(self, arrays: Arrays, start: int, stop: int) -> Arrays:
        bounds = arrays["bounds"][start : stop + 1]
        return {"codes": arrays["codes"][bounds[0] : bounds[-1]], "bounds": bounds - bounds[0]}

    def embedding(self, dim: int) -> nn.Module:
        return MeanOfTags(self.cardinality, dim)


def to_tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["W"]))


class MeanOfTags(nn.Module):
    def __init__(self, cardinality: int, dim: int) -> None:
        super().__init__()
        self.table, self.output_dim = nn.Embedding(cardinality, dim), dim

    def reset_parameters(self) -> None:
        nn.init.normal_(self.table.weight, std=0.05)

    def forward(self, codes: Tensor, bounds: Tensor) -> Tensor:
        lengths_B, embedded = bounds.diff(), self.table(codes)
        sums_Bd = embedded.new_zeros(len(lengths_B), self.output_dim)
        sums_Bd = sums_Bd.index_add(0, torch.repeat_interleave(lengths_B), embedded)
        return sums_Bd / lengths_B.clamp(1)[:, None]


# data that have it -----------------------------------------------------------------------------------------------------

WORDS = np.array(["calm", "dark", "epic", "funny", "grim"])
MOODS = ["good", "mild", "sad"]
ROWS, USERS, ITEMS = 3000, 40, 30


def tagged() -> Table:
    """Items with 0 to 3 tags, and rows with 1 or 2 moods of their own, which alone decide what is liked."""
    rng = np.random.default_rng(0)
    tags = [sorted(rng.choice(WORDS, item % 4, replace=False)) for item in range(ITEMS)]
    user, item = rng.integers(0, USERS, ROWS), rng.integers(0, ITEMS, ROWS)
    moods = [MOODS[start : start + 2] for start in rng.choice([0, 0, 1, 2], ROWS)]
    liked = rng.random(ROWS) < np.where(["mild" in mood for mood in moods], 0.1, 0.9)
    return Table(
        categorical={"user": user, "item": item},
        numeric={"price": rng.normal(size=ITEMS)[item]},
        labels={"like": liked.astype(np.float32), "share": (rng.random(ROWS) < 0.3).astype(np.float32)},
        split=random_split(ROWS, 0),
        user_fields=("user",),
        item_fields=("item", "price", "tags"),
        others={
            Tags("tags"): pl.Series([tags[i] for i in item], dtype=pl.List(pl.String)),
            Tags("moods"): pl.Series(moods, dtype=pl.List(pl.String)),
        },
    )


class Tagged(Dataset):
    all_tasks = (LIKE, SHARE)
    user, item = "user", "item"

    def __init__(self, *, edition: int = 0) -> None:
        self.edition = edition

    def build(self) -> Data:
        return prepare(self, read=tagged, source={}, numeric="raw")


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    datasets.register("test_tagged")(Tagged)
    yield
    del datasets._classes["test_tagged"]
    del ConfigStore.instance().repo["dataset"]["test_tagged.yaml"]


@pytest.fixture
def data() -> Data:
    return Tagged().build()


def trained(folder: Path, architecture: str = "mmoe", weighting: str = "equal", **parameters: Any) -> Record:
    return run(
        RunConfig(
            dataset="test_tagged",  # type: ignore[arg-type]
            architecture=architecture,  # type: ignore[arg-type]
            weighting=configure("weighting", weighting, **parameters),
            trainer=TrainerConfig(max_epochs=2, batch_size=100, learning_rate=0.01),
            save_checkpoint=True,
            results_dir=str(folder),
        )
    )


def bags(features: Features, name: str) -> list[list[int]]:
    (arrays,) = [arrays for field, arrays in features.others.items() if field.name == name]
    codes, bounds = (np.asarray(arrays[name]) for name in ("codes", "bounds"))
    return [bag.tolist() for bag in np.split(codes, bounds[1:-1])]


# what becomes of it ----------------------------------------------------------------------------------------------------


def test_it_is_fitted_on_train_and_cached(data: Data) -> None:
    table = tagged()
    assert data.schema.others == (Tags("tags", cardinality=6), Tags("moods", cardinality=4))
    assert isinstance(data.train.features.others[Tags("tags", 6)]["codes"], np.memmap)
    for split, number in ((data.train, TRAIN), (data.validation, 1), (data.test, 2)):
        parsed = table.others[Tags("tags")].filter(pl.Series(table.split == number)).to_list()
        assert bags(split.features, "tags") == [[1 + WORDS.tolist().index(word) for word in words] for words in parsed]
    some = np.zeros(4, dtype=bool)
    some[:2] = True
    fitted, arrays, words = Tags("tags").fit(
        pl.Series([["b"], ["d", "b"], [], ["a", "d"]]), some, Numbers({}, Treatment())
    )
    assert (fitted.cardinality, words) == (3, ["b", "d"])
    assert (arrays["codes"].tolist(), arrays["bounds"].tolist()) == ([1, 2, 1, 0, 2], [0, 1, 3, 3, 5])


def test_rows_that_differ_in_it_alone_are_not_the_same(data: Data) -> None:
    def rows(split: Split) -> list[tuple[object, ...]]:
        found = split.features
        both = (bags(found, "tags"), bags(found, "moods"), found.categorical.tolist(), found.numeric.tolist())
        return [tuple(map(str, row)) for row in zip(*both, strict=True)]

    train = set(rows(data.train))
    counted = sum(row in train for row in rows(data.test))
    assert 0 < counted < len({row[2:] for row in train})
    assert data.facts["test_rows_in_train"]["same_features"] == counted


def test_alone_it_makes_a_data_set() -> None:
    class Alone(Tagged):
        user = item = None

    alone = dataclasses.replace(tagged(), categorical={}, numeric={}, user_fields=(), item_fields=())
    data = prepare(Alone(), read=lambda: alone, source={"alone": True})
    assert [field.name for field in data.schema.fields] == ["tags", "moods"]
    assert len(data.test.features) == len(data.test) == ROWS // 10


def test_the_fingerprint_sees_it() -> None:
    same, other = tagged(), tagged()
    other.others[Tags("moods")] = other.others[Tags("moods")].reverse()
    assert same.fingerprint() == Tagged().build().fingerprint != other.fingerprint()


def test_batches_are_gathered_and_cut(data: Data) -> None:
    every = bags(data.test.features, "tags")
    tensors, order = data.test.features.to("cpu"), torch.tensor([5, 0, 5, 299])
    for taken in (data.test.features.take(order.numpy()), tensors.take(order)):
        assert bags(taken, "tags") == [every[row] for row in order]
    assert bags(data.test.features.cut(290, 9000), "tags") == every[290:]
    assert len(data.test.features.cut(0, 0)) == 0


@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_embeds_it(name: str, data: Data) -> None:
    schema = dataclasses.replace(data.schema, tasks=(CLICK, CART))  # which every architecture suits
    features = data.train.features.cut(0, 64).to("cpu")
    batch = Batch(features, torch.from_numpy(data.train.labels[:64]), torch.ones(64, 2, dtype=torch.bool))
    outputs, gradients = [], []
    for factored in (True, False):
        model = build(name, schema, seed=3).double()
        embeddings = [module for module in model.modules() if isinstance(module, FeatureEmbedding)]
        for embedding in embeddings:
            embedding.factored = factored
            assert embedding.output_dim == (2 + 2) * embedding.embedding_dim + 1 == embedding(batch).dense().shape[1]
        with seeded(0, "noise"):  # for models that draw some in training
            training_loss(model, batch).backward()
            outputs.append(model(batch))
        gradients.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
        for embedding in embeddings:
            reference = FeatureEmbedding(schema, embedding.embedding_dim)
            initialise(reference, 3)
            assert torch.equal(embedding.others[0].table.weight.float(), reference.others[0].table.weight)
            assert embedding.others[0].table.weight.grad.any()
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)


def test_it_is_in_the_record_the_checkpoint_and_the_predictions(data: Data, tmp_path: Path) -> None:
    record = trained(tmp_path)
    assert record.dataset["fields"] == ["user", "item", "price", "tags", "moods"]
    assert record.dataset["schema"]["others"][0] == {"kind": "tags", "name": "tags", "cardinality": 6}
    assert Schema.from_json(load_record(record.path(tmp_path)).dataset["schema"]) == data.schema
    predictor = load(record.path(tmp_path))
    outputs = predictor.predict(data.test.features)
    found, _ = metrics.evaluate(data.schema.tasks, outputs, data.test.labels, data.users(data.test))
    assert found == record.metrics["test"]
    assert (found["like"]["auc"] or 0) > 0.8, "moods alone tell what is liked"
    nothing = {"codes": np.empty(0, np.int32), "bounds": np.zeros(len(data.test) + 1, np.int64)}
    others = {**data.test.features.others, Tags("tags", 6): nothing}
    without = predictor.predict(dataclasses.replace(data.test.features, others=others))
    has_tags = np.array([bool(bag) for bag in bags(data.test.features, "tags")])
    np.testing.assert_array_equal(without["like"] != outputs["like"], has_tags)
    report(tmp_path)


def test_users_items_and_context_have_it_in_recommendations(data: Data, tmp_path: Path) -> None:
    record = trained(tmp_path)
    assert data.catalogue is not None
    users, items, context = data.catalogue.users, data.catalogue.items, data.catalogue.context
    assert bags(context, "moods") == [[2]], "mild, in three rows of four"
    rows = recommend(record, users.ids[7], k=ITEMS, score="like", include_seen=True).rows
    assert len(rows) == ITEMS
    for row in rows[:3]:
        (item,) = np.flatnonzero(items.ids == row["item"])
        tags = [1 + WORDS.tolist().index(word) for word in sorted_tags(int(row["item"]))]
        one = Features(
            data.schema.fields,
            np.array([[users.codes[7], items.codes[item]]], np.int32),
            np.array([[items.features.column("price")[item]]], np.float32),
            {
                Tags("tags", 6): {"codes": np.array(tags, np.int32), "bounds": np.array([0, len(tags)])},
                Tags("moods", 4): {"codes": np.array([2], np.int32), "bounds": np.array([0, 1])},
            },
        )
        expected = in_unit(LIKE, load(record).predict(one)["like"])[0]
        assert row["like"] == pytest.approx(expected, rel=1e-5)


def sorted_tags(item: int) -> list[str]:
    table = tagged()
    row = int(np.flatnonzero(table.categorical["item"] == item)[0])
    return list(table.others[Tags("tags")][row])


@pytest.mark.parametrize("scope", ["trunk", "all", "representation"])
def test_gradient_weightings_train_it(scope: str, tmp_path: Path) -> None:
    record = trained(tmp_path, "shared_bottom", "pcgrad", scope=scope)
    assert (record.metrics["test"]["like"]["auc"] or 0) > 0.8


def test_values_that_do_not_fit_are_refused(data: Data, tmp_path: Path) -> None:
    predictor = load(trained(tmp_path).path(tmp_path))
    one = data.test.features.cut(0, 1)
    for bounds, message in (
        ([0, 1], "field 'tags' has codes 0 to 5, found 6"),
        ([0, 1, 1], "'tags' must have 1 rows, found 2"),
    ):
        others = {**one.others, Tags("tags", 6): {"codes": np.array([6], np.int32), "bounds": np.array(bounds)}}
        with pytest.raises(ValueError, match=message):
            predictor.predict(dataclasses.replace(one, others=others))
    with pytest.raises(ValueError, match=r"expected the field Tags\(name='moods', cardinality=4\), found None"):
        predictor.predict(dataclasses.replace(one, fields=one.fields[:-1]))


def test_trees_leave_it_out_and_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightgbm")
    (record,) = make_references("test_tagged", results_dir=str(tmp_path), only=("gbdt",), trials=1, seeds=1)
    assert record.label == "boosted trees (gbdt), one model per task, without tags, moods"
    assert "gbdt reads categorical and numeric fields, and leaves out tags, moods" in "".join(capsys.readouterr())
    assert record.metrics["test"]["like"]["auc"] < 0.65, "moods tell what is liked"


def test_trees_refuse_data_without_other_fields(data: Data) -> None:
    alone = dataclasses.replace(data.schema, categorical=(), numeric=(), user=None, item=None, user_fields=())
    with pytest.raises(ValueError, match=r"found only others: tags, moods \(only=constant does without\)"):
        check_trees(alone)


def test_a_schema_without_others_is_the_json_that_it_was() -> None:
    schema = Schema((CategoricalField("user", 3),), (NumericField("price"),), (LIKE,), user="user")
    assert json.dumps(schema.to_json()) == (
        '{"categorical": [{"name": "user", "cardinality": 3}], "numeric": [{"name": "price"}], "tasks": [{"name": "like", '
        '"kind": "binary", "given": null, "unit": null, "transform": "identity"}], "user": "user", "item": null}'
    )


def test_a_kind_that_is_not_installed_is_named(data: Data) -> None:
    stored = data.schema.to_json()
    stored["others"][0]["kind"] = "sounds"
    with pytest.raises(ValueError, match=r"field 'tags' has the unknown kind 'sounds'; known: .*tags"):
        Schema.from_json(stored)


def test_a_name_of_a_kind_is_taken_once() -> None:
    with pytest.raises(ValueError, match="column kind 'tags' is registered twice"):
        column_kind("tags")(dataclasses.make_dataclass("Other", [], bases=(Tags,), frozen=True))
