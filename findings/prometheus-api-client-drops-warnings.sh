#!/usr/bin/env bash
# prometheus-api-client 0.7.2: a partial answer looks like a whole one.
#
# Thanos, Mimir and others answer 200 with "warnings" when a store is missing: half of the series are then absent. One
# would expect the client to raise, to log, or to hand the warnings on; it returns data.result alone and says nothing,
# so that a sum over what came back is silently too small. A plain HTTP server on loopback plays the answer.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-api-client==0.7.2 requests==2.32.5

"$folder/venv/bin/python" - <<'PY'
import http.server
import importlib.metadata
import json
import logging
import threading

from prometheus_api_client import PrometheusConnect

ANSWER = {
    "status": "success",
    "warnings": ["1 of 2 stores did not answer"],
    "data": {
        "resultType": "vector",
        "result": [{"metric": {"pod": "a"}, "value": [1_700_000_000, "3"]}],
    },
}


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


said = []
handler = logging.Handler()
handler.emit = said.append
logging.getLogger("prometheus_api_client").addHandler(handler)
server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = PrometheusConnect(url=f"http://127.0.0.1:{server.server_port}")
result = client.custom_query("up")
server.shutdown()

print("version", importlib.metadata.version("prometheus-api-client"))
print("answered", json.dumps(ANSWER))
print("returned", result, "logged", [record.getMessage() for record in said])
assert result == ANSWER["data"]["result"], "the result is another"
assert not any("stores" in record.getMessage() for record in said), "the warning is told now"
PY
echo "holds: a partial answer is returned as if it were whole"
