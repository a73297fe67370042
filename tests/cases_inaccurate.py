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
    table = HAMMING if f.__name__.startswith("example_") else BACKWARD
    name = list(table)[-1]
    table[name] = table[name]._replace(twin=f)
    return f


@hamming("3.1", 1e8)
def example_3_1(x):
    after, before = jnp.sqrt(x + 1), jnp.sqrt(x)
    return after - before  # GUILTY


@rearranged
def example_3_1_twin(x):
    return 1 / (jnp.sqrt(x + 1) + jnp.sqrt(x))


@hamming("3.3", 1.0, 1e-6)
def example_3_3(x, eps):
    moved = jnp.sin(x + eps)
    return moved - jnp.sin(x)  # GUILTY


@rearranged
def example_3_3_twin(x, eps):
    return 2 * jnp.sin(eps / 2) * jnp.cos(x + eps / 2)


@hamming("3.4", 1e-4)
def example_3_4(x):
    top = 1 - jnp.cos(x)  # GUILTY
    return top / jnp.sin(x)


@rearranged
def example_3_4_twin(x):
    return jnp.tan(x / 2)


@hamming("3.5", 1e4)
def example_3_5(n):
    after, before = jnp.arctan(n + 1), jnp.arctan(n)
    return after - before  # GUILTY


@rearranged
def example_3_5_twin(n):
    return jnp.arctan2(jnp.float32(1), 1 + n * (n + 1))


@hamming("3.6", 1e6)
def example_3_6(x):
    before = 1 / jnp.sqrt(x)
    after = 1 / jnp.sqrt(x + 1)
    return before - after  # GUILTY


@rearranged
def example_3_6_twin(x):
    a, b = jnp.sqrt(x), jnp.sqrt(x + 1)
    return 1 / (a * b * (a + b))


@hamming("3.3.1", 1e6)
def example_3_3_1(x):
    after = 1 / (x + 1)
    return after - 1 / x  # GUILTY


@rearranged
def example_3_3_1_twin(x):
    return -1 / (x * (x + 1))


@hamming("3.3.2", 1.0, 1e-6)
def example_3_3_2(x, eps):
    moved = jnp.tan(x + eps)
    return moved - jnp.tan(x)  # GUILTY


@rearranged
def example_3_3_2_twin(x, eps):
    return jnp.sin(eps) / (jnp.cos(x) * jnp.cos(x + eps))


@hamming("3.3.3", 1e4)
def example_3_3_3(x):
    first = 1 / (x + 1)
    second = 2 / x
    third = 1 / (x - 1)
    return (first - second) + third  # GUILTY


@rearranged
def example_3_3_3_twin(x):
    return 2 / (x * (x - 1) * (x + 1))


@hamming("3.3.4", 1e7)
def example_3_3_4(x):
    after, before = jnp.cbrt(x + 1), jnp.cbrt(x)
    return after - before  # GUILTY


@rearranged
def example_3_3_4_twin(x):
    a, b = jnp.cbrt(x + 1), jnp.cbrt(x)
    return 1 / (a * a + a * b + b * b)


@hamming("3.3.5", 1.0, 1e-6)
def example_3_3_5(x, eps):
    moved = jnp.cos(x + eps)
    return moved - jnp.cos(x)  # GUILTY


@rearranged
def example_3_3_5_twin(x, eps):
    return -2 * jnp.sin(eps / 2) * jnp.sin(x + eps / 2)


@hamming("3.3.6", 1e7)
def example_3_3_6(n):
    after, before = jnp.log(n + 1), jnp.log(n)
    return after - before  # GUILTY


@rearranged
def example_3_3_6_twin(n):
    return jnp.log1p(1 / n)


@hamming("3.3.7", 1e-3)
def example_3_3_7(x):
    up, down = jnp.exp(x), jnp.exp(-x)
    return (up - 2) + down  # GUILTY


@rearranged
def example_3_3_7_twin(x):
    return 4 * jnp.sinh(x / 2) ** 2


@hamming("p42, positive", 1.0, 1e4, 1.0)
def example_p42_positive(a, b, c):
    root = jnp.sqrt(b * b - 4 * (a * c))
    top = -b + root  # GUILTY
    return top / (2 * a)


@rearranged
def example_p42_positive_twin(a, b, c):
    return 2 * c / (-b - jnp.sqrt(b * b - 4 * (a * c)))


@hamming("p42, negative", 1.0, -1e4, 1.0)
def example_p42_negative(a, b, c):
    root = jnp.sqrt(b * b - 4 * (a * c))
    top = -b - root  # GUILTY
    return top / (2 * a)


@rearranged
def example_p42_negative_twin(a, b, c):
    return 2 * c / (-b + jnp.sqrt(b * b - 4 * (a * c)))


@hamming("3.2.1, positive", 1.0, 1e4, 1.0)
def example_3_2_1_positive(a, b, c):
    root = jnp.sqrt(b * b - a * c)
    top = -b + root  # GUILTY
    return top / a


@rearranged
def example_3_2_1_positive_twin(a, b, c):
    return c / (-b - jnp.sqrt(b * b - a * c))


@hamming("3.2.1, negative", 1.0, -1e4, 1.0)
def example_3_2_1_negative(a, b, c):
    root = jnp.sqrt(b * b - a * c)
    top = -b - root  # GUILTY
    return top / a


@rearranged
def example_3_2_1_negative_twin(a, b, c):
    return c / (-b + jnp.sqrt(b * b - a * c))


@hamming("3.7", 1e-5)
def example_3_7(x):
    power = jnp.exp(x)
    return power - 1  # GUILTY


@rearranged
def example_3_7_twin(x):
    return jnp.expm1(x)


@hamming("3.8", 1e6)
def example_3_8(n):
    after = (n + 1) * jnp.log(n + 1)
    before = n * jnp.log(n)
    return (after - before) - 1  # GUILTY


@rearranged
def example_3_8_twin(n):
    return jnp.log(n + 1) - 1 / (2 * n) + 1 / (3 * n * n)


@hamming("3.9", 1e-3)
def example_3_9(x):
    pole = 1 / x
    return pole - 1 / jnp.tan(x)  # GUILTY


@rearranged
def example_3_9_twin(x):
    return x / 3 + x**3 / 45 + 2 * x**5 / 945


@hamming("3.10", 1e-6)
def example_3_10(x):
    top, bottom = jnp.log(1 - x), jnp.log(1 + x)  # GUILTY
    return top / bottom


@rearranged
def example_3_10_twin(x):
    return -1 - x - x**2 / 2 - 5 * x**3 / 12


@hamming("3.4.1", 1e-3)
def example_3_4_1(x):
    top = 1 - jnp.cos(x)  # GUILTY
    return top / (x * x)


@rearranged
def example_3_4_1_twin(x):
    return 0.5 - x**2 / 24 + x**4 / 720


@hamming("3.4.2", 1.0, 2.0, 1e-5)
def example_3_4_2(a, b, eps):
    both = jnp.exp((a + b) * eps)
    one, two = jnp.exp(a * eps), jnp.exp(b * eps)
    return eps * (both - 1) / ((one - 1) * (two - 1))  # GUILTY


@rearranged
def example_3_4_2_twin(a, b, eps):
    return (1 / a + 1 / b) * (1 + a * b * eps**2 / 12)


@hamming("3.4.3", 1e-6)
def example_3_4_3(eps):
    quotient = (1 - eps) / (1 + eps)
    return jnp.log(quotient)  # GUILTY


@rearranged
def example_3_4_3_twin(eps):
    return -2 * jnp.arctanh(eps)


@hamming("3.4.4", 3e-5)
def example_3_4_4(x):
    two, one = jnp.exp(2 * x), jnp.exp(x)
    quotient = (two - 1) / (one - 1)  # GUILTY
    return jnp.sqrt(quotient)


@rearranged
def example_3_4_4_twin(x):
    return jnp.sqrt(jnp.exp(x) + 1)


@hamming("3.4.5", 3e-3)
def example_3_4_5(x):
    sine, tangent = jnp.sin(x), jnp.tan(x)
    return (x - sine) / (x - tangent)  # GUILTY


@rearranged
def example_3_4_5_twin(x):
    return -0.5 + 9 * x**2 / 40 - 27 * x**4 / 2800


@hamming("3.4.6", 1e7, 5.0)
def example_3_4_6(x, n):
    after, before = (x + 1) ** (1 / n), x ** (1 / n)
    return after - before  # GUILTY


@rearranged
def example_3_4_6_twin(x, n):
    return jnp.exp(jnp.log(x) / n) * jnp.expm1(jnp.log1p(1 / x) / n)


@hamming("3.5 of the text", 1.0, 1e-5)
def example_3_5_of_the_text(a, x):
    power = jnp.exp(a * x)
    return power - 1  # GUILTY


@rearranged
def example_3_5_of_the_text_twin(a, x):
    return jnp.expm1(a * x)


@hamming("3.11", 1e-5)
def example_3_11(x):
    power = jnp.exp(x)
    return power / (power - 1)  # GUILTY


@rearranged
def example_3_11_twin(x):
    return 1 / -jnp.expm1(-x)


def on_vector(*numbers: float) -> Any:
    return jnp.array(numbers, jnp.float32)


@backward(7.0)
def tail_of_tanh(x):
    y = jnp.tanh(x)  # GUILTY
    return 2 * y


@rearranged
def tail_of_tanh_twin(x):
    return 2 - 4 * jax.nn.sigmoid(-2 * x)


@backward(14.0)
def tail_of_sigmoid(x):
    y = jax.nn.sigmoid(x)  # GUILTY
    return y * 3


@rearranged
def tail_of_sigmoid_twin(x):
    return 3 - 3 * jax.nn.sigmoid(-x)


@backward(on_vector(12.3, 0.4, 1.1))
def tail_of_softmax(logits):
    powers = jnp.exp(logits)
    p = powers / jnp.sum(powers)  # GUILTY
    return p[0]


@rearranged
def tail_of_softmax_twin(logits):
    return 1 - jnp.sum(jnp.exp(jax.nn.log_softmax(logits))[1:])


@backward(on_vector(12.0, 0.0, 1.0))
def logsumexp_minus_a_logit(logits):
    total = jax.nn.logsumexp(logits)
    loss = total - logits[0]  # GUILTY
    return 1 + loss


@rearranged
def logsumexp_minus_a_logit_twin(logits):
    return 1 + jnp.log1p(jnp.sum(jnp.exp(logits[1:] - logits[0])))


@jax.custom_vjp
def _cross_entropy(logits):
    return jnp.log1p(jnp.sum(jnp.exp(logits[1:] - logits[0])))


def _probabilities_minus_one_hot(logits, g):
    p = jnp.exp(logits - jax.nn.logsumexp(logits))
    return (g * (p - jax.nn.one_hot(0, 3)),)  # GUILTY


_cross_entropy.defvjp(lambda x: (_cross_entropy(x), x), _probabilities_minus_one_hot)


@backward(on_vector(12.0, 0.0, 1.0))
def cross_entropy_with_a_rule(logits):
    return _cross_entropy(logits)


@rearranged
def cross_entropy_with_a_rule_twin(logits):
    return jnp.log1p(jnp.sum(jnp.exp(logits[1:] - logits[0])))


@jax.custom_vjp
def _log1p(x):
    return jnp.log1p(x)


def _rule_of_log1p(x, g):
    rest = 1 - x / (1 + x)  # GUILTY
    return (g * rest,)


_log1p.defvjp(lambda x: (_log1p(x), x), _rule_of_log1p)


@backward(1e5)
def rule_of_log1p(x):
    return _log1p(x) * 2


@rearranged
def rule_of_log1p_twin(x):
    return jnp.log1p(x) * 2


@backward(1e-3)
def sinc(x):
    return jnp.sin(x) / x  # GUILTY


@rearranged
def sinc_twin(x):
    return 1 - x**2 / 6 + x**4 / 120


@backward(1e-4)
def bernoulli(x):
    y = x / jnp.expm1(x)  # GUILTY
    return y + 1


@rearranged
def bernoulli_twin(x):
    return 2 - x / 2 + x**2 / 12


@backward(1e-6)
def quotient_of_logarithms(x):
    top, bottom = jnp.log1p(-x), jnp.log1p(x)
    return top / bottom  # GUILTY


@rearranged
def quotient_of_logarithms_twin(x):
    return -1 - x - x**2 / 2


@backward(1e3)
def slope_and_length(x):
    length = jnp.sqrt(1 + x * x)
    return x / length  # GUILTY


@rearranged
def slope_and_length_twin(x):
    return 1 / jnp.sqrt(1 + 1 / (x * x))


@backward(1e5)
def softsign(x):
    return x / (1 + jnp.abs(x))  # GUILTY


@rearranged
def softsign_twin(x):
    return 1 - 1 / (1 + x)


@backward(12.0)
def logistic_by_hand(x):
    power = jnp.exp(x)
    return power / (1 + power)  # GUILTY


@rearranged
def logistic_by_hand_twin(x):
    return 1 / (1 + jnp.exp(-x))


@backward(1e5)
def moebius(x):
    return (x + 1) / (x - 1)  # GUILTY


@rearranged
def moebius_twin(x):
    return 1 + 2 / (x - 1)


@backward(1e3)
def ratio_of_squares(x):
    square = x**2
    return square / (1 + square)  # GUILTY


@rearranged
def ratio_of_squares_twin(x):
    return 1 / (1 + x**-2)


@backward(50.0, 2.5)
def hill(x, n):
    power = x**n
    return power / (power + 1)  # GUILTY


@rearranged
def hill_twin(x, n):
    return 1 / (1 + x**-n)


@backward(1e4)
def in_a_scan(x):
    def body(h, gain):
        h = gain * h / (1 + h)  # GUILTY
        return h, None

    return jax.lax.scan(body, x, jnp.array([1.0, 2.0, 3.0]))[0]


@rearranged
def in_a_scan_twin(x):
    def body(h, gain):
        return gain / (1 + 1 / h), None

    return jax.lax.scan(body, x, jnp.array([1.0, 2.0, 3.0]))[0]


@backward(on_vector(2e4, 5e4, 1e5))
def vmapped(x):
    @jax.vmap
    def each(x):
        return x / (1 + x)  # GUILTY

    return jnp.sum(each(x))


@rearranged
def vmapped_twin(x):
    return jnp.sum(jax.vmap(lambda x: 1 / (1 + 1 / x))(x))


@backward({"w": on_vector(3.0, 4.0), "b": 0.5}, on_vector(2.0, 2.0))
def unit_of_a_network(params, x):
    @jax.jit
    def unit(params, x):
        score = x @ params["w"] + params["b"]
        return jax.nn.sigmoid(score)  # GUILTY

    return unit(params, x)


@rearranged
def unit_of_a_network_twin(params, x):
    return 1 - jax.nn.sigmoid(-(x @ params["w"] + params["b"]))


@backward(jnp.float16(0.5), jnp.full(4096, 0.1, jnp.float16))
def sum_of_cotangents_in_float16(w, x):
    def body(total, x):
        product = w * x  # GUILTY
        return total + product.astype(jnp.float32), None

    return jax.lax.scan(body, jnp.float32(0), x)[0]


@rearranged
def sum_of_cotangents_in_float16_twin(w, x):
    wide = w.astype(jnp.float32)

    def body(total, x):
        return total + wide * x.astype(jnp.float32), None

    return jax.lax.scan(body, jnp.float32(0), x)[0]


@jax.custom_vjp
def _product(a, b):
    return jnp.sum(a @ b)


def _narrow_rule(residuals, g):
    a, b = residuals
    ones = jnp.full((len(a), b.shape[1]), g).astype(jnp.bfloat16)
    back = ones @ b.T.astype(jnp.bfloat16)  # GUILTY
    return back.astype(jnp.float32), jnp.zeros_like(b)


_product.defvjp(lambda a, b: (_product(a, b), (a, b)), _narrow_rule)


@backward(jnp.ones((2, 16)), jnp.linspace(0.1, 1.0, 16 * 32).reshape(16, 32))
def matrix_product_in_bfloat16(a, b):
    return _product(a, b)


@rearranged
def matrix_product_in_bfloat16_twin(a, b):
    return jnp.sum(a @ b)


@backward(1e22, 1e21)
def underflow_in_a_quotient(x, y):
    return x / y  # GUILTY


@rearranged
def underflow_in_a_quotient_twin(x, y):
    return jnp.exp(jnp.log(x) - jnp.log(y))


@jax.custom_vjp
def _inverse(x):
    return 1 / x


def _overflowing_rule(x, g):
    square = x * x  # GUILTY
    return (-g / square,)


_inverse.defvjp(lambda x: (_inverse(x), x), _overflowing_rule)


@backward(2e19)
def overflow_in_a_rule(x):
    return _inverse(x) * 1e20


@rearranged
def overflow_in_a_rule_twin(x):
    return jnp.exp(jnp.log(jnp.float32(1e20)) - jnp.log(x))
