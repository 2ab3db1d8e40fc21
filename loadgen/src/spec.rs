//! The load of a scenario: who arrives, how often and for how long.

use std::time::Duration;

use syntax::{Node, units};

use crate::mix::Mix;

/// Default mean think time. TPC-W has 7 s, but runs here last a minute rather than hours.
const DEFAULT_THINK: Duration = Duration::from_secs(1);
/// Default mean session length. TPC-W has 15 minutes. With [`DEFAULT_THINK`] this gives about fifteen steps per session, enough
/// for most shoppers to browse and for many to buy.
const DEFAULT_SESSION: Duration = Duration::from_secs(15);
/// Default timeout of one request.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default maximum of concurrent sessions. Each holds a connection.
const DEFAULT_MAX_SESSIONS: u64 = 20_000;

/// The `load` section of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Transition probabilities between steps.
    pub mix: Mix,
    /// Mean think time between a reply and the shopper's next step. Exponentially distributed, cut off at ten times the
    /// mean.
    pub think: Duration,
    /// Mean session length, exponentially distributed, in think time. A session ends when its think times add up to its
    /// length, so a slow shop does not shorten the walk.
    pub session: Duration,
    /// The phases, one after the other without gaps.
    pub phases: Vec<Phase>,
    /// How long a request may take before it counts as a failure.
    pub timeout: Duration,
    /// Maximum of concurrent sessions. Arrivals beyond it are not started, and are counted as dropped.
    pub max_sessions: u64,
}

/// A time span with a constant or linearly changing arrival rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// Unique in its load.
    pub name: String,
    /// How long it lasts.
    pub lasts: Duration,
    /// New shoppers per second at its start.
    pub from_rate: f64,
    /// New shoppers per second at its end.
    pub to_rate: f64,
    /// Whether its measurements count. False for a warm-up.
    pub measure: bool,
}

impl Load {
    /// Reads the `load` mapping of a scenario. Adds every mistake to the document.
    pub fn read(node: Node<'_>) -> Option<Load> {
        let mut map = node.map()?;
        let mix = match map.get("mix") {
            Some(node) => Mix::read(node),
            None => Mix::named("shopping"),
        };
        let think = map.optional("think", positive).unwrap_or(DEFAULT_THINK);
        let session = map.optional("session", positive).unwrap_or(DEFAULT_SESSION);
        let timeout = map.optional("timeout", positive).unwrap_or(DEFAULT_TIMEOUT);
        let max_sessions = map
            .optional("max_sessions", |n| units::integer_in(n, 1, 1_000_000))
            .unwrap_or(DEFAULT_MAX_SESSIONS);
        let phases = map.required("phases", read_phases);
        map.finish();
        Some(Load {
            mix: mix?,
            think,
            session,
            phases: phases?,
            timeout,
            max_sessions,
        })
    }

    /// From the first phase's start to the last one's end.
    pub fn total(&self) -> Duration {
        self.phases.iter().map(|p| p.lasts).sum()
    }

    /// The index of the phase in force `t` after the start. A phase includes its start and excludes its end. The last
    /// phase has no end.
    pub fn phase_index(&self, t: Duration) -> usize {
        let mut end = Duration::ZERO;
        self.phases
            .iter()
            .position(|p| {
                end += p.lasts;
                t < end
            })
            .unwrap_or(self.phases.len().saturating_sub(1))
    }

    /// The phase in force `t` after the start. `None` if there are no phases.
    pub fn phase_at(&self, t: Duration) -> Option<&Phase> {
        self.phases.get(self.phase_index(t))
    }
}

fn read_phases(node: Node<'_>) -> Option<Vec<Phase>> {
    let list = node.list()?;
    let count = list.len();
    let mut phases: Vec<Phase> = Vec::with_capacity(count);
    for node in list {
        let Some((phase, name)) = read_phase(node) else {
            continue;
        };
        if phases.iter().any(|p| p.name == phase.name) {
            name.mistake(format!("there is already a phase `{}`", phase.name));
        }
        phases.push(phase);
    }
    if count == 0 {
        node.mistake("a load needs at least one phase");
        return None;
    }
    // A phase that could not be read has its mistake already. Do not report what follows from it.
    if phases.len() < count {
        return None;
    }
    if !phases.iter().any(|p| p.measure) {
        node.mistake("no phase is measured; leave out `measure: false` on one that counts");
    }
    if phases
        .iter()
        .all(|p| p.from_rate == 0.0 && p.to_rate == 0.0)
    {
        node.mistake("nobody arrives in any phase");
    }
    Some(phases)
}

fn read_phase(node: Node<'_>) -> Option<(Phase, Node<'_>)> {
    let mut map = node.map()?;
    let name = map.required("name", |n| Some((n.text()?, n)));
    let lasts = map.required("for", positive);
    let rates = map.required("arrivals", units::rate_or_ramp);
    let measure = map.optional("measure", Node::flag).unwrap_or(true);
    map.finish();
    let ((name, name_node), (from_rate, to_rate)) = (name?, rates?);
    let phase = Phase {
        name,
        lasts: lasts?,
        from_rate,
        to_rate,
        measure,
    };
    Some((phase, name_node))
}

fn positive(node: Node<'_>) -> Option<Duration> {
    let d = units::duration(node)?;
    // Plans use whole microseconds.
    if d < Duration::from_micros(1) {
        node.mistake("must be longer than zero");
        return None;
    }
    Some(d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syntax::Document;

    fn read(text: &str) -> Result<Load, String> {
        let doc = Document::parse("s.yaml", text).unwrap();
        let load = Load::read(doc.root());
        doc.finish().map_err(|m| m.to_string())?;
        Ok(load.unwrap())
    }

    #[test]
    fn a_load_is_read_with_its_phases() {
        let load = read(
            "mix: browsing\nthink: 500ms\nphases:\n\
             - { name: warm-up, for: 5s, arrivals: 10/s, measure: false }\n\
             - { name: rush, for: 10s, arrivals: 10/s..60/s }\n",
        )
        .unwrap();
        assert_eq!(load.think, Duration::from_millis(500));
        assert_eq!(load.total(), Duration::from_secs(15));
        assert_eq!(load.phases[1].to_rate, 60.0);
        assert!(!load.phases[0].measure && load.phases[1].measure);
        let at = |s| {
            load.phase_at(Duration::from_secs_f64(s))
                .unwrap()
                .name
                .as_str()
        };
        assert_eq!(
            (at(0.0), at(4.999), at(5.0), at(99.0)),
            ("warm-up", "warm-up", "rush", "rush")
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_position() {
        for (text, expected) in [
            ("phases: []", "1:9: a load needs at least one phase"),
            ("think: 1s", "`phases` is missing"),
            (
                "mix: shoping\nphases: [{ name: a, for: 1s, arrivals: 1/s }]",
                "1:6: unknown `shoping`; did you mean `shopping`?",
            ),
            (
                "think: 0s\nphases: [{ name: a, for: 1s, arrivals: 1/s }]",
                "1:8: must be longer than zero",
            ),
            (
                "phases: [{ name: a, for: 0s, arrivals: 1/s }]",
                "must be longer than zero",
            ),
            (
                "phases: [{ name: a, for: 1s, arrivals: 0/s }]",
                "nobody arrives in any phase",
            ),
            (
                "phases: [{ name: a, for: 1s, arrivals: 1/s, measure: false }]",
                "no phase is measured",
            ),
            (
                "phases:\n- { name: a, for: 1s, arrivals: 1/s }\n- { name: a, for: 1s, arrivals: 1/s }",
                "3:11: there is already a phase `a`",
            ),
            (
                "phases: [{ name: a, for: 1s, arivals: 1/s }]",
                "did you mean `arrivals`?",
            ),
        ] {
            let messages = read(text).unwrap_err();
            assert!(
                messages.contains(expected),
                "{expected} is not in {messages}"
            );
        }
    }
}
