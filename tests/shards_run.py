"""What explain and find_nonfinite say of `shard_map` and `pmap` on eight devices.

Run by `test_shards.py` in a process of its own, because JAX counts its devices once.
"""

import json
import os

os.environ["JAX_NUM_CPU_DEVICES"] = "8"

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import jaxgrad

LINE = Mesh(np.array(jax.devices()), ("data",))
GRID = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("data", "model"))
W = jnp.array([[0.5, 1.0], [1.5, -0.5], [0.25, 2.0]])
X = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1.5, (8, 3)), jnp.float32)


def normalise(v):
    norm = jnp.linalg.norm(v, axis=-1, keepdims=True)
    return v / norm


def data_parallel(mesh, checked):
    def local(w, x):
        return jax.lax.pmean(jnp.mean(normalise(x @ w) ** 3), "data")

    specs = {"in_specs": (P(), P("data")), "out_specs": P(), "check_vma": checked}
    return lambda w, x: jax.jit(jax.shard_map(local, mesh=mesh, **specs))(w, x)


def tensor_parallel(w, v, x):
    """Both axes of a grid, with a loop and a branch that the shards decide alone."""

    def local(w, v, x):
        h = jax.lax.psum(jnp.tanh(x @ w) @ v, "model")

        def step(carry, row):
            carry = carry + jnp.sqrt(row.sum())
            return carry, carry

        zero = jax.lax.pcast(jnp.float32(0), ("data",), to="varying")
        carry, rows = jax.lax.scan(step, zero, h)
        late = jax.lax.axis_index("data") > 0
        carry = jax.lax.cond(late, jnp.sin, lambda c: 2 * c, carry)
        return jax.lax.psum(carry + rows.sum(), "data")

    specs = (P(None, "model"), P("model"), P("data"))
    mapped = jax.shard_map(local, mesh=GRID, in_specs=specs, out_specs=P())
    return mapped(w, v, x)


def mapped(w, x):
    mean = jax.pmap(lambda w, x: jnp.mean(normalise(x @ w)), in_axes=(None, 0))
    return mean(w, x)


def off_on_all_axes(w, x):
    def local(w, x):
        hidden = jax.nn.relu(x @ w - 9)
        return jax.lax.psum(jnp.sum(hidden), "data")

    specs = (P(), P("data"))
    return jax.shard_map(local, mesh=LINE, in_specs=specs, out_specs=P())(w, x)


def off_on_one_axis(w, x):
    def local(w, x):
        hidden = jax.nn.relu(w - 9)
        return jax.lax.psum(jnp.sum(x @ hidden), ("data", "model"))

    specs = (P(None, "model"), P("data"))
    return jax.shard_map(local, mesh=GRID, in_specs=specs, out_specs=P())(w, x)


def divided_by_a_scalar(w, x):
    def local(w, x):
        hidden = jax.nn.relu(x @ w) / jnp.linalg.norm(w)
        return jax.lax.pmean(jnp.mean(hidden), "data")

    specs = (P(), P("data"))
    return jax.shard_map(local, mesh=LINE, in_specs=specs, out_specs=P())(w, x)


def zero_of(f, *arguments):
    (finding,) = jaxgrad.find_zero(f)(*arguments)
    assert finding.source is not None
    return [finding.reason, finding.source.text]


def hint_of(f, *arguments):
    blame = jaxgrad.find_nonfinite(f)(*arguments)
    assert blame is not None
    return blame.hint


def blame_of(f, *arguments):
    blame = jaxgrad.find_nonfinite(f)(*arguments)
    if blame is None or blame.source is None:
        return None
    return [blame.phase, blame.source.text, blame.shard, blame.iteration]


def compared(f, argnums, *arguments):
    """The steps, and the largest difference from what JAX gives."""
    report = jaxgrad.explain(f, argnums)(*arguments)
    value, gradients = jax.value_and_grad(f, argnums)(*arguments)
    pairs = zip(
        jax.tree.leaves((report.value, report.gradients)),
        jax.tree.leaves((value, gradients)),
        strict=True,
    )
    steps = [[step.name, step.shape, step.part] for step in report.steps]
    return {"steps": steps, "error": max(float(abs(a - b).max()) for a, b in pairs)}


def main():
    warnings.simplefilter("error")
    zero = X.at[5].set(0)
    grid = jnp.abs(jnp.concatenate([W, W], axis=1)), jnp.ones((4, 5))
    found = {
        "line": compared(data_parallel(LINE, True), 0, W, X),
        "unchecked": compared(data_parallel(GRID, False), 0, W, X),
        "grid": compared(tensor_parallel, (0, 1, 2), *grid, X),
        "mapped": compared(lambda w, x: mapped(w, x).sum(), 0, W, X.reshape(8, 1, 3)),
        "blame line": blame_of(data_parallel(LINE, True), W, zero),
        "blame unchecked": blame_of(data_parallel(GRID, False), W, zero),
        "blame mapped": blame_of(mapped, W, zero.reshape(8, 1, 3)),
        "blame gradient": blame_of(tensor_parallel, *grid, zero),
        "blame loop": blame_of(tensor_parallel, *grid, X.at[5].set(-3.0)),
        "off on all axes": zero_of(off_on_all_axes, W, X),
        "off on one axis": zero_of(off_on_one_axis, W, X),
        "scalar": hint_of(divided_by_a_scalar, 0 * W, X),
        "finite": blame_of(data_parallel(LINE, True), W, X),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
