"""Uses a shop that has just started in Compose as a person would: buys something, and checks where it shows up.

Usage: visit.py full|small ADMIN, where ADMIN is the address of a service's admin listener
"""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

SHOP, PROMETHEUS, JAEGER = "http://127.0.0.1:8080", "http://127.0.0.1:9090", "http://127.0.0.1:16686"
MAIL = "http://127.0.0.1:8025"
full, admin = sys.argv[1] == "full", sys.argv[-1]
ROLES = ["gateway", "user", "product", "inventory", "cart", "order", "order", "payment", "notification", "bank"]


def ask(method, url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if data:
        headers["Content-Type"] = "application/json"
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=10) as response:
        return json.loads(response.read() or b"null")


def until(what, seconds, look):
    """Repeats `look` until it finds something; exits if the time is up."""
    end = time.monotonic() + seconds
    while True:
        try:
            seen = look()
        except (OSError, KeyError, urllib.error.HTTPError) as e:
            seen, last = None, e
        else:
            last = seen
        if seen:
            return seen
        if time.monotonic() > end:
            sys.exit(f"{what}: not found within {seconds} s; last seen: {last}")
        time.sleep(0.5)


def refused(url):
    try:
        ask("GET", url)
    except urllib.error.HTTPError as e:
        return e.code == 401
    return False


def query(expression):
    reply = ask("GET", f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
    return reply["data"]["result"]


token = ask("POST", f"{SHOP}/users/login", {"email": "customer-0@shop.example", "password": "a-made-up-shopper"})["token"]
me = {"Authorization": f"Bearer {token}"}
product = ask("GET", f"{SHOP}/products?limit=1")["items"][0]
ask("PUT", f"{SHOP}/cart/items/{product['id']}", {"quantity": 1}, **me)
order = ask("POST", f"{SHOP}/orders", {"card": "tok_good"}, Idempotency_Key=str(uuid.uuid4()), **me)["id"]


def settled():
    found = ask("GET", f"{SHOP}/orders/{order}", **me)
    return found if found["status"] in ("confirmed", "cancelled") else None


status = until("the order to be settled", 30, settled)["status"]
if status != "confirmed":
    sys.exit(f"the order is {status}")
print(f"bought: {product['title']}, the order is confirmed")


def notifications():
    return [n for n in ask("GET", f"{SHOP}/notifications", **me)["items"] if order in json.dumps(n)]


print("notified by", until("a notification about the order", 30, notifications)[0].get("channel"))


def targets():
    """The services that Prometheus scrapes without errors; raises KeyError if some are missing."""
    active = ask("GET", f"{PROMETHEUS}/api/v1/targets?state=active")["data"]["activeTargets"]
    scraped = [t for t in active if t["labels"].get("job") == "doorbuster"]
    good = sorted(t["labels"]["service"] for t in scraped if t["health"] == "up")
    expected = sorted(ROLES + ["loadgen"])
    if good != expected:
        raise KeyError([(t["labels"]["service"], t["health"], t["lastError"]) for t in scraped if t["health"] != "up"] or good)
    return good


if not refused(f"http://{admin}/metrics"):
    sys.exit(f"the admin listener {admin} accepts requests without a token")
print(f"up in Prometheus: {len(until('every target in Prometheus', 60, targets))} targets")
until("the order in Prometheus", 30, lambda: query('sum(shop_orders_total{outcome="confirmed"}) > 0'))
until("the load generator's requests", 60, lambda: query('sum(http_server_request_duration_seconds_count{service_name="gateway"}) > 300'))
print("the load generator is sending requests")
if full:
    until("a mail about an order", 30, lambda: ask("GET", f"{MAIL}/api/v1/messages")["total"])
    print("a mail was sent")
    if "stub" not in ask("GET", f"{JAEGER}/api/services"):
        until("traces in Jaeger", 30, lambda: {"gateway", "order", "bank"} <= set(ask("GET", f"{JAEGER}/api/services")["data"]))
        print("Jaeger has traces")
