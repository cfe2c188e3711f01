"""Edge out: the external scaler that KEDA calls."""
