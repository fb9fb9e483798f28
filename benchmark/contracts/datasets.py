"""Rules for every data set. Data sets with missing files are not built: contracts download nothing."""

from __future__ import annotations

import dataclasses
import socket
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import NoReturn
from unittest.mock import patch

import numpy as np

from benchmark.contracts.expectation import Contracts, NotApplicable, broken, expect
from benchmark.datasets import Data, Dataset, prepare
from benchmark.datasets.table import SPLITS
from benchmark.settings import registry
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.settings.hydra_text import value_text
from benchmark.temporaries import scratch_folder

contracts = Contracts()


def declare(name: str) -> Dataset:
    """A data set with its defaults, or as a file describes it; none of its data is read.

    Raises:
        NotApplicable: if only a file makes it a data set.
    """
    config = registry.datasets.config(name)
    if getattr(config, "file", None) == "":
        raise NotApplicable(f"{name} needs a file that describes the data: mtlbench check FILE")
    dataset: Dataset = registry.datasets.build(config)
    return dataset


def built(name: str) -> Data:
    """The data set with its defaults, from files that are here.

    Raises:
        NotApplicable: if they are not.
    """

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("contracts download nothing")

    try:
        with patch.object(socket.socket, "connect", refuse), patch.object(socket, "getaddrinfo", refuse):
            return declare(name).build()
    except FileNotFoundError as error:
        sentence = str(error).splitlines()[0].partition(". ")[0]
        raise NotApplicable(f"its files are not here: {sentence}") from error


@contracts.once("__init__")
def its_configuration_composes_into_the_one_that_python_makes(name: str) -> None:
    """The command line and Python give the same configuration and id."""
    made = registry.datasets.config(name)
    words = [f"dataset={made.name}"] + [f"dataset.file={value_text(name)}"] * (made.name != name)
    composed = compose_run([*words, "architecture=mmoe"])
    remedy = "Give every keyword-only parameter an annotation and a default of that type"
    expect(composed.dataset == made, str(made), composed.dataset, remedy)
    expected = RunConfig(dataset=name, architecture="mmoe").id  # type: ignore[arg-type]
    expect(composed.id == expected, f"id {expected}", composed.id, remedy)


@contracts.once("tasks", "all_tasks", "__init__")
def it_declares_tasks_and_roles_without_reading_anything(name: str) -> None:
    """`mtlbench list --for` and the early errors rest on it."""

    def refuse(*_: object, **__: object) -> NoReturn:
        broken("a declaration that reads no file", "a read", "Set all_tasks, user and item on the class")

    with ExitStack() as stack:
        for owner, attribute in (("builtins", "open"), ("os", "scandir"), ("numpy", "load")):
            stack.enter_context(patch(f"{owner}.{attribute}", refuse))
        declared = declare(name).declared()
    remedy, dataset = "Let the property tasks, and the attributes user and item, match the data", declare(name)
    expect(declared.tasks == dataset.tasks, str(dataset.tasks), declared.tasks, remedy)
    roles, expected = (declared.user, declared.item), (dataset.user, dataset.item)
    expect(roles == expected, f"user and item {expected}", roles, remedy)


@contracts.once("__init__")
def it_has_a_seed_of_its_split_or_none(name: str) -> None:
    """The seed of a run must not change the split."""
    parameters = {field.name for field in dataclasses.fields(registry.datasets.config(name))}
    expect("seed" not in parameters, "no parameter seed", "one", "Call it split_seed: it draws the split, not the run")


@contracts.once("build", decides=True)
def its_splits_are_what_its_schema_says(name: str) -> None:
    """Shapes, types and codes."""
    data = built(name)
    schema, declared = data.schema, declare(name)
    remedy = "Hand the columns to `benchmark.datasets.prepare.prepare`, which takes care of this"
    expect(schema.tasks == declared.tasks, str(declared.tasks), schema.tasks, remedy)
    roles = (schema.user, schema.item)
    expect(roles == (declared.user, declared.item), f"user and item {(declared.user, declared.item)}", roles, remedy)
    for what, split in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        expect(len(split) > 0, "rows in every split", "none in one", "Look at how rows are split")
        try:
            split.features.check(schema, what)
        except ValueError as error:
            broken("a column per field, and codes from 0 to the field's cardinality - 1", f"{error}", remedy)
        expect(len(split.features) == len(split), f"{len(split)} rows of features", len(split.features), remedy)
        expect(split.labels.shape == (len(split), len(schema.tasks)), "a label per task", split.labels.shape, remedy)
        expect(np.isfinite(split.features.numeric).all(), "finite numeric values", "some that are not", remedy)


@contracts.once("build")
def every_value_that_train_has_is_known(name: str) -> None:
    """Index 0 is for values not in train, and for those on fewer rows of train than the parameter `min_frequency` demands."""
    remedy = "Fit the vocabularies on train, and hand min_frequency to `prepare`"
    data, least = built(name), getattr(declare(name), "min_frequency", 1)
    for place, field in enumerate(data.schema.categorical):
        unseen, *known = np.bincount(data.train.features.categorical[:, place], minlength=field.cardinality)
        if unseen:
            expect(least > 1, f"no index 0 of {field.name} in train", f"{unseen} of them", remedy)
            expected = f"index 0 of {field.name} for values on fewer than {least} rows of train alone"
            expect(
                min(known, default=least) >= least, expected, f"a value on {min(known, default=0)} has its own", remedy
            )


@contracts.once("build")
def labels_vary_in_train(name: str) -> None:
    """A constant teaches nothing."""
    data = built(name)
    for number, task in enumerate(data.schema.tasks):
        label = np.asarray(data.train.labels[:, number])
        values = len(np.unique(label[~np.isnan(label)]))
        expect(values >= 2, f"at least two labels of {task.name} in train", values, "Look at the task, or at the split")


@contracts.once("read", "build")
def building_it_again_gives_the_same_rows(name: str) -> None:
    """The second time without the cache, as on another machine."""
    data = built(name)
    remedy = "Draw from a generator with a seed, such as split_seed, and read files in a fixed order"
    with (
        scratch_folder(Path(gettempdir()), "contracts") as folder,
        patch.object(prepare, "cache_folder", lambda: folder),
    ):
        again = built(name)
        expect(again.fingerprint == data.fingerprint, f"fingerprint {data.fingerprint}", again.fingerprint, remedy)
        for what in SPLITS:
            first, second = (getattr(of, what) for of in (data, again))
            expect(len(first) == len(second), f"{len(first)} {what} rows again", len(second), remedy)
            arrays = [
                [*split.features.arrays(), split.labels, *([] if split.weights is None else [split.weights])]
                for split in (first, second)
            ]
            same = all(one.tobytes() == other.tobytes() for one, other in zip(*arrays, strict=True))
            expect(same, f"the same {what} rows again", "others", remedy)


@contracts.once("build")
def what_it_offers_for_recommendations_covers_every_field(name: str) -> None:
    """Every field belongs to the user, to the item or to the context."""
    data = built(name)
    if data.catalogue is None:
        remedy = "Name the user's and the item's fields in the Table"
        expect(
            None in (data.schema.user, data.schema.item), "a catalogue, as there are users and items", "none", remedy
        )
        return
    users, items = data.catalogue.users, data.catalogue.items
    parts = (users.features, items.features, data.catalogue.context)
    fields = sorted(field.name for field in data.schema.fields)
    found = sorted(field.name for part in parts for field in part.fields)
    expect(found == fields, f"each of {fields} once", found, "Let user_fields and item_fields of the Table not overlap")
    for what, entities in (("user", users), ("item", items)):
        unique = len(np.unique(entities.ids)) == len(entities.ids)
        expect(
            unique, f"each {what} once", "some twice", f"A column of {what}_fields has to be constant within the {what}"
        )
