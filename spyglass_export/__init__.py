"""Turn a Spyglass export into containers that anyone can run."""
