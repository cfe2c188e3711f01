"""Edge out: a local stack, with mock exporters and a small KEDA and HPA."""
