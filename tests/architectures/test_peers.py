"""With the same parameters, models of other libraries give our outputs and gradients: `make test-peers`.

A test is skipped where its library is not installed, but fails under MTLBENCH_PEERS=all. At the end are faults that
keep a model from being here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from architectures import Architecture, Batch
from benchmark.contracts.toys import build, make_batch
from benchmark.kinds import KINDS
from tests.architectures.loops import assert_close
from tests.architectures.peers import deepctr, libmtl, nextrec, rechub
from tests.architectures.peers.case import DIM, MIXED, Case, Rule

PEERS = {"deepctr": deepctr.CASES, "rechub": rechub.CASES, "libmtl": libmtl.CASES, "nextrec": nextrec.CASES}
CASES = {f"{peer}-{case.name}": case for peer, cases in PEERS.items() for case in cases}
pytestmark = pytest.mark.filterwarnings("default")  # of the libraries


def translate(named: dict[str, Tensor], rules: Iterable[Rule]) -> dict[str, Tensor]:
    """Our tensors under the peer's names: every entry of every one, once."""
    translated: dict[str, Tensor] = {}
    for name, tensor in named.items():
        parts = [
            (match.expand(rule.theirs) if isinstance(rule.theirs, str) else rule.theirs(match), rule.take(tensor))
            for rule in rules
            if (match := re.fullmatch(rule.ours, name))
        ]
        assert sum(part.numel() for _, part in parts) == tensor.numel(), name
        for theirs, part in parts:
            assert theirs not in translated, (name, theirs)
            translated[theirs] = part
    return translated


def give(case: Case, ours: Architecture, peer: nn.Module) -> None:
    """Random values, the same in both; every parameter of the peer is ours, or `fixed`, or `unread`."""
    generator = torch.Generator().manual_seed(0)
    parameters = dict(peer.named_parameters())
    with torch.no_grad():
        for parameter in ours.parameters():
            scale = (2 / parameter.shape[-1]) ** 0.5 if parameter.dim() > 1 else 0.25
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        for name, value in translate(dict(ours.named_parameters()), case.rules).items():
            parameter = parameters.pop(name)
            assert parameter.shape == value.shape, name
            parameter.copy_(value)
        for name, parameter in parameters.items():
            if not re.fullmatch(case.unread, name):
                (value,) = [fixed for pattern, fixed in case.fixed.items() if re.fullmatch(pattern, name)]
                parameter.fill_(value)


def outputs_of(model: Architecture, batch: Batch) -> Tensor:
    """(B, T): probabilities of binary tasks, values of regressions."""
    outputs = model(batch)
    return torch.stack(
        [
            outputs[task.name].sigmoid() if KINDS[task.kind].is_binary else outputs[task.name]
            for task in model.schema.tasks
        ],
        dim=1,
    )


def pair(case: Case) -> tuple[Any, Any]:
    """Our model and the peer's, with the same parameters, in float64 and in evaluation."""
    ours, peer = build(case.ours, case.schema, embedding_dim=DIM, **case.sizes), case.peer(case.schema)
    case.tie(ours, peer)
    ours.double().eval()
    peer.double().eval()
    give(case, ours, peer)
    return ours, peer


@pytest.mark.parametrize("name", CASES)
def test_same_parameters_same_outputs_and_gradients(name: str) -> None:
    case = CASES[name]
    (ours, peer), batch = pair(case), make_batch(case.schema, 64)
    found, expected = outputs_of(ours, batch), case.call(peer, batch)
    assert found.std(dim=0).min() > 0.01  # neither constant nor saturated
    assert_close(found, expected)
    factors = torch.randn_like(found)
    (factors * found).sum().backward()
    (factors * expected).sum().backward()
    gradients = {name: parameter.grad for name, parameter in peer.named_parameters()}
    unread = {name for name, gradient in gradients.items() if gradient is None}
    assert unread == {name for name in gradients if re.fullmatch(case.unread, name)}
    translated = translate({name: parameter.grad for name, parameter in ours.named_parameters()}, case.rules)
    assert_close(translated, {name: gradients[name] for name in translated})


def test_the_gates_of_rechub_mix_rows_in_training() -> None:
    ours, peer = pair(CASES["rechub-mmoe-2"])
    batch = make_batch(ours.schema, 64)
    for model, call in ((ours, outputs_of), (peer, rechub.call)):
        assert_close(call(model, batch)[:32], call(model, batch.cut(0, 32)))
    ours.train(), peer.train()
    assert_close(outputs_of(ours, batch)[:32], outputs_of(ours, batch.cut(0, 32)))
    assert (rechub.call(peer, batch)[:32] - rechub.call(peer, batch.cut(0, 32))).abs().max() > 0.01


def test_ple_of_deepctr_makes_as_many_shared_experts_as_own_ones() -> None:
    batch = make_batch(MIXED, 8)
    fewer = deepctr.make("PLE", MIXED, specific_expert_num=3, shared_expert_num=2).double()
    deepctr.call(fewer, batch).sum().backward()
    unread = {name for name, parameter in fewer.named_parameters() if parameter.grad is None}
    assert {f"shared_experts.{level}.0.2.linears.0.weight" for level in (0, 1)} < unread
    more = deepctr.make("PLE", MIXED, specific_expert_num=2, shared_expert_num=3).double()
    with pytest.raises(IndexError):
        deepctr.call(more, batch)


def test_dselect_k_of_libmtl_ignores_gamma() -> None:
    case = CASES["libmtl-mmoe-dselect_k"]
    _, peer = pair(case)
    other, batch = libmtl.make_dselect_k(case.schema, gamma=5.0).double().eval(), make_batch(case.schema, 64)
    other.load_state_dict(peer.state_dict())
    assert torch.equal(other(batch), peer(batch))
