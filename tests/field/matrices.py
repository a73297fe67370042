"""Matrices with coinciding eigenvalues or without an inverse."""

import jax.numpy as jnp

from tests.field.case import Case


def truncated_svd(matrix):
    u, s, vh = jnp.linalg.svd(matrix, full_matrices=False)  # GUILTY
    leading = (u[:, :1] * s[:1]) @ vh[:1]
    return jnp.sum(leading * jnp.arange(4.0))


def truncated_svd_mended(matrix):
    matrix = matrix + jnp.diag(jnp.array([0.0, 0.1, 0.2, 0.3]))
    u, s, vh = jnp.linalg.svd(matrix, full_matrices=False)
    leading = (u[:, :1] * s[:1]) @ vh[:1]
    return jnp.sum(leading * jnp.arange(4.0))


def norm_by_svd(matrix):
    u, s, vh = jnp.linalg.svd(matrix, full_matrices=False)  # GUILTY
    return jnp.linalg.norm((u * s) @ vh)


def norm_by_svd_mended(matrix):
    return jnp.linalg.norm(jnp.linalg.svd(matrix, compute_uv=False))


def leading_eigenvector(matrix):
    vectors = jnp.linalg.eigh(matrix)[1]  # GUILTY
    return jnp.sum(vectors[:, -1] * jnp.arange(1.0, 4.0))


def leading_eigenvector_mended(matrix):
    apart = jnp.diag(jnp.array([0.0, 0.0, 0.1]))
    vectors = jnp.linalg.eigh(matrix + apart)[1]
    return jnp.sum(vectors[:, -1] * jnp.arange(1.0, 4.0))


COINCIDE = r"(?i)coincide|are 0"
CASES = (
    Case(
        *(truncated_svd, truncated_svd_mended, (jnp.ones((4, 4)),)),
        source="jax-ml/jax#2311",
        phase="backward",
        hint=COINCIDE,
    ),
    Case(
        *(norm_by_svd, norm_by_svd_mended),
        *((jnp.diag(jnp.array([1.0, 1, 2, 3])),), "jax-ml/jax#8732"),
        phase="backward",
        hint=COINCIDE,
    ),
    Case(
        *(leading_eigenvector, leading_eigenvector_mended),
        *((jnp.diag(jnp.array([4.0, 1, 1])),), "jax-ml/jax#4646"),
        phase="backward",
        hint=COINCIDE,
    ),
)
