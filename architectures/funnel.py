"""Funnels: which schemas are one, and probabilities of a funnel in logit space."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmark.kinds import KINDS
from benchmark.rows import Batch
from benchmark.schema import Schema, Task


def funnel_steps(schema: Schema) -> list[tuple[Task, Task]]:
    """(parent, child) of every task that is given another, in order: a task is a child before it is a parent."""
    return [(schema.task(task.given), task) for task in schema.tasks if task.given is not None]


def lacks_funnel(schema: Schema) -> str | None:
    """What the schema lacks to be a funnel of binary tasks, for `Architecture.requires`; None if it is one."""
    steps = funnel_steps(schema)
    if not steps:
        return "needs a funnel: a task that is given another"
    for _, child in steps:  # parents are binary in any schema
        # E[value | exposure] = p(parent) * value holds where 0 is "nothing happened", not in standardised units
        if not KINDS[child.kind].is_binary:
            return f"needs a funnel of binary tasks, and {child.name!r} is not binary"
    return None


def and_logit(parent: Tensor, conditional: Tensor) -> Tensor:
    r"""The logit of "both": of sigmoid(parent) * sigmoid(conditional).

    With the two logits $a$ and $c$,

    $$
    \frac{1}{\sigma(a)\,\sigma(c)} - 1 = e^{-a} + e^{-c} + e^{-a-c}, \qquad
    \operatorname{and}(a, c) = -\log\left(e^{-a} + e^{-c} + e^{-a-c}\right)
    $$

    This is exact. A product of probabilities becomes 0 or 1 in float32, and loses its gradient, long before this
    overflows. The operation is commutative and associative, so a chain of steps is a fold. The result is never above the
    smaller of the two.

    Shape:
        (B,), (B,) -> (B,).
    """
    return -torch.stack([-parent, -conditional, -parent - conditional]).logsumexp(dim=0)


def joint_logits(schema: Schema, logits: Mapping[str, Tensor], *, detach_parent: bool = False) -> dict[str, Tensor]:
    """The outputs of a funnel whose networks give conditionals: a child's logit becomes that of the joint.

    In a chain the joint of a child is the parent of the next. Tasks without a parent keep their logits.

    Args:
        schema: The tasks.
        logits: {task: (B,)}: a child's given its parent.
        detach_parent: Keep a child's loss from its ancestors' logits.
    """
    outputs = dict(logits)
    for parent, child in funnel_steps(schema):
        before = outputs[parent.name].detach() if detach_parent else outputs[parent.name]
        outputs[child.name] = and_logit(before, outputs[child.name])
    return outputs


def step_labels(schema: Schema, batch: Batch, step: tuple[Task, Task]) -> tuple[Tensor, Tensor, Tensor]:
    """(B,) labels of parent and child, and (B,) bool: are both observed?"""
    columns = [schema.task_names.index(task.name) for task in step]
    parent_B, child_B = batch.labels[:, columns].unbind(1)
    return parent_B, child_B, batch.observed[:, columns].all(dim=1)
