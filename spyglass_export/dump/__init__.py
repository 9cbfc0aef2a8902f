"""SQL dumps: read as a stream, rewritten without loss, written as files that load into any MySQL 8 or newer."""
