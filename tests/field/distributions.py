"""Log-densities and samples: zero weights, values outside the support, saturation."""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from tests.field.case import Case


def normal(x, mean, scale):
    return -0.5 * ((x - mean) / scale) ** 2 - jnp.log(scale)


def mixture_with_a_zero_weight(weights):
    densities = normal(0.3, jnp.arange(3.0), 1.0)
    return jax.nn.logsumexp(jnp.log(weights) + densities)  # GUILTY


def mixture_with_a_zero_weight_mended(weights):
    densities = normal(0.3, jnp.arange(3.0), 1.0)
    return jax.nn.logsumexp(jnp.log(jnp.maximum(weights, 1e-30)) + densities)


def tanh_inverted(mean, action):
    raw = jnp.arctanh(action)  # GUILTY
    return jnp.sum(normal(raw, mean, 10.0))


def tanh_inverted_mended(mean, action):
    raw = jnp.arctanh(jnp.clip(action, -1 + 1e-6, 1 - 1e-6))
    return jnp.sum(normal(raw, mean, 10.0))


def squashed_policy(mean, raw, action):
    correction = jnp.log(1 - action**2)  # GUILTY
    return jnp.sum(normal(raw, mean, 2.0) - correction)


def squashed_policy_mended(mean, raw, action):
    correction = jnp.log(jnp.maximum(1 - action**2, 1e-6))
    return jnp.sum(normal(raw, mean, 2.0) - correction)


def mixture_with_a_gamma(shape, x):
    inner = (shape - 1) * jnp.log(x) - x - gammaln(shape)  # GUILTY
    gamma = jnp.where(x > 0, inner, -1e30)
    both = jnp.stack([normal(x, 0.0, 2.0), gamma])
    return -jnp.sum(jax.nn.logsumexp(both, axis=0))


def mixture_with_a_gamma_mended(shape, x):
    positive = jnp.where(x > 0, x, 1.0)
    inner = (shape - 1) * jnp.log(positive) - x - gammaln(shape)
    gamma = jnp.where(x > 0, inner, -1e30)
    both = jnp.stack([normal(x, 0.0, 2.0), gamma])
    return -jnp.sum(jax.nn.logsumexp(both, axis=0))


def encoder_without_bounds(log_variance, noise):
    scale = jnp.exp(log_variance)  # GUILTY
    latent = jnp.sqrt(scale) * noise
    return jnp.mean(latent**2) + jnp.mean(scale - log_variance)


def encoder_without_bounds_mended(log_variance, noise):
    log_variance = jnp.clip(log_variance, -30, 20)
    scale = jnp.exp(log_variance)
    latent = jnp.sqrt(scale) * noise
    return jnp.mean(latent**2) + jnp.mean(scale - log_variance)


def missing_observations(slope, x, y):
    density = normal(y, slope * x, 1.0)
    return -jnp.sum(density[:3])


def missing_observations_mended(slope, x, y):
    density = normal(y[:3], slope * x[:3], 1.0)
    return -jnp.sum(density)


CASES = (
    Case(
        *(mixture_with_a_zero_weight, mixture_with_a_zero_weight_mended),
        *((jnp.array([0.0, 0.5, 0.5]),), "pyro-ppl/numpyro#2224"),
        phase="either",
        hint=r"log at 0.*(guard|bound|away)|guard the argument",
    ),
    Case(
        *(tanh_inverted, tanh_inverted_mended),
        (jnp.zeros(2), jnp.array([0.1, 1.0])),
        source="google-deepmind/distrax#7",
        phase="forward",
        hint=r"arctanh is infinite at -1 and 1.*clip",
    ),
    Case(
        *(squashed_policy, squashed_policy_mended),
        (jnp.zeros(2), jnp.array([0.5, 12.0]), jnp.array([0.4621172, 1.0])),
        source="rail-berkeley/rlkit#37",
        phase="forward",
        hint=r"bound its argument from below",
    ),
    Case(
        *(mixture_with_a_gamma, mixture_with_a_gamma_mended),
        (jnp.float32(0.9), jnp.array([-1.0, 2.0])),
        source="awslabs/gluonts#1056",
        phase="either",
        hint=r"where\(ok|bound its argument from below",
    ),
    Case(
        *(encoder_without_bounds, encoder_without_bounds_mended),
        (jnp.array([-1.0, 95.0]), jnp.array([0.3, -1.2])),
        source="vanderschaarlab/synthcity#331",
        phase="forward",
        hint=r"exp leaves the range of float32 above 88",
    ),
    Case(
        *(missing_observations, missing_observations_mended),
        (jnp.float32(0.1), jnp.array([1.0, 2, 3, jnp.nan]), jnp.arange(4.0)),
        source="pytorch/pytorch#15131",
        phase="input",
        argument="x",
        hint=r"already non-finite",
    ),
)
