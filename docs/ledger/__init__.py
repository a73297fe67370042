"""The ledger of parity: what differs between PyTorch, jaxgrad, and JAX or Optax.

One file per family measures its lines; `docs.generate_parity` puts them together.
"""
