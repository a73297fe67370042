"""Arrays read: indexed, reshaped, named twice, turned into numbers, detached.

Reading is almost as in torch. What torch does in place is a new array here, and what
is traced by jit or grad has no value yet.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._facts import Fact, Section, refusal
from experiments.arrays._values import NOTEBOOK_X


def indexing() -> Section:
    """Reading and replacing parts of an array, and what an index may not be."""
    x = jnp.asarray(NOTEBOOK_X)
    entries = {
        "row": Fact("x[1]", "x[1]", x[1]),
        "column": Fact("x[:, 1]", "x[:, 1]", x[:, 1]),
        "part": Fact("x[2:4, 1]", "x[2:4, 1]", x[2:4, 1]),
        "list": Fact("x[[0, 1]]", "x[[0, 1]]", refusal(lambda: x[[0, 1]])),
        "array": Fact("", "x[jnp.array([0, 1])]", x[jnp.array([0, 1])]),
        "assign": Fact("x[0] = 1", "x[0] = 1", refusal(lambda: _assign(x))),
        "set": Fact("", "y = x.at[0].set(1); y[0]", x.at[0].set(1)[0]),
        "add": Fact("x[0] += 1", "y = x.at[0].add(1); y[0]", x.at[0].add(1)[0]),
        "unchanged": Fact("", "    x[0], unchanged", x[0]),
        "outside": Fact(
            "x[7]  (IndexError)", "x[7]  (clamped: x[4])", bool((x[7] == x[4]).all())
        ),
        "outside filled": Fact(
            "", 'x.at[7].get(mode="fill")', x.at[7].get(mode="fill")
        ),
        "outside set": Fact(
            "x[7] = 1  (IndexError)",
            "x.at[7].set(1)  (dropped: equals x)",
            bool((x.at[7].set(1) == x).all()),
        ),
        "arange": Fact("np.arange(3)", "jnp.arange(3)", jnp.arange(3)),
        "arange T": Fact("np.arange(3).T", "jnp.arange(3).T", jnp.arange(3).T),
        "row T": Fact(
            "np.array([[0, 1, 2]]).T",
            "jnp.array([[0, 1, 2]]).T",
            jnp.array([[0, 1, 2]]).T,
        ),
    }
    return Section(
        "Indexing",
        "Reading is as in torch and NumPy, with two exceptions: a list is no index, "
        "and an index outside the array is no error, since compiled code cannot "
        "raise: it is clamped on reading and dropped on writing. Writing is .at[], "
        "which returns a new array. One axis has no transpose: .T reverses the axes.",
        entries,
    )


def _assign(x: Any) -> None:
    x[0] = 1


def shapes() -> Section:
    """What fits into a shape, what does not, and what a compiled program copies."""
    x = jnp.arange(16.0).reshape(4, 4)
    program = jax.jit(lambda x: x.T.reshape(2, 8).sum()).lower(x).compile()
    memory = program.memory_analysis()
    entries = {
        "16": Fact("x.view(16)", "x.reshape(16)", x.reshape(16).shape),
        "-1, 8": Fact("x.view(-1, 8)", "x.reshape(-1, 8)", x.reshape(-1, 8).shape),
        "-1, 7": Fact(
            "x.view(-1, 7)  (RuntimeError)",
            "x.reshape(-1, 7)",
            refusal(lambda: x.reshape(-1, 7)),
        ),
        "transposed": Fact(
            "x.T.view(16)  (RuntimeError)", "x.T.reshape(16)[:6]", x.T.reshape(16)[:6]
        ),
        "contiguous": Fact(
            "x.T.contiguous().view(16)",
            "    nothing to add: equals NumPy's",
            bool((np.asarray(x).T.reshape(16) == x.T.reshape(16)).all()),
        ),
        "compiled": Fact(
            "x.T.reshape(2, 8).sum()",
            "the same in jax.jit: bytes copied aside",
            memory and memory.temp_size_in_bytes,
        ),
    }
    return Section(
        "Shapes",
        "torch has view (never copies, fails where the memory order does not fit), "
        "contiguous and reshape. JAX has reshape alone: the layout in memory is XLA's "
        "affair, so there is no order that a view could fail on. Inside jax.jit a "
        "reshape is a change of indices, not of memory.",
        entries,
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
    entries = {
        name: Multiples(name, multiple(old), multiple(new))
        for name, old, new in zip(("y1", "y2", "y"), in_place, rebound, strict=True)
    }
    return Section(
        "Names and objects",
        "After y1 = y; y2 = y; y1.add_(x); y2 += x both names hold y + 2x in torch, "
        "for they name one object that was written twice; NumPy does the same. In JAX "
        "+= makes a new array and binds the name to it: y1 and y2 are y + x, and y is "
        "what it was. Counted are the x in each:",
        entries,
    )


def items() -> Section:
    """Numbers out of arrays: item, and what it may not be asked."""
    y = jnp.asarray(NOTEBOOK_X).ravel()
    triple = y[jnp.array([0, 1, 2])]
    entries = {
        "items": Fact(
            "for i in range(3): y[[i]].item()",
            "y[jnp.array([i])].item()",
            [round(y[jnp.array([i])].item(), 4) for i in range(3)],
        ),
        "triple": Fact("y[[0, 1, 2]]", "y[jnp.array([0, 1, 2])]", triple),
        "item of 3": Fact(
            "y[[0, 1, 2]].item()  (RuntimeError)",
            "y[jnp.array([0, 1, 2])].item()",
            refusal(triple.item),
        ),
        "item of 1": Fact(
            "torch.ones(1, 1, 1).item()",
            "jnp.ones((1, 1, 1)).item()",
            jnp.ones((1, 1, 1)).item(),
        ),
        "item in jit": Fact(
            "",
            "jax.jit(lambda x: x.item())(1.0)",
            refusal(lambda: jax.jit(lambda x: x.item())(1.0)),
        ),
    }
    return Section(
        "item",
        "item() reads the one element of an array, whatever its number of axes; of "
        "more elements it is an error. Under jit an array is traced and has no value "
        "yet, so that item() is refused.",
        entries,
    )


def detaching() -> Section:
    """What detach does, and where there is nothing to detach."""
    y = jnp.asarray(NOTEBOOK_X)
    stop = jax.lax.stop_gradient
    entries = {
        "gradient": Fact(
            "x * x, backward, at 3",
            "jax.grad(lambda x: x * x)(3.0)",
            jax.grad(lambda x: x * x)(3.0).item(),
        ),
        "detached": Fact(
            "x * x.detach(), backward",
            "jax.grad(lambda x: x * stop_gradient(x))(3.0)",
            jax.grad(lambda x: x * stop(x))(3.0).item(),
        ),
        "memory": Fact(
            "x.detach() shares memory",
            "stop_gradient(y) shares memory",
            stop(y).unsafe_buffer_pointer() == y.unsafe_buffer_pointer(),
        ),
        "numpy": Fact(
            "y.detach().numpy()", "np.asarray(y)", type(np.asarray(y)).__name__
        ),
        "numpy in grad": Fact(
            "np.exp(x)  (RuntimeError)",
            "jax.grad(np.exp)(2.0)",
            refusal(lambda: jax.grad(np.exp)(2.0)),
        ),
    }
    return Section(
        "detach",
        "A JAX array carries no history, so outside a transformation there is nothing "
        "to detach; inside, jax.lax.stop_gradient cuts as detach does. What grad "
        "traces has no value for NumPy: use jnp.exp, as torch needs torch.exp.",
        entries,
    )
