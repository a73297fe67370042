"""Scans and mapped branches."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def hidden_markov_model(log_transitions, log_likelihoods):
    transitions, likelihoods = jnp.exp(log_transitions), jnp.exp(log_likelihoods)

    def step(carry, likelihood):
        state, total = carry
        joint = state * likelihood
        evidence = jnp.sum(joint)
        total = total + jnp.log(evidence)  # GUILTY
        return ((joint / evidence) @ transitions, total), None

    start = (jnp.full(2, 0.5), jnp.float32(0.0))
    return jax.lax.scan(step, start, likelihoods)[0][1]


def hidden_markov_model_mended(log_transitions, log_likelihoods):
    def step(state, log_likelihood):
        joint = state + log_likelihood
        return jax.nn.logsumexp(joint[:, None] + log_transitions, axis=0), None

    state, _ = jax.lax.scan(step, jnp.log(jnp.full(2, 0.5)), log_likelihoods)
    return jax.nn.logsumexp(state)


def mapped_select(densities):
    def energy(density):
        inside = density * jnp.log(density)  # GUILTY
        return jax.lax.select(density > 0, inside, jnp.zeros_like(density))

    return jnp.sum(jax.vmap(energy)(densities))


def mapped_select_mended(densities):
    def energy(density):
        safe = jax.lax.select(density > 0, density, jnp.ones_like(density))
        inside = density * jnp.log(safe)
        return jax.lax.select(density > 0, inside, jnp.zeros_like(density))

    return jnp.sum(jax.vmap(energy)(densities))


def padded_recurrence(weight, inputs, lengths):
    def step(state, x):
        moved = jnp.tanh(weight * state + x)
        scaled = moved / jnp.linalg.norm(x)  # GUILTY
        return jnp.where(jnp.any(x != 0), scaled, state), None

    del lengths
    return jnp.sum(jax.lax.scan(step, jnp.zeros(2), inputs)[0])


def padded_recurrence_mended(weight, inputs, lengths):
    def step(state, x):
        moved = jnp.tanh(weight * state + x)
        real = jnp.any(x != 0)
        scaled = moved / jnp.linalg.norm(jnp.where(real, x, 1.0))
        return jnp.where(real, scaled, state), None

    del lengths
    return jnp.sum(jax.lax.scan(step, jnp.zeros(2), inputs)[0])


def scatter_with_clipped_indices(t):
    base = jnp.array([1.0, 3.0, 4.0])
    updates = t * jnp.array([1.0, -1.0]) + jnp.array([1.0, 4.0])
    highest = base.at[jnp.array([-9, 8])].max(updates, mode="clip")  # GUILTY
    return jnp.sum(highest * jnp.array([2.0, -1.0, 3.0]))


def scatter_with_clipped_indices_mended(t):
    base = jnp.array([1.0, 3.0, 4.0])
    updates = t * jnp.array([1.0, -1.0]) + jnp.array([1.0, 4.0])
    inside = jnp.clip(jnp.array([-9, 8]), 0, 2)
    highest = base.at[inside].max(updates)
    return jnp.sum(highest * jnp.array([2.0, -1.0, 3.0]))


CASES = (
    Case(
        *(hidden_markov_model, hidden_markov_model_mended),
        (
            jnp.log(jnp.array([[0.9, 0.1], [0.2, 0.8]])),
            jnp.array([[-1.0, -2], [-3, -1], [-210, -190]]),
        ),
        source="jax-ml/jax#475",
        phase="forward",
        hint=r"(compute the logarithm directly|logsumexp)",
    ),
    Case(
        *(mapped_select, mapped_select_mended, (jnp.array([2.0, 0.0]),)),
        source="sail-sg/jax_xc#28",
        phase="either",
        hint=r"where\(ok|xlogy",
    ),
    Case(
        *(padded_recurrence, padded_recurrence_mended),
        (jnp.float32(0.4), jnp.array([[1.0, 2], [0, 0], [0, 0]]), jnp.array(1)),
        source="tensorflow/tensorflow#6209",
        phase="either",
        hint=r"where\(ok",
    ),
    Case(
        *(scatter_with_clipped_indices, scatter_with_clipped_indices_mended),
        *((jnp.float32(0.03125),), "jax-ml/jax#40626"),
        mended_in=(0, 12),
        phase="backward",
        hint=r"(?i)ind(ex|ices)",
        shortcoming=(
            "gives no reason; should name the indices -9 and 8 outside of the "
            "axis of 3, which the derivative does not clip"
        ),
    ),
)
