#!/usr/bin/env bash
# The Kubernetes client's dynamic half believes what an earlier process discovered.
#
# One would guess that a new process asks the API which kinds it serves. The client writes what it discovered to a file
# of the temporary folder, named by the API's address, and the next process with the same address reads that instead: a
# kind that is gone meanwhile is found without an error. A plain HTTP server on loopback plays the API.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check kubernetes==37.0.2
TMPDIR="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import http.server
import importlib.metadata
import json
import subprocess
import sys
import threading

GROUP = {
    "name": "example.io",
    "versions": [{"groupVersion": "example.io/v1", "version": "v1"}],
    "preferredVersion": {"groupVersion": "example.io/v1", "version": "v1"},
}
KIND = {"name": "things", "singularName": "thing", "namespaced": True, "kind": "Thing", "verbs": ["get", "list"]}
PAGES = {
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.2"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {"kind": "APIGroupList", "groups": [GROUP]},
    "/apis/example.io/v1": {"kind": "APIResourceList", "groupVersion": "example.io/v1", "resources": [KIND]},
}


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path.partition("?")[0].rstrip("/"))
        body = json.dumps(page or {}).encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
LOOK_UP = f"""
from kubernetes import client, dynamic
made = client.ApiClient(client.Configuration(host="http://127.0.0.1:{server.server_port}"))
try:
    print(dynamic.DynamicClient(made).resources.get(api_version="example.io/v1", kind="Thing").kind)
except Exception as error:
    print(type(error).__name__)
"""


def looked_up():
    return subprocess.run([sys.executable, "-c", LOOK_UP], capture_output=True, text=True, check=True).stdout.strip()


first = looked_up()
PAGES["/apis"]["groups"], PAGES["/apis/example.io/v1"] = [], None
second = looked_up()
print("kubernetes", importlib.metadata.version("kubernetes"))
print("while it is served:", first, "| by a new process, when it is gone:", second)
assert first == "Thing", "the kind was not found while it was served"
assert second == "Thing", "a new process no longer believes the file"
PYTHON
