#!/usr/bin/env bash
# Measures the time until the shop is ready, its memory, and its throughput.
#
# Usage: bench/start.sh [ROUNDS]     (5 rounds by default; each starts the shop)
#
# Prints medians over the rounds. Memory is the sum over all service processes, of the resident set (RSS, which
# counts the shared program text once per process) and of the proportional set (PSS, which counts it once).
# Requests per second are measured by wrk, through the gateway and at the gateway's own /livez in the same run: the ratio is
# the relative cost of a whole hop through the shop, independent of the speed of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5}
cargo build --release --quiet
exe=$PWD/target/release/doorbuster
work=$(mktemp -d)
child=
finish() {
  if [ -n "$child" ]; then kill "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
pids() { grep -o '"pid": *[0-9]*' "$1" | grep -o '[0-9]*$'; }
sum_kb() { # field of smaps_rollup, pids on standard input
  while read -r pid; do awk -v f="$1:" '$1 == f { print $2 }' "/proc/$pid/smaps_rollup"; done | awk '{ s += $1 } END { print s + 0 }'
}

open_shop() { # sets child, url, topology
  rm -rf "$work/runs"
  # One replica of every role.
  "$exe" up "$work/nine.yaml" --port 0 --out "$work/runs" --quiet >"$work/out" 2>"$work/err" &
  child=$!
  until grep -q 'http://' "$work/out"; do
    kill -0 "$child" 2>/dev/null || { cat "$work/err" >&2; exit 1; }
    sleep 0.005
  done
  url=$(grep -o 'http://[0-9.:]*' "$work/out" | head -n 1)
  topology=$(echo "$work"/runs/*/topology.json)
}
close_shop() { kill "$child"; wait "$child" || true; child=; }

sed -e 's/replicas: *{ order: 2 }/replicas: { order: 1 }/' -e '/order-down/d' scenarios/demo.yaml >"$work/nine.yaml"

for _ in $(seq "$rounds"); do
  begin=$(date +%s%N)
  open_shop
  end=$(date +%s%N)
  echo $(((end - begin) / 1000000)) >>"$work/ready"
  pids "$topology" | sum_kb Rss >>"$work/rss"
  pids "$topology" | sum_kb Pss >>"$work/pss"
  close_shop
done
echo "rounds                          $rounds"
echo "ready after start               $(median <"$work/ready") ms"
echo "at rest, nine roles, RSS        $(($(median <"$work/rss") / 1024)) MiB"
echo "at rest, nine roles, PSS        $(($(median <"$work/pss") / 1024)) MiB"

if command -v wrk >/dev/null; then
  open_shop
  admin=$(tr -d ' \n' <"$topology" | grep -o '{[^}]*"role":"gateway"[^}]*}' | grep -o '"admin":"[^"]*"' | cut -d'"' -f4)
  per_second() { wrk -t1 -c16 -d5s "$1" | awk '$1 == "Requests/sec:" { print $2 }'; }
  plain=$(per_second "http://$admin/livez")
  shop=$(per_second "$url/products/p-00001?stock=view")
  echo "gateway's own /livez            $plain requests/s"
  echo "a product's page through it     $shop requests/s, ratio $(awk "BEGIN { printf \"%.3f\", $shop / $plain }")"
  close_shop
else
  echo "requests per second             skipped: wrk is not installed"
fi

"$exe" run scenarios/demo.yaml --port 0 --out "$work/demo" --json --quiet >"$work/demo.json" || true
python3 - "$work/demo.json" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
peak = sum(r["peak_rss_bytes"] for r in run["resources"]) / 2**20
cpu = sum(r["cpu_s"] for r in run["resources"])
steps = sum(s["requests"] for s in run["steps"])
measured = sum(p["to_s"] - p["from_s"] for p in run["phases"] if p["measure"])
print(f"after the demo, peak RSS        {peak:.0f} MiB in {len(run['resources'])} processes")
print(f"served in the demo              {steps / measured:.0f} steps/s, {run['audit']['orders_promised']} orders, {cpu:.1f} s of CPU")
print(f"verdict of the demo             {run['verdict']}")
PY
