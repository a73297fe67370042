"""The weights and data of every program, from a seed; weights have torch's names."""

from collections.abc import Callable
from typing import Any

import numpy as np

Numbers = tuple[dict[str, Any], dict[str, Any]]
SEED = 0


def _linear(name: str, inputs: int, outputs: int, bias: bool = True):
    shapes = {f"{name}.weight": (outputs, inputs)}
    return shapes | ({f"{name}.bias": (outputs,)} if bias else {})


def _norm(name: str, size: int):
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _normal(random, shapes, scale=0.4):
    return {name: scale * random.normal(size=shape) for name, shape in shapes.items()}


def mlp(random) -> Numbers:
    shapes = _linear("first", 6, 8) | _norm("norm", 8)
    state = _normal(random, shapes | _linear("second", 8, 8) | _linear("third", 8, 5))
    data = {
        "x": 0.5 * random.normal(size=(7, 6)) + 1,
        "keep": (random.uniform(size=(7, 8)) > 0.2).astype(float),
        "labels": np.array([0, 3, -100, 4, 1, -100, 2]),
        "weights": random.uniform(0.5, 2.0, 5),
    }
    return state, data


def siamese(random) -> Numbers:
    shapes = _linear("encoder.0", 6, 8) | _linear("encoder.2", 8, 8)
    shapes |= _linear("predictor", 8, 8, False) | _linear("score", 8, 1, False)
    state = _normal(random, shapes)
    # Biases start at zero, and the last row is padding: every kink is met.
    state["encoder.0.bias"] *= 0
    state["encoder.2.bias"] *= 0
    data = {
        "view": random.normal(size=(5, 6)) * np.array([[1], [1], [1], [1], [0]]),
        "other": random.normal(size=(5, 6)),
        "wanted": random.uniform(size=5),
        "clicked": np.array([0.0, 1, 1, 0, 1]),
    }
    return state, data


def cnn(random) -> Numbers:
    shapes = {"conv1.weight": (4, 2, 3, 3), "conv1.bias": (4,), **_norm("bn", 4)}
    shapes |= {"conv2.weight": (4, 4, 3, 3), "conv2.bias": (4,)}
    state = _normal(random, shapes | _linear("head", 16, 5))
    state |= {"bn.running_mean": np.zeros(4), "bn.running_var": np.ones(4)}
    state["bn.num_batches_tracked"] = np.array(0)
    data = {name: 0.7 * random.normal(size=(3, 2, 8, 8)) for name in ("x", "later")}
    return state, data | {"labels": np.array([1, 4, 0])}


def unet(random) -> Numbers:
    shapes = {"conv.weight": (4, 2, 3, 3), "conv.bias": (4,), **_norm("norm", 4)}
    shapes |= {"wide.weight": (8, 4, 1, 1), "wide.bias": (8,)}
    shapes |= {"up.weight": (4, 2, 4, 4), "up.bias": (2,), **_linear("gate", 4, 2)}
    state = _normal(random, shapes)
    data = {name: 0.1 * random.normal(size=(2, 2, 8, 8)) for name in ("x", "target")}
    return state, data


def lstm(random) -> Numbers:
    shapes = {"embed.weight": (7, 5), "start_h": (1, 1, 6), "start_c": (1, 1, 6)}
    shapes |= {"lstm.weight_ih_l0": (24, 5), "lstm.weight_hh_l0": (24, 6)}
    shapes |= {"lstm.bias_ih_l0": (24,), "lstm.bias_hh_l0": (24,)}
    state = _normal(random, shapes | _linear("head", 6, 3), scale=0.7)
    data = {
        "tokens": np.array([[1, 2, 6, 3, 5], [4, 0, 2, 0, 0], [3, 3, 5, 1, 0]]),
        "lengths": np.array([5, 3, 4]),
        "labels": np.array([2, 0, 1]),
    }
    return state, data


def bilstm(random) -> Numbers:
    shapes: dict[str, Any] = {"head": (2, 12)}
    for name in ("forth", "back"):
        shapes |= {f"{name}.weight_ih": (24, 4), f"{name}.bias_ih": (24,)}
        shapes |= {f"{name}.weight_hh": (24, 6), f"{name}.bias_hh": (24,)}
    state = _normal(random, shapes, scale=0.7)
    data = {"xs": random.normal(size=(4, 3, 4)), "target": random.normal(size=(3, 2))}
    return state, data


def gpt(random) -> Numbers:
    shapes = {"embed.weight": (11, 8)}
    for name in ("block.norm1", "block.norm2", "norm"):
        shapes |= _norm(name, 8)
    shapes |= _linear("block.attention.qkv", 8, 24) | _linear("block.up", 8, 16)
    shapes |= _linear("block.attention.out", 8, 8) | _linear("block.down", 16, 8)
    state = _normal(random, shapes)
    for name in ("block.norm1", "block.norm2", "norm"):
        state[f"{name}.weight"] += 1
    data = {
        "tokens": random.integers(0, 11, (3, 5)),
        "labels": random.integers(0, 11, (3, 5)),
    }
    data["labels"][1, 3:] = data["labels"][2, 4:] = -1
    return state, data


def encoder(random) -> Numbers:
    shapes = {"places.weight": (8, 8), "norm1.weight": (8,), **_norm("norm2", 8)}
    for name in ("q", "k", "v", "out"):
        shapes |= _linear(name, 8, 8, False)
    shapes |= _linear("gate", 8, 12, False) | _linear("up", 8, 12, False)
    state = _normal(
        random, shapes | _linear("down", 12, 8, False) | _linear("head", 8, 1)
    )
    data = {
        "x": 0.1 * random.normal(size=(3, 5, 8)),
        "present": np.arange(5) < np.array([[5], [3], [4]]),
        "target": random.normal(size=3),
        "keep": (random.uniform(size=(3, 5, 8)) > 0.1).astype(float),
    }
    return state, data


def vae(random) -> Numbers:
    shapes = _linear("fc1", 10, 8) | _linear("fc21", 8, 3) | _linear("fc22", 8, 3)
    state = _normal(random, shapes | _linear("fc3", 3, 8) | _linear("fc4", 8, 10))
    x = (random.uniform(size=(4, 10)) > 0.5).astype(float)
    return state, {"x": x, "noise": random.normal(size=(4, 3))}


def gaussian_vae(random) -> Numbers:
    shapes = _linear("encoder", 6, 8) | _linear("mean", 8, 3) | _linear("scale", 8, 3)
    shapes |= _linear("decoder.0", 3, 8) | _linear("decoder.2", 8, 12)
    state = _normal(random, shapes)
    state["decoder.2.weight"][6] = 0.0  # A variance at its bound in every row.
    state["decoder.2.bias"][6] = -1.0
    data = {"x": random.normal(size=(4, 6)), "noise": random.normal(size=(4, 3))}
    return state, data


PROGRAMS: dict[str, Callable[..., Numbers]] = {
    f.__name__: f
    for f in (mlp, siamese, cnn, unet, lstm, bilstm, gpt, encoder, vae, gaussian_vae)
}


def numbers_of(program: str) -> Numbers:
    """The state and the data of a program, always the same."""
    return PROGRAMS[program](np.random.default_rng(SEED))
