"""Losses and metrics: logarithms of 0, overflowing ratios, missing data."""

import jax
import jax.numpy as jnp
import optax

from tests.field.case import Case


def divergence_of_a_sparse_target(targets, log_predictions):
    return optax.losses.kl_divergence(log_predictions, targets)  # GUILTY


def divergence_of_a_sparse_target_mended(targets, log_predictions):
    return optax.losses.kl_divergence(log_predictions, jnp.maximum(targets, 1e-12))


def cross_entropy_with_a_tiny_epsilon(probabilities, targets):
    p = jnp.clip(probabilities, 1e-9, 1 - 1e-9)
    losses = targets * jnp.log(p) + (1 - targets) * jnp.log(1 - p)  # GUILTY
    return -jnp.mean(losses)


def cross_entropy_with_a_tiny_epsilon_mended(probabilities, targets):
    p = jnp.clip(probabilities, 1e-6, 1 - 1e-6)
    losses = targets * jnp.log(p) + (1 - targets) * jnp.log(1 - p)
    return -jnp.mean(losses)


def clipped_policy_ratio(log_prob, old_log_prob, advantage):
    ratio = jnp.exp(log_prob - old_log_prob)  # GUILTY
    clipped = jnp.clip(ratio, 0.8, 1.2)
    return -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


def clipped_policy_ratio_mended(log_prob, old_log_prob, advantage):
    ratio = jnp.exp(jnp.clip(log_prob - old_log_prob, -20, 20))
    clipped = jnp.clip(ratio, 0.8, 1.2)
    return -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


def nanmean_of_squares(x):
    return jnp.nanmean(x**2)


def nanmean_of_squares_mended(x):
    known = ~jnp.isnan(x)
    return jnp.mean(jnp.where(known, x, 0.0) ** 2, where=known)


def padded_segments(x, weights, segments):
    weighted = weights * x
    return jax.ops.segment_sum(weighted, segments, num_segments=2)[0]


def padded_segments_mended(x, weights, segments):
    weighted = jnp.where(segments < 0, 0.0, weights) * x
    return jax.ops.segment_sum(weighted, segments, num_segments=2)[0]


def hidden_state_selected(scale, x):
    return jax.lax.select(jnp.array(False), scale * x, jnp.float32(1.0))


def hidden_state_selected_mended(scale, x):
    x = jnp.where(jnp.isnan(x), 0.0, x)
    return jax.lax.select(jnp.array(False), scale * x, jnp.float32(1.0))


def loss_balancer(logits):
    blank, label = jax.nn.log_softmax(logits, axis=-1).T
    either = jnp.logaddexp(label[0] + label[1], blank[0] + label[1])
    ctc = -jnp.logaddexp(either, label[0] + blank[1])
    return jnp.log(ctc + 1e-8)  # GUILTY


def loss_balancer_mended(logits):
    blank, label = jax.nn.log_softmax(logits, axis=-1).T
    either = jnp.logaddexp(label[0] + label[1], blank[0] + label[1])
    ctc = -jnp.logaddexp(either, label[0] + blank[1])
    return jnp.log(jnp.maximum(ctc + 1e-8, 1e-8))


def unnormalized_predictions(logits, targets):
    scores = jax.nn.relu(logits)
    shares = scores / jnp.sum(scores, axis=-1, keepdims=True)  # GUILTY
    return -jnp.sum(targets * jnp.log(jnp.clip(shares, 1e-7, 1.0)))


def unnormalized_predictions_mended(logits, targets):
    scores = jax.nn.relu(logits)
    shares = scores / (jnp.sum(scores, axis=-1, keepdims=True) + 1e-7)
    return -jnp.sum(targets * jnp.log(jnp.clip(shares, 1e-7, 1.0)))


CASES = (
    Case(
        *(divergence_of_a_sparse_target, divergence_of_a_sparse_target_mended),
        (jnp.array([0.0, 0.4, 0.6]), jax.nn.log_softmax(jnp.array([0.5, 1.0, 2.0]))),
        source="google-deepmind/optax#1786",
        phase="backward",
        hint=r"log at 0|targets",
    ),
    Case(
        *(cross_entropy_with_a_tiny_epsilon, cross_entropy_with_a_tiny_epsilon_mended),
        (jnp.array([0.2, 1.0]), jnp.array([0.0, 1.0])),
        source="keras-team/keras#377",
        phase="forward",
        hint=r"xlogy|bound its argument from below",
    ),
    Case(
        *(clipped_policy_ratio, clipped_policy_ratio_mended),
        (jnp.array([-0.1, -1.0]), jnp.array([-95.0, -1.1]), jnp.array([1.0, -0.5])),
        source="THUDM/slime#2198",
        phase="either",
        hint=r"above 88",
    ),
    Case(
        *(nanmean_of_squares, nanmean_of_squares_mended),
        *((jnp.arange(5.0).at[0].set(jnp.nan),), "jax-ml/jax#9040"),
        phase="input",
        argument="x",
        hint=r"already non-finite",
    ),
    Case(
        *(padded_segments, padded_segments_mended),
        (jnp.arange(1.0, 4), jnp.array([1.0, 1, jnp.nan]), jnp.array([0, 1, -1])),
        source="jax-ml/jax#14179",
        phase="input",
        argument="weights",
        hint=r"already non-finite",
    ),
    Case(
        *(hidden_state_selected, hidden_state_selected_mended),
        (jnp.float32(2.3), jnp.float32(jnp.nan)),
        source="jax-ml/jax#20601",
        phase="input",
        argument="x",
        hint=r"already non-finite",
    ),
    Case(
        *(loss_balancer, loss_balancer_mended),
        *((jnp.array([[0.0, 17.0], [0.0, 17.0]]),), "google-deepmind/optax#1771"),
        phase="forward",
        hint=r"log of a negative number.*bound",
    ),
    Case(
        *(unnormalized_predictions, unnormalized_predictions_mended),
        (jnp.array([[-1.0, -2.0], [1.0, 2.0]]), jnp.eye(2)),
        source="keras-team/keras#23552",
        phase="forward",
        hint=r"0 / 0|where\(d == 0",
    ),
)
