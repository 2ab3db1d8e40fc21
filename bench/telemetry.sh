#!/usr/bin/env bash
# What telemetry costs: requests a second and CPU of the shop with every trace kept, with the usual ten a second, and with
# none.
#
# Usage: bench/telemetry.sh [ROUNDS]     (6 rounds, about five minutes, unless told otherwise)
#   DOORBUSTER    the program; built here without it
#   OTLP_SINK     the receiver of the traces; built here without it
#
# In each round the shop is opened three times, each in another order, for the same shoppers with the same seed. They hardly
# think, so the shop is as busy as it can be on a small machine; on a large one it is the CPU that counts. The receiver is one
# that forgets what it is sent. Ratios are taken within a round, against the shop without traces, for what a shared machine
# is worth changes from minute to minute; their median is what is printed, and the aim is at most 5 % for the usual ten.
# Metrics and logs are on in all three.
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
  kill -0 "$receiver" 2>/dev/null || { echo "the receiver of traces does not start" >&2; exit 1; }
  sleep 0.05
done
endpoint=$(cat "$work/sink")

# A shopper may ask the gateway 50 times a second, so each thinks for a moment.
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
  # 2 and 4 are verdicts, and a shop that is as busy as it can be may get them.
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
def figures(mode, i):
    run = json.load(open(f"{work}/{mode}-{i}.json"))
    busy = next(p for p in run["phases"] if p["name"] == "busy")
    steps = [s for s in run["steps"] if s["phase"] == "busy"]
    ok = sum(s["ok"] for s in steps)
    everything = sum(s["requests"] for s in run["steps"])
    cpu = sum(r["cpu_s"] for r in run["resources"])
    # CPU is counted from the shop's start to its end, and so are the requests; opening the shop is in it for all alike.
    return {"per_s": ok / (busy["to_s"] - busy["from_s"]), "cpu_ms": 1000 * cpu / max(1, everything)}
got = {m: [figures(m, i) for i in range(rounds)] for m in ("off", "sampled", "full")}
def shown(name, key, unit):
    print(name)
    for mode in ("off", "sampled", "full"):
        values = [f[key] for f in got[mode]]
        ratios = [f[key] / o[key] for f, o in zip(got[mode], got["off"])]
        print(f"  {mode:<10} {statistics.median(values):9.2f} {unit}   x {statistics.median(ratios):.3f} of off ({min(ratios):.3f} to {max(ratios):.3f})")
print(f"rounds {rounds}; medians, and ratios within rounds")
shown("throughput", "per_s", "steps/s")
shown("CPU of the shop", "cpu_ms", "ms a step")
PY
