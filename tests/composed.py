"""Functions of the table that need an adapter, in both libraries.

Torch's adaptive softmax is a module that keeps its weights. Multi-head attention takes
numbers between its arrays and returns two arrays, which are joined here.
"""

from typing import Any

import jax.numpy as jnp

from jaxgrad import losses
from jaxgrad.activations import multi_head_attention


def attention_in_jaxgrad(*, num_heads: int, **arguments: Any) -> Any:
    """Output and weights, raveled into one array."""
    if "q_proj_weight" in arguments:
        own = tuple(arguments.pop(f"{part}_proj_weight") for part in "qkv")
        arguments["in_proj_weight"] = own
    query, key, value = (arguments.pop(name) for name in ("query", "key", "value"))
    both = multi_head_attention(query, key, value, num_heads, **arguments)
    return jnp.concatenate([jnp.ravel(array) for array in both if array is not None])


def attention_in_torch(*, num_heads: int, **arguments: Any) -> Any:
    """Output and weights, raveled into one tensor."""
    import torch

    unused: dict[str, Any] = dict.fromkeys(("in_proj_weight", "bias_k", "bias_v"))
    options = unused | {"add_zero_attn": False, "dropout_p": 0.0} | arguments
    both = torch.nn.functional.multi_head_attention_forward(
        embed_dim_to_check=options["query"].shape[-1],
        num_heads=num_heads,
        use_separate_proj_weight="q_proj_weight" in options,
        **options,
    )
    return torch.cat([tensor.ravel() for tensor in both if tensor is not None])


def adaptive_in_jaxgrad(*, x: Any, head: Any, bias: Any = None, **rest: Any) -> Any:
    """The outputs, followed by the loss."""
    tail = [
        (rest[f"narrow{i}"], rest[f"cluster{i}"]) for i in range((len(rest) - 1) // 2)
    ]
    result = losses.adaptive_log_softmax_with_loss(x, rest["target"], head, tail, bias)
    return jnp.append(result.output, result.loss)


def adaptive_in_torch(*, x: Any, head: Any, bias: Any = None, **rest: Any) -> Any:
    """The outputs, followed by the loss."""
    import torch

    target = rest.pop("target")
    clusters = [rest[f"cluster{i}"] for i in range(len(rest) // 2)]
    bounds = [head.shape[0] - len(clusters)]
    for cluster in clusters:
        bounds.append(bounds[-1] + cluster.shape[0])
    module = torch.nn.AdaptiveLogSoftmaxWithLoss(
        x.shape[-1], bounds[-1], bounds[:-1], 1.0, head_bias=bias is not None
    )
    weights = {"head.weight": head} | ({} if bias is None else {"head.bias": bias})
    for i, cluster in enumerate(clusters):
        weights |= {f"tail.{i}.0.weight": rest[f"narrow{i}"]}
        weights |= {f"tail.{i}.1.weight": cluster}
    result = torch.func.functional_call(module, weights, (x, target))
    return torch.cat([result.output.ravel(), result.loss.ravel()])


IN_JAXGRAD = {
    "multi_head_attention": attention_in_jaxgrad,
    "adaptive_log_softmax_with_loss": adaptive_in_jaxgrad,
}
IN_TORCH = {
    "multi_head_attention": attention_in_torch,
    "adaptive_log_softmax_with_loss": adaptive_in_torch,
}
