"""Weightings of the library torchjd, by name, through our engine of gradients. Needs the extra `torchjd`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.schema import Task
from benchmark.text import unknown
from benchmark.weightings import GramWeighting, Stream, weightings
from benchmark.weightings._gram import filled, present

Name = Literal[
    "aligned_mtl",
    "cagrad",
    "dualproj",
    "fairgrad",
    "gradvac",
    "imtl_g",
    "krum",
    "mgda",
    "pcd",
    "pcgrad",
    "upgrad",
]
CLASSES = {
    "aligned_mtl": "AlignedMTLWeighting",
    "cagrad": "CAGradWeighting",
    "dualproj": "DualProjWeighting",
    "fairgrad": "FairGradWeighting",
    "gradvac": "GradVacWeighting",
    "imtl_g": "IMTLGWeighting",
    "krum": "KrumWeighting",
    "mgda": "MGDAWeighting",
    "pcd": "PCDWeighting",
    "pcgrad": "PCGradWeighting",
    "upgrad": "UPGradWeighting",
}
# The projector's eps of 1e-4 costs UPGrad its promise where norms are thirty times apart, CAGrad's is a zero update where
# gradients are small, and MGDA's hundred steps miss the minimum. Other values are those that torchjd requires.
DEFAULTS: dict[str, dict[str, float]] = {
    "cagrad": {"c": 0.5, "norm_eps": 1e-12},
    "dualproj": {"norm_eps": 1e-12, "reg_eps": 1e-10},
    "fairgrad": {"alpha": 2.0},
    "krum": {"n_byzantine": 0},
    "mgda": {"epsilon": 1e-5, "max_iters": 1000},
    "pcd": {"eps": 0.0},
    "upgrad": {"norm_eps": 1e-12, "reg_eps": 1e-10},
}
# Attributes that hold what is remembered, and how many of their axes are tasks. torchjd makes new tensors as it goes, and
# forgets everything when the number of tasks with labels changes. So they are kept here and lent for each call.
STATE = {"gradvac": {"_phi_t": 2}, "pcd": {"_sq_norm_ema": 1, "_n_steps": 0}}
RANDOM = ("gradvac", "pcgrad")  # they draw orders from torch's global stream


class TorchJD(GramWeighting):
    r"""Takes the weights of any method that torchjd computes from inner products of gradients.

    Paper: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232 (2024), for the library and
    `upgrad`; torchjd's documentation names the papers of the others. With $G_{ij} = \langle g_i, g_j \rangle$ and the
    aggregator's function $W$, the update is

    $$
    d = \sum_i w_i\, g_i, \qquad w = W\left( \frac{G}{\operatorname{trace} G} \right)
    $$

    $g_i$ is the gradient of task $i$. `pcd` gets $G$ itself, as it averages norms over steps, and the weights of `fairgrad`
    are scaled back.

    Args:
        tasks: The tasks, in the order of the losses.
        aggregator: torchjd's method. `upgrad` and `dualproj` need its quadratic solver and `cagrad` cvxpy, which the extra
            brings along. For `pcd` the first task with a label is the primary one; `krum` needs three with labels.
        parameters: {parameter of torchjd's class: value}, as `{c: 0.4}` for `cagrad`.
        options: Those of `GramWeighting`.

    Shape:
        gram_AA: (A, A), losses_A: (A,), active_T: (T,) -> (A,).

    Raises:
        ValueError: for an unknown parameter, or if a solver is not installed.

    Differs from other implementations:
        It differs from torchjd in that zero gradients are left out; the regularisation of solvers is much smaller and
        relative to $G$, so neither small gradients nor badly scaled ones change the method; random orders have
        a stream of their own; and state is saved with the run. Its engines are not used: they cannot express
        architectures whose gates and experts both read the embedding.
    """

    def __init__(
        self,
        tasks: tuple[Task, ...],
        *,
        aggregator: Name = "aligned_mtl",
        parameters: dict[str, float] = {},  # noqa: B006
        **options: Any,
    ) -> None:
        super().__init__(tasks, **options)
        self.aggregator = aggregator
        solver, self.parameters_of_solver = _make(aggregator, parameters)
        self._held = [solver]  # in a list: as a submodule it would put tensors of its own into our state
        self.stream = Stream()
        for name, axes in STATE.get(aggregator, {}).items():
            self.register_buffer(f"state{name}", torch.zeros([len(tasks)] * axes, dtype=torch.float64))

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        numbers = present(gram_AA.diagonal().tolist())
        if not numbers:
            return torch.ones(len(gram_AA), dtype=gram_AA.dtype)
        gram = gram_AA[numbers][:, numbers]
        trace = float(gram.trace()) if self.aggregator != "pcd" else 1.0
        gram = gram / trace
        # rounding can make an eigenvalue of a singular matrix negative, on which solvers fail
        lowest = min(float(torch.linalg.eigvalsh(gram)[0]), 0.0)
        found = self._ask(gram - lowest * torch.eye(len(gram), dtype=gram.dtype), active_T.nonzero().flatten()[numbers])
        if self.aggregator == "fairgrad":  # the one whose weights depend on the scale: G w = w^(-1 / alpha)
            alpha = self.parameters_of_solver["alpha"]
            found = found * trace ** (-alpha / (1 + alpha))
        return torch.tensor(filled(found.tolist(), numbers, len(gram_AA)), dtype=gram_AA.dtype)

    def _ask(self, gram: Tensor, tasks: Tensor) -> Tensor:
        """The weights of the tasks of these numbers, from their state and a stream of random numbers of our own."""
        (solver,) = self._held
        state = STATE.get(self.aggregator, {})
        for name, axes in state.items():
            kept = getattr(self, f"state{name}").cpu()
            setattr(solver, name, kept[torch.meshgrid(*[tasks.cpu()] * axes, indexing="ij")] if axes else kept.clone())
            setattr(solver, "_state_key", (len(gram), gram.dtype) if self.aggregator == "gradvac" else len(gram))  # noqa: B010
        with self._random_numbers() if self.aggregator in RANDOM else nullcontext():
            found: Tensor = solver(gram)
        for name, axes in state.items():
            kept = getattr(self, f"state{name}")
            index = torch.meshgrid(*[tasks.to(kept.device)] * axes, indexing="ij") if axes else ...
            kept[index] = getattr(solver, name).to(kept)
        return found

    @contextmanager
    def _random_numbers(self) -> Iterator[None]:
        """Torch's stream on the CPU is that of this weighting and step within, and as before after it."""
        seed = int(np.random.default_rng(self.stream.advance()).integers(2**63))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs too
            yield


def _make(aggregator: str, parameters: dict[str, float]) -> tuple[nn.Module, dict[str, float]]:
    """The object of torchjd, and the parameters that it was made with."""
    library = importlib.import_module("torchjd.aggregation")
    made: Any = getattr(library, CLASSES[aggregator])
    projects = "projector" in inspect.signature(made).parameters
    target: Any = importlib.import_module("torchjd.linalg").QuadprogProjector if projects else made
    known = {name: str(it.annotation) for name, it in inspect.signature(target).parameters.items()}
    known = {name: kind for name, kind in known.items() if "int" in kind or "float" in kind}
    for name in parameters:
        if name not in known:
            raise ValueError(f"weighting.parameters: {unknown(f'parameter of {aggregator}', name, known)}")
    chosen = {**DEFAULTS.get(aggregator, {}), **parameters}
    values = {name: int(value) if "float" not in known[name] else value for name, value in chosen.items()}
    try:
        result = made(projector=target(**values)) if projects else made(**values)
    except ImportError as error:
        raise ValueError(f"weighting.aggregator={aggregator}: {error}, or pip install 'mtlbench[torchjd]'") from error
    except ValueError as error:
        raise ValueError(f"weighting.parameters: {error}") from error
    return result, chosen


if find_spec("torchjd"):
    weightings.register("torchjd")(TorchJD)
else:
    weightings.absent("torchjd", extra="torchjd")
