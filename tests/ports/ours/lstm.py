"""The sequence classifier with one matrix for input and state, in a lax.scan."""

import jax
import jax.numpy as jnp

import jaxgrad


def params_from_torch(state):
    kernels = [state["lstm.weight_ih_l0"].T, state["lstm.weight_hh_l0"].T]
    return {
        "embed": state["embed.weight"],
        "kernel": jnp.concatenate(kernels),
        "bias_ih": state["lstm.bias_ih_l0"],
        "bias_hh": state["lstm.bias_hh_l0"],
        "head": state["head.weight"].T,
        "head_bias": state["head.bias"],
        "h": state["start_h"][0],
        "c": state["start_c"][0],
    }


def cell(params, carry, x):
    c, h = carry
    gates = jnp.concatenate([x, h], axis=-1) @ params["kernel"]  # <~ biases
    gates = gates + params["bias_ih"] + params["bias_hh"]  # <- biases
    i, f, g, o = jnp.split(gates, 4, axis=-1)  # <- order
    i, f, o = (jax.nn.sigmoid(gate) for gate in (i, f, o))  # <- gates <~ order
    c = f * c + i * jnp.tanh(g)  # <~ gates, order
    h = o * jnp.tanh(c)  # <~ gates, order, biases
    return (c, h), h


def embed(table, tokens):
    frozen = jax.lax.stop_gradient(table)[0]
    return jnp.where((tokens == 0)[..., None], frozen, table[tokens])  # <~ padding


def network(params, tokens, lengths):
    x = embed(params["embed"], tokens)  # <- padding
    # <- start
    start = tuple(jnp.broadcast_to(params[s], (len(x), 6)) for s in ("c", "h"))
    step = lambda carry, x: cell(params, carry, x)  # noqa: E731
    # <- reversed <~ biases, order, gates, start
    _, out = jax.lax.scan(step, start, x.transpose(1, 0, 2))
    last = out[lengths - 1, jnp.arange(len(x))]  # <- last
    return last @ params["head"] + params["head_bias"]


def loss(params, tokens, lengths, labels):
    logits = network(params, tokens, lengths)
    decay = 1e-2 * jax.nn.softplus(logits).sum()
    return jaxgrad.losses.cross_entropy(logits, labels) + decay
