"""The update: groups, and the same steps as torch's optimizer over the tensors one by one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from architectures._first_layer import join
from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.settings.config import TrainerConfig
from benchmark.training import optimizer as module
from benchmark.training.fused import FusedAdam
from benchmark.training.optimizer import Optimizer, Pack
from benchmark.weightings import Weighting
from benchmark.weightings.equal import Equal
from benchmark.weightings.uncertainty import Uncertainty

TASKS = (Task("liked", BINARY), Task("rating", REGRESSION))


class Model(nn.Module):
    """Two Linears of one width and one of another, an embedding, and a parameter that no loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 3)
        self.first, self.second = nn.Linear(3, 5), nn.Linear(3, 2)
        self.last = nn.Linear(5, 1)
        self.idle = nn.Parameter(torch.ones(3))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        looked_up = self.table(codes)
        return self.last(self.first(looked_up).relu()).sum() + self.second(looked_up).square().sum()  # type: ignore[no-any-return]


class LargeTable(nn.Embedding):
    is_large = True


def make(weighting: Weighting | None = None, **settings: object) -> tuple[Model, Optimizer]:
    torch.manual_seed(0)
    model = Model()
    return model, Optimizer(model, weighting or Equal(TASKS), TrainerConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_a_schedule_and_a_torch_without_the_kernels_take_torch_s_own_fused(
    name: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, with_schedule = make(optimizer=name, scheduler="cosine")
    _, plain = make(optimizer=name)
    monkeypatch.delattr(torch, "_fused_adam_")
    _, without_kernels = make(optimizer=name)
    assert type(plain.adam) is FusedAdam
    for optimizer in (with_schedule, without_kernels):
        assert type(optimizer.adam) is kind
        assert all(group["fused"] for group in optimizer.adam.param_groups)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_either_moves_the_model_to_the_same_bits_and_goes_on_from_the_other_s_state(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(own: str) -> dict[str, torch.Tensor]:
        monkeypatch.setattr("benchmark.training.fused.is_available", lambda: own[0] == "o")
        model, optimizer = make(Uncertainty(TASKS), optimizer=name, weight_decay=0.1, learning_rate=0.01)
        after_steps(model, optimizer)
        state, weights = optimizer.state_dict(), model.state_dict()
        monkeypatch.setattr("benchmark.training.fused.is_available", lambda: own[1] == "o")
        model, optimizer = make(Uncertainty(TASKS), optimizer=name, weight_decay=0.1, learning_rate=0.5)
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)  # the learning rate too
        return after_steps(model, optimizer)

    first, *others = (trained(own) for own in ("oo", "tt", "ot", "to"))
    for other in others:
        for key, value in first.items():
            torch.testing.assert_close(other[key], value, rtol=0, atol=0)


def test_embeddings_have_a_weight_decay_of_their_own_and_the_weighting_none() -> None:
    weighting = Uncertainty(TASKS)
    model, optimizer = make(weighting, weight_decay=0.2, embedding_weight_decay=0.3, learning_rate=0.5)
    others, embeddings, last = optimizer.adam.param_groups
    assert (others["weight_decay"], embeddings["weight_decay"], last["weight_decay"]) == (0.2, 0.3, 0.0)
    assert [group["lr"] for group in (others, embeddings, last)] == [0.5, 0.5, 0.025]
    packed = [[id(p) for p in pack.parameters] for pack in optimizer.packs]
    assert [group["params"] for group in (others, embeddings)] == [[pack.flat] for pack in optimizer.packs]
    assert packed[1] == [id(model.table.weight)]
    assert sorted(packed[0] + packed[1]) == sorted(id(p) for p in model.parameters())
    assert last["params"] == list(weighting.parameters())


@pytest.mark.parametrize("most_packed", [1 << 20, 16, 0])
@pytest.mark.parametrize("embedding_weight_decay", [0.1, 0.3])
def test_steps_are_those_of_torch_over_the_tensors(
    most_packed: int, embedding_weight_decay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PACKED", most_packed)
    torch.manual_seed(0)
    plain = Model()
    groups = [
        {"params": plain.table.parameters(), "weight_decay": embedding_weight_decay},
        {"params": [p for name, p in plain.named_parameters() if not name.startswith("table")], "weight_decay": 0.1},
    ]
    theirs = torch.optim.AdamW(groups, lr=0.05, fused=True)
    model, ours = make(weight_decay=0.1, embedding_weight_decay=embedding_weight_decay, learning_rate=0.05)
    for step in range(5):
        codes = torch.randint(0, 7, (9,), generator=torch.Generator().manual_seed(step))
        for each in (theirs, ours):
            each.zero_grad()
        plain.idle.grad = torch.zeros(3)
        model.idle.grad = torch.zeros(3) if most_packed == 0 else None  # packed: none counts as zero
        plain(codes).backward()
        model(codes).backward()
        for each in (theirs, ours):
            each.step()
    for (name, expected), found in zip(plain.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7, msg=name)


def with_a_large_table(**settings: object) -> tuple[Model, Optimizer]:
    torch.manual_seed(0)
    model = Model()
    model.table = LargeTable(7, 3)
    make_large = settings.pop("make_large", None)
    return model, Optimizer(model, Equal(TASKS), TrainerConfig(**settings), make_large)  # type: ignore[arg-type]


def after_steps(model: Model, optimizer: Optimizer) -> dict[str, torch.Tensor]:
    for step in range(5):
        optimizer.zero_grad()
        model(torch.randint(0, 7, (9,), generator=torch.Generator().manual_seed(step))).backward()
        optimizer.step()
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_an_optimizer_of_its_own_moves_the_large_table_and_nothing_else() -> None:
    start = with_a_large_table()[0].state_dict()
    model, optimizer = with_a_large_table(make_large=lambda tables, _: torch.optim.SGD(tables, lr=0.0))
    assert optimizer.parts == (optimizer.adam, optimizer.large)
    assert all(model.table.weight is not p for pack in optimizer.packs for p in pack.parameters)
    moved = {name for name, value in after_steps(model, optimizer).items() if not torch.equal(value, start[name])}
    assert moved == {"first.weight", "first.bias", "second.weight", "second.bias", "last.weight", "last.bias", "idle"}


def test_an_optimizer_like_the_model_s_gives_what_it_gives() -> None:
    settings = {"optimizer": "adam", "embedding_weight_decay": 0.0, "learning_rate": 0.05}
    expected = after_steps(*with_a_large_table(**settings))
    found = after_steps(*with_a_large_table(**settings, make_large=torch.optim.Adam))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_without_a_large_table_none_is_made() -> None:
    _, optimizer = make()
    assert optimizer.large is None
    assert Optimizer(Model(), Equal(TASKS), TrainerConfig(), torch.optim.SparseAdam).large is None
    frozen = Model()
    frozen.table = LargeTable(7, 3).requires_grad_(False)
    assert Optimizer(frozen, Equal(TASKS), TrainerConfig(), torch.optim.SGD).large is None


def test_values_stay_and_states_go_in_and_out() -> None:
    torch.manual_seed(0)
    fresh = Model().state_dict()
    model, _ = make()
    assert all(torch.equal(value, fresh[name]) for name, value in model.state_dict().items())
    flat = Pack(list(model.parameters())).flat
    model.load_state_dict({name: value + 1 for name, value in fresh.items()})
    assert flat.sum().item() == pytest.approx(sum(float((value + 1).sum()) for value in fresh.values()), rel=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copy.deepcopy(model).parameters(), strict=True))


def test_units_of_one_width_are_stacked_without_a_copy_and_with_a_gradient_by_one() -> None:
    model, _ = make()
    weights = [model.first.weight, model.second.weight]
    expected = torch.cat([w.detach() for w in weights])
    with torch.no_grad():
        view = join(weights)
    assert torch.equal(view, expected)
    assert view.data_ptr() == weights[0].data_ptr()
    copied = join(weights)
    assert copied.requires_grad
    assert copied.data_ptr() != weights[0].data_ptr()
    with torch.no_grad():
        for parts in (weights[::-1], [w.clone() for w in weights], [weights[0].t(), weights[0].t()]):
            assert torch.equal(join(parts), torch.cat(parts))


def test_a_frozen_parameter_stays_as_it_is() -> None:
    torch.manual_seed(0)
    model = Model()
    model.second.weight.requires_grad_(False)
    before = model.second.weight.clone()
    optimizer = Optimizer(model, Equal(TASKS), TrainerConfig(weight_decay=0.5, learning_rate=0.1))
    model(torch.arange(7)).backward()
    optimizer.step()
    assert torch.equal(model.second.weight, before)


def test_parameters_of_two_types_keep_theirs() -> None:
    torch.manual_seed(0)
    model = Model()
    model.idle.data = model.idle.data.double()
    optimizer = Optimizer(model, Equal(TASKS), TrainerConfig(learning_rate=0.1))
    (model(torch.arange(7)) + model.idle.sum()).backward()
    optimizer.step()
    assert {p.dtype for p in model.parameters()} == {torch.float32, torch.float64}
    assert model.idle.mean() < 1


def test_a_parameter_with_other_memory_is_an_error() -> None:
    model, optimizer = make()
    model(torch.arange(7)).backward()
    with torch.no_grad():
        model.last.weight.mul_(2)
    optimizer.step()
    model.last.weight.data = model.last.weight.data * 2
    with pytest.raises(RuntimeError, match="change it in place"):
        optimizer.step()
