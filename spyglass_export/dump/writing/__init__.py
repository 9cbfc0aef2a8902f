"""From what was read and rewritten to files that load."""
