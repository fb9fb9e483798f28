"""An architecture that needs what a data set lacks says so, and names the data sets that have it."""

from __future__ import annotations

import pytest

from benchmark.runs.runner import check
from benchmark.settings.config import RunConfig
from benchmark.settings.listing import listing
from benchmark.settings.registry import architectures, configure, datasets
from benchmark.settings.suitability import refusal, suitable

OF_FUNNELS = ("chorus_cvr", "dcmt", "escm2", "esmm", "funnel_softmax", "resflow")
DECLARED = [name for name in datasets.names() if name != "table"]  # what a table has, its file says
WITH_FUNNELS = ["ali_ccp", "aliexpress", "criteo_uplift", "shop"]
WITH_USERS = [
    "ali_ccp", "criteo_attribution", "kuairand", "kuairec", "movielens", "movielens_100k", "shop", "tenrec", "vk_lsvd",
]  # fmt: skip
FUNNELS, USERS = ", ".join(WITH_FUNNELS), ", ".join(WITH_USERS)


@pytest.fixture(autouse=True)
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in datasets.names():
        monkeypatch.setattr(datasets.get(name), "build", lambda self: pytest.fail("data was read"))


@pytest.mark.parametrize("name", OF_FUNNELS)
def test_some_data_sets_have_a_funnel(name: str) -> None:
    assert suitable(name) == WITH_FUNNELS


def test_some_data_sets_have_users_and_most_architectures_suit_all() -> None:
    assert suitable("pepnet") == suitable("poso") == WITH_USERS
    assert suitable("mmoe") == DECLARED
    needing = {name for name in architectures.names() if suitable(name) != DECLARED}
    assert needing == {*OF_FUNNELS, "aitm", "pepnet", "poso"}


@pytest.mark.parametrize(
    ("dataset", "architecture", "told"),
    [
        ("census_income", "esmm", f"needs a funnel: a task that is given another; data sets that suit it: {FUNNELS}"),
        ("synthetic", "poso", f"needs a user field, which its gates read; data sets that suit it: {USERS}"),
    ],
)
def test_the_error_before_any_run_names_them(dataset: str, architecture: str, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        check(RunConfig(dataset=dataset, architecture=architecture))  # type: ignore[arg-type]
    line = f"architecture {architecture} does not suit dataset {dataset}: {told}"
    assert str(caught.value) == f"{line} (mtlbench list architectures --for {dataset})"


def test_a_data_set_that_lost_its_funnel_is_named_with_what_brings_it_back() -> None:
    without = configure("dataset", "shop", tasks=("click", "duration"))
    with pytest.raises(ValueError, match=f"; data sets that suit it: {FUNNELS} with its default parameters "):
        check(RunConfig(dataset=without, architecture="dcmt"))  # type: ignore[arg-type]


def test_an_architecture_for_no_data_set_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures.get("mmoe"), "requires", classmethod(lambda cls, schema: "needs a pony"))
    assert refusal("mmoe", "shop", "needs a pony") == (
        "mmoe does not suit dataset shop: needs a pony; data sets that suit it: none"
    )


def test_a_data_set_that_cannot_be_declared_does_not_hide_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = property(lambda self: 1 / 0)
    monkeypatch.setattr(datasets.get("synthetic"), "tasks", broken)
    told = (
        f"architecture esmm does not suit dataset census_income: needs a funnel.*; data sets that suit it: {FUNNELS} "
    )
    with pytest.raises(ValueError, match=told):
        check(RunConfig(dataset="census_income", architecture="esmm"))  # type: ignore[arg-type]
    assert "not for census_income:" in listing("architectures", suits="census_income")
    assert suitable("mmoe") == [name for name in DECLARED if name != "synthetic"]
