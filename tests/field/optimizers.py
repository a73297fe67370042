"""Updates of an optimizer as part of the program."""

from typing import Any

import jax.numpy as jnp
import optax

from tests.field.case import Case


def clip_to_zero(gradient):
    clipper = optax.clip_by_global_norm(0.0)
    update: Any = clipper.update(gradient, clipper.init(gradient))[0]  # GUILTY
    return jnp.sum(update)


def clip_to_zero_mended(gradient):
    clipper = optax.clip_by_global_norm(1.0)
    update: Any = clipper.update(gradient + 1e-6, clipper.init(gradient))[0]
    return jnp.sum(update)


def rms_in_float16(gradient):
    scale = optax.scale_by_rms()
    update: Any = scale.update(gradient, scale.init(gradient))[0]  # GUILTY
    return jnp.sum(update)


def rms_in_float16_mended(gradient):
    scale = optax.scale_by_rms(eps=1e-3)
    update: Any = scale.update(gradient, scale.init(gradient))[0]
    return jnp.sum(update)


CASES = (
    Case(
        *(clip_to_zero, clip_to_zero_mended, (jnp.zeros(3),)),
        source="google-deepmind/optax#1752",
        phase="forward",
        hint=r"0 / 0",
    ),
    Case(
        *(rms_in_float16, rms_in_float16_mended, (jnp.zeros(4, jnp.float16),)),
        source="google-deepmind/optax#1784",
        phase="forward",
        hint=r"eps.*0 in float16",
    ),
)
