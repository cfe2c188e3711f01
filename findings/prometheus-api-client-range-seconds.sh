#!/usr/bin/env bash
# prometheus-api-client 0.7.2: custom_query_range sends whole seconds, whatever instants it is given.
#
# One would guess that start and end, which are datetimes with microseconds, reach the server as they are, since the
# API takes fractions of a second. They are rounded to the nearest second, so that two polls half a second apart can
# ask for the same range, and a range can end after the instant that was asked for. A plain HTTP server on loopback
# shows what is sent.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-api-client==0.7.2 requests==2.32.5

"$folder/venv/bin/python" - <<'PY'
import datetime
import http.server
import importlib.metadata
import json
import threading
import urllib.parse

from prometheus_api_client import PrometheusConnect

asked = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)))
        body = json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": []}}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = PrometheusConnect(url=f"http://127.0.0.1:{server.server_port}")

start = datetime.datetime.fromtimestamp(1_700_000_000.4, datetime.UTC)
end = datetime.datetime.fromtimestamp(1_700_000_060.6, datetime.UTC)
client.custom_query_range("up", start_time=start, end_time=end, step="15")
server.shutdown()

sent = {name: asked[0][name] for name in ("start", "end")}
print("version", importlib.metadata.version("prometheus-api-client"))
print("given", {"start": start.timestamp(), "end": end.timestamp()})
print("sent", sent)
assert {name: float(value) for name, value in sent.items()} == {
    "start": 1_700_000_000.0,
    "end": 1_700_000_061.0,
}, "it no longer rounds to whole seconds"
PY
echo "holds: start and end are rounded to whole seconds; the range ends 0.4 s after what was asked for"
