"""Reading arrays: indexing, reshaping, naming, extracting numbers, detaching.

Reading works almost as in torch. Operations that torch does in place return a new array
in JAX, and an array that jit or grad traces has no value yet.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._arrays.values import NOTEBOOK_X
from experiments._section import Section, also, error_of


def indexing() -> Section:
    """Read and replace parts of an array; the indices that JAX refuses."""
    x = jnp.asarray(NOTEBOOK_X)
    three, row = jnp.arange(3), jnp.array([[0, 1, 2]])
    clamped, dropped = bool((x[7] == x[4]).all()), bool((x.at[7].set(1) == x).all())
    return Section(
        "Indexing",
        "Reading works as in torch and NumPy, with two exceptions. JAX refuses a list "
        "as an index. An index out of range is not an error, since compiled code "
        "cannot raise: it is clamped when reading and dropped when writing. Writing "
        "is .at[], which returns a new array. With one axis, .T changes nothing.",
        [
            ("x[1]", "x[1]", x[1]),
            ("x[:, 1]", "x[:, 1]", x[:, 1]),
            ("x[2:4, 1]", "x[2:4, 1]", x[2:4, 1]),
            ("x[[0, 1]]", "x[[0, 1]]", error_of(lambda: x[[0, 1]])),
            ("", "x[jnp.array([0, 1])]", x[jnp.array([0, 1])]),
            ("x[0] = 1", "x[0] = 1", error_of(lambda: _assign(x))),
            ("", "y = x.at[0].set(1); y[0]", x.at[0].set(1)[0]),
            ("x[0] += 1", "y = x.at[0].add(1); y[0]", x.at[0].add(1)[0]),
            also("x[0], unchanged", x[0]),
            ("x[7]  (IndexError)", "x[7]  (clamped: x[4])", clamped),
            ("", 'x.at[7].get(mode="fill")', x.at[7].get(mode="fill")),
            ("x[7] = 1  (IndexError)", "x.at[7].set(1)  (dropped: x)", dropped),
            ("np.arange(3)", "jnp.arange(3)", three),
            ("np.arange(3).T", "jnp.arange(3).T", three.T),
            ("np.array([[0, 1, 2]]).T", "jnp.array([[0, 1, 2]]).T", row.T),
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
    fault, _, _ = misfit.partition(":")
    as_numpy = bool((np.asarray(x).T.reshape(16) == transposed).all())
    program = jax.jit(lambda x: x.T.reshape(2, 8).sum()).lower(x).compile()
    memory = program.memory_analysis()
    copied = memory and memory.temp_size_in_bytes
    return Section(
        "Shapes",
        "torch has view (which never copies, and fails if the memory order does not "
        "fit), contiguous and reshape. JAX has only reshape: XLA chooses the memory "
        "layout, so the order always fits. Inside jax.jit a reshape changes indices, "
        "not memory.",
        [
            ("x.view(16)", "x.reshape(16)", x.reshape(16).shape),
            ("x.view(-1, 8)", "x.reshape(-1, 8)", x.reshape(-1, 8).shape),
            ("x.view(-1, 7)  (RuntimeError)", "x.reshape(-1, 7)", misfit),
            ("x.T.view(16)  (RuntimeError)", "x.T.reshape(16)[:6]", transposed[:6]),
            ("x.T.contiguous().view(16)", "    the same, equal to NumPy's", as_numpy),
            ("x.T.reshape(2, 8).sum()", "the same in jax.jit: bytes copied", copied),
        ],
        {
            "3.8": {"reshaped": [x.reshape(16).shape, x.reshape(-1, 8).shape]},
            "3.9": {"-1, 7": fault, "x.T.reshape(16)[:6]": transposed[:6]},
        },
    )


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

    in_place = twice(np.array(start), np.asarray(x))  # NumPy's += writes in place
    rebound = twice(start, x)
    written, bound = list(map(multiple, in_place)), list(map(multiple, rebound))
    return Section(
        "Names and objects",
        "After y1 = y; y2 = y; y1.add_(x); y2 += x both names hold y + 2x in torch: "
        "they name one object, which was written twice. NumPy does the same. In JAX "
        "+= creates a new array and binds the name to it: y1 and y2 are y + x, and y "
        "is unchanged. The table counts the x in each:",
        list(zip(("y1", "y2", "y"), written, bound, strict=True)),
        {"3.7": {"in place": written[:2], "JAX": bound}},
        ("name", "in place as torch", "JAX"),
    )


def items() -> Section:
    """Extract numbers with `item`."""
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
            ("for i in range(3): y[[i]].item()", "y[jnp.array([i])].item()", each),
            (three, jax_three, triple),
            (f"{three}.item()  (RuntimeError)", f"{jax_three}.item()", of_three),
            ("torch.ones(1, 1, 1).item()", "jnp.ones((1, 1, 1)).item()", one),
            ("", "jax.jit(lambda x: x.item())(1.0)", in_jit),
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
    """What detach does, and where it is unnecessary."""
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
            ("x * x, backward, at 3", square, slope),
            ("x * x.detach(), backward", f"jax.grad({cut})(3.0)", detached),
            (f"x.detach() {shares}", f"stop_gradient(y) {shares}", shared),
            ("y.detach().numpy()", "np.asarray(y)", type(np.asarray(y)).__name__),
            ("np.exp(x)  (RuntimeError)", "jax.grad(np.exp)(2.0)", traced),
        ],
    )
