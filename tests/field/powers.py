"""Powers, quotients and roots at the edge of their domain."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def infinite_slope_not_taken(x):
    steep = x * jnp.inf  # GUILTY
    return jnp.where(x > 0, 0.0, steep)


def infinite_slope_not_taken_mended(x):
    steep = x * 1e9
    return jnp.where(x > 0, 0.0, steep)


def roots_dropped_later(x):
    roots = (jnp.array([0.0, 1.0]) * x) ** 0.5  # GUILTY
    return jnp.sum(roots[jnp.array([1])])


def roots_dropped_later_mended(x):
    kept = (jnp.array([0.0, 1.0]) * x)[jnp.array([1])]
    return jnp.sum(kept**0.5)


def learned_exponent(exponent):
    scaled = jnp.array([-2.0, 3.0]) ** exponent  # GUILTY
    return jnp.sum(scaled)


def learned_exponent_mended(exponent):
    scaled = jnp.maximum(jnp.array([-2.0, 3.0]), 0.1) ** exponent
    return jnp.sum(scaled)


def divide_no_nan(x, y):
    quotient = x / y  # GUILTY
    return jnp.sum(jnp.where(y == 0, 0.0, quotient))


def divide_no_nan_mended(x, y):
    quotient = x / jnp.where(y == 0, 1.0, y)
    return jnp.sum(jnp.where(y == 0, 0.0, quotient))


def mean_over_neighbours(features, senders, receivers):
    total = jax.ops.segment_sum(features[senders], receivers, 3)
    degree = jax.ops.segment_sum(jnp.ones(len(receivers)), receivers, 3)
    return jnp.sum(total / degree[:, None])  # GUILTY


def mean_over_neighbours_mended(features, senders, receivers):
    total = jax.ops.segment_sum(features[senders], receivers, 3)
    degree = jax.ops.segment_sum(jnp.ones(len(receivers)), receivers, 3)
    return jnp.sum(total / jnp.where(degree == 0, 1.0, degree)[:, None])


def exprel_derivative(x):
    direct = ((x - 1) * jnp.exp(x) + 1) / x**2  # GUILTY
    return jnp.where(jnp.abs(x) < 1e-3, 0.5 + x / 3, direct)


def exprel_derivative_mended(x):
    small = jnp.abs(x) < 1e-3
    safe = jnp.where(small, 1.0, x)
    direct = ((safe - 1) * jnp.exp(safe) + 1) / safe**2
    return jnp.where(small, 0.5 + x / 3, direct)


def focal_weight(logits, targets):
    p = jax.nn.sigmoid(logits)
    focus = (1 - p) ** 0.5  # GUILTY
    return -jnp.mean(focus * targets * jnp.log(p + 1e-8))


def focal_weight_mended(logits, targets):
    p = jax.nn.sigmoid(logits)
    focus = jnp.maximum(1 - p, 1e-7) ** 0.5
    return -jnp.mean(focus * targets * jnp.log(p + 1e-8))


def fast_variance(x):
    variance = jnp.mean(x**2) - jnp.mean(x) ** 2
    scaled = (x - jnp.mean(x)) * jax.lax.rsqrt(variance + 1e-5)  # GUILTY
    return jnp.sum(scaled**3)


def fast_variance_mended(x):
    variance = jnp.maximum(jnp.mean(x**2) - jnp.mean(x) ** 2, 0.0)
    scaled = (x - jnp.mean(x)) * jax.lax.rsqrt(variance + 1e-5)
    return jnp.sum(scaled**3)


def root_above_zero(weights, x):
    active = jnp.maximum(x @ weights, 0.0)
    return jnp.sum(jnp.sqrt(active))  # GUILTY


def root_above_zero_mended(weights, x):
    active = jnp.maximum(x @ weights, 0.0)
    positive = jnp.where(active > 0, active, 1.0)
    return jnp.sum(jnp.where(active > 0, jnp.sqrt(positive), 0.0))


def standard_deviation_of_a_constant(x):
    return jnp.sum((x - jnp.mean(x)) / (jnp.std(x) + 1e-5))  # GUILTY


def standard_deviation_of_a_constant_mended(x):
    return jnp.sum((x - jnp.mean(x)) / jnp.sqrt(jnp.var(x) + 1e-5))


EDGES = (jnp.array([0, 1, 1]), jnp.array([0, 0, 2]))
CASES = (
    Case(
        *(infinite_slope_not_taken, infinite_slope_not_taken_mended),
        *((jnp.float32(1.0),), "jax-ml/jax#2630"),
        phase="either",
        hint=r"finite number",
    ),
    Case(
        *(roots_dropped_later, roots_dropped_later_mended, (jnp.float32(1.0),)),
        source="jax-ml/jax#19089",
        phase="backward",
        hint=r"drop it before",
    ),
    Case(
        *(learned_exponent, learned_exponent_mended, (jnp.float32(2.0),)),
        source="tensorflow/tfjs#346",
        phase="backward",
        hint=r"(?i)exponent.*negative base",
    ),
    Case(
        *(divide_no_nan, divide_no_nan_mended),
        (jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])),
        source="keras-team/keras#20110",
        phase="either",
        hint=r"where\(ok|where\(d == 0",
    ),
    Case(
        *(mean_over_neighbours, mean_over_neighbours_mended),
        (jnp.arange(4.0).reshape(2, 2), *EDGES),
        source="MrLeeeee/GCN-GAT-and-Graphsage#3",
        phase="forward",
        hint=r"where\(d == 0, 1, d\)",
    ),
    Case(
        *(exprel_derivative, exprel_derivative_mended, (jnp.float32(0.0),)),
        source="chaobrain/saiunit#114",
        phase="either",
        hint=r"where\(ok",
    ),
    Case(
        *(focal_weight, focal_weight_mended),
        (jnp.array([-2.0, 100.0]), jnp.array([0.0, 1.0])),
        source="kornia/kornia#918",
        phase="backward",
        hint=r"(?i)power below 1 .* base 0",
    ),
    Case(
        *(fast_variance, fast_variance_mended, (jnp.full(3, 87.42),)),
        source="patrick-kidger/equinox#314",
        phase="forward",
        hint=r"negative.*(clip|bound)",
    ),
    Case(
        *(root_above_zero, root_above_zero_mended),
        (jnp.array([1.0, -1.0]), jnp.array([[2.0, 1.0], [1.0, 2.0]])),
        source="keras-team/keras#13203",
        phase="backward",
        hint=r"guard|where\(ok, f",
    ),
    Case(
        *(standard_deviation_of_a_constant, standard_deviation_of_a_constant_mended),
        *((jnp.ones(3),), "jax-ml/jax#11716"),
        phase="backward",
        hint=r"std at 0.*epsilon under the root",
    ),
)
