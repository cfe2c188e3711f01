#!/usr/bin/env bash
# prometheus_client rewrites ':' in the names of samples when OpenMetrics is negotiated.
#
# A colon is legal in a metric's name, of the old alphabet too. With the Accept header that
# Prometheus 2.x sends, or a 3.x that validates legacy names, the client escapes with underscores,
# and the colon with it; in the plain text format it stays. So engines that name their metrics
# "engine:name" (SGLang, LMDeploy) are stored as "engine_name" by one server and as "engine:name" by
# another. HELP and TYPE keep the colon: the samples belong to no described family.
#
# Fails when the behaviour changes. Network: PyPI.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check prometheus_client==0.26.0
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata

import prometheus_client
from prometheus_client.exposition import choose_encoder

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5"
)
registry = prometheus_client.CollectorRegistry()
prometheus_client.Gauge("engine:running_requests", "Running.", registry=registry).set(3)


def page(accept):
    encode, content_type = choose_encoder(accept)
    text = encode(registry).decode()
    print(f"\nAccept: {accept}\nContent-Type: {content_type}\n{text}", end="")
    return text


print("prometheus_client", importlib.metadata.version("prometheus_client"))
plain, negotiated = page("text/plain;version=0.0.4"), page(PROMETHEUS_2)
assert "\nengine:running_requests 3.0" in plain, "plain text: the colon is gone"
assert "\nengine_running_requests 3.0" in negotiated, "OpenMetrics: the colon is kept now"
assert "# TYPE engine:running_requests gauge" in negotiated, "TYPE is escaped as well now"
print("\nas described: two names for one metric, by who asks")
PYTHON
