"""PyTorch programs, their JAX ports, and bugs from public reports planted in these."""

from tests.ports.bugs import cnn, lstm, mlp, transformer, vae

TABLES = (mlp, cnn, lstm, transformer, vae)
BUGS = tuple(bug for table in TABLES for bug in table.BUGS)
REWRITES = tuple(rewrite for table in TABLES for rewrite in table.REWRITES)
