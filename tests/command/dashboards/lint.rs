//! The rules that a dashboard keeps to be of use in any Grafana: those of Grafana's own linter, and some of ours.

use serde_json::Value;

/// What is wrong with a dashboard that is kept in `<name>.json`.
pub(super) fn dashboard(name: &str, board: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{name}: {what}"));
        }
    };
    let text = board.to_string();
    must(
        board["uid"] == format!("doorbuster-{name}"),
        "its uid is not its name",
    );
    must(said(&board["title"]), "it has no title");
    must(board["tags"][0] == "doorbuster", "it has no tag");
    must(board["refresh"] == "5s", "it does not refresh");
    must(board["time"]["from"] == "now-15m", "it shows another time");
    must(
        board["editable"] == false,
        "it can be edited, and is overwritten by its file",
    );
    must(
        board.get("__inputs").is_none() && board["id"].is_null(),
        "it is an export, and not a source",
    );
    let links = &board["links"][0]["tags"];
    must(links[0] == "doorbuster", "it has no links to the others");
    let note = &board["annotations"]["list"][0]["expr"];
    let shown = note
        .as_str()
        .is_some_and(|e| e.contains("chaos_fault_active"));
    must(shown, "it does not mark faults");
    let variables = list(&board["templating"]["list"]);
    must(
        variables
            .iter()
            .any(|v| v["name"] == "prometheus_datasource"),
        "its data source is no variable",
    );
    for variable in variables {
        let variable = variable["name"].as_str().unwrap_or_default();
        let used =
            text.contains(&format!("${variable}")) || text.contains(&format!("${{{variable}}}"));
        must(used, &format!("nothing uses its variable {variable}"));
    }
    for (place, source) in data_sources(board, String::new()) {
        must(
            source["uid"].as_str().is_some_and(|u| u.starts_with("${")),
            &format!("the data source at {place} is no variable"),
        );
    }
    wrong.extend(panels(name, list(&board["panels"])));
    wrong
}

fn panels(name: &str, panels: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let title = panel["title"].as_str().unwrap_or_default();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{name}: `{title}` {what}"));
            }
        };
        let (earlier, place) = (&panels[..index], Place::of(panel));
        must(
            earlier.iter().all(|p| p["id"] != panel["id"]),
            "has the id of another panel",
        );
        must(
            place.is_some_and(Place::fits),
            "is not within the 24 columns",
        );
        let free = earlier
            .iter()
            .all(|p| !matches!((Place::of(p), place), (Some(a), Some(b)) if a.overlaps(b)));
        must(free, "lies on another panel");
        must(!title.is_empty(), "has no title");
        if panel["type"] == "row" {
            continue;
        }
        must(
            earlier
                .iter()
                .all(|p| p["type"] == "row" || p["title"] != panel["title"]),
            "has the title of another panel",
        );
        must(said(&panel["description"]), "has no description");
        let unit = &panel["fieldConfig"]["defaults"]["unit"];
        must(said(unit), "has no unit");
        let targets = list(&panel["targets"]);
        must(!targets.is_empty(), "asks for nothing");
        for target in targets {
            if target["datasource"]["type"] != "prometheus" {
                continue;
            }
            let expression = target["expr"].as_str().unwrap_or_default();
            must(
                said(&target["legendFormat"]),
                "has a series without a legend",
            );
            must(
                rates_follow_the_dashboard(expression),
                "has a rate over another time than $__rate_interval",
            );
            let latency = unit == "s"
                && expression.contains("duration_seconds_bucket")
                && !expression.contains(" on () ");
            must(
                !latency || target["exemplar"] == true,
                "is a latency without exemplars",
            );
        }
    }
    wrong
}

/// Whether each rate is over the time that fits the dashboard's resolution.
fn rates_follow_the_dashboard(expression: &str) -> bool {
    expression.split("rate(").skip(1).all(|rest| {
        rest.split_once('[')
            .is_some_and(|(_, window)| window.starts_with("$__rate_interval]"))
    })
}

/// Where a panel lies.
#[derive(Clone, Copy)]
struct Place {
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

impl Place {
    fn of(panel: &Value) -> Option<Self> {
        let at = |key: &str| panel["gridPos"][key].as_u64();
        Some(Self {
            x: at("x")?,
            y: at("y")?,
            w: at("w")?,
            h: at("h")?,
        })
    }

    fn fits(self) -> bool {
        self.w > 0 && self.h > 0 && self.x + self.w <= 24
    }

    fn overlaps(self, other: Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

/// Every object called `datasource`, with its place.
fn data_sources(value: &Value, place: String) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let place = format!("{place}/{key}");
                if key == "datasource" {
                    found.push((place, field));
                } else {
                    found.extend(data_sources(field, place));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(data_sources(item, format!("{place}/{index}")));
            }
        }
        _ => {}
    }
    found
}

fn said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
