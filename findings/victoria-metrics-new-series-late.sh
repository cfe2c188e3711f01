#!/usr/bin/env bash
# VictoriaMetrics 1.79 shows a new series to a filter that was asked before only seconds later.
#
# Samples of known series can be queried within a second of their scrape. A series that is new (a new
# pod) is not found by a filter that was asked a moment ago: which series a filter means is
# remembered for up to ten seconds and more, and nocache=1 does not change that. The same filter with
# a matcher that every series fulfils (x!="anything new") mostly finds it within three seconds. So a
# scaler that polls one query sees new pods late, and whoever opens a new query sees them.
#
# Fails when the behaviour changes. Takes three minutes. Network: Debian's packages.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download victoria-metrics=1.79.5+ds1-2+b5 2>/dev/null
dpkg-deb -x ./*.deb root
program=$(find root -type f -name 'victoria-metrics' -path '*bin*' | head -1)
port=$((20000 + RANDOM % 20000))
cat >scrape.yml <<YAML
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: page
    static_configs: [{targets: ["127.0.0.1:$((port + 1))"]}]
YAML
"$program" -storageDataPath="$folder/data" -httpListenAddr="127.0.0.1:$port" \
  -promscrape.config=scrape.yml >log 2>&1 &
server=$!
python3 - "$port" <<'PYTHON'
import contextlib
import http.server
import json
import random
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request

port = int(sys.argv[1])
pods_there = ["old"]


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with contextlib.suppress(BrokenPipeError):  # a scrape that took too long
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write("".join(f'load{{pod="{pod}"}} 1\n' for pod in pods_there).encode())

    def log_message(self, *_):
        pass


page = http.server.ThreadingHTTPServer(("127.0.0.1", port + 1), Page)
threading.Thread(target=page.serve_forever, daemon=True).start()


def shown(query):
    form = urllib.parse.urlencode({"query": query, "nocache": "1"})
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{form}", timeout=10)
        rows = json.load(answer)["data"]["result"]
    except OSError:
        return set()
    return {row["metric"]["pod"] for row in rows}


def seen_after(name, query):
    """Return the seconds from a series' appearance on the page until a query shows it."""
    pods_there.append(name)
    born = time.monotonic()
    while name not in shown(query()):
        assert time.monotonic() - born < 60, f"{name} was never seen"
        time.sleep(0.2)
    return time.monotonic() - born


def constant():
    return 'load{pod!=""}[15s]'


def new():
    return f'load{{pod!="",x!="{time.time()}"}}[15s]'


print("VictoriaMetrics 1.79.5")
while "old" not in shown(new()):
    time.sleep(0.5)
times = {constant: [], new: []}
for turn in range(7):
    for kind in (constant, new):
        end = time.monotonic() + random.uniform(2, 12)
        while time.monotonic() < end:
            shown(constant())
            time.sleep(0.5)
        times[kind].append(round(seen_after(f"{kind.__name__}-{turn}", kind), 1))
print("a filter that was asked before, s:", times[constant])
print("a new filter each time, s:", times[new])
late, soon = statistics.median(times[constant]), statistics.median(times[new])
assert late > 4 and late > 2 * soon, "known filters are as fast as new ones"
PYTHON
