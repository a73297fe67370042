"""Bugs in convolutional networks: jax.lax in NHWC, and Flax nnx."""

from tests.ports.case import Bug, Rewrite

BUGS = (
    Bug(
        *("SAME for a padding of one", "cnn", "padding"),
        'h = conv(x, params["conv1"], 2, "SAME")',
        cause=r"(?i)pad|same",
        source="google/flax#2993",
    ),
    Bug(
        *("epsilon of batch norm", "cnn", "bn_eps"),
        "h = (h - mean) * lax.rsqrt(variance + 1e-3)",
        cause=r"eps",
        source="gzuidhof/nn-transfer#3",
    ),
    Bug(
        *("unbiased variance in training", "cnn", "biased"),
        "mean, variance = h.mean((0, 1, 2)), h.var((0, 1, 2), ddof=1)",
        cause=r"bias|ddof|variance",
        source="tinygrad/tinygrad#807",
    ),
    Bug(
        *("statistics as constants", "cnn", "biased"),
        "mean, variance = lax.stop_gradient((h.mean((0, 1, 2)), h.var((0, 1, 2))))",
        cause=r"stop_gradient|detach",
        source="abhiskk/ladder#2",
        kind="gradient",
    ),
    Bug(
        *("biased running variance", "cnn", "unbiased"),
        "unbiased = variance",
        cause=r"bias|ddof|variance",
        source="ml-explore/mlx#3817",
    ),
    Bug(
        *("momentum the other way round", "cnn", "momentum"),
        "new = lax.stop_gradient(statistics)\n"
        "running = jax.tree.map(lambda a, b: 0.1 * a + 0.9 * b, running, new)",
        cause=r"momentum",
        source="huggingface/transformers#19454",
    ),
    Bug(
        *("batch statistics in evaluation", "cnn", "eval_mode"),
        "h, _ = batch_norm_train(params, h, running)",
        cause=r"statistic|running|train|eval",
        source="facebookresearch/detr#498",
    ),
    Bug(
        *("zeros around max pooling", "cnn", "pool"),
        "h = jnp.pad(h, edges)\n"
        "window = (1, 3, 3, 1), (1, 2, 2, 1), 'VALID'\n"
        "return lax.reduce_window(h, -jnp.inf, lax.max, *window)",
        cause=r"pad|inf",
        source="pytorch/pytorch#33384",
    ),
    Bug(
        *("average for max pooling", "cnn", "pool"),
        "window = (1, 3, 3, 1), (1, 2, 2, 1), edges\n"
        "return lax.reduce_window(h, 0.0, lax.add, *window) / 9",
        cause=r"pool|mean|average|max",
        source="jvanvugt/pytorch-unet#3",
    ),
    Bug(
        *("flattened with channels last", "cnn", "flatten"),
        "h = h.reshape(len(h), -1)",
        cause=r"(?i)flatten|order|nhwc|layout|channel",
        source="gzuidhof/nn-transfer#11",
    ),
    Bug(
        *("kernel with height for width", "cnn", "kernel"),
        'conv2 = state["conv2.weight"].transpose(3, 2, 1, 0)',
        cause=r"transpose|kernel|layout",
        source="huggingface/transformers#11883",
    ),
    Bug(
        *("smoothing over the other classes", "cnn", "smoothing"),
        "wrong = 1 - jax.nn.one_hot(labels, classes)\n"
        "return jnp.where(wrong, amount / (classes - 1), 1 - amount)",
        cause=r"smooth",
        source="k2-fsa/icefall#107",
    ),
    Bug(
        *("mean over the classes", "cnn", "reduction"),
        "return -jnp.mean(targets * log_p)",
        cause=r"mean|sum|factor|reduc",
        source="ikostrikov/TensorFlow-VAE-GAN-DRAW#16",
    ),
    Bug(
        *("groups and channels swapped", "unet", "group"),
        "self.norm = nnx.GroupNorm(4, num_groups=4, epsilon=1e-5, rngs=rngs)",
        cause=r"group|norm|axis|axes",
        source="tinygrad/tinygrad#415",
    ),
    Bug(
        *("epsilon of group norm", "unet", "group"),
        "self.norm = nnx.GroupNorm(4, num_groups=2, rngs=rngs)",
        cause=r"eps",
        source="THUDM/SwissArmyTransformer#40",
    ),
    Bug(
        *("padding counted in the average", "unet", "pad_count"),
        "down = nnx.avg_pool(skip, (3, 3), (2, 2), ONE)",
        cause=r"pad|count",
        source="google/flax#2401",
    ),
    Bug(
        *("pixel shuffle with depth first", "unet", "shuffle"),
        "h = h.reshape(n, height, width, 2, 2, -1).transpose(0, 1, 2, 5, 3, 4)",
        cause=r"order|shuffle|layout|channel|permut",
        source="tensorflow/tensorflow#53291",
    ),
    Bug(
        *("transposed convolution not flipped", "unet", "flip"),
        'up = state["up.weight"].transpose(2, 3, 0, 1)',
        cause=r"flip|revers|kernel",
        source="jax-ml/jax#11252",
    ),
    Bug(
        *("corners not aligned", "unet", "corners"),
        'smooth = jax.image.resize(down, (len(down), 8, 8, 4), "bilinear")',
        cause=r"corner|resize|interpol",
        source="google/flax#2210",
    ),
    Bug(
        *("mean for the global maximum", "unet", "peak"),
        "peak = jnp.mean(down, axis=(1, 2))",
        cause=r"max|mean|pool",
        source="timctho/mobilenet-v2-tensorflow#1",
    ),
    Bug(
        *("skip connection forgotten", "unet", "skip"),
        "return out + smooth[..., :2]",
        cause=r"missing|residual|skip|add|term",
        source="delira-dev/delira#91",
    ),
    Bug(
        *("mean for a sum over pixels", "unet", "reduction"),
        "return jnp.mean((model(x) - target) ** 2)",
        cause=r"mean|sum|factor|reduc",
        source="orybkin/sigma-vae-pytorch#12",
    ),
)
REWRITES = (
    Rewrite(
        *("batch norm as scale and offset", "cnn", "bn_eps"),
        'scale = params["scale"] * lax.rsqrt(variance + 1e-5)\n'
        'return h * scale + (params["shift"] - mean * scale)',
    ),
    Rewrite(
        *("skip added first", "unet", "skip"),
        "return skip[..., 2:] + smooth[..., :2] + out",
    ),
)
