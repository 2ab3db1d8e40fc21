"""Checks the traces and metrics of the run that .ci/jaeger has made. Usage: jaeger.py JAEGER PROMETHEUS"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

JAEGER, PROMETHEUS = sys.argv[1:3]
STARTED = time.time()
# Each hop: caller, callee, span name.
HOPS = [
    ("gateway", "order", "POST /orders"),
    ("order", "cart", "GET /cart"),
    ("order", "inventory", "POST /reservations"),
    ("order", "payment", "POST /payments"),
    ("payment", "bank", "POST /charges"),
    ("order", "inventory", "POST /reservations/{id}/commit"),
    ("order", "notification", "POST /events"),
    ("order", "cart", "POST /events"),
    ("order", "product", "POST /events"),
]
SERVER, CLIENT, PRODUCER, CONSUMER = "server", "client", "producer", "consumer"
# Parent and child: service, name, kind.
EDGES = [
    ((caller, call, CLIENT), (callee, call, SERVER)) for caller, callee, call in HOPS
] + [
    (("gateway", "POST /orders", SERVER), ("gateway", "POST /orders", CLIENT)),
    (("order", "POST /orders", SERVER), ("order", "insert orders", CLIENT)),
    (("order", "POST /orders", SERVER), ("order", "GET /cart", CLIENT)),
    (("order", "POST /orders", SERVER), ("order", "POST /reservations", CLIENT)),
    (("order", "POST /orders", SERVER), ("order", "POST /payments", CLIENT)),
    (("order", "POST /orders", SERVER), ("order", "POST /reservations/{id}/commit", CLIENT)),
    (("order", "POST /orders", SERVER), ("order", "send shop.orders", PRODUCER)),
    (("order", "send shop.orders", PRODUCER), ("order", "POST /events", CLIENT)),
    (("inventory", "POST /reservations", SERVER), ("inventory", "reserve reservations", CLIENT)),
    (("inventory", "POST /reservations/{id}/commit", SERVER), ("inventory", "commit reservations", CLIENT)),
    (("payment", "POST /payments", SERVER), ("payment", "insert payments", CLIENT)),
    (("payment", "POST /payments", SERVER), ("payment", "POST /charges", CLIENT)),
    (("bank", "POST /charges", SERVER), ("bank", "record charges", CLIENT)),
    (("notification", "POST /events", SERVER), ("notification", "process shop.orders", CONSUMER)),
    (("notification", "process shop.orders", CONSUMER), ("notification", "insert notifications", CLIENT)),
    (("cart", "POST /events", SERVER), ("cart", "process shop.orders", CONSUMER)),
    (("product", "POST /events", SERVER), ("product", "process shop.orders", CONSUMER)),
]
HISTOGRAMS = [
    "http_server_request_duration_seconds",
    "http_client_request_duration_seconds",
    "db_client_operation_duration_seconds",
    "messaging_process_duration_seconds",
]


def fail(why):
    sys.exit(f"FAILED: {why}")


def get(base, path, **query):
    url = f"{base}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=20) as response:
        return json.load(response)


def until(what, look, seconds=60):
    """Repeats `look` until it finds something, since the last spans may just have been exported."""
    end = time.time() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.time() > end:
            fail(f"found no {what} within {seconds} s")
        time.sleep(0.5)


class Span:
    def __init__(self, span, process):
        tags = {t["key"]: t["value"] for t in span["tags"]}
        if len(tags) != len(span["tags"]):
            fail(f"{span} has an attribute twice")
        parents = [r for r in span.get("references") or [] if r["refType"] == "CHILD_OF"]
        self.id, self.parent = span["spanID"], parents[0]["spanID"] if parents else None
        self.trace, self.tags, self.ms = span["traceID"], tags, span["duration"] / 1000
        self.process = {t["key"]: t["value"] for t in process["tags"]}
        self.key = (process["serviceName"], span["operationName"], tags.get("span.kind", "internal"))
        self.service, self.name, self.kind = self.key
        self.failed = tags.get("error") is True
        self.faults = tags.get("shop.fault", "").split(",") if "shop.fault" in tags else []

    def __repr__(self):
        return f"{self.key} {self.tags}"


def read(trace):
    return [Span(s, trace["processes"][s["processID"]]) for s in trace["spans"]]


def traces(service, operation):
    found = get(JAEGER, "/api/traces", service=service, operation=operation, limit=1000, lookback="1h",
                start=int((STARTED - 3600) * 1e6), end=int((time.time() + 60) * 1e6))
    return [read(t) for t in found["data"] or []]


def missing(trace):
    by_id = {s.id: s for s in trace}
    there = {(by_id[s.parent].key, s.key) for s in trace if s.parent in by_id}
    return [edge for edge in EDGES if edge not in there]


# 1. One complete checkout.
def whole_checkout():
    candidates = [t for t in traces("gateway", "POST /orders") if any(s.kind == CONSUMER for s in t)]
    whole = [t for t in candidates if not missing(t)]
    if not whole and candidates and time.time() > STARTED + 40:
        print("missing in the most complete one:", *min((missing(t) for t in candidates), key=len), sep="\n  ")
    return whole


checkouts = until("checkout with every edge", whole_checkout)
checkout = checkouts[0]
services = sorted({s.service for s in checkout})
expected = sorted({side for caller, callee, _ in HOPS for side in (caller, callee)})
if services != expected:
    fail(f"a checkout has the services {services}")
roots = [s for s in checkout if s.parent is None]
if [r.key for r in roots] != [("gateway", "POST /orders", SERVER)]:
    fail(f"a checkout begins at {roots}")
ids = {s.id for s in checkout}
orphans = [s for s in checkout if s.parent and s.parent not in ids]
if orphans:
    fail(f"spans without their parent: {orphans}")
for span in checkout:
    fields = span.process
    if fields.get("service.namespace") != "doorbuster" or fields.get("deployment.environment.name") != "ci":
        fail(f"the resource of {span} is {fields}")
    if fields.get("service.instance.id") != f"{span.service}-0" or not fields.get("service.version"):
        fail(f"the resource of {span} is {fields}")
    if span.kind == SERVER and span.service == "gateway" and span.tags.get("user_agent.synthetic.type") != "test":
        fail(f"not marked as synthetic: {span}")
print(f"a checkout                      {len(checkout)} spans of {len(services)} services, all {len(EDGES)} edges present")
print(f"whole checkouts                 {len(checkouts)}")

# 2. Faults are on the spans that they affected, and on no others.
bank = [s for t in traces("bank", "POST /charges") for s in t]
hit = [s for s in bank if "bank-fails" in s.faults]
by_id = {s.id: s for s in bank}
if not hit:
    fail("no span names the fault of the bank")
for span in hit:
    if span.key == ("bank", "POST /charges", SERVER):
        if not (span.failed and span.tags.get("http.response.status_code") == 500 and span.tags.get("error.type") == "500"):
            fail(f"affected by the fault, but no error: {span}")
        above = by_id.get(span.parent)
        if above and not (above.key == ("payment", "POST /charges", CLIENT) and above.failed and above.tags.get("error.type") == "500"):
            fail(f"the caller's span shows no error: {above}")
    elif span.name == "injected error" and span.service == "bank":
        if span.parent not in by_id or "bank-fails" not in by_id[span.parent].faults:
            fail(f"its parent is not an affected request: {span}")
    else:
        fail(f"the fault of the bank is on {span}")
others = [s for s in bank if s.key == ("bank", "POST /charges", SERVER) and "bank-fails" not in s.faults]
if not others or any(s.failed for s in others):
    fail(f"charges that the fault did not affect: {[s for s in others if s.failed] or 'none'}")
# If a retry succeeds, the error stays on the failed attempt and its parent shows none.
rescued = [s for s in bank if s.key == ("payment", "POST /charges", CLIENT) and s.tags.get("http.request.resend_count") and not s.failed]
print(f"failures injected at the bank   {sum(s.service == 'bank' and s.kind == SERVER for s in hit)} of {len(others) + sum(s.kind == SERVER for s in hit)} charges, {len(rescued)} saved by a retry")

stock = [s for t in traces("inventory", "POST /reservations") for s in t]
slow = [s for s in stock if "stock-slow" in s.faults]
served = [s for s in slow if s.kind == SERVER]
if not served or any(s.service != "inventory" for s in slow):
    fail(f"the fault of the stock is on {[s for s in slow if s.service != 'inventory'] or 'no span'}")
if any(s.ms < 120 or s.failed for s in served):
    fail(f"affected by the fault, but not slower: {[s for s in served if s.ms < 120 or s.failed]}")
waits = {s.parent for s in slow if s.name == "injected latency"}
if {s.id for s in served} - waits:
    fail("a delay has no span")
print(f"delays injected at the stock    {len(served)} requests, each with its span")

# 3. The Monitor tab.
def monitor(kind, **query):
    found = get(JAEGER, f"/api/metrics/{kind}", service="gateway", endTs=int(time.time() * 1000),
                lookback=120_000, step=2000, ratePer=60_000, spanKind="server", **query)
    points = [p for m in found.get("metrics") or [] for p in m["metricPoints"]]
    values = [p["gaugeValue"]["doubleValue"] for p in points]
    return [v for v in values if isinstance(v, (int, float)) and v > 0]


calls = until("calls in the Monitor tab", lambda: monitor("calls"))
latencies = until("latencies in the Monitor tab", lambda: monitor("latencies", quantile=0.95))
by_operation = get(JAEGER, "/api/metrics/calls", service="bank", endTs=int(time.time() * 1000), lookback=120_000,
                   step=2000, ratePer=60_000, spanKind="server", groupByOperation="true")
named = [l["value"] for m in by_operation.get("metrics") or [] for l in m["labels"] if l["name"] == "operation"]
if "POST /charges" not in named:
    fail(f"the Monitor tab shows these operations of the bank: {named}")
errors = get(JAEGER, "/api/metrics/errors", service="bank", endTs=int(time.time() * 1000), lookback=120_000,
             step=2000, ratePer=60_000, spanKind="server")
ratio = max((p["gaugeValue"]["doubleValue"] for m in errors["metrics"] for p in m["metricPoints"]
             if isinstance(p["gaugeValue"]["doubleValue"], (int, float))), default=0)
if not ratio > 0.1:
    fail(f"the Monitor tab shows {ratio} of the bank's requests as errors")
print(f"the Monitor tab                 {max(calls):.2f} calls/s at the gateway, p95 up to {max(latencies):.1f} ms, errors at the bank up to {ratio:.0%}")

# 4. Exemplars lead to traces.
wanted = {}
for histogram in HISTOGRAMS:
    found = get(PROMETHEUS, "/api/v1/query_exemplars", query=f"{histogram}_bucket", start=STARTED - 600, end=time.time() + 5)
    shown = [e for series in found["data"] for e in series["exemplars"]]
    if not shown:
        fail(f"{histogram} has no exemplar in Prometheus")
    for exemplar in shown:
        wanted.setdefault(exemplar["labels"]["trace_id"], histogram)
lost = []
for trace_id in wanted:
    try:
        ok = bool(get(JAEGER, f"/api/traces/{trace_id}")["data"])
    except urllib.error.HTTPError as e:
        if e.code != 404:
            raise
        ok = False
    if not ok:
        lost.append(trace_id)
# All spans were exported when the shop closed. An exporter with a full queue may have lost a few.
if len(lost) > len(wanted) // 50:
    fail(f"{len(lost)} of {len(wanted)} exemplars lead nowhere, such as {lost[:3]}")
print(f"exemplars                       {len(wanted) - len(lost)} of {len(wanted)} lead to a trace")

# 5. Sampling keeps as many traces as the limit allows, and the metrics show it.
def metric_value(query):
    found = get(PROMETHEUS, "/api/v1/query", query=query)["data"]["result"]
    return float(found[0]["value"][1]) if found else None


kept = metric_value('max_over_time(shop_traces_started_total{service_name="gateway",sampled="true"}[10m])')
dropped = metric_value('max_over_time(shop_traces_started_total{service_name="gateway",sampled="false"}[10m])')
limit = metric_value('max_over_time(shop_traces_per_second_limit{service_name="gateway"}[10m])')
if not kept or dropped is None or limit != 10:
    fail(f"the gateway kept {kept} traces and dropped {dropped}, with a limit of {limit}")
print(f"traces of the gateway           {kept:.0f} kept, {dropped:.0f} not, at most {limit:.0f} a second")
