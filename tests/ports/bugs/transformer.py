"""Bugs in transformer blocks: a decoder of functions, an encoder in Flax linen."""

from tests.ports.case import Bug, Rewrite

SOFTMAX = "weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis={})"
BUGS = (
    Bug(
        *("fused projection split by heads", "gpt", "fused"),
        'weights = state["block.attention.qkv.weight"].reshape(2, 3, 4, 8)\n'
        "weights = weights.swapaxes(0, 1)",
        cause=r"order|head|split|interleav|permut|fused",
        source="lablup/mlxcel#928",
    ),
    Bug(
        *("scale of the whole width", "gpt", "scale"),
        "scores = scores / x.shape[-1] ** 0.5",
        cause=r"scale|factor|sqrt",
        source="lucidrains/vit-pytorch#65",
    ),
    Bug(
        *("scale missing", "gpt", "scale"),
        "scores = jnp.asarray(scores)",
        cause=r"scale|factor|sqrt",
        source="esceptico/perceiver-io#9",
    ),
    Bug(
        *("mask one step late", "gpt", "causal"),
        "seen = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool), k=1)",
        cause=r"mask|causal|diagonal",
        source="RVC-Boss/GPT-SoVITS#965",
    ),
    Bug(
        *("masked scores of zero", "gpt", "axis"),
        "weights = jax.nn.softmax(scores * seen, axis=-1)",
        cause=r"mask|inf",
        source="abisee/pointer-generator#88",
    ),
    Bug(
        *("mask after the softmax", "gpt", "axis"),
        "weights = jax.nn.softmax(scores, axis=-1) * seen",
        cause=r"mask|inf",
        source="huggingface/pytorch-image-models#2236",
        missed=("float64", "float32"),
    ),
    Bug(
        *("softmax over the queries", "gpt", "axis"),
        SOFTMAX.format("-2"),
        cause=r"axis|dim",
        source="labmlai/annotated_deep_learning_paper_implementations#146",
    ),
    Bug(
        *("heads merged without a transpose", "gpt", "merge"),
        'mixed = jnp.einsum("bhqs,bhsk->bhqk", weights, v)',
        cause=r"order|head|layout|transpose|permut|merge",
        source="jsbaan/transformer-from-scratch#6",
    ),
    Bug(
        *("residual after the norm", "gpt", "residual"),
        'x = layer_norm(params["block.norm1"], x)\nx = x + attention(params, x)',
        cause=r"residual|norm|operand|skip",
        source="Howuhh/faster-trajectory-transformer#3",
    ),
    Bug(
        *("residual forgotten", "gpt", "residual2"),
        'return dense(params["down"], h)',
        cause=r"missing|residual|skip|add|term",
        source="kyegomez/BitNet#32",
    ),
    Bug(
        *("exact form of gelu", "gpt", "gelu"),
        "h = jax.nn.gelu(h, approximate=False)",
        cause=r"gelu|tanh|erf",
        source="huggingface/candle#900",
    ),
    Bug(
        *("quick gelu", "gpt", "gelu"),
        "h = h * jax.nn.sigmoid(1.702 * h)",
        cause=r"gelu|sigmoid",
        source="tinygrad/tinygrad#526",
    ),
    Bug(
        *("sinusoids one after the other", "gpt", "sinusoid"),
        "pairs = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)",
        cause=r"order|interleav|concat|permut|position",
        source="kimiyoung/transformer-xl#119",
    ),
    Bug(
        *("embeddings not scaled", "gpt", "embed"),
        'x = params["embed"][tokens]',
        cause=r"scale|factor|sqrt",
        source="SamLynnEvans/Transformer#10",
    ),
    Bug(
        *("embeddings untied", "gpt", "tied"),
        'return x @ jax.lax.stop_gradient(params["embed"]).T',
        cause=r"tied|shared|stop_gradient|detach",
        source="paiml/entrenar#314",
        kind="gradient",
    ),
    Bug(
        *("ignored labels in the mean", "gpt", "error"),
        "return -jnp.mean(log_p * kept)",
        cause=r"ignor|mean|count|factor|mask",
        source="eladhoffer/utils.pytorch#4",
    ),
    Bug(
        *("ignored labels not ignored", "gpt", "ignored"),
        "kept = jnp.ones_like(labels)",
        cause=r"ignor|mask",
        source="lucidrains/DALLE-pytorch#57",
    ),
    Bug(
        *("rotary positions by halves", "encoder", "rotary"),
        "x = jnp.stack(jnp.split(x, 2, axis=-1), axis=-1)",
        cause=r"rotary|interleav|hal(f|ves)|order|permut",
        source="huggingface/candle#3948",
    ),
    Bug(
        *("epsilon of rms norm", "encoder", "rms"),
        'h = nn.RMSNorm(name="norm1")(x)',
        cause=r"eps",
        source="huggingface/candle#271",
    ),
    Bug(
        *("mask inverted", "encoder", "inverted"),
        "mask = ~present[:, None, None]",
        cause=r"mask|invert",
        source="facebookresearch/detr#96",
    ),
    Bug(
        *("mask forgotten", "encoder", "attention"),
        "mixed = nn.dot_product_attention(rotate(q), rotate(k), v)",
        cause=r"mask",
        source="m96-chan/web-xpu-ops#77",
    ),
    Bug(
        *("softmax in float32", "encoder", "attention"),
        "mixed = jax.nn.dot_product_attention(rotate(q), rotate(k), v, mask=mask)",
        cause=r"dtype|float32|precision",
        source="jax-ml/jax#34114",
        dtypes=("float64",),
    ),
    Bug(
        *("dropout in evaluation", "encoder", "dropout"),
        'mixed = dense(8, name="out")(mixed.reshape(n, t, d)) * keep / 0.9',
        cause=r"dropout",
        source="Coderx7/SimpleNet#2",
        missed=("float64", "float32"),
    ),
    Bug(
        *("residual around attention forgotten", "encoder", "residual"),
        "x = jnp.asarray(mixed)",
        cause=r"missing|residual|skip|add|term",
        source="strutive07/transformer-tensorflow2.0#14",
    ),
    Bug(
        *("gate and value swapped", "encoder", "swiglu"),
        'h = dense(12, name="gate")(x) * nn.silu(dense(12, name="up")(x))',
        cause=r"swap|order|silu|gate|operand",
        source="ml-explore/mlx-lm#767",
    ),
    Bug(
        *("padding in the mean", "encoder", "pooled"),
        "pooled = x.mean(1)",
        cause=r"mask|pad|count|elements",
        source="huggingface/sentence-transformers#230",
    ),
    Bug(
        *("positions from zero", "encoder", "places"),
        'x = x + nn.Embed(8, 8, name="places")(jnp.arange(t))',
        cause=r"offset|position|ind(ex|ices)|shift",
        source="huggingface/sentence-transformers#3879",
    ),
    Bug(
        *("delta of the huber loss", "encoder", "huber"),
        "return optax.huber_loss(predicted, target).mean()",
        cause=r"delta|beta|huber",
        source="pytorch/pytorch#48595",
    ),
)
REWRITES = (
    Rewrite(
        *("a large negative number for -inf", "gpt", "axis"),
        "weights = jax.nn.softmax(jnp.where(seen, scores, -1e9), axis=-1)",
    ),
    Rewrite(
        *("queries scaled first", "gpt", "scores"),
        "scores = 0.5 * jnp.matmul(q, k.swapaxes(-1, -2)) * 2",
    ),
    Rewrite(
        *("attention written out", "encoder", "attention"),
        'scores = jnp.einsum("bqhd,bkhd->bhqk", rotate(q), rotate(k)) / 2\n'
        "weights = nn.softmax(jnp.where(mask, scores, -1e30))\n"
        'mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, v)',
    ),
)
