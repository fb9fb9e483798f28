"""The built-in data sets are those that records were made on: same fingerprint, same hash of the test rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.datasets import Data
from benchmark.records.record import TRIAL, load_records
from benchmark.runs.described import identify
from benchmark.settings.registry import datasets

RECORDS = Path(__file__).parents[3] / "results" / "records"
DEFAULTS = {  # fingerprint and hash of the test rows, with the default parameters
    "shop": ("ca6fa0168351dc69eca6c1cb59c645fd160a3932cd5f22a199f59dcd7987e538", "fc54156af87c5dfb"),
    "synthetic": ("4a2a837229185cb0e0c2e1741376774e0cecb497fdbe72142eed348f0b8f5029", "bc2a4571d15146d7"),
    "movielens_100k": ("b7fc25d503836bfe4d29dbb8f976f8a78e74a743c5fe74eca0dcd1530d472052", "bdf1703e78be5d69"),
    "movielens": ("b7fc25d503836bfe4d29dbb8f976f8a78e74a743c5fe74eca0dcd1530d472052", "bdf1703e78be5d69"),
    "online_shoppers": ("d8fad9de96f7d41be495a4ab3b0ce4a950069fea222162b937f56666aec6a2d1", "4ed2ac654bdb0021"),
    "census_income": ("fdf86bb93e8f36f0f68aa205d5bad0a9662cd738078ae56ee4efa076203036cc", "3c695bc028625a2a"),
    "kuairand": ("6275aa589c3087c0081127c909ee010efb9a3da549014ee901cf5b2fd1a29c9f", "4d90da10dffabf30"),
}
DRAWN = ("shop", "synthetic")


def built(name: str, **parameters: object) -> Data:
    data: Data = datasets.build(datasets.config(name, **parameters)).build()
    return data


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_built_in_data_set_is_what_it_was(name: str, request: pytest.FixtureRequest) -> None:
    if name not in DRAWN:
        request.getfixturevalue("real_data")
    found = identify(built(name), "default")
    assert (found["fingerprint"], found["test_rows"]) == DEFAULTS[name]


@pytest.mark.parametrize("folder", ["census", "census_tuned", "kuairand", "kuairand_tuned", "synthetic"])
def test_a_published_run_would_be_on_the_same_rows(folder: str, request: pytest.FixtureRequest) -> None:
    record = next(record for record in load_records(RECORDS / folder) if record.purpose != TRIAL)
    parameters = dict(record.config["dataset"])
    name = parameters.pop("name")
    if name not in DRAWN:
        request.getfixturevalue("real_data")
    found = identify(built(name, **parameters), "default")
    assert {key: found[key] for key in ("fingerprint", "splits", "test_rows")} == {
        key: record.dataset[key] for key in ("fingerprint", "splits", "test_rows")
    }
