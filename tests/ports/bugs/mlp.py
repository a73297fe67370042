"""Bugs in perceptrons: a classifier of functions, two views in Flax linen."""

from tests.ports.case import Bug, Rewrite

HALF = (
    "low = jnp.bfloat16\n"
    'h = (x.astype(low) @ params["first"].astype(low)).astype(x.dtype)\n'
    'h = h + params["first_bias"]'
)
BUGS = (
    Bug(
        *("biased standard deviation", "mlp", "std"),
        "x = (x - x.mean(0)) / x.std(0)",
        cause=r"bias|ddof|n - 1|variance",
        source="pytorch/pytorch#1082",
    ),
    Bug(
        *("tanh form of gelu", "mlp", "gelu"),
        "h = jax.nn.gelu(h)",
        cause=r"gelu|tanh",
        source="jax-ml/jax#4438",
    ),
    Bug(
        *("epsilon of layer norm", "mlp", "eps"),
        "h = (h - mean) / jnp.sqrt(variance + 1e-6)",
        cause=r"eps",
        source="google/flax#2195",
    ),
    Bug(
        *("square matrix not transposed", "mlp", "transposed"),
        'h = h @ params["second"].T + params["second_bias"]',
        cause=r"transpose",
        source="google/flax#1848",
    ),
    Bug(
        *("slope of leaky relu", "mlp", "slope"),
        "h = jax.nn.leaky_relu(h, 0.2)",
        cause=r"slope|leaky",
        source="jinyu121/DW2TF#2",
    ),
    Bug(
        *("dropout without its scale", "mlp", "dropout"),
        "h = h * keep",
        cause=r"dropout|keep|factor|scale",
        source="ayrna/dlordinal#138",
    ),
    Bug(
        *("keep probability for the rate", "mlp", "dropout"),
        "h = h * keep / 0.2",
        cause=r"dropout|keep|factor|scale",
        source="hunkim/DeepLearningZeroToAll#204",
    ),
    Bug(
        *("class weights divided by the count", "mlp", "error"),
        "return -jnp.sum(weights * log_p) / jnp.sum(valid)",
        cause=r"weight|mean|normali|count",
        source="pytorch/pytorch#40560",
    ),
    Bug(
        *("softmax over the batch", "mlp", "axis"),
        "log_p = jax.nn.log_softmax(logits, axis=0)",
        cause=r"axis|dim",
        source="jadore801120/attention-is-all-you-need-pytorch#52",
    ),
    Bug(
        *("weight decay without its half", "mlp", "decay"),
        "return error + 1e-2 * squares",
        cause=r"decay|factor|0\.5|half|L2",
        source="titu1994/DenseNet#57",
    ),
    Bug(
        *("bfloat16 in one layer", "mlp", "half"),
        HALF,
        cause=r"bfloat16|dtype|precision",
        source="google/flax#677",
    ),
    Bug(
        *("relu by maximum", "siamese", "relu"),
        "h = jnp.maximum(h, 0.0)",
        cause=r"kink|relu|maximum|tie|0\.5|derivatives? at",
        source="jax-ml/jax#37821",
        kind="gradient",
    ),
    Bug(
        *("target not detached", "siamese", "detach"),
        "target = self.encode(other)",
        cause=r"stop_gradient|detach",
        source="philtabor/Deep-Q-Learning-Paper-To-Code#9",
        kind="gradient",
    ),
    Bug(
        *("gradient cut", "siamese", "cut"),
        "predicted = self.predictor(jax.lax.stop_gradient(z))",
        cause=r"stop_gradient|detach",
        source="Tsinghua-MARS-Lab/DenseTNT#11",
        kind="gradient",
    ),
    Bug(
        *("huber for smooth l1", "siamese", "beta"),
        "error = jnp.mean(error)",
        cause=r"beta|delta|huber|factor|0\.5|smooth",
        source="keras-team/keras-cv#920",
    ),
    Bug(
        *("clip at its bound", "siamese", "clamp"),
        "gate = jnp.clip(score, 0.0, 1.0)",
        cause=r"clip|clamp|kink|tie|bound|0\.5|derivatives? at",
        source="pytorch/pytorch#7002",
        kind="gradient",
    ),
    Bug(
        *("half the square", "siamese", "half_square"),
        "error += jnp.mean(optax.l2_loss(gate, wanted))",
        cause=r"factor|0\.5|half|l2",
        source="ryan112358/mbi#1",
    ),
    Bug(
        *("probabilities for logits", "siamese", "logits"),
        "score = nn.sigmoid(score)\n"
        "error += jnp.mean(optax.sigmoid_binary_cross_entropy(score, clicked))",
        cause=r"logit|sigmoid|probab",
        source="itakurah/focal-loss-pytorch#5",
    ),
    Bug(
        *("norm of a zero vector", "siamese", "norm"),
        "length = jnp.linalg.norm(z, axis=1)",
        cause=r"(?i)norm|nan|zero|derivatives? at",
        source="jax-ml/jax#39792",
        missed=("float64", "float32"),
        kind="gradient",
    ),
    Bug(
        *("abs at zero", "siamese", "abs"),
        "return error + 0.1 * length.mean() + 0.1 * jnp.abs(z).mean()",
        cause=r"abs|kink|zero|sign|derivatives? at",
        source="jax-ml/jax#37820",
        kind="gradient",
    ),
)
REWRITES = (
    Rewrite(
        *("layer norm by the moments", "mlp", "eps"),
        "variance = jnp.mean(h**2, axis=-1, keepdims=True) - mean**2\n"
        "h = (h - mean) * jax.lax.rsqrt(variance + eps)",
    ),
    Rewrite(
        *("labels as one-hot vectors", "mlp", "error"),
        "return jnp.sum(-log_p * (weights / weights.sum()))",
    ),
)
