"""Any schema, architecture and weighting: they train, or say in one line why not."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark import TrainerConfig
from benchmark.contracts.toys import LISTS, make_batch
from benchmark.datasets import Data
from benchmark.kinds import KINDS
from benchmark.rows import Features, Split
from benchmark.schema import CategoricalField, NumericField, Schema, Task
from benchmark.seeding import initialise, seeded
from benchmark.settings.registry import architectures, weightings
from benchmark.training.judgeable import check_judgeable
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Fit, Trainer

ROWS = 24  # of each split; three steps
SMALL = {"embedding_dim": 4, "num_experts": 3, "expert_dims": (8,), "tower_dims": (4,), "bottom_dims": (8,)}
ODD_NAMES = ("a.b", "type", "keys", "für Ute", "x|y", "self", "forward", "weights", "0", "a b")


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """Fields of all kinds and one to four tasks of all kinds, funnels among them."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 40, 5000]), max_size=4))
    names = draw(st.permutations(ODD_NAMES))
    categorical = tuple(CategoricalField(f"c{number}", size) for number, size in enumerate(sizes))
    numeric = tuple(NumericField(f"n{number}") for number in range(draw(st.integers(0, 2))))
    known = {field.name: field.cardinality for field in categorical}
    lists = [other for other in LISTS if other.shares is None]
    lists += [replace(other, cardinality=known[other.shares]) for other in LISTS if other.shares in known]
    tasks: list[Task] = []
    for name in names[: draw(st.integers(1, 4))]:
        kind = draw(st.sampled_from(sorted(KINDS)))
        parents = [None, *(task.name for task in tasks if KINDS[task.kind].is_binary)]
        given = draw(st.sampled_from(parents)) if KINDS[kind].is_binary else None
        fewest = KINDS[kind].fewest_outputs
        tasks.append(Task(name, kind, given=given, num_outputs=fewest if KINDS[kind].most_outputs else fewest + 1))
    has_user = len(sizes) > 1 and draw(st.booleans())
    return Schema(
        categorical, numeric, tuple(tasks),
        user="c0" if has_user else None, item="c1" if has_user else None,
        others=tuple(draw(st.sets(st.sampled_from(lists), max_size=2))) if lists else (),
        user_fields=("c0", *(field.name for field in numeric[:1])) if has_user else (),
    )  # fmt: skip


def split(schema: Schema, seed: int, *, gaps: bool) -> Split:
    """Toy rows as numpy arrays; with gaps, a third of the labels are not observed."""
    batch = make_batch(schema, ROWS, seed)
    other = {field: {name: array.numpy() for name, array in of.items()} for field, of in batch.features.others.items()}
    features = Features(schema.fields, batch.categorical.numpy(), batch.numeric.numpy(), other)
    labels = batch.labels.double().numpy()
    if gaps:
        labels[np.random.default_rng(seed).random(labels.shape) < 1 / 3] = np.nan
    return Split(features, labels)


class Silent:
    def step(self, count: int) -> None:
        pass

    def epoch(self, entry: dict[str, Any]) -> None:
        pass


def config(name: str) -> Any:
    made = architectures.config(name)
    known = {field.name for field in dataclasses.fields(made)}
    return architectures.config(name, **{key: value for key, value in SMALL.items() if key in known})


def train(schema: Schema, architecture: str, weighting: str, seed: int, *, gaps: bool) -> tuple[torch.nn.Module, Fit]:
    """One epoch, in the order of `benchmark.runs.runner`."""
    data = Data(schema, *(split(schema, seed + number, gaps=gaps) for number in range(3)), fingerprint="")
    reason = architectures.get(architecture).requires(schema)  # type: ignore[attr-defined]
    if reason is not None:
        raise ValueError(reason)
    trainer = TrainerConfig(max_epochs=1, batch_size=8)
    scale = TargetScale.of(data.train, schema.tasks)
    check_judgeable(data, trainer.monitor)
    data.test.features.check(schema, "test")
    with seeded(seed, "init"):
        model = architectures.build(config(architecture), schema)
    initialise(model, seed)
    with seeded(seed, "weighting"):
        balance = weightings.build(weightings.config(weighting), schema.tasks)
    device = torch.device("cpu")
    fit = Trainer(model, balance, data, trainer, scale=scale, seed=seed, device=device).fit(
        Silent(), lambda entry: None
    )
    return model, fit


@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    schema=schemas(),
    architecture=st.sampled_from(architectures.names()),
    weighting=st.sampled_from(weightings.names()),
    seed=st.integers(0, 99),
    gaps=st.booleans(),
)
def test_it_trains_or_says_in_one_line_why_not(
    schema: Schema, architecture: str, weighting: str, seed: int, *, gaps: bool
) -> None:
    reason = None
    try:
        model, fit = train(schema, architecture, weighting, seed, gaps=gaps)
    except ValueError as error:
        reason = str(error)
    if reason is not None:
        assert reason.strip()
        assert len(reason.splitlines()) == 1
        return
    assert fit.steps == ROWS // 8 or fit.diverged is not None
    if fit.diverged is None:
        assert all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())
    else:
        assert len(str(fit.diverged).splitlines()) == 1
