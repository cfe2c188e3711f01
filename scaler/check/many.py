"""How many ScaledObjects KEDA and the HPA keep up with as they come."""

MANY_OBJECTS = 60
"""HPAs that KEDA made in its first minute on a real cluster, at its default API rates."""


def too_many(count: int) -> str | None:
    """Return what so many ScaledObjects need; None: nothing."""
    if count <= MANY_OBJECTS:
        return None
    return (
        f"{count} ScaledObjects: at default API rates KEDA makes the HPAs of about {MANY_OBJECTS} "
        "in the first minute after a start, the others slower, and is behind in silence from "
        "about 300 on. Raise the operator's --kube-api-qps and --kube-api-burst, and the "
        "controller manager's likewise"
    )
