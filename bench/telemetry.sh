#!/usr/bin/env bash
# Measures the cost of telemetry: requests a second and CPU of the shop with all traces, with the default of ten traces a
# second, and with none.
#
# Usage: bench/telemetry.sh [ROUNDS]     (6 rounds by default, about five minutes)
#   DOORBUSTER    path of the program; built here by default
#   OTLP_SINK     path of the receiver of traces; built here by default
#
# Each round starts the shop three times, in a different order, for the same shoppers with the same seed. Think times are
# short, so the shop is saturated on a small machine; on a large one compare the CPU. The receiver discards the traces.
# Ratios to the shop without traces are computed within a round, because the speed of a shared machine changes from minute
# to minute. The script prints their medians; the goal is at most 5 % for the default. Metrics and logs are on in all three.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-6}
exe=${DOORBUSTER:-}
if [ -z "$exe" ]; then
  cargo build --release --quiet
  exe=$PWD/target/release/doorbuster
fi
sink=${OTLP_SINK:-}
if [ -z "$sink" ]; then
  cargo build --release --quiet --example otlp_sink
  sink=$PWD/target/release/examples/otlp_sink
fi

work=$(mktemp -d)
receiver=
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$sink" >"$work/sink" &
receiver=$!
until grep -q 'http://' "$work/sink"; do
  kill -0 "$receiver" 2>/dev/null || { echo "the receiver of traces did not start" >&2; exit 1; }
  sleep 0.05
done
endpoint=$(cat "$work/sink")

# The gateway allows 50 requests a second for each shopper, so there is a short think time.
cat >"$work/busy.yaml" <<'YAML'
name: busy
seed: 5
shop: { products: 1000, stock: 100000, bank: { silent: 0%, declines: 0%, median: 5ms } }
load:
  mix: shopping
  think: 25ms
  session: 8s
  timeout: 5s
  phases:
    - { name: warm-up, for: 5s, arrivals: 3/s, measure: false }
    - { name: busy, for: 10s, arrivals: 3/s }
expect:
  - { audit: clean }
YAML

run() { # mode, round
  local code=0 with=()
  case $1 in
    off) ;;
    sampled) with=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint") ;;
    full) with=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint" DOORBUSTER_TRACES_PER_SECOND=0) ;;
  esac
  env -u OTEL_EXPORTER_OTLP_ENDPOINT -u DOORBUSTER_TRACES_PER_SECOND "${with[@]}" \
    "$exe" run "$work/busy.yaml" --port 0 --out "$work/runs" --json --quiet --without shedding \
    >"$work/$1-$2.json" 2>"$work/err" || code=$?
  # 2 and 4 are verdicts, which are possible for a saturated shop.
  case $code in 0 | 2 | 4) ;; *) cat "$work/err" >&2; exit 1 ;; esac
  rm -rf "$work/runs"
}

orders=("off sampled full" "sampled full off" "full off sampled" "full sampled off" "off full sampled" "sampled off full")
for ((round = 0; round < rounds; round++)); do
  for mode in ${orders[round % 6]}; do run "$mode" "$round"; done
  echo "round $((round + 1)) of $rounds" >&2
done

python3 - "$work" "$rounds" <<'PY'
import json, statistics, sys
work, rounds = sys.argv[1], int(sys.argv[2])
def metrics(mode, i):
    run = json.load(open(f"{work}/{mode}-{i}.json"))
    busy = next(p for p in run["phases"] if p["name"] == "busy")
    steps = [s for s in run["steps"] if s["phase"] == "busy"]
    ok = sum(s["ok"] for s in steps)
    everything = sum(s["requests"] for s in run["steps"])
    cpu = sum(r["cpu_s"] for r in run["resources"])
    # CPU and requests are counted from the shop's start to its end, including the startup in all modes.
    return {"per_s": ok / (busy["to_s"] - busy["from_s"]), "cpu_ms": 1000 * cpu / max(1, everything)}
results = {m: [metrics(m, i) for i in range(rounds)] for m in ("off", "sampled", "full")}
def show(name, key, unit):
    print(name)
    for mode in ("off", "sampled", "full"):
        values = [f[key] for f in results[mode]]
        ratios = [f[key] / o[key] for f, o in zip(results[mode], results["off"])]
        print(f"  {mode:<10} {statistics.median(values):9.2f} {unit}   x {statistics.median(ratios):.3f} of off ({min(ratios):.3f} to {max(ratios):.3f})")
print(f"rounds {rounds}; medians, and ratios within rounds")
show("throughput", "per_s", "steps/s")
show("CPU of the shop", "cpu_ms", "ms a step")
PY
