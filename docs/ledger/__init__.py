"""The ledger of parity: the differences between PyTorch, jaxgrad, and JAX or Optax.

One file per family measures its lines; `docs.generate_parity` writes them to a page.
"""
