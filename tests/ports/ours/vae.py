"""The autoencoder as functions, with jaxgrad's losses; one head for both halves."""

import jax.numpy as jnp
from jax import lax

from jaxgrad import losses


def params_from_torch(state):
    params = {
        name: (state[f"{name}.weight"].T, state[f"{name}.bias"])
        for name in ("fc1", "fc3", "fc4")
    }
    heads = ("fc21", "fc22")
    kernel = jnp.concatenate([state[f"{name}.weight"].T for name in heads], axis=1)
    bias = jnp.concatenate([state[f"{name}.bias"] for name in heads])
    return params | {"fc2": (kernel, bias)}


def dense(params, x):
    kernel, bias = params
    return jnp.dot(x, kernel) + bias


def encode(params, x):
    h = lax.tanh(dense(params["fc1"], x))
    mu, logvar = jnp.split(dense(params["fc2"], h), 2, axis=-1)  # <- halves
    return mu, logvar


def reparameterize(mu, logvar, noise):
    std = jnp.exp(0.5 * logvar)  # <- std <~ cut, halves
    return mu + noise * std  # <- cut <~ std, halves


def decode(params, z):
    h = lax.tanh(dense(params["fc3"], z))
    return dense(params["fc4"], h)


def loss(params, x, noise):
    mu, logvar = encode(params, x)
    logits = decode(params, reparameterize(mu, logvar, noise))
    bce = losses.binary_cross_entropy_with_logits(logits, x, reduction="sum")  # <- bce
    kld = -0.5 * jnp.sum(1 + logvar - mu**2 - jnp.exp(logvar))  # <- kl
    return (bce + kld) / len(x)  # <- elbo
