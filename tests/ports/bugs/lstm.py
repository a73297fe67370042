"""Bugs in recurrent networks: nn.LSTM against a scan, and a loop against a scan."""

from tests.ports.case import Bug, Rewrite

BUGS = (
    Bug(
        *("second bias forgotten", "lstm", "biases"),
        'gates = gates + params["bias_ih"]',
        cause=r"bias",
        source="apache/mxnet#7486",
    ),
    Bug(
        *("order of the gates", "lstm", "order"),
        "i, g, f, o = jnp.split(gates, 4, axis=-1)",
        cause=r"gate|order",
        source="tensorflow/tensorflow#29308",
    ),
    Bug(
        *("hard sigmoid in the gates", "lstm", "gates"),
        "i, f, o = jnp.clip(0.2 * jnp.stack([i, f, o]) + 0.5, 0, 1)",
        cause=r"sigmoid",
        source="onnx/tensorflow-onnx#2001",
    ),
    Bug(
        *("gradient of the padding token", "lstm", "padding"),
        'x = params["embed"][tokens]',
        cause=r"padding",
        source="google/torchax#11",
        kind="gradient",
    ),
    Bug(
        *("hidden and cell state swapped", "lstm", "start"),
        'start = tuple(jnp.broadcast_to(params[s], (len(x), 6)) for s in ("h", "c"))',
        cause=r"state|swap|order|initial",
        source="microsoft/nni#2842",
        missed=("float64", "float32"),
    ),
    Bug(
        *("time reversed", "lstm", "reversed"),
        "_, out = jax.lax.scan(step, start, x.transpose(1, 0, 2), reverse=True)",
        cause=r"revers|time|order",
        source="stanfordmlgroup/nlc#8",
        missed=("float64", "float32"),
    ),
    Bug(
        *("last step of the padding", "lstm", "last"),
        "last = out[-1]",
        cause=r"last|length|padd",
        source="ray-project/ray#21392",
    ),
    Bug(
        *("second bias forgotten in a loop", "bilstm", "biases"),
        'gates = gates + h @ p["state"]',
        cause=r"bias",
        source="karpathy/char-rnn#180",
    ),
    Bug(
        *("order of the gates in a loop", "bilstm", "order"),
        "i, o, f, g = jnp.split(gates, 4, axis=-1)",
        cause=r"gate|order",
        source="CrispStrobe/CrispASR#106",
    ),
    Bug(
        *("one added to the forget gate", "bilstm", "forget"),
        "f = jax.nn.sigmoid(f + 1)",
        cause=r"forget|bias|\b1\b|offset|step add",
        source="tensorflow/tensorflow#5090",
    ),
    Bug(
        *("state not detached", "bilstm", "detach"),
        "h, c = carry[:2]",
        cause=r"stop_gradient|detach",
        source="Lightning-AI/pytorch-lightning#8145",
        kind="gradient",
    ),
    Bug(
        *("bounds of the clipped gradient", "bilstm", "clip"),
        "return (jnp.clip(g, -0.04, 0.04),)",
        cause=r"clip|clamp|bound",
        source="chainer/chainer#701",
        kind="gradient",
    ),
    Bug(
        *("initial state of ones", "bilstm", "start"),
        "zeros = jnp.ones((xs.shape[1], 6), xs.dtype)",
        cause=r"initial|state|zero",
        source="schmidt-ju/crat-pred#8",
    ),
    Bug(
        *("input not reversed", "bilstm", "reversed"),
        "xs = jnp.asarray(xs)",
        cause=r"revers|time|order|flip",
        source="kraiskil/onnx2c#95",
    ),
    Bug(
        *("output not reversed back", "bilstm", "backward"),
        "return outputs",
        cause=r"revers|time|order|flip",
        source="keras-team/keras#1431",
    ),
    Bug(
        *("last step for the mean", "bilstm", "pooled"),
        "pooled = both[-1] + both[0]",
        cause=r"last|mean|pool",
        source="Atcold/NYU-DLSP20#19",
    ),
)
REWRITES = (
    Rewrite(
        *("a loop for the scan", "bilstm", "outputs"),
        "state, outputs = (zeros, zeros, 0), []\n"
        "for x in xs:\n"
        "    state, h = step(p, state, x)\n"
        "    outputs.append(h)\n"
        "outputs = jnp.stack(outputs)",
    ),
    Rewrite(
        *("the scan checkpointed", "lstm", "reversed"),
        "_, out = jax.lax.scan(jax.checkpoint(step), start, x.transpose(1, 0, 2))",
    ),
)
