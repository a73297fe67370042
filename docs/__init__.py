"""Pages about jaxgrad, and the commands that write them."""
