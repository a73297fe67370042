"""How a network does on a split."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxgrad._checks import check_int
from jaxgrad._types import Array, PyTree
from jaxgrad.mnist._dataset import Split
from jaxgrad.mnist._epoch import Loss, check_split, floating_dtype, per_example, scaled
from jaxgrad.mnist._sharding import constrained
from jaxgrad.mnist._state import Evaluation, Network, as_model
from jaxgrad.mnist._visits import Visits, visits


def evaluate(
    apply: Network,
    loss: Loss,
    params: PyTree,
    split: Split,
    *,
    model_state: PyTree = (),
    batch_size: int = 1000,
    white: int = 255,
    mesh: Mesh | None = None,
) -> Evaluation:
    """The mean loss over a split, and the share of examples that are classified right.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: As in `train_step`.
        params: The parameters; they stay valid.
        split: The examples.
        model_state: The state of a `Model` that has one.
        batch_size: How many examples are in memory at a time; no result depends on it.
        white: The pixel value that means 1.0.
        mesh: The devices to spread each batch over; by default one.

    Raises:
        ValueError: As in `train_epoch`.

    Torch: `net.eval()` and the loop under `torch.no_grad()`. Without a call of
    `jax.grad` there is nothing recorded that would have to be switched off.
    """
    check_split("evaluate", split)
    check_int("evaluate", "batch_size", batch_size, least=1)
    check_int("evaluate", "white", white, least=1)
    seen = all_of(split, batch_size, mesh)
    n = len(split.labels)
    return judge(apply, loss, params, model_state, seen, n=n, white=white, mesh=mesh)


def all_of(split: Split, batch_size: int, mesh: Mesh | None) -> Visits:
    """Every example of the split once, in its own order."""
    n = len(split.labels)
    order = jnp.arange(n, dtype=jnp.int32)
    return visits(split, order, min(batch_size, n), mesh)


@partial(jax.jit, static_argnames=("apply", "loss", "n", "white", "mesh"))
def judge(
    apply: Network,
    loss: Loss,
    params: PyTree,
    model_state: PyTree,
    seen: Visits,
    *,
    n: int,
    white: int,
    mesh: Mesh | None = None,
) -> Evaluation:
    """The evaluation of the `n` examples that are seen and not masked."""
    dtype = floating_dtype(params)

    def batch(step: Array) -> tuple[Array, Array]:
        images, labels, mask = seen.batch(step)
        images = scaled(images, white, dtype)
        logits = as_model(apply).evaluate(params, model_state, images)
        losses = per_example("evaluate", loss, logits, labels)
        right = mask & (jnp.argmax(logits, axis=-1) == labels)
        return jnp.sum(jnp.where(mask, losses, 0)), jnp.sum(right, dtype=jnp.int32)

    sums, rights = jax.lax.map(batch, jnp.arange(len(seen.mask), dtype=jnp.int32))
    correct = jnp.sum(rights, dtype=jnp.int32)
    loss_sum = jnp.sum(sums)
    result = Evaluation(loss_sum / n, correct.astype(loss_sum.dtype) / n, correct)
    return constrained(result, mesh)
