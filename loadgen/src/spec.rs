//! The load of a scenario: who comes, how often, for how long.

use std::time::Duration;

use syntax::{Node, units};

use crate::mix::Mix;

/// Mean think time where the scenario names none. TPC-W has 7 s; runs here last a minute rather than hours.
const THINK: Duration = Duration::from_secs(1);
/// Mean session length where the scenario names none. TPC-W has 15 minutes; with [`THINK`] this gives some
/// fifteen steps to a session, enough for most to look around and for many to buy.
const SESSION: Duration = Duration::from_secs(15);
/// Patience for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most shoppers at a time; each holds a connection.
const MAX_SESSIONS: u64 = 20_000;

/// What the crowd does. The `load` part of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Where shoppers go next.
    pub mix: Mix,
    /// Mean think time: from an answer to the shopper's next step. Negative exponential, cut off at ten means.
    pub think: Duration,
    /// Mean session length, negative exponential, in think time: a session ends when its thinking has used it
    /// up, so that a slow shop does not make the walk shorter.
    pub session: Duration,
    /// What happens when, without gaps.
    pub phases: Vec<Phase>,
    /// How long an answer may take before it counts as a failure.
    pub timeout: Duration,
    /// The most shoppers at a time; who comes beyond is turned away, and counted as dropped.
    pub max_sessions: u64,
}

/// A stretch of time with a constant or evenly changing arrival rate.
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
    /// Whether it counts; a warm-up does not.
    pub measure: bool,
}

impl Load {
    /// Reads the `load` mapping of a scenario. Every mistake is noted in the document.
    pub fn read(node: Node<'_>) -> Option<Load> {
        let mut map = node.map()?;
        let mix = match map.get("mix") {
            Some(node) => Mix::read(node),
            None => Mix::named("shopping"),
        };
        let think = map.optional("think", positive).unwrap_or(THINK);
        let session = map.optional("session", positive).unwrap_or(SESSION);
        let timeout = map.optional("timeout", positive).unwrap_or(TIMEOUT);
        let max_sessions = map
            .optional("max_sessions", |n| units::integer_in(n, 1, 1_000_000))
            .unwrap_or(MAX_SESSIONS);
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

    /// The index of the phase in force `t` after the start: a phase includes its start and not its end, the
    /// last one lasts for ever.
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

    /// The phase in force `t` after the start; none where there are no phases.
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
    // A phase that could not be read has had its mistake noted; what is missing because of it is no second one.
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
    let ((name, place), (from_rate, to_rate)) = (name?, rates?);
    let phase = Phase {
        name,
        lasts: lasts?,
        from_rate,
        to_rate,
        measure,
    };
    Some((phase, place))
}

fn positive(node: Node<'_>) -> Option<Duration> {
    let d = units::duration(node)?;
    // Plans are made in whole microseconds.
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
    fn every_mistake_is_named_with_its_place() {
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
            let told = read(text).unwrap_err();
            assert!(told.contains(expected), "{expected} is not in {told}");
        }
    }
}
