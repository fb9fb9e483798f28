"""The fast first layer is the product over the concatenation, to the last digits, gradients included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures._first_layer import Prepared, SumRows, first_layer, transposed
from architectures._plan import join_fields, make_plan
from architectures.layers import LARGE_FIELD, FeatureEmbedding, MLPs, Towers, batched_linear
from benchmark.contracts.toys import LIKE, SHARE, make_batch, make_schema
from benchmark.seeding import initialise
from benchmark.settings.registry import architectures, configure
from tests.toys import with_columns

ROWS = 600  # a field of up to 75 values is factored
MIXES = {
    "mixed": ((3, 1000, 70, 75, 76, 2000), 2),
    "all small": ((3, 5, 70, 11, 10), 0),
    "all large": ((1000, 100, 3000), 1),
    "one small field": ((4,), 0),
    "one large field": ((900,), 3),
    "one value": ((1, 1), 1),
    "only numeric fields": ((), 4),
    "many alike": ((3,) * 20, 1),
    "two tables": ((3, 60_000, 1000, 70_000, 40), 2),
    "a large table alone": ((60_000,), 1),
    "a large table and factored fields": ((60_000, 3), 0),
}


def layers_of(embedding: FeatureEmbedding, dtype: torch.dtype) -> tuple[nn.ModuleList, nn.Linear]:
    torch.manual_seed(1)
    units = nn.ModuleList(nn.Linear(embedding.output_dim, 7) for _ in range(3))
    return units.to(dtype), nn.Linear(embedding.output_dim, 5, bias=False).to(dtype)


def outcome(cardinalities: tuple[int, ...], num_numeric: int, dtype: torch.dtype, *, fast: bool) -> list[Tensor]:
    """Outputs, then gradients after two backwards through one graph."""
    schema = make_schema(LIKE, cardinalities=cardinalities, num_numeric=num_numeric)
    embedding = FeatureEmbedding(schema, 4)
    initialise(embedding, 0)
    embedding.to(dtype)
    units, single = layers_of(embedding, dtype)
    batch = make_batch(schema, ROWS)
    batch = with_columns(batch, numeric=batch.numeric.to(dtype))
    embedded = embedding(batch)
    if fast:
        units_BUO, single_BO = embedded.linear(units, single)
    else:
        columns = [
            table(batch.categorical[:, position] + start)
            for table in embedding.tables
            for position, start in zip(table.positions_F, table.start_F, strict=True)
        ]
        dense_BD = torch.cat([*columns, batch.numeric], dim=1)
        units_BUO, single_BO = torch.stack([unit(dense_BD) for unit in units], dim=1), single(dense_BD)
    loss = units_BUO.square().mean() + single_BO.sin().mean()
    loss.backward(retain_graph=True)
    loss.backward()
    parameters = [*embedding.parameters(), *units.parameters(), *single.parameters()]
    return [units_BUO, single_BO, *(torch.zeros_like(p) if p.grad is None else p.grad for p in parameters)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("mix", MIXES)
def test_it_equals_concatenation_and_linear(mix: str, dtype: torch.dtype, tolerance: float) -> None:
    fast, plain = (outcome(*MIXES[mix], dtype, fast=fast) for fast in (True, False))
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("mix", MIXES)
def test_dense_is_the_concatenation(mix: str) -> None:
    schema = make_schema(LIKE, cardinalities=MIXES[mix][0], num_numeric=MIXES[mix][1])
    embedding, batch = FeatureEmbedding(schema, 4), make_batch(schema, 8)
    dense_BD = embedding(batch).dense()
    assert dense_BD.shape == (8, embedding.output_dim)
    units, _ = layers_of(embedding, torch.float32)
    (units_BUO,) = embedding(batch).linear(units)
    torch.testing.assert_close(units_BUO[:, 1], units[1](dense_BD), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mix", MIXES)
def test_sum_is_the_sum_of_looked_up_rows(mix: str) -> None:
    schema = make_schema(LIKE, cardinalities=MIXES[mix][0], num_numeric=MIXES[mix][1])
    batch, outputs, gradients = make_batch(schema, 50), [], []
    for factored in (True, False):
        embedding = FeatureEmbedding(schema, 4)
        initialise(embedding, 0)
        embedding.factored = factored
        sum_Bd = embedding(batch).sum()
        sum_Bd.square().sum().backward()
        outputs.append(sum_Bd)
        gradients.append([table.weight.grad for table in embedding.tables])
    assert outputs[0].shape == (50, 4)
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("num_large", [0, 1])
def test_gradients_are_those_of_finite_differences(num_large: int) -> None:
    schema = make_schema(LIKE, cardinalities=(2, 9, 3), num_numeric=2)
    batch, plan = make_batch(schema, 24), make_plan((2, 3, 9), (0, 2, 1), 24, num_large)
    assert plan.factored == 2
    (lookup,) = plan.lookups
    assert (lookup.table, lookup.positions.tolist()) == (num_large, [1])
    shapes = [(5, 2), (9, 2)] if num_large else [(14, 2)]
    inputs = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in (*shapes, (24, 2), (3, 8), (1, 8), (3,))
    ]

    def layer(*inputs: Tensor) -> tuple[Tensor, ...]:
        *tables, numeric, weight, other, bias = inputs
        layers = [weight, other, bias, None]
        return first_layer(tables, batch.categorical, numeric, plan, (3, 1), layers).parts

    assert torch.autograd.gradcheck(layer, inputs)


def test_gradients_of_a_sum_are_those_of_finite_differences() -> None:
    rows = make_batch(make_schema(LIKE, cardinalities=(2, 9, 3)), 24).categorical + torch.tensor([0, 2, 11])
    table = torch.randn(14, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda table: SumRows.apply(table, rows), [table])


def test_the_gradient_of_a_bag_is_a_bag() -> None:
    codes, grad = torch.randint(70_000, (300, 2)), torch.randn(300, 3)
    table = torch.zeros(70_000, 3, requires_grad=True)
    F.embedding_bag(codes, table, mode="sum").backward(grad)
    for dtype in (torch.int32, torch.int64):
        torch.testing.assert_close(transposed(codes.to(dtype), 70_000)(grad), table.grad)


def test_the_plan_puts_every_field_on_one_side() -> None:
    plan = make_plan((3, 70, 256, 257, 1000), (0, 2, 3, 4, 1), 1024)
    assert plan.factored == 3
    (lookup,) = plan.lookups
    assert lookup.positions.tolist() == [4, 1]
    assert lookup.first_row == 3 + 70 + 256
    assert make_plan((), (), 8).lookups == ()
    (lookup,) = make_plan((2,), (0,), 1).lookups
    assert lookup.positions.tolist() == [0]


def test_fields_of_the_large_table_are_looked_up_at_any_batch_size() -> None:
    plan = make_plan((3, 70, 256, 257, 1000), (0, 2, 3, 4, 1), 1 << 20, num_large=2)
    assert plan.factored == 3
    (lookup,) = plan.lookups
    assert (lookup.table, lookup.first, lookup.first_row) == (1, 3, 0)
    assert lookup.starts.tolist() == [0, 257]


def test_a_field_above_the_threshold_is_in_the_large_table() -> None:
    embedding = FeatureEmbedding(make_schema(LIKE, cardinalities=(LARGE_FIELD + 1, 3, LARGE_FIELD)), 2)
    assert [[field.name for field in table.fields] for table in embedding.tables] == [["c1", "c2"], ["c0"]]
    assert [tuple(table.weight.shape) for table in embedding.tables] == [(LARGE_FIELD + 3, 2), (LARGE_FIELD + 1, 2)]
    assert [table.is_large for table in embedding.tables] == [False, True]
    without = FeatureEmbedding(make_schema(LIKE, cardinalities=(3, LARGE_FIELD)), 2)
    assert without.large is None
    assert list(without.state_dict()) == ["small.weight"]


def test_joined_fields_have_one_row_for_each_combination() -> None:
    assert sorted(map(sorted, join_fields((2, 3, 5, 7), 35))) == [[0, 1, 2], [3]]
    assert join_fields((), 256) == []
    plan = make_plan((2, 3, 5), (2, 0, 1), 128)
    values = torch.cartesian_prod(torch.arange(3), torch.arange(5), torch.arange(2))  # in the batch's order of fields
    rows = (values.double() @ plan.to_joint + plan.joint_start).int().flatten()
    assert plan.num_joint == 30
    assert sorted(rows.tolist()) == list(range(30))
    table = torch.zeros(len(plan.rows))
    table[plan.real] = torch.tensor([1.0, 2, 10, 20, 30, 100, 200, 300, 400, 500])
    expected = 10 * (values[:, 0] + 1) + 100 * (values[:, 1] + 1) + values[:, 2] + 1
    torch.testing.assert_close(plan.join(table[:, None]).flatten()[rows], expected.float())


@pytest.mark.parametrize(("name", "num_fields"), [("small", 2), ("large", 1)])
def test_a_hook_on_a_table_sees_the_looked_up_rows(name: str, num_fields: int) -> None:
    schema = make_schema(LIKE, cardinalities=(3, 60_000, 70))
    embedding, batch, seen = FeatureEmbedding(schema, 4), make_batch(schema, 80), []
    units, _ = layers_of(embedding, torch.float32)
    hook = getattr(embedding, name).register_forward_hook(lambda module, inputs, output: seen.append(output))
    (hooked,) = embedding(batch).linear(units)
    hook.remove()
    (free,) = embedding(batch).linear(units)
    assert [tuple(output.shape) for output in seen] == [(80, num_fields, 4)]
    torch.testing.assert_close(hooked, free, rtol=1e-5, atol=1e-6)


def test_batched_layers_equal_the_loop() -> None:
    mlps, inputs_BUI = MLPs(3, 6, (5, 4)), torch.randn(9, 3, 6)
    expected = []
    for unit in range(3):
        hidden = inputs_BUI[:, unit]
        for layer in mlps.layers:
            hidden = layer[unit](hidden).relu()
        expected.append(hidden)
    torch.testing.assert_close(mlps(inputs_BUI), torch.stack(expected, dim=1))
    units = nn.ModuleList(nn.Linear(6, 2) for _ in range(3))
    torch.testing.assert_close(batched_linear(units, inputs_BUI)[:, 2], units[2](inputs_BUI[:, 2]))


def test_a_tower_reads_its_own_input() -> None:
    towers, inputs_BTH = Towers((LIKE, SHARE), 6, (5,)), torch.randn(9, 2, 6)
    expected = towers.output[1](towers.hidden.layers[0][1](inputs_BTH[:, 1]).relu())[:, 0]
    torch.testing.assert_close(towers(inputs_BTH)["share"], expected)


@pytest.mark.parametrize("dims", [(), (0,), (4, -1)])
def test_widths_are_checked(dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="layer widths"):
        MLPs(1, 4, dims)


def test_initial_embeddings_have_the_stated_deviation_and_hang_on_the_fields_name() -> None:
    schema, fewer = make_schema(LIKE, cardinalities=(300, 60_000)), make_schema(LIKE, cardinalities=(300,))
    whole, part = FeatureEmbedding(schema, 8), FeatureEmbedding(fewer, 8)
    for embedding in (whole, part):
        initialise(embedding, 7)
    for table in whole.tables:
        assert table.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert torch.equal(whole.small.weight, part.small.weight)


def test_frozen_tables_are_made_once_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = make_schema(LIKE, cardinalities=(3, 9, 40), num_numeric=1)
    model = architectures.build(configure("architecture", "mmoe"), schema)
    batch, made, make = make_batch(schema, 200), [], Prepared.of
    monkeypatch.setattr(Prepared, "of", lambda *arguments: made.append(1) or make(*arguments))
    with torch.inference_mode(), model.frozen():
        first, second = model(batch), model(batch)
    assert len(made) == 1
    with torch.no_grad():
        model.experts.first[0].weight += 1
    with torch.inference_mode(), model.frozen():
        changed = model(batch)
    assert len(made) == 2
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(changed, model(batch))
    assert not torch.equal(changed["like"], first["like"])
