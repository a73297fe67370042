"""Masks, softmax and entropy."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def padded_sliding_window(projection, x, window, padding):
    tokens = x @ projection
    seen = window & padding[None]
    masked = jnp.where(seen, tokens @ tokens.T, -jnp.inf)  # GUILTY
    weights = jax.nn.softmax(masked, axis=-1)
    return jnp.sum((weights @ tokens)[:2])


def padded_sliding_window_mended(projection, x, window, padding):
    tokens = x @ projection
    seen = window & padding[None]
    masked = jnp.where(seen, tokens @ tokens.T, -1e9)
    weights = jax.nn.softmax(masked, axis=-1)
    return jnp.sum((weights @ tokens)[:2])


def entropy_of_masked_attention(logits, mask):
    weights = jax.nn.softmax(logits, where=mask)
    weights = weights * jnp.sum(weights) ** -1
    surprise = -jnp.log2(weights)  # GUILTY
    return jnp.sum(weights * surprise, where=mask)


def entropy_of_masked_attention_mended(logits, mask):
    weights = jax.nn.softmax(logits, where=mask)
    weights = weights * jnp.sum(weights) ** -1
    surprise = -jnp.log2(jnp.where(mask, weights, 1.0))
    return jnp.sum(weights * surprise, where=mask)


def softmax_over_segments(scores, segments, mask):
    visible = jnp.where(mask, scores, -jnp.inf)
    highest = jax.ops.segment_max(visible, segments, 2)
    powers = jnp.exp(scores - highest[segments])  # GUILTY
    powers = powers * mask
    weights = powers / jax.ops.segment_sum(powers, segments, 2)[segments]
    return jnp.sum(weights**2)


def softmax_over_segments_mended(scores, segments, mask):
    visible = jnp.where(mask, scores, -1e9)
    highest = jax.ops.segment_max(visible, segments, 2)
    powers = jnp.exp(visible - highest[segments])
    weights = powers / jax.ops.segment_sum(powers, segments, 2)[segments]
    return jnp.sum(weights**2)


def log_of_a_mask(logits, mask):
    masked = logits + jnp.log(mask)  # GUILTY
    log_probabilities = jax.nn.log_softmax(masked, axis=-1)
    return -jnp.mean(log_probabilities[:, 0])


def log_of_a_mask_mended(logits, mask):
    masked = logits + jnp.log(jnp.maximum(mask, 1e-30))
    log_probabilities = jax.nn.log_softmax(masked, axis=-1)
    return -jnp.mean(log_probabilities[:, 0])


def masked_logsumexp(logits, mask):
    highest = jnp.max(logits, where=mask, initial=-jnp.inf)
    powers = jnp.exp(logits - highest)  # GUILTY
    return highest + jnp.log(jnp.sum(powers, where=mask))


def masked_logsumexp_mended(logits, mask):
    highest = jnp.max(logits, where=mask, initial=-jnp.inf)
    powers = jnp.exp(jnp.where(mask, logits - highest, 0.0))
    return highest + jnp.log(jnp.sum(powers, where=mask))


def missing_keys_masked(queries, keys, known):
    scores = jnp.where(known, queries @ keys.T, -1e9)
    return jnp.sum(jax.nn.softmax(scores, axis=-1)[:, 0])


def missing_keys_masked_mended(queries, keys, known):
    keys = jnp.where(known[:, None], keys, 0.0)
    scores = jnp.where(known, queries @ keys.T, -1e9)
    return jnp.sum(jax.nn.softmax(scores, axis=-1)[:, 0])


BAND = jnp.abs(jnp.arange(4)[:, None] - jnp.arange(4)) <= 1
CASES = (
    Case(
        *(padded_sliding_window, padded_sliding_window_mended),
        (
            *(jnp.eye(2), jnp.arange(8.0).reshape(4, 2) / 8),
            *(BAND, jnp.array([True, True, False, False])),
        ),
        source="pytorch/pytorch#41508",
        phase="constant",
        hint=r"fully masked",
    ),
    Case(
        *(entropy_of_masked_attention, entropy_of_masked_attention_mended),
        (jnp.array([0.3, 1.0, -0.5]), jnp.array([True, True, False])),
        source="jax-ml/jax#17070",
        phase="either",
        hint=r"xlogy|entr|where\(ok|guard",
    ),
    Case(
        *(softmax_over_segments, softmax_over_segments_mended),
        (
            *(jnp.array([1.0, 2.0, 120.0, 0.5]), jnp.array([0, 0, 0, 1])),
            jnp.array([True, True, False, True]),
        ),
        source="deepmodeling/deepmd-kit#5715",
        phase="forward",
        hint=r"above 88",
    ),
    Case(
        *(log_of_a_mask, log_of_a_mask_mended),
        (jnp.array([[0.4, 0.5], [0.3, 0.3]]), jnp.array([[1.0, 1], [0, 0]])),
        source="allenai/allennlp#890",
        phase="forward",
        hint=r"fully masked|bound its argument from below",
    ),
    Case(
        *(masked_logsumexp, masked_logsumexp_mended),
        (jnp.array([0.0, 100.0]), jnp.array([True, False])),
        source="jax-ml/jax#23842",
        phase="either",
        hint=r"above 88|where\(ok",
    ),
    Case(
        *(missing_keys_masked, missing_keys_masked_mended),
        (
            *(jnp.ones((2, 2)), jnp.array([[0.1, 0.2], [0.3, 0.1], [1, jnp.nan]])),
            jnp.array([True, True, False]),
        ),
        source="pytorch/pytorch#101967",
        phase="input",
        argument="keys",
        hint=r"already non-finite",
    ),
)
