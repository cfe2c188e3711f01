"""Scale inference out ahead of the HPA, and tell which replica is idlest; both opt-in."""
