"""Reading arrays: indexing, reshaping, naming, extracting numbers, detaching.

Reading is almost as in torch. What torch does in place returns a new array in JAX, and
what jit or grad traces has no value yet.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._arrays.values import NOTEBOOK_X
from experiments._comparison import Fact, Section, also, error_of


def indexing() -> Section:
    """Reading and replacing parts of an array, and the indices that JAX refuses."""
    x = jnp.asarray(NOTEBOOK_X)
    three, row = jnp.arange(3), jnp.array([[0, 1, 2]])
    clamped, dropped = bool((x[7] == x[4]).all()), bool((x.at[7].set(1) == x).all())
    return Section(
        "Indexing",
        "Reading is as in torch and NumPy, with two exceptions. A list is not an "
        "index. An index outside the array is not an error, since compiled code "
        "cannot raise: it is clamped when reading and dropped when writing. Writing "
        "is .at[], which returns a new array. With one axis, .T changes nothing.",
        [
            Fact("x[1]", "x[1]", x[1]),
            Fact("x[:, 1]", "x[:, 1]", x[:, 1]),
            Fact("x[2:4, 1]", "x[2:4, 1]", x[2:4, 1]),
            Fact("x[[0, 1]]", "x[[0, 1]]", error_of(lambda: x[[0, 1]])),
            Fact("", "x[jnp.array([0, 1])]", x[jnp.array([0, 1])]),
            Fact("x[0] = 1", "x[0] = 1", error_of(lambda: _assign(x))),
            Fact("", "y = x.at[0].set(1); y[0]", x.at[0].set(1)[0]),
            Fact("x[0] += 1", "y = x.at[0].add(1); y[0]", x.at[0].add(1)[0]),
            also("x[0], unchanged", x[0]),
            Fact("x[7]  (IndexError)", "x[7]  (clamped: x[4])", clamped),
            Fact("", 'x.at[7].get(mode="fill")', x.at[7].get(mode="fill")),
            Fact("x[7] = 1  (IndexError)", "x.at[7].set(1)  (dropped: x)", dropped),
            Fact("np.arange(3)", "jnp.arange(3)", three),
            Fact("np.arange(3).T", "jnp.arange(3).T", three.T),
            Fact("np.array([[0, 1, 2]]).T", "jnp.array([[0, 1, 2]]).T", row.T),
        ],
        {
            "0.5": x[:, 1],
            "3.8": {"indexed": [x[1].shape, x[:, 1].shape, x[2:4, 1].shape]},
            "3.17": {"arange": three, "arange.T": three.T, "row.T": row.T},
        },
    )


def _assign(x: Any) -> None:
    x[0] = 1


def shapes() -> Section:
    """Which shapes fit, and what a compiled program copies."""
    x = jnp.arange(16.0).reshape(4, 4)
    misfit, transposed = error_of(lambda: x.reshape(-1, 7)), x.T.reshape(16)
    as_numpy = bool((np.asarray(x).T.reshape(16) == transposed).all())
    program = jax.jit(lambda x: x.T.reshape(2, 8).sum()).lower(x).compile()
    memory = program.memory_analysis()
    copied = memory and memory.temp_size_in_bytes
    return Section(
        "Shapes",
        "torch has view, which never copies and fails where the memory order does not "
        "fit, contiguous, and reshape. JAX has reshape only: XLA chooses the layout in "
        "memory, so no order can fail to fit. Inside jax.jit a reshape changes "
        "indices, not memory.",
        [
            Fact("x.view(16)", "x.reshape(16)", x.reshape(16).shape),
            Fact("x.view(-1, 8)", "x.reshape(-1, 8)", x.reshape(-1, 8).shape),
            Fact("x.view(-1, 7)  (RuntimeError)", "x.reshape(-1, 7)", misfit),
            Fact("x.T.view(16)  (RuntimeError)", "x.T.reshape(16)[:6]", transposed[:6]),
            Fact(
                "x.T.contiguous().view(16)", "    the same, equal to NumPy's", as_numpy
            ),
            Fact(
                "x.T.reshape(2, 8).sum()", "the same in jax.jit: bytes copied", copied
            ),
        ],
        {
            "3.8": {"reshaped": [x.reshape(16).shape, x.reshape(-1, 8).shape]},
            "3.9": {
                "-1, 7": misfit.partition(":")[0],
                "x.T.reshape(16)[:6]": transposed[:6],
            },
        },
    )


class Multiples(NamedTuple):
    """How many x were added to the start value of y, by each library's names."""

    name: str
    in_place_as_torch: float
    jax: float


def names(key: jax.Array) -> Section:
    """Two names for one array: `y1 = y; y2 = y; y1 += x; y2 += x`."""
    x, start = jax.random.uniform(key, (2, 5, 3))

    def multiple(y) -> float:
        """The m of y = start + m x, by least squares."""
        return (jnp.vdot(y - start, x) / jnp.vdot(x, x)).item()

    def twice(y, x):
        y1 = y
        y2 = y
        y1 += x
        y2 += x
        return y1, y2, y

    in_place = twice(np.array(start), np.asarray(x))  # NumPy's += writes, as torch's
    rebound = twice(start, x)
    entries = [
        Multiples(name, multiple(old), multiple(new))
        for name, old, new in zip(("y1", "y2", "y"), in_place, rebound, strict=True)
    ]
    return Section(
        "Names and objects",
        "After y1 = y; y2 = y; y1.add_(x); y2 += x both names hold y + 2x in torch: "
        "they name one object, which was written twice. NumPy does the same. In JAX "
        "+= creates a new array and binds the name to it: y1 and y2 are y + x, and y "
        "is unchanged. The table counts the x in each:",
        entries,
        {
            "3.7": {
                "in place": [entry.in_place_as_torch for entry in entries[:2]],
                "JAX": [entry.jax for entry in entries],
            }
        },
    )


def items() -> Section:
    """Numbers out of arrays with `item`."""
    y = jnp.asarray(NOTEBOOK_X).ravel()
    each = [round(y[jnp.array([i])].item(), 4) for i in range(3)]
    triple, one = y[jnp.array([0, 1, 2])], jnp.ones((1, 1, 1)).item()
    of_three = error_of(triple.item)
    in_jit = error_of(lambda: jax.jit(lambda x: x.item())(1.0))
    three, jax_three = "y[[0, 1, 2]]", "y[jnp.array([0, 1, 2])]"
    return Section(
        "item",
        "item() reads the single element of an array with any number of axes; with "
        "more elements it is an error. Under jit an array is traced and has no value "
        "yet, so item() is an error too.",
        [
            Fact("for i in range(3): y[[i]].item()", "y[jnp.array([i])].item()", each),
            Fact(three, jax_three, triple),
            Fact(f"{three}.item()  (RuntimeError)", f"{jax_three}.item()", of_three),
            Fact("torch.ones(1, 1, 1).item()", "jnp.ones((1, 1, 1)).item()", one),
            Fact("", "jax.jit(lambda x: x.item())(1.0)", in_jit),
        ],
        {
            "3.10": {
                "items": len(each),
                "shape": triple.shape,
                "item of 3": of_three.partition(":")[0],
                "item of 1": one,
            }
        },
    )


def detaching() -> Section:
    """What detach does, and where there is nothing to detach."""
    y, stop = jnp.asarray(NOTEBOOK_X), jax.lax.stop_gradient
    slope = jax.grad(lambda x: x * x)(3.0).item()
    detached = jax.grad(lambda x: x * stop(x))(3.0).item()
    shared = stop(y).unsafe_buffer_pointer() == y.unsafe_buffer_pointer()
    traced = error_of(lambda: jax.grad(np.exp)(2.0))
    square, cut = "jax.grad(lambda x: x * x)(3.0)", "lambda x: x * stop_gradient(x)"
    shares = "shares memory"
    return Section(
        "detach",
        "A JAX array carries no history, so outside a transformation there is nothing "
        "to detach. Inside one, jax.lax.stop_gradient does what detach does. NumPy "
        "cannot read an array that grad traces: use jnp.exp, as torch needs torch.exp.",
        [
            Fact("x * x, backward, at 3", square, slope),
            Fact("x * x.detach(), backward", f"jax.grad({cut})(3.0)", detached),
            Fact(f"x.detach() {shares}", f"stop_gradient(y) {shares}", shared),
            Fact("y.detach().numpy()", "np.asarray(y)", type(np.asarray(y)).__name__),
            Fact("np.exp(x)  (RuntimeError)", "jax.grad(np.exp)(2.0)", traced),
        ],
    )
