"""One frozen Settings, read from .env and overridden by the process environment."""
