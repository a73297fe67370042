"""eval(), no_grad() and set_grad_enabled(False): what each of them changes.

`eval()` changes the layers Dropout and BatchNorm, and leaves gradients on. `no_grad()`
and `set_grad_enabled(False)` turn off the recording for a backward pass, and change no
value. In JAX the mode is an argument of a function, and nothing is recorded unless a
gradient is asked for.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments._section import Section

RATE, EPS = 0.5, 1e-5
TRAIN, EVAL = "train=True", "train=False"
# What PyTorch writes, the counterpart in JAX, and whether that trains and records.
CASES = (
    ("net.train()", f"jax.grad(f), {TRAIN}", True, True),
    ("net.eval()", f"jax.grad(f), {EVAL}", False, True),
    ("net.train(), no_grad()", f"f(stop_gradient(x)), {TRAIN}", True, False),
    ("net.eval(), no_grad()", f"f(stop_gradient(x)), {EVAL}", False, False),
)


class Running(NamedTuple):
    """The statistics that BatchNorm collects in training; here their initial values."""

    mean: float = 0.0
    variance: float = 1.0


def dropout(key: jax.Array, x: jax.Array, train: bool) -> jax.Array:
    """`nn.Dropout(0.5)`: training drops half and doubles the rest."""
    if not train:
        return x
    kept = jax.random.bernoulli(key, 1 - RATE, x.shape)
    return jnp.where(kept, x / (1 - RATE), 0)


def batch_norm(x: jax.Array, running: Running, train: bool) -> jax.Array:
    """`nn.BatchNorm1d`: training normalises by the batch, evaluation by `running`.

    In training PyTorch also updates the running statistics; in JAX they would be a
    second result.
    """
    mean, variance = (x.mean(axis=0), x.var(axis=0)) if train else running
    return (x - mean) / jnp.sqrt(variance + EPS)


def network(key: jax.Array, x: jax.Array, train: bool) -> jax.Array:
    """A scalar that depends on both layers."""
    return jnp.sum(jnp.tanh(dropout(key, batch_norm(x, Running(), train), train)))


class Measured(NamedTuple):
    zeros: float  # their share after Dropout
    mean: float  # after BatchNorm
    value: float
    gradient: float  # the largest
    kept: int  # bytes, for the backward pass


def measure(key: jax.Array, x: jax.Array, train: bool, record: bool) -> Measured:
    """Both layers and a gradient in one mode; without `record`, x is a constant."""

    def f(x: jax.Array) -> jax.Array:
        return network(key, x if record else jax.lax.stop_gradient(x), train)

    value, backward = jax.vjp(f, x)
    (gradient,) = backward(jnp.ones_like(value))
    return Measured(
        jnp.mean(dropout(key, x, train) == 0).item(),
        batch_norm(x, Running(), train).mean().item(),
        value.item(),
        abs(gradient).max().item(),
        sum(leaf.nbytes for leaf in jax.tree.leaves(backward)),
    )


def modes(key: jax.Array) -> Section:
    """Both layers in both modes, recorded and not; the data are the measurements."""
    x_key, key = jax.random.split(key)
    x = 3 + 2 * jax.random.normal(x_key, (256, 4), jnp.float32)
    found = [measure(key, x, train, record) for _, _, train, record in CASES]
    alone: Any = [network(key, x, train).item() for train in (True, False)]
    same = alone == [m.value for m in found[:2]] == [m.value for m in found[2:]]
    return Section(
        "eval, no_grad, set_grad_enabled",
        "eval() changes what Dropout and BatchNorm compute: Dropout passes everything "
        "on, and BatchNorm uses its running mean and variance. It does not turn "
        "gradients off. no_grad() turns the recording off and changes no value. "
        "set_grad_enabled(False) does the same until it is set again, not only until "
        "the end of a block. Neither frees what was recorded before; the "
        "notebook says that no_grad() does. In `with torch.no_grad(): model.eval()` "
        "the block ends after one line: the mode stays, and recording resumes. JAX has "
        "no such switch: the mode is an argument of the layer, and f(x) keeps nothing "
        "for a backward pass; only jax.grad and jax.vjp do. Inside a differentiated "
        "function stop_gradient replaces no_grad.",
        [
            (
                torch,
                ours,
                f"{m.zeros:.0%}",
                f"{m.mean:.2f}".replace("-0.00", "0.00"),
                f"{m.gradient:.3g}",
                m.kept,
            )
            for (torch, ours, _, _), m in zip(CASES, found, strict=True)
        ],
        header=(
            *("PyTorch", "JAX", "zeros of Dropout", "mean of BatchNorm"),
            *("largest gradient", "bytes kept"),
        ),
        note=f"x: 256 x 4 float32 numbers, {x.nbytes} bytes, with mean "
        f"{float(x.mean()):.2f}; a new BatchNorm has running mean 0.\n"
        "f(x) is equal alone, differentiated and behind stop_gradient: "
        f"{'yes' if same else 'no'}",
        data=(found, same),
    )
