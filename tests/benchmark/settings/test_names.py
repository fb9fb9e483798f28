"""What a group takes is a name: the line for paths, for several names in one, and for what one wrote oneself."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.settings.keys import GROUPS, SHORT, kind, near_places, options, places
from benchmark.settings.names import CHAPTERS, no_such_name, split_path

CONTRIBUTING = Path(__file__).parents[3] / "CONTRIBUTING.md"


@pytest.mark.parametrize("path", ["./my.csv", "my.csv", "/tmp/my.parquet", "~/my.csv", "../data/my"])
def test_a_path_for_a_data_set_is_told_how_own_data_come_in(path: str) -> None:
    assert no_such_name(*split_path(f"dataset/{path}")) == (
        f"dataset: expected a name, found the path {path!r}; a table of your own is dataset=table dataset.file=FILE, "
        "with a YAML that `mtlbench data describe` writes; other data of your own need a small Python file that registers a name: "
        f'`mtlbench new dataset NAME` writes one (CONTRIBUTING.md, "A data set"); known: {", ".join(options("dataset"))}'
    )


def test_the_chapters_are_there() -> None:
    text = CONTRIBUTING.read_text("utf-8")
    assert all(f"\n## {chapter}\n" in text for chapter in CHAPTERS.values())


def test_other_groups_have_their_own_ways_in() -> None:
    assert "`mtlbench new architecture NAME` writes a package that registers one" in no_such_name(
        "architecture", "my_net.py"
    )
    assert '(CONTRIBUTING.md, "A weighting")' in no_such_name("weighting", "my_weight.py")
    assert "--config-dir FOLDER finds them" in no_such_name("experiment", "./mine.yaml")
    assert no_such_name("tracker", "./x").startswith("tracker: expected a name, found the path './x'; known: none")


@pytest.mark.parametrize("name", ["mmoe+ple", "mmoe/ple", "mmoe ple", "mmoe;ple"])
def test_several_names_in_one_are_a_sweep(name: str) -> None:
    assert no_such_name("architecture", name).endswith("to sweep over several, write architecture=mmoe,ple")


def test_half_of_a_launchers_name_is_enough_for_a_guess() -> None:
    known = ["basic", "joblib", "submitit_local", "submitit_slurm"]
    assert "'slurm'; did you mean submitit_slurm? known" in no_such_name("hydra/launcher", "slurm", known)


def test_groups_of_hydra_keep_their_slash() -> None:
    assert split_path("hydra/launcher/basik") == ("hydra/launcher", "basik")
    assert no_such_name("hydra/launcher", "basik", ["basic", "joblib"]).startswith(
        "unknown hydra/launcher 'basik'; did you mean basic?"
    )


def test_short_forms_stand_for_keys_that_there_are() -> None:
    for key in SHORT.values():
        assert kind(key) is not None or key in GROUPS or key.startswith("hydra"), key
    assert all(places(short) == [key] for short, key in SHORT.items())


def test_a_parameter_is_found_under_its_group() -> None:
    assert places("learning_rate") == places("Learning-Rate") == ["trainer.learning_rate", "weighting.learning_rate"]
    assert places("num_shared_experts") == ["architecture.num_shared_experts"]
    assert near_places("bach_size") == ["trainer.batch_size"]
    assert places("nonsense") == near_places("nonsense") == []
