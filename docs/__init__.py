"""Pages about jaxgrad, and the command that writes one of them."""
