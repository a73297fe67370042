"""Gradients of zero where something else is selected: branches, maxima, routing."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def parameters_of_the_other_branch(params, x, step):
    def early(params):
        return jnp.sum((params["early"] * x) ** 2)

    def late(params):
        return jnp.sum((params["late"] * x - 1) ** 2)

    return jax.lax.cond(step < 100, early, late, params)  # GUILTY


def parameters_of_the_other_branch_mended(params, x, step):
    share = jax.nn.sigmoid((step - 100) / 50)
    early = jnp.sum((params["early"] * x) ** 2)
    late = jnp.sum((params["late"] * x - 1) ** 2)
    return (1 - share) * early + share * late


def maximum_of_two_layers(weights, other, x):
    first, second = x @ weights, x @ other
    merged = jnp.maximum(first, second)  # GUILTY
    return jnp.mean((merged - 1.0) ** 2)


def maximum_of_two_layers_mended(weights, other, x):
    first, second = x @ weights, x @ other
    merged = jnp.logaddexp(first, second)
    return jnp.mean((merged - 1.0) ** 2)


def largest_of_a_list(first, rest):
    values = jnp.concatenate([first[None], rest])
    largest = jnp.max(values)  # GUILTY
    return (largest - 3.0) ** 2


def largest_of_a_list_mended(first, rest):
    values = jnp.concatenate([first[None], rest])
    largest = jax.nn.logsumexp(values)
    return (largest - 3.0) ** 2


def largest_message_of_a_node(weights, messages, nodes):
    received = messages * weights
    largest = jnp.full(2, 0.5).at[nodes].max(received)  # GUILTY
    return jnp.sum(largest**2)


def largest_message_of_a_node_mended(weights, messages, nodes):
    received = messages * weights
    total = jnp.full(2, 0.5).at[nodes].add(received)
    return jnp.sum(total**2)


def expert_by_argmax(router, experts, x):
    chosen = jnp.argmax(x @ router)  # GUILTY
    return jnp.mean((x @ experts[chosen] - 1.0) ** 2)


def expert_by_argmax_mended(router, experts, x):
    gates = jax.nn.softmax(x @ router)
    chosen = jnp.argmax(gates)
    return jnp.mean((gates[chosen] * (x @ experts[chosen]) - 1.0) ** 2)


def time_of_a_switch(switch, rate):
    def step(y, t):
        still_on = t <= switch  # GUILTY
        active = jnp.where(still_on, rate, 0.0)
        return y - 0.1 * active * y, None

    return jax.lax.scan(step, jnp.float32(1.0), jnp.arange(10) * 0.1)[0]


def time_of_a_switch_mended(switch, rate):
    def step(y, t):
        active = rate * jax.nn.sigmoid((switch - t) / 0.05)
        return y - 0.1 * active * y, None

    return jax.lax.scan(step, jnp.float32(1.0), jnp.arange(10) * 0.1)[0]


def clipped_value_function(values, old, returns):
    near = old + jnp.clip(values - old, -0.2, 0.2)  # GUILTY
    return jnp.mean((returns - near) ** 2)


def clipped_value_function_mended(values, old, returns):
    del old
    return jnp.mean((returns - values) ** 2)


def likelihood_without_the_model(model, times, y):
    def probability(t, y):
        return jnp.exp(-jnp.sum((y - jnp.sin(t)) ** 2))

    return jnp.sum(jax.vmap(probability)(times, y))


def likelihood_without_the_model_mended(model, times, y):
    def probability(t, y):
        return jnp.exp(-jnp.sum((y - jnp.sin(model * t)) ** 2))

    return jnp.sum(jax.vmap(probability)(times, y))


X = jnp.array([[1.0, 0.5], [0.2, 2.0]])
CASES = (
    Case(
        *(parameters_of_the_other_branch, parameters_of_the_other_branch_mended),
        ({"early": jnp.ones(2), "late": jnp.ones(2)}, X, jnp.array(3)),
        *("pytorch/pytorch#141301", "zero"),
        reason="branch",
        argument="params['late']",
        hint=r"(?i)condition|smooth",
    ),
    Case(
        *(maximum_of_two_layers, maximum_of_two_layers_mended),
        (jnp.array([0.1, 0.2]), jnp.array([1.0, 2.0]), X),
        *("BVLC/caffe#688", "zero"),
        reason="branch",
        argument="weights",
        hint=r"logsumexp|smooth",
    ),
    Case(
        *(largest_of_a_list, largest_of_a_list_mended),
        (jnp.float32(1.0), jnp.array([1.9, 2.0, 1.5])),
        *("tensorflow/tensorflow#4886", "zero"),
        reason="branch",
        argument="first",
        hint=r"logsumexp",
    ),
    Case(
        *(largest_message_of_a_node, largest_message_of_a_node_mended),
        (jnp.full(3, 0.1), jnp.array([1.0, 2.0, -1.0]), jnp.array([0, 1, 1])),
        *("rusty1s/pytorch_scatter#399", "zero"),
        reason="branch",
        argument="weights",
        hint=r"smooth",
    ),
    Case(
        *(expert_by_argmax, expert_by_argmax_mended),
        (jnp.array([[1.0, 0.5], [0.2, 0.1]]), jnp.ones((2, 2)), jnp.array([1.0, 0.3])),
        *("lucidrains/mixture-of-experts#7", "zero"),
        reason="integer",
        argument="router",
        hint=r"softmax",
    ),
    Case(
        *(time_of_a_switch, time_of_a_switch_mended),
        (jnp.float32(0.45), jnp.float32(1.0)),
        *("patrick-kidger/diffrax#363", "zero"),
        reason="integer",
        argument="switch",
        hint=r"sigmoid",
    ),
    Case(
        *(clipped_value_function, clipped_value_function_mended),
        (jnp.array([1.0, 2.0]), jnp.zeros(2), jnp.array([1.5, 2.5])),
        *("DLR-RM/stable-baselines3#159", "zero"),
        reason="saturated",
        argument="values",
        hint=r"(?i)bound",
    ),
    Case(
        *(likelihood_without_the_model, likelihood_without_the_model_mended),
        (jnp.float32(1.5), jnp.array([0.1, 0.2]), X),
        *("patrick-kidger/equinox#442", "zero"),
        reason="unconnected",
        argument="model",
        hint=r"does not depend",
    ),
)
