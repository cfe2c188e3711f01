"""
What the gateway in front of the simulated replicas says: it holds requests while there is none.

That is what the interceptor of KEDA's HTTP add-on does, so its names and labels are used
(kedacore/http-add-on, ``interceptor/metrics``): requests in flight from arrival to answer, wherever
they are, and requests answered.
"""

from scaler.simulation.cluster import Cluster

from .exposition import Page


def host_of(service: str) -> str:
    """Return the host name under which a service is reached."""
    return f"{service}.demo.internal"


def gateway_page(cluster: Cluster) -> str:
    """Return the page of the one gateway that all services share."""
    page = Page()
    gateways = cluster.gateways.items()
    page.family(
        "interceptor_pending_request_count",
        "gauge",
        *(({"host": host_of(service)}, gateway.in_flight) for service, gateway in gateways),
    )
    page.family(
        "interceptor_request_count_total",
        "counter",
        *(
            (
                {
                    "host": host_of(service),
                    "code": "200",
                    "method": "POST",
                    "path": "/v1/completions",
                },
                gateway.arrived_total - gateway.in_flight,
            )
            for service, gateway in gateways
        ),
    )
    return page.text
