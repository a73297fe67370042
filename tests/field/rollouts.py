"""Gradients that vanish or explode through time: recurrent cells and simulations."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def memory_of_the_first_inputs(inputs, weights):
    def cell(hidden, x):
        hidden = jnp.tanh(weights @ hidden + x)  # GUILTY
        return hidden, None

    hidden, _ = jax.lax.scan(cell, jnp.zeros(6), inputs)
    return jnp.sum((hidden - 1.0) ** 2)


def memory_of_the_first_inputs_mended(inputs, weights):
    def cell(hidden, x):
        hidden = hidden + 0.1 * jnp.tanh(weights @ hidden + x)
        return hidden, None

    hidden, _ = jax.lax.scan(cell, jnp.zeros(6), inputs)
    return jnp.sum((hidden - 1.0) ** 2)


def forget_gate_almost_closed(inputs, forget):
    def cell(state, x):
        kept = jax.nn.sigmoid(forget) * state  # GUILTY
        state = kept + 0.1 * jnp.tanh(x)
        return state, None

    state, _ = jax.lax.scan(cell, jnp.zeros(6), inputs)
    return jnp.sum((jnp.tanh(state) - 1.0) ** 2)


def forget_gate_almost_closed_mended(inputs, forget):
    def cell(state, x):
        kept = jax.nn.sigmoid(forget + 7.0) * state
        state = kept + 0.1 * jnp.tanh(x)
        return state, None

    state, _ = jax.lax.scan(cell, jnp.zeros(6), inputs)
    return jnp.sum((jnp.tanh(state) - 1.0) ** 2)


def actions_of_a_rollout(actions, start):
    def step(state, action):
        x, y = state
        x = 1 - 1.4 * x**2 + y + 0.01 * action  # GUILTY
        return (x, 0.3 * state[0]), None

    (x, _), _ = jax.lax.scan(step, start, actions)
    return x


def actions_of_a_rollout_mended(actions, start):
    def step(state, action):
        x, y = state
        x = x + 0.02 * (y + action)
        return (x, y - 0.02 * state[0]), None

    (x, _), _ = jax.lax.scan(step, start, actions)
    return x


def state_over_many_views(views, weights):
    def update(state, view):
        state = jax.nn.relu(weights @ state + view)  # GUILTY
        return state, jnp.sum(state)

    _, totals = jax.lax.scan(update, jnp.zeros(6), views)
    return jnp.mean(totals)


def state_over_many_views_mended(views, weights):
    def update(state, view):
        gate = jax.nn.sigmoid(weights @ view)
        state = gate * state + (1 - gate) * view
        return state, jnp.sum(state)

    _, totals = jax.lax.scan(update, jnp.zeros(6), views)
    return jnp.mean(totals)


def diffusion_with_free_affinities(depths, affinities):
    def step(depth, measured):
        left, right = jnp.roll(depth, 1), jnp.roll(depth, -1)
        depth = affinities[0] * left + affinities[1] * right + measured  # GUILTY
        return depth, None

    depth, _ = jax.lax.scan(step, jnp.zeros(8), depths)
    return jnp.sum(depth)


def diffusion_with_free_affinities_mended(depths, affinities):
    share = affinities / jnp.sum(jnp.abs(affinities))

    def step(depth, measured):
        left, right = jnp.roll(depth, 1), jnp.roll(depth, -1)
        depth = share[0] * left + share[1] * right + measured
        return depth, None

    depth, _ = jax.lax.scan(step, jnp.zeros(8), depths)
    return jnp.sum(depth)


def training_with_large_rates(noise, rate):
    curvatures = jnp.array([1.0, 10.0])
    weights = jnp.array([1.0, 1.0])
    for sample in noise:
        gradient = curvatures * weights + sample
        weights = weights - rate * gradient  # GUILTY
    return jnp.sum(weights**2)


def training_with_large_rates_mended(noise, rate):
    curvatures = jnp.array([1.0, 10.0])
    weights = jnp.array([1.0, 1.0])
    for sample in noise:
        gradient = curvatures * weights + sample
        weights = weights - rate / 40 * gradient
    return jnp.sum(weights**2)


def stiff_joint(forces, stiffness):
    def step(state, force):
        angle, speed = state
        speed = speed + 0.1 * (force - stiffness * angle)  # GUILTY
        angle = angle + 0.1 * speed
        return (angle, speed), None

    start = jnp.float32(0.1), jnp.float32(0.0)
    (angle, _), _ = jax.lax.scan(step, start, forces)
    return angle


def stiff_joint_mended(forces, stiffness):
    def step(state, force):
        angle, speed = state
        speed = speed + 0.01 * (force - stiffness * angle)
        angle = angle + 0.01 * speed
        return (angle, speed), None

    start = jnp.float32(0.1), jnp.float32(0.0)
    (angle, _), _ = jax.lax.scan(step, start, forces)
    return angle


def largest_eigenvalue_above_one(inputs, weights):
    def cell(hidden, x):
        hidden = weights @ hidden + x  # GUILTY
        return hidden, None

    hidden, _ = jax.lax.scan(cell, jnp.zeros(6), inputs)
    return jnp.sum(hidden)


def largest_eigenvalue_above_one_mended(inputs, weights):
    orthogonal, _ = jnp.linalg.qr(weights)

    def cell(hidden, x):
        hidden = orthogonal @ hidden + x
        return hidden, None

    hidden, _ = jax.lax.scan(cell, jnp.zeros(6), inputs)
    return jnp.sum(hidden)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


CASES = (
    Case(
        *(memory_of_the_first_inputs, memory_of_the_first_inputs_mended),
        (normal(1, 25, 6), normal(2, 6, 6) * 0.15),
        *("OverLordGoldDragon/see-rnn#10", "vanishing"),
        reason="time",
        hint=r"residual|orthogonal",
    ),
    Case(
        *(forget_gate_almost_closed, forget_gate_almost_closed_mended),
        (normal(1, 25, 6), jnp.full(6, -2.0)),
        *("craffel/nntools#19", "vanishing"),
        reason="time",
        hint=r"gate",
    ),
    Case(
        *(actions_of_a_rollout, actions_of_a_rollout_mended),
        (normal(3, 60), (jnp.float32(0.1), jnp.float32(0.2))),
        *("google/brax#186", "exploding"),
        reason="time",
        hint=r"fewer iterations|smaller",
    ),
    Case(
        *(state_over_many_views, state_over_many_views_mended),
        (normal(4, 16, 6), jnp.abs(normal(5, 6, 6))),
        *("CUT3R/CUT3R#88", "exploding"),
        reason="time",
        hint=r"gates|normalise|orthogonal",
    ),
    Case(
        *(diffusion_with_free_affinities, diffusion_with_free_affinities_mended),
        (normal(6, 24, 8), jnp.array([1.2, 1.1])),
        *("XinJCheng/CSPN#13", "exploding"),
        reason="time",
        hint=r"normalise",
    ),
    Case(
        *(training_with_large_rates, training_with_large_rates_mended),
        ([normal(seed, 2) for seed in range(15)], 0.4),
        *("nicholas-leonard/drmad#3", "exploding"),
        reason="depth",
        hint=r"(?i)step|rate",
    ),
    Case(
        *(stiff_joint, stiff_joint_mended),
        (normal(7, 40), jnp.float32(900.0)),
        *("NVIDIA/warp#471", "exploding"),
        reason="time",
        hint=r"smaller",
    ),
    Case(
        *(largest_eigenvalue_above_one, largest_eigenvalue_above_one_mended),
        (normal(8, 20, 6), normal(9, 6, 6) * 1.2),
        *("dragen1860/Deep-Learning-with-TensorFlow-book#165", "exploding"),
        reason="time",
        hint=r"orthogonal",
    ),
)
