"""A lab's MySQL server: the account to log in with, and the connection."""
