"""The gradient engine against plain backwards and naive loops, on architectures small enough to see through."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.training.gradients import GradientEngine, count_shared, reach
from benchmark.weightings import GramWeighting, JacobianWeighting

TASKS = (Task("a", BINARY), Task("b", REGRESSION))
ALL_ACTIVE = torch.tensor([True, True])
Scope = Literal["trunk", "all", "representation"]
SCOPES: list[Scope] = ["trunk", "all", "representation"]
Heads = Literal["own", "weighted"]


class SharedBottom(nn.Module):
    """Embedding, trunk, and a head of two layers per task; each layer of the heads is one batched product."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.trunk = nn.Linear(6, 5)
        self.heads = nn.ModuleList(nn.ModuleList([nn.Linear(5, 4), nn.Linear(4, 1)]) for _ in TASKS)

    def forward(self, x_BF: Tensor) -> Tensor:
        hidden_BH = torch.tanh(self.trunk(self.embedding(x_BF).flatten(1)))
        hidden_TBH = hidden_BH.expand(len(TASKS), -1, -1)
        for layers in zip(*self.heads, strict=True):
            weight_TIO = torch.stack([layer.weight.t() for layer in layers])
            bias_T1O = torch.stack([layer.bias for layer in layers]).unsqueeze(1)
            hidden_TBH = torch.baddbmm(bias_T1O, torch.tanh(hidden_TBH), weight_TIO)
        return hidden_TBH[:, :, 0].T


class Gated(nn.Module):
    """Two experts and a gate per task, which reads the embedding beside the experts."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 3)
        self.trunk = nn.ModuleList(nn.Linear(6, 5) for _ in range(2))
        self.gates = nn.ModuleList(nn.Linear(6, 2) for _ in TASKS)
        self.heads = nn.ModuleList(nn.Linear(5, 1) for _ in TASKS)

    def forward(self, x_BF: Tensor) -> Tensor:
        inputs_BD = self.embedding(x_BF).flatten(1)
        experts_BEH = torch.stack([torch.tanh(expert(inputs_BD)) for expert in self.trunk], dim=1)
        outputs = []
        for gate, head in zip(self.gates, self.heads, strict=True):
            mixed_BH = torch.einsum("be,beh->bh", gate(inputs_BD).softmax(1), experts_BEH)
            outputs.append(head(mixed_BH)[:, 0])
        return torch.stack(outputs, dim=1)


class Separate(nn.Module):
    """A whole network per task: nothing is shared."""

    def __init__(self) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)) for _ in TASKS
        )

    def forward(self, x_BF: Tensor) -> Tensor:
        return torch.cat([net(x_BF) for net in self.nets], dim=1)


class Constant(GramWeighting):
    """Given weights; remembers the Gram matrix that it saw."""

    def __init__(self, given: tuple[float, ...], scope: Scope = "trunk", head_gradients: Heads = "own") -> None:
        super().__init__(TASKS, scope=scope, head_gradients=head_gradients)
        self.given = torch.tensor(given, dtype=torch.float64)
        self.gram: Tensor | None = None

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        assert gram_AA.dtype == torch.float64
        assert len(gram_AA) == len(losses_A) == int(active_T.sum())
        self.gram = gram_AA
        return self.given[active_T]


class Combined(JacobianWeighting):
    """A given combination of the gradients; remembers them."""

    def __init__(self, combination: Callable[[Tensor], Tensor], scope: Scope = "trunk") -> None:
        super().__init__(TASKS, scope=scope)
        self.combination = combination

    def prepare(self, num_tensors: int) -> None:
        self.num_tensors = num_tensors

    def combine(self, gradients_TP: Tensor, losses_T: Tensor, active_T: Tensor, sizes: tuple[int, ...]) -> Tensor:
        self.gradients, self.sizes = gradients_TP.clone(), sizes
        return self.combination(gradients_TP)


def losses_of(model: nn.Module) -> Tensor:
    x_BF = torch.randint(7, (32, 2), generator=torch.Generator().manual_seed(1))
    target_BT = torch.randn(32, 2, generator=torch.Generator().manual_seed(2))
    return (model(x_BF) - target_BT).square().mean(0)  # type: ignore[no-any-return]


def task_gradients(model: nn.Module) -> list[dict[str, Tensor]]:
    """The gradient of each task's loss, by parameter."""
    found = []
    for task in range(2):
        model.zero_grad()
        losses_of(model)[task].backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    model.zero_grad()
    return found


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def backward(engine: GradientEngine, losses_T: Tensor, active_T: Tensor, extra: Tensor | None) -> None:
    outputs = {task.name: loss for task, loss in zip(engine.weighting.tasks, losses_T, strict=True)}
    engine.backward(losses_T, active_T, extra, outputs)


def step(model: nn.Module, weighting: GramWeighting | JacobianWeighting, **options: Any) -> GradientEngine:
    engine = GradientEngine(model, weighting)
    backward(engine, losses_of(model), options.get("active", ALL_ACTIVE), options.get("extra"))
    return engine


def assert_same(found: dict[str, Tensor | None], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7, msg=f"{name} differs")


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("model_class", [SharedBottom, Gated])
def test_weights_of_one_give_the_gradient_of_the_sum(model_class: type[nn.Module], scope: Scope, heads: Heads) -> None:
    model = model_class()
    first, second = task_gradients(model)
    weighting = Constant((1, 1), scope, heads)
    step(model, weighting)
    assert weighting.gram is not None
    assert_same(gradients(model), {name: first[name] + second[name] for name in first})


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("model_class", [SharedBottom, Gated])
def test_shared_parameters_get_the_weighted_sum_and_own_ones_what_the_option_says(
    model_class: type[nn.Module], scope: Scope, heads: Heads
) -> None:
    model, weights = model_class(), (2.0, 0.25)
    per_task = task_gradients(model)
    step(model, Constant(weights, scope, heads))
    expected = {}
    for name in per_task[0]:
        is_own = name.startswith(("heads", "gates"))
        factors = (1.0, 1.0) if is_own and heads == "own" else weights
        expected[name] = sum(factor * gradient[name] for factor, gradient in zip(factors, per_task, strict=True))
    assert_same(gradients(model), expected)


@pytest.mark.parametrize("scope", ["trunk", "all"])
@pytest.mark.parametrize("model_class", [SharedBottom, Gated])
def test_the_gram_matrix_is_over_the_scope(model_class: type[nn.Module], scope: Scope) -> None:
    model, weighting = model_class(), Constant((1, 1), scope)
    per_task = task_gradients(model)
    names = [name for name in per_task[0] if name.startswith("trunk") or (scope == "all" and "embedding" in name)]
    rows_TP = torch.stack([torch.cat([gradient[name].flatten() for name in names]) for gradient in per_task]).double()
    step(model, weighting)
    torch.testing.assert_close(weighting.gram, rows_TP @ rows_TP.T, rtol=1e-5, atol=0)


@pytest.mark.parametrize("model_class", [SharedBottom, Gated])
def test_the_gram_matrix_of_the_representation_is_over_the_embeddings_output(model_class: type[nn.Module]) -> None:
    model, weighting = model_class(), Constant((1, 1), "representation")
    seen: list[Tensor] = []
    hook = model.embedding.register_forward_hook(lambda module, inputs, output: seen.append(output))  # type: ignore[union-attr]
    losses = losses_of(model)
    hook.remove()
    rows_TP = torch.stack(
        [torch.autograd.grad(loss, seen[0], retain_graph=True)[0].flatten() for loss in losses]
    ).double()
    step(model, weighting)
    torch.testing.assert_close(weighting.gram, rows_TP @ rows_TP.T, rtol=1e-5, atol=0)


@pytest.mark.parametrize("scope", SCOPES)
def test_where_nothing_is_shared_the_update_is_that_of_the_plain_sum(scope: Scope) -> None:
    model, weighting = Separate(), Constant((5, 7), scope, "weighted")
    losses_of(model).sum().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    step(model, weighting)
    assert weighting.gram is None
    assert weighting.last_weights_T.tolist() == [1, 1]
    assert all(torch.equal(p.grad, expected[name]) for name, p in model.named_parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("model_class", [SharedBottom, Gated, Separate])
def test_a_task_without_a_label_takes_no_part(model_class: type[nn.Module], scope: Scope) -> None:
    model, weighting = model_class(), Constant((3, 100), scope, "weighted")
    engine = GradientEngine(model, weighting)
    backward(engine, losses_of(model), ALL_ACTIVE, None)
    first = task_gradients(model)[0]
    mask = torch.tensor([True, False])
    backward(engine, losses_of(model) * mask, mask, None)
    factor = 1 if weighting.gram is None else 3
    assert weighting.last_weights_T.tolist() == [factor, 0]
    found = gradients(model)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], factor * first.get(name, torch.zeros_like(parameter)))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("model_class", [SharedBottom, Gated, Separate])
def test_fused_training_with_weights_of_one_is_training_on_the_sum(
    model_class: type[nn.Module], scope: Scope, heads: Heads
) -> None:
    model = model_class()
    twin = copy.deepcopy(model)
    engine = GradientEngine(model, Constant((1, 1), scope, heads))
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.05, eps=1e-3, fused=True) for m in (model, twin)]
    for _ in range(6):
        backward(engine, losses_of(model), ALL_ACTIVE, None)
        twin.zero_grad()
        torch.autograd.backward(losses_of(twin).sum())
        for optimizer in optimizers:
            optimizer.step()
    for (name, parameter), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-4, atol=1e-5, msg=f"{name} differs")
        assert parameter.grad is not None
        assert parameter.grad.stride() == parameter.stride()


@pytest.mark.parametrize("scope", SCOPES)
def test_a_batch_without_any_label_has_no_update(scope: Scope) -> None:
    model, nobody = SharedBottom(), torch.tensor([False, False])
    engine = GradientEngine(model, Constant((1, 1), scope))
    backward(engine, losses_of(model) * nobody, nobody, None)
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("scope", SCOPES)
def test_an_auxiliary_without_task_is_added_outside_the_solver(scope: Scope) -> None:
    model = SharedBottom()
    step(model, Constant((2, 0.5), scope))
    without = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    step(model, Constant((2, 0.5), scope), extra=0.1 * model.trunk.weight.square().sum())
    without["trunk.weight"] += 0.2 * model.trunk.weight.detach()
    assert_same(gradients(model), without)


@pytest.mark.parametrize("scope", ["trunk", "all"])
def test_a_jacobian_method_gets_the_gradients_and_sets_the_update(scope: Scope) -> None:
    model, weighting = SharedBottom(), Combined(lambda rows: rows[0] - 3 * rows[1], scope)
    per_task = task_gradients(model)
    step(model, weighting)
    expected = {}
    for name in per_task[0]:
        in_scope = name.startswith("trunk") or (scope == "all" and name.startswith("embedding"))
        expected[name] = per_task[0][name] + (-3 if in_scope else 1) * per_task[1][name]
    assert_same(gradients(model), expected)
    size = sum(p.numel() for p in model.trunk.parameters()) + (scope == "all") * model.embedding.weight.numel()
    assert weighting.gradients.shape == (2, size)


def test_a_jacobian_method_at_the_representation_sends_its_update_on_to_the_embeddings() -> None:
    model = Gated()
    per_task = task_gradients(model)
    step(model, Combined(lambda rows: rows[0] - 3 * rows[1], "representation"))
    expected = {n: per_task[0][n] + (-3 if n.startswith("embedding") else 1) * per_task[1][n] for n in per_task[0]}
    assert_same(gradients(model), expected)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("model_class", [SharedBottom, Gated])
def test_a_jacobian_method_gets_the_size_of_every_tensor(model_class: type[nn.Module], scope: Scope) -> None:
    model, weighting = model_class(), Combined(lambda rows: rows.sum(dim=0), scope)
    step(model, weighting)
    names = [name for name, _ in model.named_parameters()]
    assert weighting.num_tensors == len(weighting.sizes) == len(names) + 1
    assert sum(weighting.sizes) == weighting.gradients.shape[1]
    if scope == "representation":
        assert not any(weighting.sizes[:-1])
        return
    assert weighting.sizes[-1] == 0
    per_task, start = task_gradients(model), 0
    for name, size in zip(names, weighting.sizes[:-1], strict=True):
        if size:
            expected = torch.stack([gradients[name].flatten() for gradients in per_task])
            torch.testing.assert_close(weighting.gradients[:, start : start + size], expected)
        start += size


def test_a_head_that_starts_at_zero_hides_sharing_for_one_batch_only() -> None:
    model, weighting = SharedBottom(), Constant((2, 2))
    with torch.no_grad():
        model.heads[1][1].weight.zero_()  # type: ignore[index]
    engine = GradientEngine(model, weighting)
    backward(engine, losses_of(model), ALL_ACTIVE, None)
    assert weighting.gram is None
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    backward(engine, losses_of(model), ALL_ACTIVE, None)
    assert weighting.gram is not None


def test_gradients_that_are_not_finite_reach_no_solver() -> None:
    model, weighting = SharedBottom(), Constant((1, 1))
    engine = GradientEngine(model, weighting)
    backward(engine, losses_of(model) * torch.tensor([1.0, torch.nan]), ALL_ACTIVE, None)
    assert weighting.gram is None
    assert weighting.last_weights_T.isnan().all()


def test_the_representation_needs_a_shared_embedding() -> None:
    class Numeric(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.heads = nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x_BF: Tensor) -> Tensor:
            return self.heads(self.trunk(x_BF.float()))  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match=r"scope=representation .* expected trunk or all"):
        step(Numeric(), Constant((1, 1), "representation"))


def test_evaluation_between_steps_leaves_no_trace() -> None:
    model = SharedBottom()
    engine = GradientEngine(model, Constant((2, 0.5), "representation"))
    backward(engine, losses_of(model), ALL_ACTIVE, None)
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.eval()
    losses_of(model)
    model.train()
    backward(engine, losses_of(model), ALL_ACTIVE, None)
    assert_same(gradients(model), expected)


@pytest.mark.parametrize(("model_class", "shared"), [(SharedBottom, 21 + 35), (Gated, 21 + 2 * 35), (Separate, 0)])
def test_reach_tells_shared_from_own(model_class: type[nn.Module], shared: int) -> None:
    model = model_class()
    names, parameters = zip(*model.named_parameters(), strict=True)
    output_BT = model(torch.randint(7, (32, 2)))
    outputs = {"a": output_BT[:, 0], "b": output_BT[:, 1]}
    assert count_shared(outputs, parameters) == shared
    for name, row in zip(names, reach(outputs, parameters).tolist(), strict=True):
        if name.startswith(("heads", "gates", "nets")):
            number = int(name.split(".")[1])
            assert row == [number == 0, number == 1]
        else:
            assert row == [True, True]


def test_reach_of_an_output_without_a_graph_is_nothing() -> None:
    layer = nn.Linear(2, 1)
    assert not reach({"a": torch.zeros(3)}, list(layer.parameters())).any()


@pytest.mark.parametrize("parameters", [torch.float64, torch.float32])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", [Constant, Combined])
def test_the_model_s_type_need_not_be_that_of_the_losses(
    kind: type[GramWeighting | JacobianWeighting], scope: Scope, parameters: torch.dtype
) -> None:
    model = SharedBottom().to(parameters)
    per_task = task_gradients(model)
    weighting = kind((2.0, 0.25) if kind is Constant else lambda rows: 2 * rows[0] + 0.25 * rows[1], scope)  # type: ignore[arg-type]
    engine = GradientEngine(model, weighting)
    losses_T = losses_of(model)
    other = torch.float32 if parameters is torch.float64 else torch.float64
    backward(engine, losses_T.to(other), ALL_ACTIVE, None)
    name = "embedding.weight" if scope == "all" else "trunk.weight"
    if kind is Constant or scope != "representation":
        assert_same({name: gradients(model)[name]}, {name: 2 * per_task[0][name] + 0.25 * per_task[1][name]})
    assert all(p.grad is not None and p.grad.dtype is parameters for p in model.parameters())
    assert weighting.last_weights_T.dtype is torch.float32


def test_gradients_that_are_not_finite_have_the_model_s_type_too() -> None:
    model, weighting = SharedBottom().double(), Constant((1, 1))
    losses_T = losses_of(model).float() * torch.tensor([1.0, torch.nan])
    backward(GradientEngine(model, weighting), losses_T, ALL_ACTIVE, None)
    assert weighting.last_weights_T.isnan().all()
