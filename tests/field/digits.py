"""Digits lost to rounding: differences of nearly equal numbers, variances."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def evidence_of_a_shell(log_volumes):
    shrinkage = jnp.diff(log_volumes)
    return jnp.sum(jnp.log(1 - jnp.exp(shrinkage)))  # GUILTY


def evidence_of_a_shell_mended(log_volumes):
    shrinkage = jnp.diff(log_volumes)
    return jnp.sum(jnp.log(-jnp.expm1(shrinkage)))


def log_of_one_minus_an_exponential(x):
    return jnp.sum(jnp.log1p(-jnp.exp(-x)))  # GUILTY


def log_of_one_minus_an_exponential_mended(x):
    return jnp.sum(jnp.log(-jnp.expm1(-x)))


def log_of_one_plus_a_small_number(x):
    return jnp.sum(jnp.log(1 + x))  # GUILTY


def log_of_one_plus_a_small_number_mended(x):
    return jnp.sum(jnp.log1p(x))


def growth_over_a_short_time(rate):
    growth = jnp.exp(rate) - 1  # GUILTY
    return jnp.sum(growth**2)


def growth_over_a_short_time_mended(rate):
    growth = jnp.expm1(rate)
    return jnp.sum(growth**2)


def statistics_of_a_batch(x, target):
    mean = jnp.mean(x, 0)
    variance = jnp.mean(x**2, 0) - mean**2  # GUILTY
    return jnp.sum(target * (x - mean) / jnp.sqrt(variance + 1e-5))


def statistics_of_a_batch_mended(x, target):
    mean = jnp.mean(x, 0)
    variance = jnp.mean((x - mean) ** 2, 0)
    return jnp.sum(target * (x - mean) / jnp.sqrt(variance + 1e-5))


def features_at_the_floor(features, weights):
    mean = features.mean(1, keepdims=True)
    square = (features**2).mean(1, keepdims=True)
    deviation = jnp.sqrt(jnp.maximum(square - mean**2, 1e-12))  # GUILTY
    return jnp.sum(weights * (features - mean) / (deviation + 1e-5))


def features_at_the_floor_mended(features, weights):
    mean = features.mean(1, keepdims=True)
    square = ((features - mean) ** 2).mean(1, keepdims=True)
    deviation = jnp.sqrt(jnp.maximum(square, 1e-12))
    return jnp.sum(weights * (features - mean) / (deviation + 1e-5))


def squared_distances(points, centres):
    norms = jnp.sum(points**2, 1)[:, None] + jnp.sum(centres**2, 1)
    squared = norms - 2 * points @ centres.T  # GUILTY
    return jnp.sum(jnp.exp(-squared))


def squared_distances_mended(points, centres):
    difference = points[:, None] - centres
    return jnp.sum(jnp.exp(-jnp.sum(difference**2, 2)))


def angle_between_stars(star, other):
    cosine = star @ other / (jnp.linalg.norm(star) * jnp.linalg.norm(other))
    return jnp.arccos(cosine)  # GUILTY


def angle_between_stars_mended(star, other):
    sine = jnp.linalg.norm(jnp.cross(star, other))
    return jnp.arctan2(sine, star @ other)


def length_of_a_street(start, end):
    (lat, lon), (to_lat, to_lon) = start, end
    along = jnp.cos(lat) * jnp.cos(to_lat) * jnp.cos(to_lon - lon)
    return 6373.0 * jnp.arccos(jnp.sin(lat) * jnp.sin(to_lat) + along)  # GUILTY


def length_of_a_street_mended(start, end):
    (lat, lon), (to_lat, to_lon) = start, end
    across = jnp.cos(lat) * jnp.cos(to_lat) * jnp.sin((to_lon - lon) / 2) ** 2
    return 2 * 6373.0 * jnp.arcsin(jnp.sqrt(jnp.sin((to_lat - lat) / 2) ** 2 + across))


def density_of_squashed_actions(action):
    return -jnp.sum(jnp.log(1 - jnp.tanh(action) ** 2))  # GUILTY


def density_of_squashed_actions_mended(action):
    log_slope = 2 * (jnp.log(2.0) - action - jax.nn.softplus(-2 * action))
    return -jnp.sum(log_slope)


SMALL = jnp.array([3e-6, 7e-6])
STREET = (jnp.array([0.8, 0.2]), jnp.array([0.801, 0.2012]))

CASES = (
    Case(
        *(evidence_of_a_shell, evidence_of_a_shell_mended),
        *((jnp.array([0.0, -3e-6, -1e-5]),), "handley-lab/blackjax#61"),
        kind="inaccurate",
        reason="cancellation",
        hint="expm1",
    ),
    Case(
        *(log_of_one_minus_an_exponential, log_of_one_minus_an_exponential_mended),
        *((SMALL,), "pytorch/pytorch#39242"),
        kind="inaccurate",
        reason="amplified",
        hint="expm1|log1p",
    ),
    Case(
        *(log_of_one_plus_a_small_number, log_of_one_plus_a_small_number_mended),
        *((SMALL / 10,), "jax-ml/jax#1200"),
        kind="inaccurate",
        reason="absorbed",
        hint="log1p",
    ),
    Case(
        *(growth_over_a_short_time, growth_over_a_short_time_mended),
        *((SMALL,), "tensorflow/tensor2tensor#1424"),
        kind="inaccurate",
        reason="cancellation",
        hint="expm1",
    ),
    Case(
        *(statistics_of_a_batch, statistics_of_a_batch_mended),
        (300 + jnp.sin(jnp.arange(16.0)).reshape(8, 2) / 8, jnp.eye(8, 2)),
        source="google/objax#182",
        kind="inaccurate",
        reason="variance",
        hint="mean first",
    ),
    Case(
        *(features_at_the_floor, features_at_the_floor_mended),
        (jnp.sin(jnp.arange(12.0)).reshape(2, 6) / 64 - 15.94, jnp.eye(2, 6)),
        source="k2-fsa/sherpa-onnx#3857",
        kind="inaccurate",
        reason="variance",
        hint="mean first",
    ),
    Case(
        *(squared_distances, squared_distances_mended),
        (jnp.array([[800.0, 600.0]]), jnp.array([[800.4, 600.3], [799.5, 600.2]])),
        source="scikit-learn/scikit-learn#9354",
        kind="inaccurate",
        reason="cancellation",
        hint=r"(?i)\(a - b\)|subtract before",
    ),
    Case(
        *(angle_between_stars, angle_between_stars_mended),
        (jnp.array([0.6, 0.8, 0.001]), jnp.array([0.6, 0.8, 0.003])),
        source="esheldon/smatch#21",
        kind="inaccurate",
        reason="amplified",
        hint="arctan2",
    ),
    Case(
        *(length_of_a_street, length_of_a_street_mended, STREET),
        source="AndGem/OsmToRoadGraph#90",
        kind="inaccurate",
        reason="amplified",
        hint="half angles",
    ),
    Case(
        *(density_of_squashed_actions, density_of_squashed_actions_mended),
        *((jnp.array([7.25, -7.5]),), "rail-berkeley/rlkit#37"),
        kind="inaccurate",
        reason="cancellation",
        hint="cosh",
    ),
)
