"""How many requests fit a KV cache at once: footprints, lengths and the odds of an overflow."""
