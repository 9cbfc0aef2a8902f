"""The language: tokens, table definitions, forms of statements, and settings of a session."""
