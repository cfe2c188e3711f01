"""Edge out: make a batch Job follow the workers that are lent to it."""
