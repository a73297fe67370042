"""Optimizers in closed form: the updates that gradients and parameters lead to.

A `Rule` has the settings of PyTorch and the variants that other libraries compute, so
that a trial can exchange one for the other.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jaxgrad.inspection.trajectories.series import Leaves

Array = np.ndarray
LARGEST = 200_000  # Of so many elements the updates are computed


@dataclass(eq=False)
class Data:
    """What one side's optimizer got and made, flat, for some steps.

    Attributes:
        gradients: Those that are known, `(steps, elements)`.
        before: The parameters before each step.
        updates: The changes of the parameters.
        leaf: The number of the parameter of each element.
        norms: The norm of each parameter's whole gradient, `(steps, parameters)`.
        ranks: The number of axes of each parameter.
    """

    gradients: Array
    before: Array
    updates: Array
    leaf: Array
    norms: Array
    ranks: Array


@dataclass(frozen=True, eq=False)
class Rule:
    """An optimizer and its settings, which are by step or by parameter if arrays."""

    kind: Literal["sgd", "adam", "rmsprop", "adagrad"]
    lr: Array  # (steps, parameters)
    decay: Array  # (parameters,)
    decoupled: Literal["no", "yes", "without lr", "first lr"] = "no"
    momentum: float = 0.0
    dampening: float = 0.0
    dampens_first: bool = False
    nesterov: bool = False
    lr_in_buffer: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    eps_form: Literal["outside", "inside", "uncorrected"] = "outside"
    corrected: tuple[bool, bool] = (True, True)
    count: int = 0  # Steps that the bias correction counts too many
    amsgrad: bool = False
    centered: bool = False
    accumulator: float = 0.0
    clip: float = 0.0
    clip_form: Literal["norm", "each norm", "value"] = "norm"
    clip_decayed: bool = False
    late: bool = False
    sign: float = 1.0


def simulated(rule: Rule, data: Data) -> Array:
    """The updates of all steps, each from the parameters that were there before it."""
    found, memory = np.zeros_like(data.updates), {}
    for t in range(len(found)):
        lr, decay = rule.lr[t][data.leaf], rule.decay[data.leaf]
        step, p = direction(rule, data, t, memory, lr), data.before[t]
        found[t] = -step if rule.lr_in_buffer else -lr * step
        if rule.decoupled != "no":
            first = rule.lr[0][data.leaf]
            rate = {"yes": lr, "first lr": first}.get(rule.decoupled, 1.0)
            found[t] -= rate * decay * p
    return found


def direction(rule: Rule, data: Data, t: int, memory: dict, lr: Array) -> Array:
    """What is multiplied by the learning rate."""
    g = rule.sign * data.gradients[max(t - rule.late, 0)]
    if rule.late and t == 0:
        g = np.zeros_like(g)
    coupled = rule.decoupled == "no"
    decayed = rule.decay[data.leaf] * data.before[t] if coupled else 0.0
    if rule.clip and rule.clip_decayed:
        whole = g + decayed
        g = _clipped(rule, whole, _norms(whole, data), data)
    elif rule.clip:
        g = _clipped(rule, g, data.norms[t], data) + decayed
    else:
        g = g + decayed
    core = {"sgd": _sgd, "adam": _adam, "rmsprop": _rmsprop, "adagrad": _adagrad}
    return core[rule.kind](rule, g, t, memory, lr)


def _norms(g: Array, data: Data) -> Array:
    squares = np.bincount(data.leaf, g * g, minlength=data.norms.shape[1])
    return np.sqrt(squares)


def _clipped(rule: Rule, g: Array, norms: Array, data: Data) -> Array:
    if rule.clip_form == "value":
        return np.clip(g, -rule.clip, rule.clip)
    if rule.clip_form == "each norm":
        return g * np.minimum(rule.clip / (norms + 1e-6), 1)[data.leaf]
    return g * min(rule.clip / (float(np.linalg.norm(norms)) + 1e-6), 1)


def _sgd(rule: Rule, g: Array, t: int, memory: dict, lr: Array) -> Array:
    if not rule.momentum:
        return g * lr if rule.lr_in_buffer else g
    scaled = g * lr if rule.lr_in_buffer else g
    first = t == 0 and not rule.dampens_first
    part = scaled if first else (1 - rule.dampening) * scaled
    memory["b"] = rule.momentum * memory.get("b", 0.0) + part
    return scaled + rule.momentum * memory["b"] if rule.nesterov else memory["b"]


def _adam(rule: Rule, g: Array, t: int, memory: dict, lr: Array) -> Array:
    (b1, b2), n = rule.betas, t + 1 + rule.count
    m = memory["m"] = b1 * memory.get("m", 0.0) + (1 - b1) * g
    v = memory["v"] = b2 * memory.get("v", rule.accumulator) + (1 - b2) * g * g
    if rule.amsgrad:
        v = memory["most"] = np.maximum(memory.get("most", v), v)
    m = m / (1 - b1**n) if rule.corrected[0] and n else m
    correction = 1 - b2**n if rule.corrected[1] and n else 1.0
    if rule.nesterov:
        m = b1 * m + (1 - b1) * g / (1 - b1**n)
    if rule.eps_form == "inside":
        return m / np.sqrt(v / correction + rule.eps)
    if rule.eps_form == "uncorrected":
        return m * np.sqrt(correction) / (np.sqrt(v) + rule.eps)
    return m / (np.sqrt(v / correction) + rule.eps)


def _rmsprop(rule: Rule, g: Array, t: int, memory: dict, lr: Array) -> Array:
    a = rule.betas[1]
    v = memory["v"] = a * memory.get("v", rule.accumulator) + (1 - a) * g * g
    m = memory["m"] = a * memory.get("m", 0.0) + (1 - a) * g
    v = np.maximum(v - m * m, 0) if rule.centered else v
    inside = rule.eps_form == "inside"
    root = np.sqrt(v + rule.eps) if inside else np.sqrt(v) + rule.eps
    return _sgd(rule, g / root, t, memory, lr)


def _adagrad(rule: Rule, g: Array, t: int, memory: dict, lr: Array) -> Array:
    s = memory["s"] = memory.get("s", rule.accumulator) + g * g
    inside = rule.eps_form == "inside"
    return g / (np.sqrt(s + rule.eps) if inside else np.sqrt(s) + rule.eps)


def data_of(
    gradients: list[Leaves], before: list[Leaves], updates: list[Leaves], ranks: Array
) -> Data | None:
    """All parameters in one row for each step; None if some are missing."""
    rows = [*gradients, *before, *updates]
    if not rows or any(x is None for row in rows for x in row):
        return None
    sizes = [x.size for x in rows[0] if x is not None]
    leaf = np.repeat(np.arange(len(sizes)), sizes)
    some = np.unique(np.linspace(0, len(leaf) - 1, LARGEST).astype(int))
    some = some if len(leaf) > LARGEST else np.arange(len(leaf))
    a, b, c = (
        np.array([np.concatenate(row)[some] for row in each])  # pyright: ignore
        for each in (gradients, before, updates)
    )
    norms = np.array([[np.linalg.norm(x) for x in row] for row in gradients])  # pyright: ignore
    return Data(a, b, c, leaf[some], norms, ranks)


def misfit(predicted: Array, data: Data) -> float:
    """How far predicted updates are from the true ones, at the worst place."""
    worst = 0.0
    for guess, true in zip(predicted, data.updates, strict=True):
        with np.errstate(all="ignore"):
            apart, size = _norms(guess - true, data), _norms(true, data)
            ratio = np.where(apart > 0, apart / np.maximum(size, 1e-300), 0)
        worst = max(worst, float(np.nan_to_num(ratio, nan=1.0).max()))
    return worst


def fitted_lr(rule: Rule, data: Data) -> Array:
    """The learning rates, one for each step, with which a rule comes nearest."""
    unit = replace(rule, lr=np.ones_like(rule.lr))
    steps = -simulated(unit, data)
    top = np.sum(-data.updates * steps, axis=1)
    bottom = np.maximum(np.sum(steps * steps, axis=1), 1e-300)
    return (top / bottom)[:, None] * np.ones((1, rule.lr.shape[1]))
