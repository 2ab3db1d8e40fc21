#!/usr/bin/env bash
# Measures the shop's capacity: checkouts and requests a second at the knee, CPU per checkout, and memory after minutes of
# steady load.
#
# Usage: bench/shop.sh [MINUTES] [-- options of doorbuster run ...]     (1 minute of steady load by default)
#   bench/shop.sh 5
#   bench/shop.sh 1 -- --database postgres://shop@127.0.0.1:5432
#
# Shoppers only buy: each logs in once and then repeats product, cart and checkout about ten times. The arrival rate grows in
# steps. The knee is the last step at which fewer than 1 % of the checkouts failed and 99 % had a reply within a second of
# their due time. The bank has its default median of 40 ms. Shop and load generator share the cores of this machine, so the
# results include both.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=1
if [ $# -gt 0 ] && [ "$1" != "--" ]; then minutes=$1; shift; fi
if [ "${1:-}" = "--" ]; then shift; fi
cargo build --release --quiet
exe=$PWD/target/release/doorbuster
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

scenario() { # name, lines of phases
  cat <<YAML
name: $1
seed: 3
shop: { products: 2000, stock: 100000, replicas: { order: 2 } }
load:
  mix:
    home: { product_detail: 1 }
    product_detail: { shopping_cart: 1 }
    shopping_cart: { buy_request: 1 }
    buy_request: { buy_confirm: 1 }
    buy_confirm: { product_detail: 1 }
  think: 200ms
  session: 8s
  timeout: 5s
  phases:
$2
expect:
  - { audit: clean }
YAML
}

run() { # scenario file, result file, options
  local code=0
  local file=$1 result=$2
  shift 2
  "$exe" run "$file" --port 0 --out "$work/runs" --json --quiet "$@" >"$result" 2>"$work/err" || code=$?
  # 2 and 4 are verdicts, which are expected beyond the knee.
  case $code in 0 | 2 | 4) ;; *) cat "$work/err" >&2; exit 1 ;; esac
}

phases="    - { name: warm-up, for: 10s, arrivals: 2/s, measure: false }"
for rate in 2 4 6 8 10 13 16 20 25 30 36 42; do
  phases+=$'\n'"    - { name: at-$rate, for: 10s, arrivals: $rate/s }"
done
scenario knee "$phases" >"$work/knee.yaml"
echo "searching for the knee: two minutes of a growing load"
run "$work/knee.yaml" "$work/knee.json" "$@"
rate=$(python3 - "$work/knee.json" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
knee = None
table = [f"{'visits/s':>9} {'checkouts/s':>12} {'requests/s':>11} {'failed':>8} {'p50':>9} {'p99':>9}"]
lengths = {p["name"]: p["to_s"] - p["from_s"] for p in run["phases"]}
broken = False
for name in (p["name"] for p in run["phases"] if p["name"].startswith("at-")):
    rows = [s for s in run["steps"] if s["phase"] == name]
    buys = [s for s in rows if s["step"] == "buy_confirm"]
    if not buys:
        continue
    buy, seconds = buys[0], lengths[name]
    rate = buy["ok"] / seconds
    failed = buy["failed"] / max(1, buy["requests"])
    all_rate = sum(s["ok"] for s in rows) / seconds
    p50, p99 = buy["response_us"]["p50"] / 1000, buy["response_us"]["p99"] / 1000
    table.append(f"{name[3:]:>9} {rate:12.1f} {all_rate:11.1f} {failed:8.2%} {p50:7.1f}ms {p99:7.1f}ms")
    broken |= failed >= 0.01 or p99 >= 1000
    if not broken:
        knee = (int(name[3:]), rate, all_rate)
print("\n".join(table), file=sys.stderr)
audit = run["audit"]
print(f"audit: {audit['orders_promised']} promised, {audit['orders_found']} found, {len(audit['violations'])} violations", file=sys.stderr)
if knee is None:
    sys.exit("beyond the knee from the first step on")
print(f"knee                            {knee[1]:.0f} checkouts/s, {knee[2]:.0f} steps/s", file=sys.stderr)
print(max(1, round(knee[0] * 0.6)))
PY
)

scenario steady "    - { name: warm-up, for: 10s, arrivals: $rate/s, measure: false }
    - { name: steady, for: ${minutes}m, arrivals: $rate/s }" >"$work/steady.yaml"
echo "at 60 % of it: $minutes min"
run "$work/steady.yaml" "$work/steady.json" "$@"
python3 - "$work/steady.json" "$minutes" <<'PY'
import json, sys
run, minutes = json.load(open(sys.argv[1])), sys.argv[2]
promised = run["audit"]["orders_promised"]
cpu = sum(r["cpu_s"] for r in run["resources"])
memory = sum(r["peak_rss_bytes"] for r in run["resources"]) / 2**20
buy = next(s for s in run["steps"] if s["step"] == "buy_confirm")
print(f"checkouts                       {promised} ({promised / run['duration_s']:.0f}/s), p50 {buy['response_us']['p50'] / 1000:.0f} ms, p99 {buy['response_us']['p99'] / 1000:.0f} ms, {buy['failed']} failed")
print(f"CPU of the shop                 {1000 * cpu / promised:.1f} ms a checkout, logins and browsing included")
for row in sorted(run["resources"], key=lambda r: -r["cpu_s"]):
    print(f"  {row['role'] + '/' + str(row['replica']):<16} {1000 * row['cpu_s'] / promised:6.2f} ms a checkout  {row['peak_rss_bytes'] / 2**20:6.0f} MiB at most")
print(f"memory after {minutes} min              {memory:.0f} MiB at most, {len(run['resources'])} processes together")
print(f"audit                           {run['audit']['orders_found']} of {promised} found, {len(run['audit']['violations'])} violations")
PY
