"""Both directions with lax.scan, the second one reversed."""

import jax
import jax.numpy as jnp
from jax import lax


def params_from_torch(state):
    def direction(name):
        return {
            "input": state[f"{name}.weight_ih"].T,
            "state": state[f"{name}.weight_hh"].T,
            "input_bias": state[f"{name}.bias_ih"],
            "state_bias": state[f"{name}.bias_hh"],
        }

    return {
        "forth": direction("forth"),
        "back": direction("back"),
        "head": state["head"].T,
    }


def step(p, carry, x):
    h, c, t = carry
    h, c = lax.cond(
        t == 2, lax.stop_gradient, lambda s: s, (h, c)
    )  # <- detach <~ start
    gates = x @ p["input"] + p["input_bias"]  # <~ reversed
    gates = gates + h @ p["state"] + p["state_bias"]  # <- biases <~ start
    i, f, g, o = jnp.split(gates, 4, axis=-1)  # <- order
    f = jax.nn.sigmoid(f)  # <- forget <~ order
    c = f * c + jax.nn.sigmoid(i) * jnp.tanh(g)  # <~ order, start
    h = jax.nn.sigmoid(o) * jnp.tanh(c)  # <~ order, detach
    return (h, c, t + 1), h


@jax.custom_vjp
def clip_gradient(x):
    return x


def _clip_forward(x):
    return x, None


def _clip_backward(_, g):
    return (jnp.clip(g, -0.02, 0.02),)  # <- clip


clip_gradient.defvjp(_clip_forward, _clip_backward)


def run(p, xs, backward=False):
    zeros = jnp.zeros((xs.shape[1], 6), xs.dtype)  # <- start
    xs = xs[::-1] if backward else xs  # <- reversed
    # <- outputs <~ detach, start, backward
    _, outputs = lax.scan(lambda carry, x: step(p, carry, x), (zeros, zeros, 0), xs)
    return outputs[::-1] if backward else outputs  # <- backward <~ reversed


def loss(params, xs, target):
    forth = run(params["forth"], xs)
    back = run(params["back"], xs, backward=True)
    both = jnp.concatenate([forth, back], axis=-1)  # <~ backward, clip
    both = clip_gradient(both)  # <~ clip
    pooled = both.mean(axis=0) + both[0]  # <- pooled <~ backward
    predicted = pooled @ params["head"]
    return jnp.mean((predicted - target) ** 2)
