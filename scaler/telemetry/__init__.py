"""What kvtide says about itself: the metrics and log fields, named here and nowhere else."""
