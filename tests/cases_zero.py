"""Functions of one array whose gradient is zero, with the reason and the guilty line.

`GUILTY` marks the line. `HEALTHY` has programs that look alike, in which nothing is
wrong: a gradient that is not zero, a stationary point, or zeros that are normal.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Zero(NamedTuple):
    """A function, its argument, and why the gradient is zero."""

    f: Callable[..., Any]
    x: Any
    reason: str


CASES: dict[str, Zero] = {}
HEALTHY: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
X = np.array([0.5, -1.0, 2.0], np.float32)


def zero(reason: str, x: Any = X) -> Callable[..., Any]:
    def add(f):
        CASES[f.__name__] = Zero(f, jnp.asarray(x), reason)
        return f

    return add


def healthy(*args: Any) -> Callable[..., Any]:
    def add(f):
        HEALTHY[f.__name__] = f, args
        return f

    return add


# unconnected


@zero("unconnected")
def not_used(x):
    del x
    return jnp.sum(jnp.ones(3))


@zero("unconnected")
def computed_but_not_returned(x):
    hidden = jnp.tanh(x)
    del hidden
    return jnp.float32(3) * jnp.ones(())


@zero("unconnected")
def overwritten(x):
    y = x.at[:].set(1.0)  # GUILTY
    return jnp.sum(y**2)


@zero("unconnected", X[:2])
def other_half_of_a_concatenation(x):
    both = jnp.concatenate([x, jnp.ones(3)])
    kept = both[2:]  # GUILTY
    return jnp.sum(kept**2)


@zero("unconnected", np.ones((2, 3), np.float32))
def other_element_of_a_stack(x):
    pair = jnp.stack([jnp.sum(x), jnp.float32(2)])
    return pair[1] ** 2  # GUILTY


# stopped


@zero("stopped")
def stopped_directly(x):
    y = jax.lax.stop_gradient(x)  # GUILTY
    return jnp.sum(y * 3)


@zero("stopped")
def stopped_target(x):
    target = jnp.tanh(x) * 2
    fixed = jax.lax.stop_gradient(target)  # GUILTY
    return jnp.sum((fixed - 1) ** 2)


@zero("stopped")
def stopped_in_a_pytree(x):
    state = jax.lax.stop_gradient({"a": x, "b": x * 2})  # GUILTY
    return jnp.sum(state["a"] * state["b"])


@zero("stopped")
def stopped_before_a_while_loop(x):
    total = jax.lax.stop_gradient(jnp.sum(x))  # GUILTY
    return jax.lax.while_loop(lambda c: c < 10, lambda c: c + 1, total)


# integer


@zero("integer")
def argmax(x):
    best = jnp.argmax(x)  # GUILTY
    return jnp.arange(3.0)[best]


@zero("integer")
def rounded(x):
    return jnp.sum(jnp.round(x * 4) / 4)  # GUILTY


@zero("integer")
def floored(x):
    return jnp.sum(jnp.floor(x) ** 2)  # GUILTY


@zero("integer")
def signs(x):
    return jnp.sum(jnp.sign(x))  # GUILTY


@zero("integer")
def accuracy(x):
    hits = x > 0  # GUILTY
    return jnp.mean(hits.astype(jnp.float32))


@zero("integer")
def cast_to_int(x):
    codes = x.astype(jnp.int32)  # GUILTY
    return jnp.sum(codes.astype(jnp.float32) * 2)


@zero("integer")
def sort_order(x):
    order = jnp.argsort(x)  # GUILTY
    return jnp.sum(jnp.arange(3.0)[order] * jnp.arange(3.0))


@zero("integer")
def one_hot_of_argmax(x):
    code = jax.nn.one_hot(jnp.argmax(x), 3)  # GUILTY
    return jnp.sum(code * jnp.arange(3.0))


@zero("integer")
def rounded_onto_the_target(x):
    error = jnp.round(x) - jnp.round(x + 0.1)  # GUILTY
    return jnp.sum(error**2)


@zero("integer", np.float32(3.5))
def number_of_iterations(x):
    steps = x.astype(jnp.int32)  # GUILTY
    return jax.lax.fori_loop(0, steps, lambda i, c: c * 2, jnp.float32(1))


@zero("integer", np.float32(2))
def condition_alone(x):
    big = jnp.ones(()) * 3
    return jax.lax.cond(x > 1, lambda: big, lambda: big * 2)  # GUILTY


# branch


@zero("branch")
def where_not_taken(x):
    y = jnp.where(x > 10, x**2, 1.0)  # GUILTY
    return jnp.sum(y)


@zero("branch")
def masked_out(x):
    mask = jnp.zeros(3, bool)
    kept = jnp.where(mask, x, 0.0)  # GUILTY
    return jnp.sum(kept**2 + kept)


@zero("branch", np.float32(2))
def cond_not_taken(x):
    flag = jnp.asarray(False)
    return jax.lax.cond(flag, lambda: x**2, lambda: jnp.ones(()))  # GUILTY


@zero("branch", np.float32(2))
def switch_not_taken(x):
    branches = [lambda x: x, lambda x: x**2, lambda x: jnp.ones_like(x)]
    return jax.lax.switch(jnp.asarray(2), branches, x)  # GUILTY


@zero("branch")
def the_smaller_of_two(x):
    other = jnp.array([5.0, 6.0, 7.0])
    larger = jnp.maximum(x, other)  # GUILTY
    return jnp.sum(larger)


@zero("branch")
def never_the_maximum(x):
    both = jnp.concatenate([x, jnp.full(1, 9.0)])
    return jnp.max(both)  # GUILTY


@zero("branch", -X - 3)
def where_of_itself(x):
    y = jnp.where(x > 0, x**3, 0.1)  # GUILTY
    return jnp.sum(y)


# multiplied


@zero("multiplied")
def times_zero(x):
    y = x * 0.0  # GUILTY
    return jnp.sum(y + 1)


@zero("multiplied")
def times_a_mask(x):
    mask = jnp.zeros(3)
    y = jnp.tanh(x) * mask  # GUILTY
    return jnp.sum(y)


@zero("multiplied", np.ones((3, 2), np.float32))
def zero_last_layer(x):
    hidden = jnp.tanh(jnp.ones((4, 3)) @ x)
    out = hidden @ jnp.zeros((2, 1))  # GUILTY
    return jnp.mean((out - 1) ** 2)


@zero("multiplied", np.ones((3, 2), np.float32))
def zero_data(x):
    out = jnp.zeros((4, 3)) @ x  # GUILTY
    return jnp.mean((out - 1) ** 2)


@zero("multiplied")
def weight_of_a_loss(x):
    weight = jnp.asarray(0.0)
    penalty = jnp.sum(x**2)
    return 3.0 + weight * penalty  # GUILTY


@zero("multiplied", np.ones((1, 4, 4, 1), np.float32))
def zero_kernel(x):
    kernel = jnp.zeros((1, 1, 1, 2))
    dims = jax.lax.conv_dimension_numbers(
        (1, 4, 4, 1), (1, 1, 1, 2), ("NHWC", "HWIO", "NHWC")
    )
    conv = jax.lax.conv_general_dilated
    y = conv(x, kernel, (1, 1), "SAME", None, None, dims)  # GUILTY
    return jnp.sum(y)


@zero("multiplied", -X)
def times_its_own_sign(x):
    gate = (x > 100).astype(jnp.float32)
    return jnp.sum(x * gate)  # GUILTY


@zero("multiplied")
def einsum_with_zeros(x):
    y = jnp.einsum("i,ij->j", x, jnp.zeros((3, 2)))  # GUILTY
    return jnp.sum(jnp.exp(y))


# saturated


@zero("saturated", np.full(3, 200, np.float32))
def sigmoid_above(x):
    p = jax.nn.sigmoid(x)  # GUILTY
    return jnp.sum(p)


@zero("saturated", np.full(3, -200, np.float32))
def sigmoid_below(x):
    p = jax.nn.sigmoid(x)  # GUILTY
    return jnp.mean((p - 1) ** 2)


@zero("saturated", np.array([20, -30, 50], np.float32))
def tanh_far_out(x):
    y = jnp.tanh(x)  # GUILTY
    return jnp.sum(y * jnp.arange(1.0, 4))


@zero("saturated", np.array([300, 0, 10], np.float32))
def softmax_of_large_logits(x):
    p = jax.nn.softmax(x)  # GUILTY
    return jnp.sum(p * jnp.arange(1.0, 4))


@zero("saturated", np.array([300, 0, 10], np.float32))
def softmax_by_hand(x):
    e = jnp.exp(x - jnp.max(x))
    p = e / jnp.sum(e)
    return p[0]


@zero("saturated", np.array([12, 13, 15], np.float32))
def erf_far_out(x):
    y = jax.scipy.special.erf(x)  # GUILTY
    return jnp.sum(y)


@zero("saturated", X + 10)
def clipped(x):
    y = jnp.clip(x, -1, 1)  # GUILTY
    return jnp.sum(y)


@zero("saturated", X - 10)
def clipped_at_zero(x):
    y = jnp.clip(x, 0, 1)  # GUILTY
    return jnp.sum(y)


@zero("saturated", X + 10)
def clamped(x):
    y = jax.lax.clamp(0.0, x, 1.0)  # GUILTY
    return jnp.sum(y)


@zero("saturated", X - 10)
def hard_tanh(x):
    y = jax.nn.hard_tanh(x)  # GUILTY
    return jnp.sum(y)


@zero("saturated", np.full(3, 200, np.float32))
def sigmoid_by_hand(x):
    y = 1 / (1 + jnp.exp(-x))  # GUILTY
    return jnp.sum(y)


@zero("saturated", np.full(3, -200, np.float32))
def elu_far_below(x):
    y = jax.nn.elu(x)  # GUILTY
    return jnp.sum(y)


# dead


@zero("dead", -np.abs(X))
def relu(x):
    y = jax.nn.relu(x)  # GUILTY
    return jnp.sum(y)


@zero("dead", -np.abs(X))
def maximum_with_zero(x):
    y = jnp.maximum(x, 0)  # GUILTY
    return jnp.sum((y - 1) ** 2)


@zero("dead", -np.ones((3, 2), np.float32))
def hidden_layer(x):
    hidden = jax.nn.relu(jnp.ones((4, 3)) @ x)  # GUILTY
    out = hidden @ jnp.ones((2, 1))
    return jnp.mean((out - 1) ** 2)


@zero("dead", -np.abs(X))
def relu6(x):
    y = jax.nn.relu6(x)  # GUILTY
    return jnp.sum(y)


@zero("dead", -np.abs(X))
def relu_by_where(x):
    y = jnp.where(x > 0, x, 0)  # GUILTY
    return jnp.sum(y)


@zero("dead", np.zeros(3, np.float32))
def relu_at_zero(x):
    y = jax.nn.relu(x)  # GUILTY
    return jnp.sum(y + 1)


@zero("dead", -np.abs(X))
def squared_relu(x):
    y = jax.nn.relu(x) ** 2 + 3 * jax.nn.relu(x)  # GUILTY
    return jnp.sum(y)


@zero("dead", -np.abs(X))
def off_before_a_square(x):
    hidden = jax.nn.relu(x)  # GUILTY
    return jnp.mean(hidden**2)


# underflow


@zero("underflow")
def small_factors(x):
    y = x * 1e-30  # GUILTY
    return jnp.sum(y * 1e-20)


@zero("underflow", X.astype(np.float16))
def float16_factors(x):
    y = x * jnp.float16(1e-4)  # GUILTY
    return jnp.sum(y * jnp.float16(1e-4))


@zero("underflow")
def through_float16(x):
    half = x.astype(jnp.float16)
    wide = half.astype(jnp.float32)  # GUILTY
    return jnp.sum(wide) * 1e-9


@zero("underflow", np.full(3, 20, np.float32))
def gaussian(x):
    y = jnp.exp(-(x**2))  # GUILTY
    return jnp.sum(y)


@zero("underflow", np.float32(2))
def weight_of_a_far_gaussian(x):
    kernel = jnp.exp(-jnp.full(3, 500.0))
    return jnp.sum(x * kernel)  # GUILTY


@zero("underflow", np.float32(1e30))
def inverse_of_a_large_number(x):
    return 1 / x  # GUILTY


@zero("underflow", np.float32(88.5))
def log_of_a_large_exponential(x):
    return jnp.log(jnp.exp(x))  # GUILTY


@zero("underflow", np.full(60, 1e-3, np.float32))
def product_of_probabilities(x):
    likelihood = jnp.prod(x)  # GUILTY
    return likelihood + 1


# rule


@jax.custom_vjp
def forgetful(x):
    return jnp.sin(x)


forgetful.defvjp(lambda x: (jnp.sin(x), x), lambda x, c: (jnp.zeros_like(x),))


@jax.custom_jvp
def flat_rule(x):
    return x**2 + x


flat_rule.defjvp(lambda x, t: (flat_rule(*x), jnp.zeros_like(x[0])))


@jax.custom_vjp
def gated(x, scale):
    return x * scale


gated.defvjp(lambda x, s: (x * s, x), lambda x, c: (jnp.zeros_like(x), c * x))


@jax.custom_jvp
def spike(x):
    return (x > 0.7).astype(x.dtype)


spike.defjvp(lambda x, t: (spike(*x), 0 * t[0]))


@zero("rule")
def rule_of_a_vjp(x):
    return jnp.sum(forgetful(x))  # GUILTY


@zero("rule")
def rule_of_a_jvp(x):
    return jnp.sum(flat_rule(x) * 2)  # GUILTY


@zero("rule")
def rule_of_one_operand(x):
    scale = jnp.array([1.0, 2.0, 3.0])
    return jnp.sum(gated(x, scale))  # GUILTY


@zero("rule")
def spiking(x):
    return jnp.sum(spike(x) * jnp.arange(1.0, 4))  # GUILTY


# cancelled


@zero("cancelled")
def minus_itself(x):
    y = x - x  # GUILTY
    return jnp.sum(jnp.exp(y))


@zero("cancelled", np.array([1.0, 2.0, 3.0, 4.0], np.float32))
def sum_of_deviations(x):
    centred = x - jnp.mean(x)
    return jnp.sum(centred)


@zero("cancelled", np.float32(1.5))
def opposite_signs(x):
    y = x * jnp.array([1.0, -1.0])  # GUILTY
    return jnp.sum(y)


@zero("cancelled", np.float32(3.0))
def divided_by_itself(x):
    ratio = (2 * x) / (2 * x)  # GUILTY
    return ratio**2


# Nothing is wrong.


@healthy(X)
def a_gradient(x):
    return jnp.sum(x**2)


@healthy(jnp.zeros(3))
def square_at_zero(x):
    return jnp.sum(x**2)


@healthy(jnp.zeros(3))
def product_at_zero(x):
    return jnp.sum(x * x)


@healthy(jnp.zeros(2))
def cosine_at_zero(x):
    return jnp.sum(jnp.cos(x))


@healthy(jnp.zeros(()))
def cube_at_zero(x):
    return x**3


@healthy(jnp.zeros(3))
def absolute_value_at_zero(x):
    return jnp.sum(jnp.abs(x))


@healthy(jnp.ones(3))
def exact_fit(w):
    data = jnp.eye(3)
    return jnp.mean((data @ w - 1) ** 2)


@healthy(jnp.asarray(2.0))
def least_squares_minimum(w):
    return jnp.sum((w - jnp.array([1.0, 3.0])) ** 2)


@healthy(jnp.ones(3))
def huber_fit(w):
    error = w - 1
    small = jnp.abs(error) < 1
    return jnp.sum(jnp.where(small, error**2 / 2, jnp.abs(error) - 0.5))


@healthy(jnp.array([[300.0, 0.0, 0.0], [0.0, 400.0, 0.0]]))
def certain_and_right(logits):
    labels = jnp.array([0, 1])
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(2), labels])


@healthy(jnp.full(3, 300.0))
def certain_and_right_in_two_classes(logits):
    return -jnp.mean(jax.nn.log_sigmoid(logits))


@healthy(jnp.ones((5, 2)))
def embedding_rows_not_in_the_batch(table):
    return jnp.sum(table[jnp.array([0, 3])] ** 2)


@healthy(jnp.array([[0.5, -0.2], [0.3, 0.1]]), jnp.array([[1.0, 2.0], [0.5, 1.0]]))
def a_unit_off_in_this_batch(w, x):
    return jnp.sum(jax.nn.relu(x @ w - jnp.array([0.0, 0.3])))


@healthy(jnp.ones((4, 3)))
def features_that_are_zero_in_the_data(w):
    data = jnp.array([[1.0, 0.0, 2.0, 0.0], [0.5, 0.0, 1.0, 0.0]])
    return jnp.mean((data @ w - 1) ** 2)


@healthy(jnp.array([-1.0, 2.0, 0.5]))
def some_elements_below_zero(x):
    return jnp.sum(jax.nn.relu(x))


@healthy(jnp.array([0.5, 3.0, -2.0]))
def some_elements_clipped(x):
    return jnp.sum(jnp.clip(x, -1, 1))


@healthy(jnp.arange(16.0).reshape(1, 4, 4, 1))
def max_pooling(x):
    window = (1, 2, 2, 1)
    pooled = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    return jnp.sum(pooled**2)


@healthy(jnp.array([1.0, 2.0, 3.0, 4.0]))
def dropout(x):
    keep = jnp.array([True, False, True, False])
    return jnp.sum(jnp.where(keep, x / 0.5, 0.0) ** 2)


@healthy(jnp.array([0.2, 0.7, 1.4]))
def straight_through(x):
    return jnp.sum((x + jax.lax.stop_gradient(jnp.round(x) - x)) ** 2)


@healthy(jnp.array([[0.1, 0.4], [0.2, -0.3], [0.5, 0.0]]))
def causal_attention(x):
    scores = x @ x.T
    mask = jnp.tril(jnp.ones((3, 3), bool))
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e9))
    return jnp.sum((weights @ x) ** 2)


@healthy(jnp.float32(2.0))
def fitted_data_beside_data_of_zero(w):
    return jnp.sum((w * jnp.array([0.0, 1.0]) - jnp.array([1.0, 2.0])) ** 2)


@healthy(jnp.array([0.5, -0.25]))
def bias_before_a_normalisation(bias):
    x = jnp.array([[1.0, 2.0], [3.0, -2.0], [-4.0, 0.0], [0.0, 0.0]])
    w = jnp.array([[1.0, 0.5], [0.25, 2.0]])
    h = x @ w + bias
    h = h - jnp.mean(h, 0)
    return jnp.sum(h**2)


@healthy(jnp.ones((2, 3)))
def stack_along_the_last_axis(x):
    pairs = jnp.stack([jnp.sum(x, 1), jnp.ones(2)], axis=1)
    return jnp.sum(pairs[:, 0] ** 2)


@healthy(jnp.array([0.3, 0.8]))
def label_smoothing(logits):
    target = jnp.array([0.95, 0.05])
    return -jnp.sum(target * jax.nn.log_softmax(logits))
