"""What is known of a workload, as columns: a row for each instant of the grid, made once."""
