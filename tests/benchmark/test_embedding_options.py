"""`embedding.*`: part of a run's identity where it is not the default, and of its model, checkpoint and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import Record, RunConfig, TrainerConfig, configure, load, load_record, recommend, report, run
from benchmark.datasets.movielens_100k import MovieLens100K
from benchmark.lists import MultiValuedField, SequenceField, pooled
from benchmark.pooling import AttentionPooling, SequencePooling
from benchmark.runs.matching import matched
from benchmark.runs.runner import build_model
from benchmark.settings.composition import compose_run
from benchmark.settings.config import EmbeddingConfig
from benchmark.settings.hydra_text import command_text
from benchmark.settings.registry import plain
from tests.benchmark.datasets.fixtures import write_movielens
from tests.benchmark.test_lists import lists_of


@pytest.fixture(autouse=True)
def _films(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.getbasetemp() / "films"
    if not folder.exists():
        write_movielens(folder / "movielens_100k")
    monkeypatch.setenv("MTLBENCH_DATA", str(folder))


def config(folder: Path | str = "results/runs", **embedding: str) -> RunConfig:
    return RunConfig(
        dataset=configure("dataset", "movielens_100k", genres="list", history=5),
        architecture="shared_bottom",  # type: ignore[arg-type]
        embedding=EmbeddingConfig(**embedding),
        trainer=TrainerConfig(max_epochs=1, batch_size=200),
        save_checkpoint=True,
        results_dir=str(folder),
    )


def test_the_default_is_no_part_of_the_identity_and_another_choice_is() -> None:
    assert "embedding" not in config().identity
    assert config(multi="mean", sequence="mean").id == config().id
    ids = {config(sequence="attention").id, config(multi="sum").id, config(multi="sum", sequence="attention").id}
    assert len(ids | {config().id}) == 4
    assert config(sequence="attention").identity["embedding"] == {"sequence": "attention"}


def test_the_command_line_says_the_same_as_python() -> None:
    words = "dataset=movielens_100k dataset.history=5 dataset.genres=list embedding.sequence=attention architecture=shared_bottom"
    composed = compose_run([*words.split(), "trainer.max_epochs=1", "trainer.batch_size=200"])
    assert composed.id == config(sequence="attention").id
    values = plain(config(sequence="attention"))
    assert RunConfig.restored(values) == config(sequence="attention")
    assert "embedding.sequence=attention" in command_text(values)
    assert "embedding" not in command_text(plain(config()))
    assert RunConfig.restored(plain(config())).embedding is not config().embedding


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("multi", "embedding.multi must be one of mean, sum, found 'max'"),
        ("sequence", "embedding.sequence must be one of mean, attention, found 'max'"),
    ],
)
def test_other_values_are_refused(key: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        EmbeddingConfig(**{key: "max"})


def test_data_without_such_a_field_refuse_it(tmp_path: Path) -> None:
    flags = configure("dataset", "movielens_100k")
    for embedding, message in (
        (
            EmbeddingConfig(sequence="attention"),
            "embedding.sequence=attention changes nothing here, since these data have no seq",
        ),
        (
            EmbeddingConfig(multi="sum"),
            "embedding.multi=sum changes nothing here, since these data have no multi-valued field",
        ),
    ):
        with pytest.raises(ValueError, match=f"^dataset movielens_100k: {message}"):
            run(RunConfig(dataset=flags, architecture="mmoe", embedding=embedding, results_dir=str(tmp_path)))  # type: ignore[arg-type]
    assert not [*tmp_path.rglob("*.json")]


def test_it_decides_the_model_and_the_rows_stay_those_of_the_data() -> None:
    schema = MovieLens100K(genres="list", history=5).build().schema
    attention = pooled(schema, multi="sum", sequence="attention")
    assert attention == schema
    assert attention.to_json() == schema.to_json()
    assert [field.pooling for field in attention.others if isinstance(field, MultiValuedField | SequenceField)] == [
        "sum",
        "attention",
    ]
    data = MovieLens100K(genres="list", history=5).build()
    for sequence, kind in (("mean", SequencePooling), ("attention", AttentionPooling)):
        model, _ = build_model(config(sequence=sequence), data)
        assert [isinstance(module, kind) for module in model.modules()].count(True) == 1


def trained(folder: Path, **embedding: str) -> Record:
    record = run(config(folder, **embedding))
    assert record.status == "finished"
    return record


def test_records_checkpoints_and_reports_tell_them_apart(tmp_path: Path) -> None:
    records = [trained(tmp_path), trained(tmp_path, sequence="attention"), trained(tmp_path, multi="sum")]
    assert len({json.dumps(record.metrics) for record in records}) == 3
    assert len({json.dumps(record.dataset, sort_keys=True) for record in records}) == 1, "the same data"
    assert records[0].cost["multiply_adds"] < records[1].cost["multiply_adds"]
    data = MovieLens100K(genres="list", history=5).build()
    for record in records:
        path = record.path(tmp_path)
        assert load_record(path).method_config.get("embedding", {}) == plain(
            RunConfig.restored(record.config).embedding
        )
        outputs = load(path).predict(data.test.features)
        assert np.isfinite(outputs["liked"]).all()
    report(
        tmp_path,
        baseline="shared_bottom/equal [embedding.multi=mean, embedding.sequence=mean]",
        html=tmp_path / "r.html",
    )
    page = (tmp_path / "r.html").read_text()
    assert "embedding.sequence=attention" in page


def test_recommendations_have_all_that_the_user_did_in_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_movielens(tmp_path / "movielens_100k")
    log = tmp_path / "movielens_100k" / "ml-100k" / "u.data"  # in no order of time
    ratings = [line.split("\t") for line in log.read_text().splitlines()]
    times = np.random.default_rng(0).permutation(len(ratings)).tolist()
    log.write_text("".join("\t".join([*row[:3], str(time)]) + "\n" for row, time in zip(ratings, times, strict=True)))
    time_of = {tuple(row[:2]): time for row, time in zip(ratings, times, strict=True)}
    assert len(time_of) == len(ratings)
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))

    data = MovieLens100K(genres="list", history=5).build()
    assert data.catalogue is not None
    (history,) = (field for field in data.schema.others if field.name == "history")
    latest = lists_of(data.catalogue.users.features.others[history])
    train, known = data.train.features, data.catalogue.items
    name_of = dict(zip(known.codes.tolist(), known.ids.tolist(), strict=True))
    codes, items = (np.array(train.column(name)) for name in ("user", "item"))
    of_rows = lists_of(train.others[history])
    for user in range(0, len(latest), 7):
        code, name = data.catalogue.users.codes[user], str(data.catalogue.users.ids[user])
        its = sorted(items[codes == code].tolist(), key=lambda item: time_of[name, name_of[item]])
        assert latest[user] == its[-5:]
        longest = max((row for row, c in zip(of_rows, codes, strict=True) if c == code), key=len)
        assert len(longest) == min(5, len(its) - 1), "no row has itself in its history"
    rows = recommend(trained(tmp_path, sequence="attention"), data.catalogue.users.ids[3], k=3, score="liked").rows
    assert len(rows) == 3


def test_another_size_is_matched_with_the_attention() -> None:
    schema: Any = MovieLens100K(genres="list", history=5).build().schema
    sizes = []
    for embedding in (EmbeddingConfig(), EmbeddingConfig(sequence="attention")):
        asked = config()
        asked.embedding, asked.match_parameters = embedding, 30_000
        found = matched(asked, schema)
        sizes.append(found.matched["parameters"])
        assert abs(sizes[-1] - 30_000) < 900
    assert sizes[0] != sizes[1]
