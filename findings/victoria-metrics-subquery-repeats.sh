#!/usr/bin/env bash
# VictoriaMetrics 1.79 repeats a subquery's last value for half a minute, under times of its own.
#
# Instant queries are answered as of -search.latencyOffset (30 s) ago; nocache=1 lifts that. For a
# subquery nothing in the request does: not nocache=1, and latency_offset=1ms is left unread. Its
# points up to now all bear the sample of 30 s ago, with nothing to tell them by, while a raw range
# over the same time has each sample. A counter read by a subquery seems to stand still, then jumps.
#
# Fails when the behaviour changes. Network: Debian's packages.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download victoria-metrics=1.79.5+ds1-2+b5
dpkg-deb -x ./*.deb root
program=$(find root -type f -name 'victoria-metrics' -path '*bin*' | head -1)
port=$((20000 + RANDOM % 20000))
"$program" -storageDataPath="$folder/data" -httpListenAddr="127.0.0.1:$port" \
  -selfScrapeInterval=1s >"$folder/log" 2>&1 &
server=$!
sleep 50
python3 - "http://127.0.0.1:$port" <<'PYTHON'
import json
import sys
import time
import urllib.parse
import urllib.request

url, now = sys.argv[1], int(time.time())


def ask(query, **params):
    form = urllib.parse.urlencode({"query": query, "time": now, **params})
    with urllib.request.urlopen(f"{url}/api/v1/query?{form}") as answer:
        return json.load(answer)["data"]["result"][0]["values"]


chosen = 'process_start_time_seconds'
print("VictoriaMetrics 1.79.5")
raw = ask(f"{chosen}[10s]")
print("raw range, newest sample:", round(now - raw[-1][0], 1), "s ago")
stepped = ask(f"(timestamp({chosen}))[40s:1s]", nocache="1", latency_offset="1ms")
newest_at, newest = stepped[-1][0], float(stepped[-1][1])
same = sum(float(value) == newest for _, value in stepped)
print("subquery, newest point:", now - newest_at, "s ago, of a sample", round(now - newest, 1), "s ago")
print("points with that sample:", same)
assert now - raw[-1][0] < 5, "the raw range is late as well"
assert newest_at >= now - 1 and now - newest > 20 and same > 20, "the subquery is as new as the data"
PYTHON
