"""To others: images in a registry, the reader's bundle, the archive, and what each says of itself."""
