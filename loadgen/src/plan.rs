//! The whole load, decided before anything is sent.
//!
//! The load and a seed determine every arrival, persona, walk and think time. Replies of the shop change nothing in the
//! plan. So a shop that fails gets the same load as one that does not, and two builds can be compared under the same
//! load. A plan takes little memory, since its sessions are generated one by one on demand.
//!
//! Arrivals, and each session's persona, walk and choices, have their own ChaCha streams. So a change to one (another
//! think time, a longer list of products) leaves the others as they were.

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;
use results::record;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::arrivals::Arrivals;
use crate::persona::{Persona, PersonaPicker};
use crate::spec::Load;
use crate::step::Step;

/// TPC-W, clause 5.3.2.1: think times are cut off at ten times their mean.
const MAX_THINK: f64 = 10.0;
/// The longest walk, in steps. It limits sessions that are absurdly long compared to the think time.
const MAX_WALK: usize = 10_000;

/// Streams of random numbers.
#[derive(Clone, Copy)]
enum RngStream {
    Arrivals,
    PersonaOrder,
    Persona(u64),
    Walk(u64),
    Choices(u64),
}

/// All sessions of a load, generated on demand. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plan {
    load: Arc<Load>,
    seed: u64,
    personas: PersonaPicker,
}

/// One shopper's session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Counted from 0 in the order of arrival.
    pub index: u64,
    /// When the shopper arrives, from the start of the load.
    pub at: Duration,
    /// Who the shopper is.
    pub persona: Persona,
    /// The steps of the shopper.
    pub walk: Vec<PlannedStep>,
    /// Random numbers for the shopper's choices, such as which product of a list and how many.
    pub choices: ChaCha8Rng,
}

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedStep {
    /// From the previous reply to this step. Zero for the first step.
    pub think: Duration,
    /// The step.
    pub step: Step,
}

/// One line of `plan.jsonl`: a planned session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanLine {
    /// Arrival in microseconds from the start of the load.
    pub at_us: u64,
    /// Who the shopper is.
    pub persona: Persona,
    /// Pairs of a step and the think time before it in microseconds.
    pub steps: Vec<(&'static str, u64)>,
}

impl Plan {
    /// The plan of a load with a seed, for a shop with this many seeded customers.
    pub fn new(load: Load, seed: u64, customers: u64) -> Self {
        Self {
            load: Arc::new(load),
            seed,
            personas: PersonaPicker::new(seed, customers, &mut rng(seed, RngStream::PersonaOrder)),
        }
    }

    /// The load that the plan was made from.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// The seed that the plan was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Every session in the order of arrival.
    pub fn sessions(&self) -> impl Iterator<Item = Session> + '_ {
        self.share(0, 1)
    }

    /// Every `of`-th session, beginning with session `first`: the share of one worker. The walks of other sessions are
    /// not generated.
    pub fn share(&self, first: usize, of: usize) -> impl Iterator<Item = Session> + '_ {
        let arrivals = rng(self.seed, RngStream::Arrivals);
        (0..)
            .zip(Arrivals::new(&self.load.phases, arrivals))
            .skip(first)
            .step_by(of.max(1))
            .map(|(index, at)| self.session(index, at))
    }

    /// The lines of `plan.jsonl`.
    pub fn lines(&self) -> impl Iterator<Item = PlanLine> + '_ {
        self.sessions().map(PlanLine::from)
    }

    /// Size and digest of the plan: the SHA-256 of `plan.jsonl`, then of the `extra` lines (the faults), each with its
    /// line feed. Iterates over the whole plan once.
    pub fn digest(&self, extra: &[String]) -> record::PlanDigest {
        let mut sha = Sha256::new();
        let mut plan = record::PlanDigest::default();
        for line in self.lines() {
            plan.sessions += 1;
            plan.steps += line.steps.len() as u64;
            sha.update(line.json());
            sha.update(b"\n");
        }
        for line in extra {
            sha.update(line);
            sha.update(b"\n");
        }
        plan.digest = sha.finalize().iter().map(|b| format!("{b:02x}")).collect();
        plan
    }

    fn session(&self, index: u64, at: Duration) -> Session {
        let mut persona = rng(self.seed, RngStream::Persona(index));
        Session {
            index,
            at,
            persona: self.personas.persona(index, &mut persona),
            walk: self.walk(&mut rng(self.seed, RngStream::Walk(index))),
            choices: rng(self.seed, RngStream::Choices(index)),
        }
    }

    /// Begins with home and continues until the think times use up the session's length.
    fn walk(&self, rng: &mut ChaCha8Rng) -> Vec<PlannedStep> {
        let length = rng.sample::<f64, _>(Exp1) * self.load.session.as_secs_f64();
        let think = self.load.think.as_secs_f64();
        let mut step = Step::Home;
        let mut walk = vec![PlannedStep {
            think: Duration::ZERO,
            step,
        }];
        let mut thought = 0.0;
        while walk.len() < MAX_WALK {
            let think_s = rng.sample::<f64, _>(Exp1).min(MAX_THINK) * think;
            thought += think_s;
            if thought > length {
                break;
            }
            step = self.load.mix.next(step, rng);
            walk.push(PlannedStep {
                think: Duration::from_micros((think_s * 1e6) as u64),
                step,
            });
        }
        walk
    }
}

impl PlanLine {
    /// The line as it is written and hashed, without its line feed.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings can always be written")
    }
}

impl From<Session> for PlanLine {
    fn from(session: Session) -> Self {
        Self {
            at_us: micros(session.at),
            persona: session.persona,
            steps: session
                .walk
                .iter()
                .map(|s| (s.step.name(), micros(s.think)))
                .collect(),
        }
    }
}

/// The key names this crate, so that the same seed gives other numbers elsewhere in a run (for faults).
fn rng(seed: u64, stream: RngStream) -> ChaCha8Rng {
    let mut key = *b"seed....doorbuster loadgen crowd";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(match stream {
        RngStream::Arrivals => 0,
        RngStream::PersonaOrder => 1,
        RngStream::Persona(session) => session * 3 + 2,
        RngStream::Walk(session) => session * 3 + 3,
        RngStream::Choices(session) => session * 3 + 4,
    });
    rng
}

fn micros(d: Duration) -> u64 {
    d.as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Mix;
    use crate::spec::Phase;

    fn load(rate: f64) -> Load {
        Load {
            mix: Mix::named("shopping").unwrap(),
            think: Duration::from_secs(1),
            session: Duration::from_secs(15),
            phases: vec![Phase {
                name: "steady".to_owned(),
                lasts: Duration::from_secs(100),
                from_rate: rate,
                to_rate: rate,
                measure: true,
            }],
            timeout: Duration::from_secs(10),
            max_sessions: 1000,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let digest = |seed, extra: &[String]| Plan::new(load(10.0), seed, 100).digest(extra);
        let plan = digest(7, &[]);
        assert_eq!(plan, digest(7, &[]));
        assert_eq!(plan.digest.len(), 64);
        assert_ne!(plan.digest, digest(8, &[]).digest);
        assert_ne!(plan.digest, digest(7, &["kill order/1".to_owned()]).digest);
    }

    #[test]
    fn walks_start_at_home_and_last_as_long_as_the_session() {
        let plan = Plan::new(load(100.0), 7, 100);
        let sessions: Vec<_> = plan.sessions().collect();
        let thinks: Vec<f64> = sessions
            .iter()
            .flat_map(|s| &s.walk[1..])
            .map(|s| s.think.as_secs_f64())
            .collect();
        for session in &sessions {
            assert_eq!(session.walk[0].step, Step::Home);
            assert_eq!(session.walk[0].think, Duration::ZERO);
        }
        // Think times of one second on average, within a session of fifteen.
        let steps = thinks.len() as f64 / sessions.len() as f64;
        assert!(
            (14.0..16.0).contains(&steps),
            "{steps} think times per session"
        );
        assert!(thinks.iter().all(|t| *t <= 10.0));
        let mean = thinks.iter().sum::<f64>() / thinks.len() as f64;
        assert!(
            (0.85..1.0).contains(&mean),
            "{mean}: below 1, because long think times end sessions"
        );
    }

    #[test]
    fn workers_share_the_plan_without_loss_or_overlap() {
        let plan = Plan::new(load(10.0), 7, 100);
        let mut shares: Vec<_> = (0..3).flat_map(|w| plan.share(w, 3)).collect();
        shares.sort_by_key(|s| s.index);
        assert_eq!(shares, plan.sessions().collect::<Vec<_>>());
    }

    #[test]
    fn a_change_of_think_time_leaves_arrivals_and_personas_alone() {
        let slow = Load {
            think: Duration::from_secs(3),
            ..load(10.0)
        };
        let (a, b) = (Plan::new(load(10.0), 7, 100), Plan::new(slow, 7, 100));
        assert!(
            a.sessions()
                .map(|s| s.walk)
                .ne(b.sessions().map(|s| s.walk))
        );
        let identity = |s: Session| (s.at, s.persona, s.choices);
        assert!(a.sessions().map(identity).eq(b.sessions().map(identity)));
    }

    #[test]
    fn a_line_is_compact_json_without_the_password() {
        let plan = Plan::new(load(10.0), 7, 0);
        let line = plan.lines().next().unwrap().json();
        assert!(line.starts_with("{\"at_us\":"), "{line}");
        assert!(line.contains("\"steps\":[[\"home\",0]"), "{line}");
        assert!(!line.contains("made-up-"), "{line}");
    }
}
