"""Gradients of zero that are cut off: integers, custom rules, nothing connected."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def accuracy_as_a_loss(logits, labels):
    predicted = jnp.argmax(logits, axis=-1)  # GUILTY
    return jnp.mean((predicted - labels).astype(jnp.float32) ** 2)


def accuracy_as_a_loss_mended(logits, labels):
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels])


def infections(probability, key):
    infected = jax.random.bernoulli(key, jnp.full(8, 1.0) * probability)  # GUILTY
    return jnp.mean(jnp.where(infected, 1.0, 0.0) - 0.7) ** 2


def infections_mended(probability, key):
    del key
    return jnp.mean(jnp.full(8, 1.0) * probability - 0.7) ** 2


def sampled_classes(logits, key):
    samples = jax.random.categorical(key, logits, axis=-1)  # GUILTY
    return jnp.mean(samples.astype(jnp.float32) ** 2)


def sampled_classes_mended(logits, key):
    noise = jax.random.gumbel(key, logits.shape)
    soft = jax.nn.softmax(logits + noise, axis=-1)
    return jnp.mean((soft @ jnp.arange(3.0)) ** 2)


def thresholded_output(weights, x):
    probability = jax.nn.sigmoid(x @ weights)
    predicted = jnp.floor(probability + 0.5)  # GUILTY
    return jnp.mean(jnp.abs(1.0 - predicted))


def thresholded_output_mended(weights, x):
    probability = jax.nn.sigmoid(x @ weights)
    return jnp.mean(jnp.abs(1.0 - probability))


@jax.custom_vjp
def matvec(matrix, vector):
    return matrix @ vector


def matvec_forward(matrix, vector):
    return matvec(matrix, vector), vector


def matvec_backward(vector, cotangent):
    return jnp.outer(cotangent, vector), jnp.zeros_like(vector)


matvec.defvjp(matvec_forward, matvec_backward)


def rule_without_the_vector(params, x):
    hidden = jnp.tanh(matvec(params["first"], x))
    out = matvec(params["second"], hidden)  # GUILTY
    return jnp.sum(out**2)


def rule_without_the_vector_mended(params, x):
    hidden = jnp.tanh(params["first"] @ x)
    out = params["second"] @ hidden
    return jnp.sum(out**2)


def quantizer_without_an_estimator(encoder, x):
    code = x @ encoder
    quantized = jax.lax.stop_gradient(code)  # GUILTY
    return jnp.mean((quantized - 1.0) ** 2)


def quantizer_without_an_estimator_mended(encoder, x):
    code = x @ encoder
    quantized = code + jax.lax.stop_gradient(jnp.round(code) - code)
    return jnp.mean((quantized - 1.0) ** 2)


def layer_that_is_never_called(params, x):
    hidden = jnp.tanh(x @ params["used"])
    return jnp.mean(hidden**2)


def layer_that_is_never_called_mended(params, x):
    hidden = jnp.tanh(x @ params["used"])
    return jnp.mean((hidden @ params["forgotten"]) ** 2)


def rank_correlation(scores, ranks):
    order = jnp.argsort(jnp.argsort(scores))  # GUILTY
    return jnp.mean((order - ranks).astype(jnp.float32) ** 2)


def rank_correlation_mended(scores, ranks):
    above = jax.nn.sigmoid(scores[:, None] - scores[None])
    return jnp.mean((jnp.sum(above, axis=1) - 0.5 - ranks) ** 2)


KEY = jax.random.key(0)
X = jnp.array([[1.0, 0.5], [0.2, 2.0]])
CASES = (
    Case(
        *(accuracy_as_a_loss, accuracy_as_a_loss_mended),
        (jnp.array([[0.1, 0.4], [1.0, -1.0]]), jnp.array([0, 0])),
        *("google-deepmind/dm-haiku#442", "zero"),
        reason="integer",
        argument="logits",
        hint=r"(?i)softmax|soft|surrogate|smooth|logits",
    ),
    Case(
        *(infections, infections_mended, (jnp.float32(0.3), KEY)),
        *("jax-ml/jax#11606", "zero"),
        reason="integer",
        argument="probability",
        hint=r"(?i)smooth|surrogate|relax|sigmoid|straight",
    ),
    Case(
        *(sampled_classes, sampled_classes_mended, (jnp.zeros((4, 3)), KEY)),
        *("jax-ml/jax#17556", "zero"),
        reason="integer",
        argument="logits",
        hint=r"(?i)softmax|soft|surrogate|smooth",
    ),
    Case(
        *(thresholded_output, thresholded_output_mended),
        (jnp.array([0.3, -0.2]), X),
        *("tensorflow/tensorflow#8625", "zero"),
        reason="integer",
        argument="weights",
        hint=r"(?i)smooth|surrogate|straight",
    ),
    Case(
        *(rule_without_the_vector, rule_without_the_vector_mended),
        ({"first": jnp.eye(2), "second": jnp.ones((2, 2))}, jnp.array([0.3, 0.4])),
        *("jax-ml/jax#17496", "zero"),
        reason="rule",
        argument="params['first']",
        hint=r"(?i)rule",
    ),
    Case(
        *(quantizer_without_an_estimator, quantizer_without_an_estimator_mended),
        (jnp.array([[0.3], [0.4]]), X),
        *("Justin-Tan/generative-compression#27", "zero"),
        reason="stopped",
        argument="encoder",
        hint=r"(?i)stop_gradient",
    ),
    Case(
        *(layer_that_is_never_called, layer_that_is_never_called_mended),
        ({"used": jnp.eye(2), "forgotten": jnp.ones((2, 2))}, X),
        *("mindspore-ai/mindspore#309", "zero"),
        reason="unconnected",
        argument="params['forgotten']",
        hint=r"(?i)not (used|read|connected)|nothing|never|does not",
    ),
    Case(
        *(rank_correlation, rank_correlation_mended),
        (jnp.array([0.3, -1.0, 2.0]), jnp.arange(3.0)),
        *("jax-ml/jax#11040", "zero"),
        reason="integer",
        argument="scores",
        hint=r"(?i)smooth|soft",
    ),
)
