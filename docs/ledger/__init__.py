"""The parity ledger: differences between PyTorch, jaxgrad, and JAX or Optax.

One file per family measures its lines; `docs.generate_parity` writes the page.
"""
