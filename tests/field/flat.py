"""Gradients of zero where the function is flat: saturated, dead, out of range."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def confident_sigmoid(logit):
    probability = jax.nn.sigmoid(logit)  # GUILTY
    return 1 - probability


def confident_sigmoid_mended(logit):
    return jax.nn.log_sigmoid(-logit)


def clipped_cross_entropy(probability):
    clipped = jnp.clip(probability, 1e-7, 1 - 1e-6)  # GUILTY
    return -jnp.log(clipped)


def clipped_cross_entropy_mended(probability):
    return -jnp.log(jnp.maximum(probability, 1e-7))


def dead_hidden_layer(params, x):
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])  # GUILTY
    return jnp.mean((hidden @ params["w2"] - 1.0) ** 2)


def dead_hidden_layer_mended(params, x):
    hidden = jax.nn.leaky_relu(x @ params["w1"] + params["b1"])
    return jnp.mean((hidden @ params["w2"] - 1.0) ** 2)


def relu_on_the_output(weights, x):
    predicted = jax.nn.relu(x @ weights)  # GUILTY
    return jnp.mean((predicted - 2.0) ** 2)


def relu_on_the_output_mended(weights, x):
    return jnp.mean((x @ weights - 2.0) ** 2)


def zero_initialization_before_relu(weights, x):
    gate = jax.nn.relu(x @ weights)  # GUILTY
    return jnp.mean((gate @ jnp.ones((2, 1)) - 1.0) ** 2)


def zero_initialization_before_relu_mended(weights, x):
    gate = jax.nn.softplus(x @ weights)
    return jnp.mean((gate @ jnp.ones((2, 1)) - 1.0) ** 2)


def two_zero_layers(params, x):
    hidden = jnp.tanh(x @ params["w1"])
    gate = hidden @ params["w2"]  # GUILTY
    return jnp.mean((x[:, :1] + gate - 1.0) ** 2)


def two_zero_layers_mended(params, x):
    hidden = jnp.tanh(x @ (params["w1"] + 0.1))
    gate = hidden @ (params["w2"] + 0.1)
    return jnp.mean((x[:, :1] + gate - 1.0) ** 2)


def density_of_its_own_sample(mean, noise):
    sample = mean + 0.5 * noise
    return jnp.sum(-((sample - mean) ** 2))  # GUILTY


def density_of_its_own_sample_mended(mean, noise):
    sample = jax.lax.stop_gradient(mean + 0.5 * noise)
    return jnp.sum(-((sample - mean) ** 2))


def bond_angle_behind_a_clip(a, b):
    cosine = jnp.dot(a, b) / jnp.sqrt(jnp.dot(a, a) * jnp.dot(b, b))
    inside = jnp.clip(cosine, -1 + 1e-3, 1 - 1e-3)  # GUILTY
    return (jnp.arccos(inside) - 1.9) ** 2


def bond_angle_behind_a_clip_mended(a, b):
    cross = a[0] * b[1] - a[1] * b[0]
    return (jnp.arctan2(cross, jnp.dot(a, b)) - 1.9) ** 2


def small_gradients_in_float16(weights, x):
    predicted = (x @ weights).astype(jnp.float16)
    error = predicted - jnp.float16(0.5)
    loss = jnp.mean(error.astype(jnp.float32) ** 2)  # GUILTY
    return loss * 1e-8


def small_gradients_in_float16_mended(weights, x):
    error = x @ weights - 0.5
    loss = jnp.mean(error**2)
    return loss * 1e-8


def log_of_a_large_exponential(x):
    return jnp.log(jnp.exp(x))  # GUILTY


def log_of_a_large_exponential_mended(x):
    return jnp.log1p(jnp.exp(x - 88)) + 88


def expm1_far_below(x):
    return jnp.expm1(x)  # GUILTY


def expm1_far_below_mended(x):
    return jnp.exp(x) - 1


def curvature_of_softplus(x):
    slope = jax.grad(jax.nn.softplus)(x)  # GUILTY
    return 2 * slope


def curvature_of_softplus_mended(x):
    return 2 * jnp.exp(-jax.nn.softplus(-x))


def distance_far_out(radius, x):
    product = jnp.exp(radius) * x
    return jnp.sum(jnp.arcsinh(product))  # GUILTY


def distance_far_out_mended(radius, x):
    return jnp.sum(jnp.log(2 * x) + radius)


X = jnp.array([[1.0, 0.5], [0.2, 2.0]])
CASES = (
    Case(
        *(confident_sigmoid, confident_sigmoid_mended, (jnp.float32(20.0),)),
        *("jax-ml/jax#40385", "zero"),
        reason="saturated",
        argument="logit",
        hint=r"(?i)log|logits",
    ),
    Case(
        *(clipped_cross_entropy, clipped_cross_entropy_mended, (jnp.float32(1.0),)),
        *("keras-team/keras#9664", "zero"),
        reason="saturated",
        argument="probability",
        hint=r"(?i)clip|bound",
    ),
    Case(
        *(dead_hidden_layer, dead_hidden_layer_mended),
        (
            {
                "w1": jnp.full((2, 3), -0.5),
                "b1": jnp.full(3, -0.1),
                "w2": jnp.ones((3, 1)),
            },
            X,
        ),
        *("jax-ml/jax#19268", "zero"),
        reason="dead",
        argument="params['w1']",
        hint=r"(?i)leaky|relu|init",
    ),
    Case(
        *(relu_on_the_output, relu_on_the_output_mended),
        (jnp.array([[-1.0], [-2.0]]), X),
        *("chelsea0x3b/dfdx#486", "zero"),
        reason="dead",
        argument="weights",
        hint=r"(?i)leaky|relu",
    ),
    Case(
        *(zero_initialization_before_relu, zero_initialization_before_relu_mended),
        (jnp.zeros((2, 2)), X),
        *("lucidrains/deep-cross-attention#2", "zero"),
        reason="dead",
        argument="weights",
        hint=r"(?i)leaky|relu|init",
    ),
    Case(
        *(two_zero_layers, two_zero_layers_mended),
        ({"w1": jnp.zeros((2, 3)), "w2": jnp.zeros((3, 1))}, X),
        *("yz93/LAVT-RIS#25", "zero"),
        reason="multiplied",
        argument="params['w1']",
        hint=r"(?i)init|zero|0",
    ),
    Case(
        *(density_of_its_own_sample, density_of_its_own_sample_mended),
        (jnp.float32(0.5), jnp.array([0.3, -1.0])),
        *("tensorflow/tensorflow#7236", "zero"),
        reason="cancelled",
        argument="mean",
        hint=r"(?i)cancel|add up to zero",
    ),
    Case(
        *(bond_angle_behind_a_clip, bond_angle_behind_a_clip_mended),
        (jnp.array([1.0, 0.0]), jnp.array([-1.0, 1e-3])),
        *("ericchansen/q2mm#288", "zero"),
        reason="saturated",
        argument="a",
        hint=r"(?i)clip|bound",
    ),
    Case(
        *(small_gradients_in_float16, small_gradients_in_float16_mended),
        (jnp.array([0.3, 0.1]), X),
        *("engichang1467/Open-Rig3R#35", "zero"),
        reason="underflow",
        argument="weights",
        hint=r"(?i)scale|float32",
    ),
    Case(
        *(log_of_a_large_exponential, log_of_a_large_exponential_mended),
        (jnp.float32(88.5),),
        *("jax-ml/jax#38097", "zero"),
        reason="underflow",
        argument="x",
        hint=r"too small|underflow",
    ),
    Case(
        *(distance_far_out, distance_far_out_mended),
        (jnp.float32(50.0), jnp.array([1.0, 2.0])),
        *("jax-ml/jax#40634", "zero"),
        mended_in=(0, 12),
        reason="underflow",
        argument="radius",
        hint=r"too small",
    ),
    Case(
        *(curvature_of_softplus, curvature_of_softplus_mended, (jnp.float32(20.0),)),
        *("jax-ml/jax#40387", "zero"),
        reason="saturated",
        argument="x",
        hint=r"(?i)satur|exact",
    ),
    Case(
        *(expm1_far_below, expm1_far_below_mended, (jnp.float32(-20.0),)),
        *("jax-ml/jax#39794", "zero"),
        mended_in=(0, 12),
        reason="saturated",
        argument="x",
        hint=r"(?i)exp|satur",
    ),
)
