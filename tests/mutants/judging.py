"""Run the parts of an experiment that have rows, and compare them.

Options are as small as the rows allow. What no row judges (races, cards, pictures) is
left out, and what takes minutes: 20 epochs of MNIST, 200 starts.
"""

import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def failing_rows(experiment: str) -> list[str]:
    """The rows with which the experiment disagrees."""
    # Imported here: a fault may have been planted in them just before.
    reproduction = importlib.import_module("experiments._reproduction")
    module = importlib.import_module(f"experiments.{experiment}")
    rows = reproduction.compare(EXPERIMENTS[experiment](module, reproduction.Part))
    return [row.row for row in rows if not reproduction.agreed(row)]


def _whole(module: Any, part: Any) -> dict[str, Any]:
    del part
    return module.reproduced(module.run(module.Config()))


def _derivatives(module: Any, part: Any) -> dict[str, Any]:
    del part
    with jax.enable_x64(True):
        sections = (
            module.orders(),
            module.partials(0),
            module.calc_section(module.Config().delta),
            module.mean_chain(),
            module.switches(),
        )
    return module.reproduced(dict(enumerate(sections)))


def _cross_entropy(module: Any, part: Any) -> dict[str, Any]:
    del part
    with jax.enable_x64(True):
        sections = (
            module.definition(),
            module.ways(),
            module.shifts(),
            module.log_sum_exps(),
            module.limits(),
        )
    return module.reproduced(dict(enumerate(sections)))


def _arrays(module: Any, part: Any) -> dict[str, Any]:
    del part
    return module.reproduced(module.run(module.Config(repeats=1)))


def _notebook_sections(module: Any, part: Any) -> dict[str, Any]:
    del part
    return module.reproduced(module.notebook_sections())


def _two_layer_net(module: Any, part: Any) -> dict[str, Any]:
    """The losses from the fixed start; the spread's numbers do not matter."""
    losses = 1.0 + np.arange(2.0 * module.STEPS).reshape(2, -1)
    spreads, rate = module.spreads(losses), module.Config().lr
    rows = module.reproduced({"spreads": spreads, "fixed": module.fixed_run(rate)})
    return {row: part(value) for row, value in rows.items()}


def _mnist_mlp(module: Any, part: Any) -> dict[str, Any]:
    """Three epochs on the digits, and the doubled network."""
    side_runs = importlib.import_module("experiments._mnist_mlp.side_runs")
    epochs = [module.measured(epoch) for epoch in side_runs.on_digits()]
    task = module.learning.prepare(module.Config(dataset="digits"))
    doubling = side_runs.doubling(task, task.start, 256)
    factors = {"parameters": doubling.parameters, "logits": doubling.logits}
    return {"3.30": part({"on digits": epochs}), "3.34": factors}


Judge = Callable[[Any, Any], dict[str, Any]]
EXPERIMENTS: dict[str, Judge] = {
    "arrays": _arrays,
    "derivatives": _derivatives,
    "backprop": _whole,
    "activations": _notebook_sections,
    "optimizers": _notebook_sections,
    "cross_entropy": _cross_entropy,
    "two_layer_net": _two_layer_net,
    "mnist_mlp": _mnist_mlp,
}
