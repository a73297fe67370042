"""What replaces PyTorch's switches when a derivative is a function; all measured.

`requires_grad`, `retain_graph`, `create_graph`, `grad_fn` and `detach` tell PyTorch
what to record in its graph. In JAX `argnums` chooses what to differentiate, a function
can be called again, and its jaxpr is the record.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._derivatives.calculus import (
    EXAMPLES,
    PARTIALS,
    Function,
    mean_of_squares,
)
from experiments._section import Section, error_of
from jaxgrad import derivative, derivatives


def recorded(f: Function, *args: Any) -> list[str]:
    """The operations of `f` in order, as PyTorch names them by `grad_fn`."""
    return [equation.primitive.name for equation in jax.make_jaxpr(f)(*args).eqns]


def mean_chain() -> Section:
    """The steps of mean(3 (x + 2)^2) at ones(2, 2), and their recorded operations."""
    x = jnp.ones((2, 2), jnp.float32)
    y = x + 2
    z, mean, gradient = y * y * 3, mean_of_squares(x), jax.grad(mean_of_squares)(x)
    of_y, of_mean = recorded(lambda x: x + 2, x), recorded(mean_of_squares, x)
    steps = {"z": z, "out": mean, "gradient": gradient}
    return Section(
        "mean of 3 (x + 2)^2 at ones(2, 2)",
        "PyTorch records the operations as it computes; JAX records them when asked.",
        [
            ("y = x + 2", "y = x + 2", y),
            ("z = y * y * 3", "z = y * y * 3", z),
            ("out = z.mean()", "out = z.mean()", mean),
            ("out.backward(); x.grad", "jax.grad(f)(x)", gradient),
            ("y.grad_fn", "jax.make_jaxpr(lambda x: x + 2)(x)", of_y),
            ("out.grad_fn and its next_functions", "jax.make_jaxpr(f)(x)", of_mean),
        ],
        {"0.8": of_y, "0.9": steps, "3.19": {"y": y, **steps, "recorded": of_mean}},
    )


def switches() -> Section:
    """Do in JAX what each of PyTorch's switches is for."""
    slope, square = derivative(EXAMPLES["x^2 + 2x + 2"].f), EXAMPLES["x^2"].f
    cubic, exp = EXAMPLES["x^3 + x^2 + x + 1"].f, jnp.exp
    twice = [slope(3.0).item(), slope(3.0).item()]
    two_ways = [jax.grad(square)(2.0).item(), derivative(square)(2.0).item()]
    orders = [order.item() for order in derivatives(cubic, 3)(2.0)]
    chosen_again = [len(_gradients(tuple(chosen))) for chosen in ({0}, {0} | {0})]
    whole = derivative(lambda x: x * x)(3.0).item()
    stopped = derivative(lambda x: x * jax.lax.stop_gradient(x))(3.0).item()
    some, detach = "requires_grad=True for some", "x.detach(), no_grad()"
    inside = error_of(lambda: derivative(np.exp)(2.0))
    return Section(
        "PyTorch's switches",
        "In PyTorch a switch changes what is recorded. In JAX a derivative is a "
        "function of a function, so it needs no switches.",
        [
            ("y.backward(); autograd.grad", "jax.grad; derivative", two_ways),
            *(
                (some, f"argnums={argnums}", _gradients(argnums))
                for argnums in ((0,), (1, 2), (0, 1, 2))
            ),
            ("requires_grad_(), again", "the same argnums again", chosen_again),
            ("retain_graph=True", "call it again", twice),
            ("create_graph=True", "derivatives(f, 3)", orders),
            (detach, "d/dx x * x", whole),
            (detach, "d/dx x * stop_gradient(x)", stopped),
            ("torch.exp(x)", "derivative(jnp.exp)", derivative(exp)(2.0).item()),
            ("np.exp(x)", "derivative(np.exp)", inside),
        ],
        {
            "1.3": twice,
            "3.22": [*two_ways, derivative(jnp.sin)(math.pi).item()],
            "3.C8": chosen_again,
        },
    )


def _gradients(argnums: tuple[int, ...]) -> list[float]:
    """Gradients of w x + b at (x, w, b) = (1, 2, 3)."""
    line = PARTIALS["w x + b at (x, w, b)"].f
    return [g.item() for g in jax.grad(line, argnums=argnums)(1.0, 2.0, 3.0)]
