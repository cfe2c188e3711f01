"""Metric names of inference engines, one data file each, and how a file becomes a profile."""
