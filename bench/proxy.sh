#!/usr/bin/env bash
# Measures the cost of the fault proxy without toxics: the latency that it adds to small exchanges, and its throughput,
# compared with Toxiproxy and a direct connection.
#
# Usage: bench/proxy.sh
#   TOXIPROXY    path of its server; by default it is built by Go from its module, into a cache outside of this repository
#
# The three alternate within one run, thirty times: 1000 exchanges of 100 bytes, then one transfer of 64 MiB. Each proxy has its
# own process; client and server share a third one. All use the cores of this machine, so only the ratios are meaningful.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v2.12.0
theirs=${TOXIPROXY:-}
if [ -z "$theirs" ]; then
  tools=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/doorbuster/toxiproxy-$version
  theirs=$tools/server
  if [ ! -x "$theirs" ]; then
    command -v go >/dev/null || { echo "Toxiproxy is built with Go: install Go, or set TOXIPROXY to the path of the server" >&2; exit 1; }
    GOBIN=$tools go install "github.com/Shopify/toxiproxy/v2/cmd/server@$version"
  fi
fi
cargo build --release --quiet -p chaos --example proxy_bench
bench=$PWD/target/release/examples/proxy_bench

work=$(mktemp -d)
children=()
trap 'for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$bench" serve >"$work/ours" &
children+=($!)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# By default it logs every connection, which would slow it down.
LOG_LEVEL=error "$theirs" -host 127.0.0.1 -port "$port" >"$work/theirs" 2>&1 &
children+=($!)
for _ in $(seq 100); do
  if [ -s "$work/ours" ] && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  sleep 0.1
done
"$bench" measure "$(cat "$work/ours")" "127.0.0.1:$port"
