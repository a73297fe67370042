"""Overflow: float16, and exponentials in float32."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def silu_by_hand(x):
    power = jnp.exp(-x)  # GUILTY
    return jnp.sum(x / (1 + power))


def silu_by_hand_mended(x):
    return jnp.sum(x * jax.nn.sigmoid(x))


def sigmoid_by_hand(x):
    return jnp.sum(1 / (1 + jnp.exp(-x)))  # GUILTY


def sigmoid_by_hand_mended(x):
    return jnp.sum(jax.nn.sigmoid(x))


def gelu_in_float16(x):
    cube = x**3  # GUILTY
    inner = 0.79788456 * (x + 0.044715 * cube)
    return jnp.sum((0.5 * x * (1 + jnp.tanh(inner))).astype(jnp.float32))


def gelu_in_float16_mended(x):
    wide = x.astype(jnp.float32)
    inner = 0.79788456 * (wide + 0.044715 * wide**3)
    return jnp.sum(0.5 * wide * (1 + jnp.tanh(inner)))


def log_softmax_in_float16(logits):
    log_probabilities = jax.nn.log_softmax(logits)  # GUILTY
    return 100 * jnp.sum(log_probabilities.astype(jnp.float32))


def log_softmax_in_float16_mended(logits):
    wide = logits.astype(jnp.float32)
    return 100 * jnp.sum(jax.nn.log_softmax(wide))


def norm_in_float16(x):
    length = jnp.linalg.norm(x)  # GUILTY
    return (length / 2).astype(jnp.float32)


def norm_in_float16_mended(x):
    length = jnp.linalg.norm(x.astype(jnp.float32))
    return length / 2


def log_of_an_exponential(x):
    return jnp.sum(jnp.log(jnp.exp(x)))  # GUILTY


def log_of_an_exponential_mended(x):
    return jnp.sum(x)


CASES = (
    Case(
        *(silu_by_hand, silu_by_hand_mended, (jnp.array([-100.0, 1.0]),)),
        source="trymirai/lalamo#328",
        phase="either",
        hint=r"exp leaves the range of float32 above 88",
    ),
    Case(
        *(sigmoid_by_hand, sigmoid_by_hand_mended, (jnp.array([-200.0, 0.0]),)),
        source="jax-ml/jax#777",
        phase="either",
        hint=r"exp leaves the range of float32 above 88",
    ),
    Case(
        *(gelu_in_float16, gelu_in_float16_mended),
        *((jnp.array([300.0, 1.0], jnp.float16),), "facebookresearch/fairseq#2235"),
        phase="either",
        hint=r"float16 ends at 65504.*float32",
    ),
    Case(
        *(log_softmax_in_float16, log_softmax_in_float16_mended),
        (jnp.linspace(-1, 1, 700).astype(jnp.float16),),
        source="jax-ml/jax#40409",
        phase="either",
        hint=r"float16",
    ),
    Case(
        *(norm_in_float16, norm_in_float16_mended),
        *((jnp.full((3, 3), 100, jnp.float16),), "jax-ml/jax#39899"),
        phase="forward",
        hint=r"float16 ends at 65504",
    ),
    Case(
        *(log_of_an_exponential, log_of_an_exponential_mended),
        *((jnp.array([89.0]),), "jax-ml/jax#38097"),
        phase="forward",
        hint=r"exp leaves the range of float32 above 88",
    ),
)
