from __future__ import annotations

from benchmark.contracts.toys import SECONDS, build, make_batch, make_schema
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two


def test_parameter_count() -> None:
    assert count_parameters(build("shared_bottom", C0, embedding_dim=8, bottom_dims=(16,), tower_dims=(8,))) == 818


def test_reach() -> None:
    expected = {
        r"embedding\..*|bottom\..*": "like share",
        r"towers\.(hidden\.layers\.\d|output)\.0\..*": "like",
        r"towers\.(hidden\.layers\.\d|output)\.1\..*": "share",
    }
    assert_reach(build("shared_bottom", C0), make_batch(C0, 64), expected)


def test_it_is_its_equation() -> None:
    model, batch = build("shared_bottom", C0), make_batch(C0, 8)
    hidden = model.embedding(batch).dense()
    for (layer,) in model.bottom.layers:
        hidden = layer(hidden).relu()
    towers = model.towers
    expected = {
        task: towers.output[t](towers.hidden.layers[0][t](hidden).relu())[:, 0] for t, task in enumerate(C0.task_names)
    }
    assert_equal_outputs(model(batch), expected)


def test_with_one_task_it_is_single_task() -> None:
    schema = make_schema(SECONDS)
    shared, single, batch = build("shared_bottom", schema), build("single_task", schema), make_batch(schema, 8)
    names = {"embedding": "embedding", "bottom": "hidden", "towers": "tower"}
    state = {}
    for key, value in shared.state_dict().items():
        module, _, rest = key.partition(".")
        state[f"networks.0.{names[module]}.{rest}"] = value
    single.load_state_dict(state)
    assert_equal_outputs(single(batch), shared(batch), 0)


def test_swapping_tasks_swaps_outputs() -> None:
    model, swapped, batch = build("shared_bottom", C0), build("shared_bottom", C0, seed=1), make_batch(C0, 8)
    patterns = (r"towers\.hidden\.layers\.\d\.(\d)", r"towers\.output\.(\d)")
    swapped.load_state_dict(swap_two(model.state_dict(), *patterns))
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})
