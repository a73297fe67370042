"""The two views with Flax linen and Optax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax


def params_from_torch(state):
    names = {"first": "encoder.0", "second": "encoder.2"}
    params = {
        ours: {"kernel": state[f"{name}.weight"].T, "bias": state[f"{name}.bias"]}
        for ours, name in names.items()
    }
    for name in ("predictor", "score"):
        params[name] = {"kernel": state[f"{name}.weight"].T}
    return {"params": params}


@jax.custom_jvp
def magnitude(x):
    return jnp.abs(x)


@magnitude.defjvp
def _magnitude_jvp(primals, tangents):
    return magnitude(*primals), jnp.sign(primals[0]) * tangents[0]


def length_of(z):
    squares = jnp.sum(z**2, axis=1)
    safe = jnp.where(squares > 0, squares, 1.0)
    return jnp.where(squares > 0, jnp.sqrt(safe), 0.0)


class Siamese(nn.Module):
    def setup(self):
        self.first = nn.Dense(8)
        self.second = nn.Dense(8)
        self.predictor = nn.Dense(8, use_bias=False)
        self.score = nn.Dense(1, use_bias=False)

    def encode(self, view):
        h = self.first(view)  # <~ relu
        h = nn.relu(h)  # <- relu
        return self.second(h)  # <~ detach, cut, norm, abs

    def __call__(self, view, other, wanted, clicked):
        z = self.encode(view)  # <~ cut
        target = jax.lax.stop_gradient(self.encode(other))  # <- detach
        predicted = self.predictor(z)  # <- cut <~ beta
        error = optax.huber_loss(predicted, target, delta=0.5)  # <~ beta, detach
        error = jnp.mean(error) / 0.5  # <- beta
        score = self.score(z)[:, 0]  # <~ clamp
        # <- clamp
        gate = jnp.where(score < 0.0, 0.0, jnp.where(score > 1.0, 1.0, score))
        error += jnp.mean(optax.squared_error(gate, wanted))  # <- half_square
        # <- logits
        error += jnp.mean(optax.sigmoid_binary_cross_entropy(score, clicked))
        length = length_of(z)  # <- norm
        return error + 0.1 * length.mean() + 0.1 * magnitude(z).mean()  # <- abs


def loss(params, view, other, wanted, clicked):
    return Siamese().apply(params, view, other, wanted, clicked)
