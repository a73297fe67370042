"""JAX's debug modes and transfer guards, which the entry points switch off.

In a debug mode the first NaN would raise inside the search, and a search moves single
numbers to and from the device.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

# JAX sets its options as attributes that no type checker sees.
CONFIGURED: Any = jax.config


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without the modes that raise at a NaN, and with all transfers allowed."""
    with ExitStack() as modes:
        modes.enter_context(jax.transfer_guard("allow"))
        if CONFIGURED.jax_debug_nans or CONFIGURED.jax_debug_infs:
            modes.enter_context(jax.debug_nans(False))
            modes.enter_context(jax.debug_infs(False))
        yield
