"""Edge out: the status page and its JSON."""
