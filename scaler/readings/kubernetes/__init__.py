"""The Kubernetes API as it is read: lists kept current, and what they say of workloads."""
