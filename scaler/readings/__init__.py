"""Edge in: the world, read into windows."""
