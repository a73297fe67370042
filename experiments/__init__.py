"""Scripts that use only the public names of jaxgrad; `python -m experiments`."""
