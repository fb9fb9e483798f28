"""Rules for every architecture, on every schema that it says it suits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema
from architectures.layers import FeatureEmbedding
from benchmark.contracts.expectation import Contracts, NotApplicable, broken, expect, expect_close
from benchmark.contracts.interrupted import goes_on_from_its_file
from benchmark.contracts.toys import SCHEMAS, build, make_batch, make_schema, task_losses, training_loss
from benchmark.kinds import get
from benchmark.records.record import PLAIN_WEIGHTING
from benchmark.runs.matching import scaled_to, size, widths_of
from benchmark.seeding import initialise, seeded
from benchmark.settings import registry
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.training.gradients import count_shared


def suited(name: str) -> dict[str, Schema]:
    """The small schemas that an architecture says it suits."""
    requires = registry.architectures.get(name).requires  # type: ignore[attr-defined]
    return {title: schema for title, schema in SCHEMAS.items() if requires(schema) is None}


def _settings(name: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for title, schema in suited(name).items():
        yield title, (schema,)


contracts = Contracts(_settings)


@contracts.once("requires")
def it_suits_a_schema(name: str) -> None:
    """`requires` may refuse some schemas, but not all."""
    requires = registry.architectures.get(name).requires  # type: ignore[attr-defined]
    reasons = {title: requires(schema) for title, schema in SCHEMAS.items()}
    remedy = "Let `requires` return None for a schema that the architecture can be trained on"
    expect(None in reasons.values(), "an architecture that suits one of the small schemas", reasons, remedy)


@contracts.once("__init__")
def its_configuration_composes_into_the_one_that_python_makes(name: str) -> None:
    """The command line and Python give the same configuration and id."""
    composed, made = compose_run(["dataset=shop", f"architecture={name}"]), registry.architectures.config(name)
    remedy = "Give every keyword-only parameter an annotation and a default of that type"
    expect(composed.architecture == made, str(made), composed.architecture, remedy)
    expected = RunConfig(dataset="shop", architecture=name).id  # type: ignore[arg-type]
    expect(composed.id == expected, f"id {expected}", composed.id, remedy)


@contracts.everywhere("forward", decides=True)
def outputs_are_finite_and_one_row_each(name: str, schema: Schema) -> None:
    """Every task has outputs on every row, in training too, for one row and for several."""
    for rows in (1, 8):
        model, batch = build(name, schema), make_batch(schema, rows)
        _check_outputs(model.eval()(batch), schema, rows, "forward")
        if rows > 1:  # batch norm cannot train on one row
            step: Any = model.train().training_step(batch)
            is_pair = isinstance(step, tuple) and len(step) == 2 and isinstance(step[1], dict)
            remedy = "Return `outputs, {}` where there are no extra losses"
            expect(is_pair, "a tuple of outputs and a dict of extra losses", _typed(step), remedy, "training_step")
            _check_outputs(step[0], schema, rows, "training_step")


def _check_outputs(outputs: Any, schema: Schema, rows: int, at: str) -> None:
    remedy = "Return {task: (B,)} for the tasks of the schema, in their order, from `forward` and `training_step`"
    expect(isinstance(outputs, dict), "a dict of outputs", _typed(outputs), remedy, at)
    expect(tuple(outputs) == schema.task_names, f"outputs of {listed(schema)}", _found(outputs, schema), remedy, at)
    for task, output in outputs.items():
        expect(isinstance(output, Tensor), f"a tensor for {task}", _typed(output), remedy, at)
        shape, wanted = tuple(output.shape), (rows, *schema.task(task).output_shape)
        expect(shape == wanted, f"shape {wanted} for {task}, on a batch of {rows}", shape, remedy, at)
        expect(output.dtype == torch.float32, f"float32 for {task}", output.dtype, remedy, at)
        is_finite = output.isfinite().all()
        expect(is_finite, f"finite outputs for {task}", output, "Look for log(0) or x / 0", at)


def listed(schema: Schema) -> str:
    """`like, share`."""
    return ", ".join(schema.task_names)


def _typed(value: object) -> str:
    """What was found, by its type: `None`, `a Tensor`, `a tuple of dict, list`."""
    parts = f" of {', '.join(type(part).__name__ for part in value)}" if isinstance(value, tuple) else ""
    return "None" if value is None else f"a {type(value).__name__}{parts}"


def _found(outputs: dict[str, Tensor], schema: Schema) -> str:
    """What is wrong with the tasks of outputs."""
    missing = [task for task in schema.task_names if task not in outputs]
    others = [task for task in outputs if task not in schema.task_names]
    if missing:
        return f"none for {', '.join(missing)}"
    return f"also {', '.join(map(str, others))}" if others else f"{', '.join(outputs)}, in this order"


@contracts.everywhere("forward", decides=True)
def two_passes_in_evaluation_give_the_same_outputs(name: str, schema: Schema) -> None:
    """Nothing is drawn in evaluation mode, whatever the generators' states are, even with dropout."""
    model, batch = build(name, schema, **_dropout(name)).eval(), make_batch(schema, 8)
    first, second = model(batch), model(batch)
    remedy = "Draw random numbers in training mode alone: nn.Dropout does, and self.training tells"
    expect_close(second, first, "the same outputs in a second pass over a batch", remedy)


def _dropout(name: str) -> dict[str, Any]:
    """The parameter `dropout` at 0.5, where an architecture has it."""
    has_it = "dropout" in {field.name for field in dataclasses.fields(registry.architectures.config(name))}
    return {"dropout": 0.5} if has_it else {}


DRAWS = 32
"""Most draws of all parameters until every logit has been below 0 and above 1. One or two are usually enough."""


@contracts.everywhere("forward")
def outputs_of_binary_tasks_are_logits(name: str, schema: Schema) -> None:
    """A logit has no bounds: with some parameters it is below 0, and with some it is above 1."""
    model, batch = build(name, schema).eval(), make_batch(schema, 64)
    unseen = {task.name: (math.inf, -math.inf) for task in schema.tasks if get(task.kind).is_binary}
    generator = torch.Generator().manual_seed(0)
    for _ in range(DRAWS):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            outputs = model(batch)
        for task, (low, high) in tuple(unseen.items()):
            # a root of a parameter may not be finite
            finite = [*filter(math.isfinite, outputs[task].tolist())]
            unseen[task] = min([low, *finite]), max([high, *finite])
            if unseen[task][0] < 0 and unseen[task][1] > 1:
                del unseen[task]
        if not unseen:
            return
    for task, (low, high) in unseen.items():
        if low > high:
            continue
        like = "probabilities" if low >= 0 else "log-probabilities" if high <= 0 else "bounded values"
        expected = f"logits of {task}, which are below 0 and above 1 for some values of the parameters"
        remedy = "Return the logit, without a sigmoid or a softmax: the loss applies the sigmoid"
        broken(expected, f"{like}, from {low:.3g} to {high:.3g} for all of {DRAWS} draws of them", remedy)
    raise NotApplicable(f"no draw of the parameters gives finite outputs of {', '.join(unseen)}")


@contracts.everywhere("forward")
def every_parameter_gets_a_gradient(name: str, schema: Schema) -> None:
    """A parameter that no loss reaches is never trained."""
    model = build(name, schema)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    silent = {parameter for parameter, value in model.named_parameters() if value.numel()}
    for step in range(3):  # a layer that starts at zero hides what is below it, at first
        optimizer.zero_grad()
        training_loss(model, make_batch(schema, 64, seed=step)).backward()
        optimizer.step()
        silent -= {p for p, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    remedy = "Use these parameters in `forward`, or do not make them on this schema"
    found, at = f"none for {', '.join(sorted(silent))}", min(silent, default="").partition(".")[0]
    expect(not silent, "a gradient for every parameter within three steps", found, remedy, at)


@contracts.everywhere("shares")
def what_says_that_it_shares_nothing_shares_nothing(name: str, schema: Schema) -> None:
    """Where `shares` is False, sweeps leave out weightings of gradients: no parameter may serve two tasks."""
    if registry.architectures.get(name).shares:  # type: ignore[attr-defined]
        raise NotApplicable("may share parameters")
    model = build(name, schema)
    shared = count_shared(model(make_batch(schema, 64)), list(model.parameters()))
    expect(shared == 0, "no parameter that two tasks reach", f"{shared:,}", "Leave `shares` at True")


@contracts.everywhere("forward")
def rows_do_not_see_each_other_in_evaluation(name: str, schema: Schema) -> None:
    """A prediction does not depend on the other rows of its batch."""
    model, batch = build(name, schema).eval(), make_batch(schema, 40)
    together = model(batch)
    remedy = "Do not reduce or normalise over the batch in evaluation mode"
    for row in (0, 17, 39):
        alone = model(batch.cut(row, row + 1))
        wanted = {task: output[row : row + 1] for task, output in together.items()}
        expect_close(alone, wanted, f"the same output for row {row} alone", remedy, rtol=1e-5, atol=1e-5)


@contracts.everywhere("forward")
def outputs_do_not_read_labels(name: str, schema: Schema) -> None:
    """`forward` is the same whatever the labels are."""
    model, batch = build(name, schema).eval(), make_batch(schema, 8)
    without = dataclasses.replace(batch, labels=torch.full_like(batch.labels, torch.nan), observed=~batch.observed)
    remedy = "Read labels in `training_step` only, for extra losses"
    expect_close(model(without), model(batch), "the same outputs without labels", remedy)


@contracts.everywhere("training_step")
def a_batch_without_labels_leaves_no_nan(name: str, schema: Schema) -> None:
    """Extra losses are finite scalars of a known task, even without observed labels."""
    model, batch = build(name, schema), make_batch(schema, 8)
    without = dataclasses.replace(batch, labels=torch.zeros_like(batch.labels), observed=~batch.observed)
    _, auxiliaries = model.training_step(without)
    for loss, auxiliary in auxiliaries.items():
        found = f"{auxiliary.value}"
        expect(auxiliary.value.shape == (), f"a scalar as extra loss {loss}", found, "Reduce it over the batch")
        remedy = "Divide by the number of observed rows, at least 1"
        expect(auxiliary.value.isfinite(), f"a finite extra loss {loss} without labels", found, remedy)
        known = (None, *schema.task_names)
        expect(
            auxiliary.task in known,
            f"a task of {known} for {loss}",
            auxiliary.task,
            "Name a task of the schema, or None",
        )


@contracts.everywhere("reset_parameters", "__init__")
def a_seed_decides_the_initial_values(name: str, schema: Schema) -> None:
    """The same seed gives the same initial values, another seed gives others."""
    first, same, other = (build(name, schema, seed).state_dict() for seed in (3, 3, 4))
    remedy = "Draw initial values in `reset_parameters`, with torch's generator"
    expect_close(same, first, "the same initial values from the same seed", remedy)
    differs = not all(torch.equal(first[key], other[key]) for key in first)
    expect(differs, "other initial values from another seed", "the same", remedy)


@contracts.everywhere("reset_parameters", "__init__")
def embeddings_start_alike_in_every_architecture(name: str, schema: Schema) -> None:
    """Every method starts with the same table for a field, so that comparisons are about the rest."""
    for module in build(name, schema, seed=5).modules():
        if isinstance(module, FeatureEmbedding):
            reference = FeatureEmbedding(schema, module.embedding_dim)
            initialise(reference, 5)
            remedy = "Leave the initial values of a FeatureEmbedding as they are"
            expect_close(module.state_dict(), reference.state_dict(), "the tables of the seed", remedy)


@contracts.everywhere("__init__")
def its_state_is_whole(name: str, schema: Schema) -> None:
    """Loaded into a new model, the state gives the same outputs."""
    model, other, batch = build(name, schema, 0).eval(), build(name, schema, 1).eval(), make_batch(schema, 8)
    other.load_state_dict(model.state_dict())
    remedy = "Keep all that is trained or drawn in Parameters and buffers"
    expect_close(other(batch), model(batch), "the same outputs after load_state_dict", remedy)


@contracts.everywhere("forward")
def every_loss_falls_on_a_learnable_toy(name: str, schema: Schema) -> None:
    """At most forty steps on five hundred rows, whose labels depend on the fields."""
    model, batch = build(name, schema), make_batch(schema, 512)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = last = _losses(model, batch)
    for _ in range(8):
        for _ in range(5):
            optimizer.zero_grad()
            training_loss(model, batch).backward()
            optimizer.step()
        last = _losses(model.eval(), batch)
        if all(last[task] < 0.8 * before for task, before in first.items()):
            return
        model.train()
    for task, before in first.items():
        remedy = "Outputs are logits or values, never probabilities; look for a missing path or a wrong sign"
        expect(
            last[task] < 0.8 * before,
            f"a loss of {task} below .8 of its first, {before:.3f}",
            f"{last[task]:.3f}",
            remedy,
        )


def _losses(model: Architecture, batch: Batch) -> dict[str, float]:
    with torch.no_grad():
        return {task: loss.item() for task, loss in task_losses(model, batch, model(batch)).items()}


@contracts.everywhere("forward")
def the_fast_first_layer_is_exact(name: str, schema: Schema) -> None:
    """Outputs and gradients are those of the plain product over the concatenated embeddings."""
    batch, outputs, gradients = make_batch(schema, 64), [], []
    for factored in (True, False):
        model = build(name, schema).double()
        for module in model.modules():
            if isinstance(module, FeatureEmbedding):
                module.factored = factored
        with seeded(0, "training"):  # equal draws for both
            training_loss(model, batch).backward()
            outputs.append(model(batch))
        gradients.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    remedy = "Read the embedded batch through `linear`, `dense` and `sum` alone"
    expect_close(outputs[0], outputs[1], "the plain first layer's outputs", remedy, rtol=1e-10, atol=1e-12)
    expect_close(gradients[0], gradients[1], "the plain first layer's gradients", remedy, rtol=1e-10, atol=1e-12)


@contracts.everywhere("gates")
def gates_are_shares_that_sum_to_one(name: str, schema: Schema) -> None:
    """`gates` returns weights over experts."""
    model: Architecture = build(name, schema).eval()
    for gate, weights in model.gates(make_batch(schema, 8)).items():
        remedy = "Name a gate by its task, or its tasks joined by +, and return its softmax"
        expect(set(gate.split("+")) <= set(schema.task_names), f"tasks of {schema.task_names}", gate, remedy)
        weights_EB = torch.stack(list(weights.values()))
        shape = tuple(weights_EB.shape)
        expect(shape == (len(weights), 8), "one weight per row and expert", f"shape {shape}", remedy)
        expect((weights_EB >= 0).all(), "weights of at least 0", weights_EB.min(), remedy)
        expect_close(weights_EB.sum(0), torch.ones(8), "weights that sum to one", remedy, rtol=1e-5, atol=1e-5)


@contracts.once("forward")
def dropout_is_on_in_training(name: str) -> None:
    """If there is a parameter `dropout`."""
    if not _dropout(name):
        raise NotApplicable("has no parameter dropout")
    schema = next(iter(suited(name).values()))
    model, batch = build(name, schema, **_dropout(name)), make_batch(schema, 32)
    task = schema.task_names[0]
    is_equal = torch.equal(model(batch)[task], model(batch)[task])
    expect(not is_equal, "two passes that differ in training", "equal outputs", "Hand dropout on to the hidden layers")


@contracts.once("__init__")
def its_layer_widths_carry_its_size(name: str) -> None:
    """`match_parameters` finds widths with which it has about twice as many parameters."""
    config, schema = registry.architectures.config(name), next(iter(suited(name).values()))
    if not widths_of(config):
        raise NotApplicable("has no layer widths")
    target = 2 * size(config, schema)
    _, found = scaled_to(config, schema, target)
    remedy = "Let `capacity` name the parameters that are widths of most layers"
    expect(abs(found - target) <= 0.05 * target, f"{target:,} parameters, up to 5 %", f"{found:,}", remedy)


@contracts.once("forward", "training_step", "__init__")
def an_interrupted_run_goes_on_from_the_file_of_its_state(name: str) -> None:
    """In the trainer, with dropout and on the first schema that it suits: it ends as if it had not been interrupted."""
    schema = next(iter(suited(name).values()))
    config = registry.weightings.config(PLAIN_WEIGHTING)
    goes_on_from_its_file(
        schema,
        lambda: build(name, schema, **_dropout(name)),
        lambda: registry.weightings.build(config, schema.tasks),
    )


@contracts.once("__init__")
def it_takes_a_long_list_of_values(name: str) -> None:
    """A field of 70,000 categories, with fewer and with more rows than the categories of a small field."""
    tasks = next(iter(suited(name).values())).tasks
    schema = make_schema(*tasks, cardinalities=(70_000, 2, 300), num_numeric=0)
    for rows in (2, 200):
        loss = training_loss(build(name, schema), make_batch(schema, rows))
        loss.backward()
        expect(loss.isfinite(), "a finite loss", loss, "Look at what depends on the number of categories")
