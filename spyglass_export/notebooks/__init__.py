"""The paper's notebooks: which files they are, what came of running them."""
