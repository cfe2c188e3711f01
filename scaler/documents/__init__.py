"""What people write (trigger metadata, configuration, ScaledObjects), read into values."""
