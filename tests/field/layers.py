"""Gradients that vanish or explode from layer to layer."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def gated_blocks(biases, layers, x):
    hidden = x
    for bias, weights in zip(biases, layers, strict=True):
        content = hidden @ weights + bias
        hidden = content * jax.nn.sigmoid(content)  # GUILTY
    return jnp.mean((hidden - 1.0) ** 2)


def gated_blocks_mended(biases, layers, x):
    hidden = x
    for bias, weights in zip(biases, layers, strict=True):
        content = hidden @ weights + bias
        hidden = hidden + content * jax.nn.sigmoid(content)
    return jnp.mean((hidden - 1.0) ** 2)


def polynomial_convolutions(kernels, image):
    for kernel in kernels:
        response = jax.lax.conv(image, kernel, (1, 1), "SAME")
        image = (response + 0.05) ** 2  # GUILTY
    return jnp.mean((image - 1.0) ** 2)


def polynomial_convolutions_mended(kernels, image):
    for kernel in kernels:
        response = jax.lax.conv(image, kernel, (1, 1), "SAME")
        image = image + (response + 0.05) ** 2
    return jnp.mean((image - 1.0) ** 2)


def small_initial_weights(biases, layers, x):
    hidden = x
    for bias, weights in zip(biases, layers, strict=True):
        product = hidden @ (0.05 * weights) + bias  # GUILTY
        hidden = jax.nn.relu(product)
    return jnp.mean((hidden - 1.0) ** 2)


def small_initial_weights_mended(biases, layers, x):
    hidden = x
    for bias, weights in zip(biases, layers, strict=True):
        product = hidden @ (weights * jnp.sqrt(2 / weights.shape[0])) + bias
        hidden = jax.nn.relu(product)
    return jnp.mean((hidden - 1.0) ** 2)


def decoder_of_sigmoids(layers, point):
    hidden = point
    for weights in layers:
        hidden = jax.nn.sigmoid(hidden @ weights / 4)  # GUILTY
    return jnp.mean((hidden - 1.0) ** 2)


def decoder_of_sigmoids_mended(layers, point):
    hidden = point
    for weights in layers:
        hidden = jax.nn.leaky_relu(hidden @ weights / 3)
    return jnp.mean((hidden - 1.0) ** 2)


def receptive_field_behind_sigmoids(kernels, image):
    def block(image, kernel):
        response = jax.lax.conv(image, kernel, (1, 1), "SAME")
        return 1 / (1 + jnp.exp(-response))  # GUILTY

    for kernel in kernels:
        image = block(image, kernel)
    return image[0, 0, 4, 4]


def receptive_field_behind_sigmoids_mended(kernels, image):
    def block(image, kernel):
        return jax.lax.conv(image, kernel, (1, 1), "SAME")

    for kernel in kernels:
        image = block(image, kernel)
    return image[0, 0, 4, 4]


def coupling_blocks(blocks, x):
    first, second = x
    for scale, shift in blocks:
        stretched = second * jnp.exp(scale * first) + shift  # GUILTY
        first, second = first, stretched
    return jnp.mean(second**2)


def coupling_blocks_mended(blocks, x):
    first, second = x
    for scale, shift in blocks:
        bounded = 0.3 * jnp.tanh(scale * first)
        first, second = first, second * jnp.exp(bounded) + shift
    return jnp.mean(second**2)


def products_of_normal_matrices(biases, layers, x):
    for bias, weights in zip(biases, layers, strict=True):
        x = weights @ x + bias  # GUILTY
    return jnp.sum(x)


def products_of_normal_matrices_mended(biases, layers, x):
    for bias, weights in zip(biases, layers, strict=True):
        x = weights / jnp.sqrt(len(x)) @ x + bias
    return jnp.sum(x)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


SQUARE = [normal(seed, 16, 16) for seed in range(12)]
BIASES = [jnp.zeros(16) for _ in SQUARE]
KERNELS = [normal(seed, 2, 2, 3, 3) * 0.2 for seed in range(8)]
IMAGE = normal(20, 1, 2, 8, 8)
RESIDUAL = r"(?i)residual"
CASES = (
    Case(
        *(gated_blocks, gated_blocks_mended),
        (BIASES[:10], [weights / 5 for weights in SQUARE[:10]], normal(30, 4, 16)),
        *("state-spaces/mamba#527", "vanishing"),
        reason="depth",
        hint=RESIDUAL,
    ),
    Case(
        *(polynomial_convolutions, polynomial_convolutions_mended),
        ([kernel / 4 for kernel in KERNELS[:6]], IMAGE / 2),
        *("ryanaleksander/kernel-convolution#2", "vanishing"),
        reason="depth",
        hint=RESIDUAL,
    ),
    Case(
        *(small_initial_weights, small_initial_weights_mended),
        (BIASES[:6], SQUARE[:6], normal(30, 4, 16)),
        *("SilasMarvin/dnns-from-scratch-in-zig#7", "vanishing"),
        reason="depth",
        hint=r"initial weights",
    ),
    Case(
        *(decoder_of_sigmoids, decoder_of_sigmoids_mended),
        (SQUARE[:8], normal(31, 4, 16)),
        *("czq142857/IM-NET-pytorch#5", "vanishing"),
        reason="depth",
        hint=r"relu",
    ),
    Case(
        *(receptive_field_behind_sigmoids, receptive_field_behind_sigmoids_mended),
        (KERNELS, IMAGE),
        *("rogertrullo/Receptive-Field-in-Pytorch#3", "vanishing"),
        reason="depth",
        hint=r"instead of sigmoid",
    ),
    Case(
        *(coupling_blocks, coupling_blocks_mended),
        (
            [(jnp.full(2, 1.5), jnp.full(2, 0.1)) for _ in range(10)],
            (jnp.array([1.0, 0.8]), jnp.array([0.3, 0.4])),
        ),
        *("pkuxmq/Invertible-Image-Rescaling#24", "exploding"),
        reason="depth",
        hint=r"normalise",
    ),
    Case(
        *(products_of_normal_matrices, products_of_normal_matrices_mended),
        (BIASES, SQUARE, normal(32, 16)),
        *("d2l-ai/d2l-vi#1127", "exploding"),
        reason="depth",
        hint=r"number of inputs",
    ),
)
