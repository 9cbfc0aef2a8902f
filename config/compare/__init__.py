"""Hold what a notebook shows against what its author saved in it."""
