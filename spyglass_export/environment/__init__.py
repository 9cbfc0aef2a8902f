"""The paper's environment.yml: read, and made one that can be installed in the hub."""
