"""A run for which memory does not suffice: failed, with a reason, and gone from memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import RunConfig, configure, load_records
from benchmark.runs import runner, sweep
from benchmark.runs.memory import LESS, in_words, is_out_of_memory


def ask_torch() -> None:
    torch.empty(10**15)


def ask_numpy() -> None:
    np.empty(10**15)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (
            ask_torch,
            "out of memory: can't allocate memory: you tried to allocate 4000000000000000 bytes. Error code 12",
        ),
        (ask_numpy, "out of memory: Unable to allocate 7.11 PiB for an array with shape (1000000000000000,)"),
    ],
)
def test_an_error_of_the_cpu_is_told_as_what_it_is(ask: object, told: str) -> None:
    assert callable(ask)
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert is_out_of_memory(caught.value)
    assert in_words(caught.value).startswith(told)
    assert in_words(caught.value).endswith(f"; {LESS}")


def test_other_errors() -> None:
    assert in_words(MemoryError()) == f"out of memory; {LESS}"
    assert in_words(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")).startswith(
        "out of memory: CUDA out of memory. Tried to allocate 2 GiB."
    )
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert in_words(RuntimeError("shapes do not match")) == "shapes do not match"


def test_the_run_failed_and_what_it_held_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held: list[weakref.ref[torch.nn.Module]] = []

    def fit(self: runner.Trainer, *_: object) -> None:
        self.model.itself = [self.model]  # a circle, as a graph may have it
        held.append(weakref.ref(self.model))
        ask_torch()

    monkeypatch.setattr(runner.Trainer, "fit", fit)
    monkeypatch.setattr(sweep, "typed", lambda config: config)
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    gc.disable()
    try:
        config = RunConfig(dataset=shop, architecture="shared_bottom", results_dir=str(tmp_path))  # type: ignore[arg-type]
        assert sweep.attempt(config) == "failed"  # type: ignore[arg-type]
        assert held[0]() is None
    finally:
        gc.enable()
    (record,) = load_records(tmp_path)
    assert record.status == "failed" and record.error is not None
    assert record.error["message"].startswith("out of memory: can't allocate memory: you tried to allocate")
    assert "failed: RuntimeError: out of memory: can't allocate" in capsys.readouterr().err
