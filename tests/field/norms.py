"""Lengths of vectors that are zero: distances, normalization, angles."""

import jax
import jax.numpy as jnp

from tests.field.case import Case


def springs(points):
    ends = points[jnp.array([[0, 1], [1, 2]])]
    length = jnp.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)  # GUILTY
    return jnp.sum((length - 1.0) ** 2)


def springs_mended(points):
    ends = points[jnp.array([[0, 1], [1, 2]])]
    length = jnp.sqrt(jnp.sum((ends[:, 0] - ends[:, 1]) ** 2, axis=-1) + 1e-12)
    return jnp.sum((length - 1.0) ** 2)


def short_rows_replaced(x):
    length = jnp.sqrt(jnp.sum(x**2, axis=1))  # GUILTY
    return jnp.sum(jnp.where(length > 0.5, length, 1.0))


def short_rows_replaced_mended(x):
    squares = jnp.sum(x**2, axis=1)
    length = jnp.sqrt(jnp.where(squares > 0.25, squares, 1.0))
    return jnp.sum(jnp.where(squares > 0.25, length, 1.0))


def squared_norm(x):
    return jnp.linalg.norm(x) ** 2  # GUILTY


def squared_norm_mended(x):
    return jnp.sum(x**2)


def coulomb(positions, charges):
    apart = ~jnp.eye(len(charges), dtype=bool)
    difference = positions[:, None] - positions[None]
    distance = jnp.linalg.norm(difference, axis=-1)  # GUILTY
    distance = jnp.where(apart, distance, 0.0)
    energy = charges[:, None] * charges[None] / distance
    return jnp.sum(jnp.where(apart, energy, 0.0))


def coulomb_mended(positions, charges):
    apart = ~jnp.eye(len(charges), dtype=bool)
    difference = positions[:, None] - positions[None]
    distance = jnp.sqrt(jnp.where(apart, jnp.sum(difference**2, -1), 1.0))
    energy = charges[:, None] * charges[None] / distance
    return jnp.sum(jnp.where(apart, energy, 0.0))


def polar_angle(points, inside):
    angle = jnp.arctan2(points[:, 1], points[:, 0])  # GUILTY
    return jnp.sum(jnp.where(inside, 0.0, angle))


def polar_angle_mended(points, inside):
    points = jnp.where(inside[:, None], 1.0, points)
    angle = jnp.arctan2(points[:, 1], points[:, 0])
    return jnp.sum(jnp.where(inside, 0.0, angle))


def contrastive_similarity(embeddings):
    length = jnp.linalg.norm(embeddings, axis=1, keepdims=True)  # GUILTY
    length = jnp.where(length == 0.0, 1.0, length)
    unit = embeddings / length
    return jnp.mean(jax.nn.logsumexp(unit @ unit.T, axis=1))


def contrastive_similarity_mended(embeddings):
    squares = jnp.sum(embeddings**2, axis=1, keepdims=True)
    unit = embeddings / jnp.sqrt(squares + 1e-12)
    return jnp.mean(jax.nn.logsumexp(unit @ unit.T, axis=1))


def inactive_triplet(anchor, positive, negative):
    near = jnp.sqrt(jnp.sum((anchor - positive) ** 2))  # GUILTY
    far = jnp.sqrt(jnp.sum((anchor - negative) ** 2))
    return jax.nn.relu(near - far + 0.5)


def inactive_triplet_mended(anchor, positive, negative):
    near = jnp.sqrt(jnp.sum((anchor - positive) ** 2) + 1e-12)
    far = jnp.sqrt(jnp.sum((anchor - negative) ** 2))
    return jax.nn.relu(near - far + 0.5)


def clip_to_a_norm(update):
    length = jnp.sqrt(jnp.sum(update**2))
    clipped = jnp.where(length > 1.0, update / length, update)  # GUILTY
    return jnp.sum(clipped * jnp.arange(3.0))


def clip_to_a_norm_mended(update):
    squares = jnp.sum(update**2)
    length = jnp.sqrt(jnp.where(squares > 1.0, squares, 1.0))
    clipped = jnp.where(squares > 1.0, update / length, update)
    return jnp.sum(clipped * jnp.arange(3.0))


def rotation_vector(vector):
    angle = jnp.linalg.norm(vector)  # GUILTY
    axis = vector / jnp.where(angle == 0, 1.0, angle)
    quaternion = jnp.append(jnp.sin(angle / 2) * axis, jnp.cos(angle / 2))
    return jnp.sum(quaternion * jnp.arange(1.0, 5.0))


def rotation_vector_mended(vector):
    angle = jnp.sqrt(jnp.sum(vector**2) + 1e-12)
    quaternion = jnp.append(jnp.sin(angle / 2) * vector / angle, jnp.cos(angle / 2))
    return jnp.sum(quaternion * jnp.arange(1.0, 5.0))


def bond_angle(cosine):
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))  # GUILTY
    return jnp.sum((angle - 1.9) ** 2)


def bond_angle_mended(cosine):
    angle = jnp.arccos(jnp.clip(cosine, -1 + 1e-6, 1 - 1e-6))
    return jnp.sum((angle - 1.9) ** 2)


NORM = r"norm at 0.*(epsilon under the root|where)"
TWICE = r"where\(ok, f"
CASES = (
    Case(
        *(springs, springs_mended, (jnp.array([[0.0, 0], [0, 0], [2, 0]]),)),
        *("jax-ml/jax#3058", "nonfinite", "backward"),
        hint=NORM,
    ),
    Case(
        *(short_rows_replaced, short_rows_replaced_mended),
        *((jnp.array([[1.0, 2], [3, 4], [0, 0]]),), "jax-ml/jax#347"),
        phase="backward",
        hint=TWICE,
    ),
    Case(
        *(squared_norm, squared_norm_mended, (jnp.zeros(2),), "jax-ml/jax#4177"),
        phase="backward",
        hint=r"norm at 0",
    ),
    Case(
        *(coulomb, coulomb_mended),
        (jnp.array([[0.0, 0.1], [1.0, -0.2], [2.4, 1.2]]), jnp.array([1.3, 0.3, 0.3])),
        source="jax-ml/jax#654",
        phase="backward",
        hint=NORM,
    ),
    Case(
        *(polar_angle, polar_angle_mended),
        (jnp.array([[3.0, 3], [0, 0], [-5, -5]]), jnp.array([False, True, False])),
        source="jax-ml/jax#1052",
        phase="backward",
        hint=TWICE,
    ),
    Case(
        *(contrastive_similarity, contrastive_similarity_mended),
        *((jnp.array([[1.0, 2], [0, 0]]),), "google-deepmind/optax#946"),
        phase="backward",
        hint=NORM,
    ),
    Case(
        *(inactive_triplet, inactive_triplet_mended),
        (jnp.ones(3), jnp.ones(3), jnp.zeros(3)),
        source="huggingface/sentence-transformers#4033",
        phase="backward",
        hint=r"guard|epsilon",
    ),
    Case(
        *(clip_to_a_norm, clip_to_a_norm_mended, (jnp.zeros(3),)),
        source="tensorflow/tensorflow#22048",
        phase="backward",
        hint=TWICE,
    ),
    Case(
        *(rotation_vector, rotation_vector_mended, (jnp.zeros(3),)),
        source="jax-ml/jax#39792",
        phase="backward",
        hint=NORM,
    ),
    Case(
        *(bond_angle, bond_angle_mended, (jnp.array([0.3, 1.2]),)),
        source="jax-ml/jax#23649",
        phase="backward",
        hint=r"(?i)arccos .*derivative at -1 and 1.*(away|guard|clip)",
    ),
)
