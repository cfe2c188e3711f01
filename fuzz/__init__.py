"""Fuzzers of all that is written by others: ``make fuzz``."""
