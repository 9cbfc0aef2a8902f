"""The language: tokens, table definitions, settings of a session, and what MySQL limits."""
