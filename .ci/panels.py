"""Evaluates all expressions of the dashboards and rules in a Prometheus that has watched a run, and checks moves.json.

Usage: python3 .ci/panels.py http://127.0.0.1:9090 RUN_JSON

Every expression of every panel, annotation, variable and rule must return values, and no point may be NaN or infinite. Quantiles are
the exception: they have no value in seconds without requests. Then each fault is checked: each panel that dashboards/moves.json
names for it must move during the fault, compared with the seconds before. To show that chance does not reach these limits, the same
check runs on two stretches without faults, before the first fault and after the last. No panel may move there.
"""

import datetime
import glob
import json
import math
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

# A rate reaches four seconds back, and the run's clock begins up to two before the load.
BEFORE_S, AFTER_S = 5, 4
# A fault on a process may be over at once. The harness still shows it for this long, and then counts its hits.
SHOWN_S = 3
# Length of the quiet stretch before the first fault, when the load is steady. The stretch after the last fault is as long; it starts
# once the shop has had time to recover.
QUIET_S, RECOVERY_S = 10, 5


class Prometheus:
    """Queries over the time of one run."""

    def __init__(self, url, run):
        self.url, self.run = url, run
        began = datetime.datetime.fromisoformat(run["started_at"][:19] + "+00:00")
        self.began = began.timestamp()
        self.until = self.began + run["duration_s"] + 3
        self.answers, self.not_finite = {}, {}

    def get(self, path, **arguments):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def over_the_run(self, expression):
        """The series of an expression: labels and points (seconds since the start of the run, finite value)."""
        if expression not in self.answers:
            found = self.get("query_range", query=expression, start=self.began, end=self.until, step=1)["result"]
            series = []
            for one in found:
                values = [(float(t) - self.began, float(v)) for t, v in one["values"]]
                series.append((one["metric"], [(t, v) for t, v in values if math.isfinite(v)]))
                if len(series[-1][1]) < len(values):
                    self.not_finite[expression] = one["metric"]
            self.answers[expression] = series
        return self.answers[expression]


def filled_in(expression, run, service=".+"):
    """An expression as Grafana would send it: at a scrape a second and a step a second."""
    values = {"__rate_interval": "4s", "__interval": "1s", "__range": f"{math.ceil(run['duration_s'])}s", "service": service}
    return re.sub(r"\$\{?(\w+)\}?", lambda m: values[m.group(1)], expression)


def dashboards():
    """The Prometheus expressions of every panel, by `dashboard/title`; then those of annotations and variables."""
    panels, annotations, variables = {}, {}, {}
    for path in sorted(glob.glob("dashboards/grafana/*.json")):
        with open(path, encoding="utf-8") as file:
            board = json.load(file)
        name = os.path.basename(path).removesuffix(".json")
        for panel in board["panels"]:
            targets = [t["expr"] for t in panel.get("targets", []) if t["datasource"]["type"] == "prometheus"]
            if targets:
                panels[f"{name}/{panel['title']}"] = targets
        for note in board["annotations"]["list"]:
            annotations[f"{name}, annotation {note['name']}"] = [note["expr"]]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                variables[f"{name}, variable {variable['name']}"] = variable["query"]["query"]
    return panels, annotations, variables


def evaluate_everything(prometheus, wrong):
    """Evaluates the expressions of all panels, annotations, variables and rules."""
    evaluated = 0
    panels, annotations, variables = dashboards()

    def evaluate(what, expression):
        nonlocal evaluated
        evaluated += 1
        try:
            found = prometheus.over_the_run(expression)
        except ValueError as error:
            wrong.append(f"{what}: {error}\n    {expression}")
            return
        if not found:
            wrong.append(f"{what} is empty\n    {expression}")
        elif not any(values for _, values in found):
            wrong.append(f"{what} is NaN throughout\n    {expression}")
        elif expression in prometheus.not_finite and "histogram_quantile(" not in expression:
            wrong.append(f"{what} is NaN or infinite at times: {prometheus.not_finite[expression]}\n    {expression}")

    for what, expressions in [*panels.items(), *annotations.items()]:
        for expression in expressions:
            evaluate(what, filled_in(expression, prometheus.run))
    for what, query in variables.items():
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
        if not prometheus.get(f"label/{label}/values", **{"match[]": metric}):
            wrong.append(f"{what} is empty: {query}")
    for group in prometheus.get("rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] != "ok":
                wrong.append(f"rule {rule['name']}: {rule['health']}, {rule.get('lastError', '')}")
            elif rule["type"] == "recording":
                evaluate(f"rule {rule['name']}", rule["name"])
            else:
                # An alert that does not fire returns nothing. The value that it compares must exist.
                evaluate(f"alert {rule['name']}", re.sub(r"(>|==) -?[\d.]+", ">= 0", rule["query"]))
    print(f"{evaluated} expressions were evaluated")
    return panels


def extreme_value(prometheus, panel, row, begin, end):
    """The largest value of the row's series in that time, or the smallest if it should fall; None if there is no value."""
    values = []
    for expression in panel:
        for labels, points in prometheus.over_the_run(filled_in(expression, prometheus.run, row.get("service", ".+"))):
            if all(re.fullmatch(wanted, labels.get(label, "")) for label, wanted in row.get("series", {}).items()):
                values += [v for t, v in points if begin <= t <= end]
    if not values:
        return None
    return max(values) if row["moves"] == "up" else min(values)


def moved(row, before, during):
    """Whether a panel has moved. A series without a value before counts as zero, except a quantile, which then has not moved.
    A series without a value during the fault has not moved."""
    if during is None or before is None and "p99" in row["panel"]:
        return False
    if row["moves"] == "up":
        return during > row["times"] * (before or 0.0) + row["floor"]
    return before is not None and during < before / row["times"] - row["floor"]


def shown(value):
    return "-" if value is None else f"{value:.4g}"


def check_moves(prometheus, panels, wrong):
    """Checks that each fault of the run moves the panels that moves.json names for it."""
    with open("dashboards/moves.json", encoding="utf-8") as file:
        rows = json.load(file)["moves"]
    faults = {fault["name"]: fault for fault in prometheus.run["faults"]}
    first, last = min(fault["started_s"] for fault in faults.values()), max(fault["ended_s"] for fault in faults.values())
    stretches = {"before the first": first - QUIET_S, "after the last": last + RECOVERY_S}
    if last + RECOVERY_S + QUIET_S > prometheus.run["duration_s"]:
        wrong.append(f"the run ends at {prometheus.run['duration_s']} s, too soon after its last fault for a quiet stretch")
    print(f"\n{'fault':19} {'panel':58} {'series':44} {'before':>8} {'during':>8}")
    for row in rows:
        fault, panel = faults.get(row["fault"]), panels.get(row["panel"])
        if fault is None or panel is None:
            wrong.append(f"moves.json: {row['fault'] if fault is None else row['panel']} does not exist")
            continue
        series = " ".join(([row["service"]] if "service" in row else []) + list(row.get("series", {}).values()))
        row_text = f"{row['fault']:19} {row['panel']:58.58} {series:44.44}"
        start = fault["started_s"]
        end = max(fault["ended_s"], start + SHOWN_S)
        before = extreme_value(prometheus, panel, row, start - BEFORE_S, start)
        during = extreme_value(prometheus, panel, row, start, end + AFTER_S)
        verdict = "" if moved(row, before, during) else "  DOES NOT MOVE"
        print(f"{row_text} {shown(before):>8} {shown(during):>8}{verdict}")
        if verdict:
            wrong.append(f"{row['fault']} does not move {row['panel']} ({series}): {shown(before)} before, {shown(during)} during")
        # In stretches without faults the panel must not move.
        for when, begin in stretches.items():
            then = begin + QUIET_S / 2
            before = extreme_value(prometheus, panel, row, begin, then)
            during = extreme_value(prometheus, panel, row, then, begin + QUIET_S)
            if moved(row, before, during):
                wrong.append(f"{row['panel']} ({series}) moves without a fault, {when}: {shown(before)}, then {shown(during)}")
    every = {fault["kind"] for fault in faults.values()}
    seen = {faults[row["fault"]]["kind"] for row in rows if row["fault"] in faults}
    for kind in sorted(every - seen):
        wrong.append(f"moves.json has no panel for {kind}")
    for fault in faults.values():
        if not fault["hits"]:
            wrong.append(f"{fault['name']} has no hits")
    print(f"{len(rows)} moves of {len(seen)} kinds of faults")


def main():
    url, record = sys.argv[1:]
    with open(record, encoding="utf-8") as file:
        prometheus = Prometheus(url, json.load(file))
    wrong = []
    panels = evaluate_everything(prometheus, wrong)
    check_moves(prometheus, panels, wrong)
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
