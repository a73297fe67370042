"""Functions that lose their digits in float32, and the same ones rearranged.

`HAMMING` are the 28 examples of cancellation in chapter 3 of Hamming's "Numerical
Methods for Scientists and Engineers", in FPBench's numbering, each at a point where it
cancels. `GUILTY` marks the line. In `BACKWARD` the value is accurate, or as good as
that, and the gradient is not.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Inaccurate(NamedTuple):
    """A function, its arguments, and the same function rearranged."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    twin: Callable[..., Any] | None = None


HAMMING: dict[str, Inaccurate] = {}
BACKWARD: dict[str, Inaccurate] = {}


def hamming(name: str, *args: float) -> Callable[..., Any]:
    def add(f):
        HAMMING[name] = Inaccurate(f, args)
        return f

    return add


def backward(*args: Any) -> Callable[..., Any]:
    def add(f):
        BACKWARD[f.__name__] = Inaccurate(f, args)
        return f

    return add


def rearranged(f):
    """The twin of the case before it."""
    table = HAMMING if f.__name__ == "hamming_twin" else BACKWARD
    name = list(table)[-1]
    table[name] = table[name]._replace(twin=f)
    return f


@hamming("3.1", 1e8)
def _(x):
    after, before = jnp.sqrt(x + 1), jnp.sqrt(x)
    return after - before  # GUILTY


@rearranged
def hamming_twin(x):
    return 1 / (jnp.sqrt(x + 1) + jnp.sqrt(x))


@hamming("3.3", 1.0, 1e-6)
def _(x, eps):
    moved = jnp.sin(x + eps)
    return moved - jnp.sin(x)  # GUILTY


@rearranged
def hamming_twin(x, eps):
    return 2 * jnp.sin(eps / 2) * jnp.cos(x + eps / 2)


@hamming("3.4", 1e-4)
def _(x):
    top = 1 - jnp.cos(x)  # GUILTY
    return top / jnp.sin(x)


@rearranged
def hamming_twin(x):
    return jnp.tan(x / 2)


@hamming("3.5", 1e4)
def _(n):
    after, before = jnp.arctan(n + 1), jnp.arctan(n)
    return after - before  # GUILTY


@rearranged
def hamming_twin(n):
    return jnp.arctan2(jnp.float32(1), 1 + n * (n + 1))


@hamming("3.6", 1e6)
def _(x):
    before = 1 / jnp.sqrt(x)
    after = 1 / jnp.sqrt(x + 1)
    return before - after  # GUILTY


@rearranged
def hamming_twin(x):
    a, b = jnp.sqrt(x), jnp.sqrt(x + 1)
    return 1 / (a * b * (a + b))


@hamming("3.3.1", 1e6)
def _(x):
    after = 1 / (x + 1)
    return after - 1 / x  # GUILTY


@rearranged
def hamming_twin(x):
    return -1 / (x * (x + 1))


@hamming("3.3.2", 1.0, 1e-6)
def _(x, eps):
    moved = jnp.tan(x + eps)
    return moved - jnp.tan(x)  # GUILTY


@rearranged
def hamming_twin(x, eps):
    return jnp.sin(eps) / (jnp.cos(x) * jnp.cos(x + eps))


@hamming("3.3.3", 1e4)
def _(x):
    first = 1 / (x + 1)
    second = 2 / x
    third = 1 / (x - 1)
    return (first - second) + third  # GUILTY


@rearranged
def hamming_twin(x):
    return 2 / (x * (x - 1) * (x + 1))


@hamming("3.3.4", 1e7)
def _(x):
    after, before = jnp.cbrt(x + 1), jnp.cbrt(x)
    return after - before  # GUILTY


@rearranged
def hamming_twin(x):
    a, b = jnp.cbrt(x + 1), jnp.cbrt(x)
    return 1 / (a * a + a * b + b * b)


@hamming("3.3.5", 1.0, 1e-6)
def _(x, eps):
    moved = jnp.cos(x + eps)
    return moved - jnp.cos(x)  # GUILTY


@rearranged
def hamming_twin(x, eps):
    return -2 * jnp.sin(eps / 2) * jnp.sin(x + eps / 2)


@hamming("3.3.6", 1e7)
def _(n):
    after, before = jnp.log(n + 1), jnp.log(n)
    return after - before  # GUILTY


@rearranged
def hamming_twin(n):
    return jnp.log1p(1 / n)


@hamming("3.3.7", 1e-3)
def _(x):
    up, down = jnp.exp(x), jnp.exp(-x)
    return (up - 2) + down  # GUILTY


@rearranged
def hamming_twin(x):
    return 4 * jnp.sinh(x / 2) ** 2


@hamming("p42, positive", 1.0, 1e4, 1.0)
def _(a, b, c):
    root = jnp.sqrt(b * b - 4 * (a * c))
    top = -b + root  # GUILTY
    return top / (2 * a)


@rearranged
def hamming_twin(a, b, c):
    return 2 * c / (-b - jnp.sqrt(b * b - 4 * (a * c)))


@hamming("p42, negative", 1.0, -1e4, 1.0)
def _(a, b, c):
    root = jnp.sqrt(b * b - 4 * (a * c))
    top = -b - root  # GUILTY
    return top / (2 * a)


@rearranged
def hamming_twin(a, b, c):
    return 2 * c / (-b + jnp.sqrt(b * b - 4 * (a * c)))


@hamming("3.2.1, positive", 1.0, 1e4, 1.0)
def _(a, b, c):
    root = jnp.sqrt(b * b - a * c)
    top = -b + root  # GUILTY
    return top / a


@rearranged
def hamming_twin(a, b, c):
    return c / (-b - jnp.sqrt(b * b - a * c))


@hamming("3.2.1, negative", 1.0, -1e4, 1.0)
def _(a, b, c):
    root = jnp.sqrt(b * b - a * c)
    top = -b - root  # GUILTY
    return top / a


@rearranged
def hamming_twin(a, b, c):
    return c / (-b + jnp.sqrt(b * b - a * c))


@hamming("3.7", 1e-5)
def _(x):
    power = jnp.exp(x)
    return power - 1  # GUILTY


@rearranged
def hamming_twin(x):
    return jnp.expm1(x)


@hamming("3.8", 1e6)
def _(n):
    after = (n + 1) * jnp.log(n + 1)
    before = n * jnp.log(n)
    return (after - before) - 1  # GUILTY


@rearranged
def hamming_twin(n):
    return jnp.log(n + 1) - 1 / (2 * n) + 1 / (3 * n * n)


@hamming("3.9", 1e-3)
def _(x):
    pole = 1 / x
    return pole - 1 / jnp.tan(x)  # GUILTY


@rearranged
def hamming_twin(x):
    return x / 3 + x**3 / 45 + 2 * x**5 / 945


@hamming("3.10", 1e-6)
def _(x):
    top, bottom = jnp.log(1 - x), jnp.log(1 + x)  # GUILTY
    return top / bottom


@rearranged
def hamming_twin(x):
    return jnp.log1p(-x) / jnp.log1p(x)


@hamming("3.4.1", 1e-3)
def _(x):
    top = 1 - jnp.cos(x)  # GUILTY
    return top / (x * x)


@rearranged
def hamming_twin(x):
    return 2 * (jnp.sin(x / 2) / x) ** 2


@hamming("3.4.2", 1.0, 2.0, 1e-5)
def _(a, b, eps):
    both = jnp.exp((a + b) * eps)
    one, two = jnp.exp(a * eps), jnp.exp(b * eps)
    return eps * (both - 1) / ((one - 1) * (two - 1))  # GUILTY


@rearranged
def hamming_twin(a, b, eps):
    top = eps * jnp.expm1((a + b) * eps)
    return top / (jnp.expm1(a * eps) * jnp.expm1(b * eps))


@hamming("3.4.3", 1e-6)
def _(eps):
    quotient = (1 - eps) / (1 + eps)
    return jnp.log(quotient)  # GUILTY


@rearranged
def hamming_twin(eps):
    return -2 * jnp.arctanh(eps)


@hamming("3.4.4", 1e-5)
def _(x):
    two, one = jnp.exp(2 * x), jnp.exp(x)
    quotient = (two - 1) / (one - 1)  # GUILTY
    return jnp.sqrt(quotient)


@rearranged
def hamming_twin(x):
    return jnp.sqrt(jnp.exp(x) + 1)


@hamming("3.4.5", 1e-2)
def _(x):
    sine, tangent = jnp.sin(x), jnp.tan(x)
    return (x - sine) / (x - tangent)  # GUILTY


@rearranged
def hamming_twin(x):
    return -0.5 + 9 * x**2 / 40 - 27 * x**4 / 2800


@hamming("3.4.6", 1e7, 5.0)
def _(x, n):
    after, before = (x + 1) ** (1 / n), x ** (1 / n)
    return after - before  # GUILTY


@rearranged
def hamming_twin(x, n):
    return jnp.exp(jnp.log(x) / n) * jnp.expm1(jnp.log1p(1 / x) / n)


@hamming("3.5 of the text", 1.0, 1e-5)
def _(a, x):
    power = jnp.exp(a * x)
    return power - 1  # GUILTY


@rearranged
def hamming_twin(a, x):
    return jnp.expm1(a * x)


@hamming("3.11", 1e-5)
def _(x):
    power = jnp.exp(x)
    return power / (power - 1)  # GUILTY


@rearranged
def hamming_twin(x):
    return 1 / -jnp.expm1(-x)
