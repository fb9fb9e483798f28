"""What every registered data set keeps to, whoever wrote it. Those whose files are not on this machine are skipped."""

from __future__ import annotations

import dataclasses
import os
import socket

import numpy as np
import pytest

from benchmark.datasets import Data, Dataset
from benchmark.schema import TaskKind
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import architectures, datasets

pytestmark = pytest.mark.parametrize("name", datasets.names())


def declare(name: str) -> Dataset:
    dataset: Dataset = datasets.build(datasets.config(name))
    return dataset


@pytest.fixture
def data(name: str, monkeypatch: pytest.MonkeyPatch) -> Data:
    """The data set with its defaults, without downloading anything."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    try:
        return declare(name).build()
    except FileNotFoundError as error:
        pytest.skip(f"its files are not here: {str(error).splitlines()[0]}")


def test_its_docstring_says_what_it_is_and_has_every_parameter(name: str) -> None:
    text = datasets.get(name).__doc__ or ""
    described = text.partition("Args:")[2]
    assert text.strip()
    for field in dataclasses.fields(datasets.config(name)):
        assert field.name == "name" or f" {field.name}: " in described, field.name


def test_its_config_composes_into_the_one_that_python_makes(name: str) -> None:
    composed = compose_run([f"dataset={name}", "architecture=mmoe"])
    assert composed.dataset == datasets.config(name)
    assert composed.id == RunConfig(dataset=name, architecture="mmoe").id  # type: ignore[arg-type]


def test_it_declares_tasks_and_roles_without_reading_anything(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("declared() reads data")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(np, "load", refuse)
    declared = declare(name).declared()
    assert declared.tasks == declare(name).tasks
    assert (declared.user, declared.item) == (datasets.get(name).user, datasets.get(name).item)  # type: ignore[attr-defined]
    assert architectures.get("shared_bottom").requires(declared) is None  # type: ignore[attr-defined]


def test_it_has_a_seed_of_its_split_or_none(name: str) -> None:
    parameters = {field.name for field in dataclasses.fields(datasets.config(name))}
    assert "seed" not in parameters, "the run's seed must not move the split; call it split_seed"


def test_its_splits_are_what_its_schema_says(name: str, data: Data) -> None:
    schema = data.schema
    assert schema.tasks == declare(name).tasks
    assert (schema.user, schema.item) == (declare(name).user, declare(name).item)
    for split in (data.train, data.validation, data.test):
        assert len(split) > 0
        assert split.categorical.shape == (len(split), len(schema.categorical))
        assert split.numeric.shape == (len(split), len(schema.numeric))
        assert split.labels.shape == (len(split), len(schema.tasks))
        assert (split.categorical.dtype, split.numeric.dtype, split.labels.dtype) == ("int32", "float32", "float64")
        assert np.isfinite(split.numeric).all()
        codes_RF = np.asarray(split.categorical)
        sizes_F = np.array([field.cardinality for field in schema.categorical], dtype=np.int32)
        assert (codes_RF >= 0).all()
        assert (codes_RF < sizes_F).all()


def test_every_value_that_train_has_is_known(name: str, data: Data) -> None:
    assert (np.asarray(data.train.categorical) > 0).all()


def test_labels_suit_their_tasks(name: str, data: Data) -> None:
    for number, task in enumerate(data.schema.tasks):
        train = np.asarray(data.train.labels[:, number])
        observed = train[~np.isnan(train)]
        assert len(np.unique(observed)) >= 2
        if task.kind is TaskKind.BINARY:
            assert set(np.unique(observed)) == {0.0, 1.0}


def test_building_it_again_gives_the_same_rows(name: str, data: Data) -> None:
    again = declare(name).build()
    assert again.fingerprint == data.fingerprint
    np.testing.assert_array_equal(again.test.labels, data.test.labels)
    np.testing.assert_array_equal(again.test.categorical, data.test.categorical)


def test_what_it_offers_for_recommendations_covers_every_field(name: str, data: Data) -> None:
    if data.catalogue is None:
        assert None in (data.schema.user, data.schema.item)
        return
    users, items = data.catalogue.users, data.catalogue.items
    owned = (*users.categorical_names, *users.numeric_names, *items.categorical_names, *items.numeric_names)
    fields = {field.name for field in (*data.schema.categorical, *data.schema.numeric)}
    assert {*owned, *data.catalogue.context} == fields
    assert len(owned) + len(data.catalogue.context) == len(fields)
    assert len(np.unique(users.ids)) == len(users.ids)
    assert len(np.unique(items.ids)) == len(items.ids)
