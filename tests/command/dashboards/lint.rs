//! A linter for dashboards: the rules of Grafana's own linter, and some more.

use serde_json::Value;

/// The mistakes in the dashboard `<name>.json`.
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
    must(has_text(&board["title"]), "it has no title");
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
    for (position, source) in data_sources(board, String::new()) {
        must(
            source["uid"].as_str().is_some_and(|u| u.starts_with("${")),
            &format!("the data source at {position} is no variable"),
        );
    }
    for url in links_to_explore(board) {
        if let Err(why) = check_explore_link(url) {
            must(false, &format!("the link {url} {why}"));
        }
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
        let (earlier, position) = (&panels[..index], GridPosition::of(panel));
        must(
            earlier.iter().all(|p| p["id"] != panel["id"]),
            "has the id of another panel",
        );
        must(
            position.is_some_and(GridPosition::fits),
            "is not within the 24 columns",
        );
        let free = earlier.iter().all(
            |p| !matches!((GridPosition::of(p), position), (Some(a), Some(b)) if a.overlaps(b)),
        );
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
        must(has_text(&panel["description"]), "has no description");
        let unit = &panel["fieldConfig"]["defaults"]["unit"];
        must(has_text(unit), "has no unit");
        let targets = list(&panel["targets"]);
        must(!targets.is_empty(), "asks for nothing");
        for target in targets {
            if target["datasource"]["type"] != "prometheus" {
                continue;
            }
            let expression = target["expr"].as_str().unwrap_or_default();
            must(
                has_text(&target["legendFormat"]),
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

/// Whether each rate uses `$__rate_interval`, which depends on the dashboard's resolution.
fn rates_follow_the_dashboard(expression: &str) -> bool {
    expression.split("rate(").skip(1).all(|rest| {
        rest.split_once('[')
            .is_some_and(|(_, window)| window.starts_with("$__rate_interval]"))
    })
}

/// The position of a panel.
#[derive(Clone, Copy)]
struct GridPosition {
    x: u64,
    y: u64,
    w: u64,
    h: u64,
}

impl GridPosition {
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

/// Every link to a query of Grafana's Explore.
fn links_to_explore(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => fields.values().flat_map(links_to_explore).collect(),
        Value::Array(items) => items.iter().flat_map(links_to_explore).collect(),
        Value::String(text) if text.starts_with("/explore?") => vec![text],
        _ => Vec::new(),
    }
}

/// Whether a link to Explore has valid queries: percent-encoded JSON, without quotation marks that are escaped twice.
fn check_explore_link(url: &str) -> Result<(), String> {
    let (_, panes) = url.split_once("panes=").ok_or("has no panes")?;
    let panes = panes.split('&').next().unwrap_or_default();
    let panes = decoded(panes).ok_or("is not percent-encoded")?;
    let panes: Value = serde_json::from_str(&panes).map_err(|e| format!("is no JSON: {e}"))?;
    let queries: Vec<&Value> = panes
        .as_object()
        .into_iter()
        .flat_map(|panes| panes.values())
        .flat_map(|pane| list(&pane["queries"]))
        .collect();
    // Loki queries have `expr`, Jaeger queries have a service.
    let good = |query: &&Value| match query["expr"].as_str() {
        Some(expression) => !expression.contains('\\'),
        None => has_text(&query["service"]),
    };
    if queries.is_empty() || !queries.iter().all(good) {
        return Err("asks for nothing, or for something with a backslash in it".to_owned());
    }
    Ok(())
}

/// Decodes percent-encoding. `None` if the text is not valid.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

/// Every object called `datasource`, with its position.
fn data_sources(value: &Value, position: String) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let position = format!("{position}/{key}");
                if key == "datasource" {
                    found.push((position, field));
                } else {
                    found.extend(data_sources(field, position));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(data_sources(item, format!("{position}/{index}")));
            }
        }
        _ => {}
    }
    found
}

fn has_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
