"""Predictions beside a record: what is read back is what was written, to a float16, and what does not fit is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from benchmark.records.predictions import (
    load_predictions,
    load_test_rows,
    path_of_predictions,
    path_of_test_rows,
    save_predictions,
    save_test_rows,
)
from benchmark.records.record import Record, load_record
from tests.benchmark.reporting.fabricate import record

ROWS = 5000


def outputs() -> dict[str, np.ndarray]:
    """Ordinary logits, logits beyond float16, and seconds since 1970."""
    rng = np.random.default_rng(0)
    wild = rng.normal(size=ROWS)
    wild[7] = 1e6
    return {"click": rng.normal(-3, 1.5, ROWS), "like": wild, "play_time": 1.7e9 + 3e4 * rng.normal(size=ROWS)}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Record]:
    of = record("videos")
    path = path_of_predictions(of.write(tmp_path))
    save_predictions(path, of, {"joint": outputs(), "per_task": {"like": outputs()["like"] + 1}})
    return path, load_record(of.path(tmp_path))


def test_they_are_read_back_to_a_float16_of_their_spread(made: tuple[Path, Record]) -> None:
    found = load_predictions(*made)
    assert list(found) == ["click", "like", "play_time"]
    for task, values in outputs().items():
        centred = np.abs(values - values.mean())
        # half of the last of 11 bits; below 2^-14 of the spread of a float16's smallest steps, 2^-24
        bound = np.maximum(centred * 2**-11, values.std() * 2**-25) + 1e-12 * np.abs(values)
        assert (np.abs(found[task] - values) <= bound).all()


def test_the_same_predictions_are_the_same_bytes(made: tuple[Path, Record]) -> None:
    path, of = made
    for number in range(5):  # the library has another order of keys each time, of 120
        other = path.with_name(f"{number}.safetensors")
        save_predictions(other, of, {"joint": outputs(), "per_task": {"like": outputs()["like"] + 1}})
        assert other.read_bytes() == path.read_bytes()
    assert (8 + int.from_bytes(path.read_bytes()[:8], "little")) % 8 == 0


def test_a_task_whose_own_epoch_is_the_joint_one_is_stored_once(made: tuple[Path, Record]) -> None:
    path, of = made
    tensors = load_file(path)
    assert set(tensors) == {"joint.click", "joint.like", "joint.play_time", "per_task.like"}
    assert {(value.dtype, value.shape) for value in tensors.values()} == {(np.dtype(np.float16), (ROWS,))}
    joint, own = load_predictions(path, of), load_predictions(path, of, "per_task")
    np.testing.assert_array_equal(joint["click"], own["click"])
    assert own["like"].mean() == pytest.approx(joint["like"].mean() + 1, rel=1e-3)


def test_constant_outputs_several_outputs_and_what_is_not_finite(tmp_path: Path) -> None:
    of = record("videos")
    path = path_of_predictions(of.path(tmp_path))
    broken = np.array([1.0, np.nan, 3.0, np.inf])
    each = {"click": np.full(4, 0.1), "like": broken, "play_time": np.arange(8.0).reshape(4, 2)}
    save_predictions(path, of, {"joint": each})
    found = load_predictions(path, of)
    for task, values in each.items():
        np.testing.assert_allclose(found[task], values, rtol=1e-3, atol=1e-3)
    nothing = {task: np.full(4, np.nan) for task in each}
    save_predictions(path, of, {"joint": nothing})
    assert all(np.isnan(values).all() for values in load_predictions(path, of).values())


def changed(path: Path, **metadata: str) -> None:
    with safe_open(path, framework="numpy") as file:
        before = file.metadata()
    save_file(load_file(path), path, before | metadata)


def test_a_file_that_is_not_of_the_record_is_refused(made: tuple[Path, Record]) -> None:
    path, of = made
    again = json.loads(json.dumps(of.metrics))
    again["test"]["click"]["auc"] += 1e-9  # the same run on another day
    of.metrics, before = again, of.metrics
    with pytest.raises(ValueError, match=rf"does not match the record of run {of.id}: expected metrics \w+, found"):
        load_predictions(path, of)
    of.metrics = before
    of.dataset["test_rows"] = "other"
    with pytest.raises(ValueError, match=r"expected test_rows other, found \w+; rerun=true save_predictions=true"):
        load_predictions(path, of)
    with pytest.raises(ValueError, match="expected id"):
        load_predictions(path, record("videos", seed=1))


def test_a_broken_file_is_one_line(made: tuple[Path, Record]) -> None:
    path, of = made
    with pytest.raises(ValueError, match="selection must be one of joint, per_task, found 'best'"):
        load_predictions(path, of, "best")  # type: ignore[arg-type]
    changed(path, format="2")
    with pytest.raises(ValueError, match="has format 2, and this mtlbench reads up to 1"):
        load_predictions(path, of)
    changed(path, format="1")
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file({name: tensors[name] for name in tensors if "click" not in name}, path, metadata)
    with pytest.raises(ValueError, match="has no predictions of click"):
        load_predictions(path, of)
    save_file(tensors, path)
    with pytest.raises(ValueError, match="is not a file of predictions: it has no format, id"):
        load_predictions(path, of)
    path.write_bytes(b"half")
    with pytest.raises(ValueError, match="is not a file of predictions"):
        load_predictions(path, of)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        load_predictions(path, of)


def test_test_rows_are_read_back_exactly(tmp_path: Path) -> None:
    labels = np.array([[0.0, 1.7e9 + 1], [1.0, np.nan], [np.nan, 1.7e9 + 2]])
    path = path_of_test_rows(tmp_path / "shop" / "mmoe" / "equal" / "0123.json", "abc")
    assert path == tmp_path / "shop" / "test_rows" / "abc.safetensors"
    save_test_rows(path, ("click", "seconds"), labels, np.array([3, -2, 3]))
    found = load_test_rows(path)
    for column, task in enumerate(("click", "seconds")):
        np.testing.assert_array_equal(found.labels[task], labels[:, column])
    assert found.users is not None and found.users.tolist() == [3, -2, 3]
    save_test_rows(path, ("click", "seconds"), labels, None)
    assert load_test_rows(path).users is None
    path.rename(path.with_name("other.safetensors"))
    with pytest.raises(ValueError, match="has other test rows than its name says: abc"):
        load_test_rows(path.with_name("other.safetensors"))
