"""
What KEDA and the HorizontalPodAutoscaler do where nothing is stated.

KEDA: apis/keda/v1alpha1/scaledobject_types.go and withtriggers_types.go. The HPA: flags of
kube-controller-manager and pkg/apis/autoscaling/v2/defaults.go.
"""

POLLING_INTERVAL_S = 30
"""``pollingInterval`` of a ScaledObject."""
COOLDOWN_S = 300
"""``cooldownPeriod``: from the last activity until KEDA scales to zero."""
MAX_REPLICAS = 100
"""``maxReplicaCount``."""

TOLERANCE = 0.1
"""``--horizontal-pod-autoscaler-tolerance``: the HPA keeps a count whose ratio is within it."""
SYNC_PERIOD_S = 15.0
"""``--horizontal-pod-autoscaler-sync-period``."""
STABILIZATION_S = 300
"""``scaleDown.stabilizationWindowSeconds``, and its flag where an HPA has no ``behavior``."""
