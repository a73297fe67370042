"""The autoencoder with a normal decoder, with Flax nnx and its own densities."""

import jax
import jax.numpy as jnp
from flax import nnx


class GaussianVAE(nnx.Module):
    def __init__(self, rngs):
        self.encoder = nnx.Linear(6, 8, rngs=rngs)
        self.mean = nnx.Linear(8, 3, rngs=rngs)
        self.scale = nnx.Linear(8, 3, rngs=rngs)
        self.first = nnx.Linear(3, 8, rngs=rngs)
        self.second = nnx.Linear(8, 12, rngs=rngs)

    def __call__(self, x, noise):
        h = nnx.elu(self.encoder(x))
        mu = self.mean(h)
        std = nnx.softplus(self.scale(h)) + 1e-3  # <- softplus
        z = mu + std * noise
        out = self.second(nnx.elu(self.first(z)))
        location, logvar = jnp.split(out, 2, axis=-1)  # <- chunk <~ clamp
        return mu, std, location, clamp(logvar)  # <- clamp


@jax.custom_jvp
def clamp(logvar):
    return jnp.clip(logvar, -1.0, 1.0)


@clamp.defjvp
def _clamp_jvp(primals, tangents):
    inside = (primals[0] >= -1.0) & (primals[0] <= 1.0)
    return clamp(*primals), jnp.where(inside, tangents[0], 0.0)


def kl_to_prior(mu, std):
    return 0.5 * (std**2 + mu**2 - 1) - jnp.log(std)  # <- kl


def loss(model, x, noise):
    mu, std, location, logvar = model(x, noise)
    kl = kl_to_prior(mu, std)  # <~ kl
    kl = kl.sum(-1).mean()  # <- kl_mean
    squared = (x - location) ** 2 / jnp.exp(logvar)  # <- variance <~ chunk
    nll = 0.5 * (squared + logvar + jnp.log(2 * jnp.pi))
    return nll.sum(-1).mean() + 0.5 * kl


def params_from_torch(state):
    model = GaussianVAE(nnx.Rngs(0))
    names = {"first": "decoder.0", "second": "decoder.2"}
    for ours in ("encoder", "mean", "scale", "first", "second"):
        layer, name = getattr(model, ours), names.get(ours, ours)
        layer.kernel.set_value(state[f"{name}.weight"].T)
        layer.bias.set_value(state[f"{name}.bias"])
    return model
