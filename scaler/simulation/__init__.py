"""A world to test decisions in: seeded, no I/O, no wall clock."""
