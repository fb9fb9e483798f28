"""The register of divergence, and the sums of an epoch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Auxiliary, Task
from benchmark.training.watch import Diverged, Watch

TASKS = (Task("liked", BINARY), Task("rating", REGRESSION))
NAN, INF = float("nan"), float("inf")


def make() -> Watch:
    return Watch(TASKS, torch.device("cpu"))


def add(watch: Watch, losses: tuple[float, float], weights: tuple[float, float] = (1, 1), **options: object) -> None:
    active_T: Tensor = torch.tensor(options.get("active", (True, True)))
    auxiliaries = {name: Auxiliary(torch.tensor(value)) for name, value in options.get("auxiliaries", {}).items()}  # type: ignore[attr-defined]
    watch.add(torch.tensor(losses), active_T, torch.tensor(weights, dtype=torch.float32), auxiliaries)


def test_nothing_is_wrong_with_finite_numbers() -> None:
    watch = make()
    watch.check()
    add(watch, (0.1, 1e30))
    watch.check()


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_the_task_and_the_step_of_a_bad_loss_are_given_though_read_later(bad: float) -> None:
    watch = make()
    add(watch, (0.1, 0.2))
    add(watch, (0.1, bad))
    add(watch, (bad, bad))
    with pytest.raises(Diverged, match=r"task 'rating' is not finite at step 2") as found:
        watch.check()
    assert (found.value.task, found.value.step) == ("rating", 2)


def test_a_bad_weight_is_found_as_well() -> None:
    watch = make()
    add(watch, (0.1, 0.2), weights=(NAN, 1))
    with pytest.raises(Diverged) as found:
        watch.check()
    assert (found.value.task, found.value.step) == ("liked", 1)


def test_steps_are_counted_over_epochs() -> None:
    watch = make()
    for _ in range(3):
        add(watch, (0.1, 0.2))
    watch.reset()
    add(watch, (NAN, 0.2))
    with pytest.raises(Diverged) as found:
        watch.check()
    assert found.value.step == 4


def test_a_divergence_outlives_the_reset_of_the_sums() -> None:
    watch = make()
    add(watch, (NAN, 0.2))
    watch.reset()
    with pytest.raises(Diverged):
        watch.check()


def test_mean_losses_are_over_the_steps_in_which_a_task_had_a_label() -> None:
    watch = make()
    add(watch, (1.0, 4.0))
    add(watch, (3.0, 0.0), active=(True, False))
    assert watch.mean_losses().tolist() == [2.0, 4.0]
    watch.reset()
    assert watch.mean_losses().tolist() == [0.0, 0.0]


def test_mean_weights_are_over_the_same_steps() -> None:
    watch = make()
    add(watch, (0.1, 0.2), weights=(1, 3))
    add(watch, (0.1, 0.0), weights=(1, 7), active=(True, False))
    assert watch.summary()["effective_weights"] == {"liked": 1.0, "rating": 3.0}


def test_an_auxiliary_that_changes_in_place_is_read_at_its_step() -> None:
    watch, value = make(), torch.zeros(())
    for step in (1.0, 2.0, 3.0):
        value.fill_(step)
        watch.add(torch.ones(2), torch.ones(2), torch.ones(2), {"order": Auxiliary(value)})
    assert watch.summary()["auxiliary"] == {"order": 2.0}


def test_the_summary_has_the_epoch_s_means() -> None:
    watch = make()
    add(watch, (1.0, 4.0), weights=(1, 3), auxiliaries={"order": 0.5})
    add(watch, (3.0, 2.0), weights=(2, 1), auxiliaries={"order": 1.5})
    assert watch.summary() == {
        "train_losses": {"liked": 2.0, "rating": 3.0},
        "auxiliary": {"order": 1.0},
        "effective_weights": {"liked": 1.5, "rating": 2.0},
    }


def test_a_state_holds_what_is_summed_what_is_not_and_the_divergence() -> None:
    watch, other = make(), make()
    add(watch, (1.0, 4.0), weights=(1, 3), auxiliaries={"a.b": 0.5})
    watch.check()
    add(watch, (3.0, NAN), weights=(2, 1), auxiliaries={"a.b": 1.5, "late": 1.0})
    other.load_state_dict(watch.state_dict())
    with pytest.raises(Diverged) as found:
        other.check()
    assert (found.value.task, found.value.step) == ("rating", 2)
    assert other.summary()["auxiliary"] == {"a.b": 1.0, "late": 0.5}
    again = make()
    again.load_state_dict(other.state_dict())  # now all is summed
    assert again.summary()["auxiliary"] == {"a.b": 1.0, "late": 0.5}
    with pytest.raises(Diverged, match="step 2"):
        again.check()


def test_conflicts_are_means_over_the_steps_that_compared_gradients() -> None:
    tasks = tuple(Task(name, BINARY) for name in "abc")
    watch, none = Watch(tasks, torch.device("cpu")), NAN
    ones_T = torch.ones(3)
    assert "conflicts" not in watch.summary()
    for gram in (
        [[4.0, 1.0, 0.0], [1.0, 1.0, -1.0], [0.0, -1.0, 4.0]],  # cosines .5, 0 and -.5
        [[1.0, 1.0, none], [1.0, 1.0, none], [none, none, none]],  # c has no label
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],  # two gradients are zero
    ):
        watch.add(ones_T, ones_T.bool(), ones_T, {}, torch.tensor(gram, dtype=torch.float64))
    watch.add(ones_T, ones_T.bool(), ones_T, {})
    found = watch.summary()["conflicts"]
    assert found["cosine"] == pytest.approx({"a|b": 0.75, "a|c": 0.0, "b|c": -0.5})
    assert found["share"] == 0.5
    resumed = Watch(tasks, torch.device("cpu"))
    resumed.load_state_dict(watch.state_dict())
    assert resumed.summary()["conflicts"] == found
    watch.reset()
    assert "conflicts" not in watch.summary()
