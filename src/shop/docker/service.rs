//! One service's container: what is known of it now, and what we have done to it. No I/O.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::found::{Found, Standing};
use super::guard::Debt;

/// What a fault has done to a container, that has to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// Killed or stopped.
    Down,
    /// Paused, for so long at most.
    Paused { since: Instant, most: Duration },
}

impl Blow {
    /// What is owed to the container from now on.
    pub(super) fn debt(self, now: Instant) -> Debt {
        match self {
            Self::Down => Debt::Start,
            Self::Paused { since, most } => {
                Debt::Resume(most.saturating_sub(now.saturating_duration_since(since)))
            }
        }
    }

    /// Whether it is seen to have fallen.
    pub(super) fn has_fallen(self, standing: &Standing) -> bool {
        match self {
            Self::Down => standing.is_dead(),
            Self::Paused { .. } => standing.paused,
        }
    }
}

/// What a container has used during the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Used {
    /// The most memory that was seen, without what the system only caches for it.
    pub(super) peak_bytes: u64,
    /// CPU time since the first look.
    pub(super) cpu_s: f64,
    /// What Docker said last. It counts from each start of the container.
    last_cpu_s: Option<f64>,
}

impl Used {
    fn see(&mut self, cpu_s: f64, memory_bytes: u64) {
        self.peak_bytes = self.peak_bytes.max(memory_bytes);
        if let Some(last) = self.last_cpu_s {
            self.cpu_s += if cpu_s < last { cpu_s } else { cpu_s - last };
        }
        self.last_cpu_s = Some(cpu_s);
    }
}

#[derive(Debug, Default)]
struct Known {
    standing: Standing,
    /// Whether it was seen ready in its present life.
    ready: bool,
    struck: Option<Blow>,
    /// Whether that blow was given up without Docker having said that it will not fall.
    in_doubt: bool,
    /// Counts what we have done, so that a look that was taken before does not undo it.
    deeds: u64,
    crashes: Vec<String>,
    used: Used,
}

/// One service's container.
pub(super) struct Member {
    pub(super) found: Found,
    known: Mutex<Known>,
    /// One order at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Member {
    pub(super) fn new(found: Found) -> Self {
        let known = Known {
            standing: found.standing.clone(),
            ..Known::default()
        };
        Self {
            found,
            known: Mutex::new(known),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `order/1`.
    pub(super) fn target(&self) -> String {
        self.found.target()
    }

    /// How it stood at the last look.
    pub(super) fn standing(&self) -> Standing {
        self.known().standing.clone()
    }

    /// Where its admin listener is, while somebody is there who can answer.
    pub(super) fn admin(&self) -> Option<SocketAddr> {
        let known = self.known();
        let answers = known.standing.running && !known.standing.paused;
        known.standing.admin.filter(|_| answers)
    }

    pub(super) fn is_ready(&self) -> bool {
        let known = self.known();
        known.ready && known.standing.running && !known.standing.paused
    }

    /// As the record calls it.
    pub(super) fn state(&self) -> &'static str {
        let known = self.known();
        match &known.standing {
            Standing { running: false, .. } => "down",
            Standing { paused: true, .. } => "paused",
            _ if !known.ready => "starting",
            Standing {
                unhealthy: true, ..
            } => "unhealthy",
            _ => "ready",
        }
    }

    pub(super) fn crashes(&self) -> Vec<String> {
        self.known().crashes.clone()
    }

    pub(super) fn used(&self) -> Used {
        self.known().used
    }

    /// What has been done to it and not undone.
    pub(super) fn struck(&self) -> Option<Blow> {
        self.known().struck
    }

    /// We are about to strike it, or have undone it.
    pub(super) fn strike(&self, blow: Option<Blow>) {
        let mut known = self.known();
        known.deeds += 1;
        known.struck = blow;
        known.in_doubt = false;
    }

    /// The blow was given up, and may fall all the same.
    pub(super) fn doubt(&self) {
        self.known().in_doubt = true;
    }

    /// Whether a blow that was given up may yet fall.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.known().in_doubt
    }

    /// A look that we took ourselves after a deed.
    pub(super) fn now(&self, standing: Standing) {
        let mut known = self.known();
        known.deeds += 1;
        known.take(standing);
    }

    /// How often something was done to it, for [`Self::seen`].
    pub(super) fn deeds(&self) -> u64 {
        self.known().deeds
    }

    /// A look that was begun when so much had been done to it.
    pub(super) fn seen(&self, deeds: u64, standing: Standing) {
        let mut known = self.known();
        if known.deeds != deeds {
            return;
        }
        known.take(standing);
    }

    /// It said that it is ready, in the life that began then.
    pub(super) fn answered(&self, started_at: &str) {
        let mut known = self.known();
        known.ready |= known.standing.running && known.standing.started_at == started_at;
    }

    /// What it has used in this life so far.
    pub(super) fn uses(&self, cpu_s: f64, memory_bytes: u64) {
        self.known().used.see(cpu_s, memory_bytes);
    }
}

impl Known {
    /// Takes in a look. Deaths that nobody ordered are noted.
    fn take(&mut self, standing: Standing) {
        let lived = self.standing.running && self.struck != Some(Blow::Down);
        if lived && !standing.running {
            self.crashes.push(standing.ended.clone());
        } else if lived && standing.started_at != self.standing.started_at {
            let how = "it died and Docker started it again".to_owned();
            self.crashes.push(how);
        }
        self.ready &= standing.running && standing.started_at == self.standing.started_at;
        self.standing = standing;
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerInspectResponse;
    use shop_contract::Role;

    use super::*;

    fn living(life: &str) -> Standing {
        Standing {
            running: true,
            started_at: life.to_owned(),
            ..Standing::default()
        }
    }

    fn dead(life: &str) -> Standing {
        Standing {
            running: false,
            ended: "exit code 139".to_owned(),
            ..living(life)
        }
    }

    fn member() -> Member {
        let inspected = ContainerInspectResponse {
            id: Some("ab".to_owned()),
            ..ContainerInspectResponse::default()
        };
        let member = Member::new(Found::read(Role::Order, 1, &inspected).unwrap());
        assert_eq!(member.state(), "down");
        member.now(living("1"));
        member.answered("1");
        member
    }

    #[test]
    fn a_death_that_was_ordered_is_no_crash_and_any_other_is() {
        let member = member();
        assert_eq!(member.state(), "ready");
        member.strike(Some(Blow::Down));
        member.seen(member.deeds(), dead("1"));
        assert_eq!((member.state(), member.crashes()), ("down", vec![]));
        member.now(living("2"));
        member.strike(None);
        assert_eq!(member.state(), "starting", "another life");
        member.answered("1");
        assert_eq!(member.state(), "starting", "an answer of the former life");
        member.answered("2");
        assert_eq!(member.state(), "ready");

        member.seen(member.deeds(), dead("2"));
        member.seen(member.deeds(), dead("2"));
        assert_eq!(member.crashes(), ["exit code 139"]);
        // Docker starts it again, and then it dies and comes back between two looks.
        member.seen(member.deeds(), living("3"));
        assert_eq!(member.crashes().len(), 1);
        member.seen(member.deeds(), living("4"));
        assert_eq!(member.crashes().len(), 2);
    }

    #[test]
    fn a_look_from_before_a_deed_says_nothing() {
        let member = member();
        let before = member.deeds();
        member.strike(Some(Blow::Down));
        member.now(living("2"));
        member.strike(None);
        member.seen(before, dead("1"));
        assert!(member.crashes().is_empty());
        assert!(member.standing().running);
    }

    #[test]
    fn what_is_owed_to_a_pause_is_what_is_left_of_it() {
        let since = Instant::now();
        let most = Duration::from_secs(5);
        let pause = Blow::Paused { since, most };
        let owed = |after| pause.debt(since + Duration::from_secs(after));
        assert_eq!(owed(0), Debt::Resume(most));
        assert_eq!(owed(2), Debt::Resume(Duration::from_secs(3)));
        assert_eq!(owed(9), Debt::Resume(Duration::ZERO));
    }

    #[test]
    fn one_that_docker_is_about_to_start_again_is_down_and_has_crashed() {
        let member = member();
        let between = Standing {
            restarting: true,
            ..dead("1")
        };
        assert!(!Blow::Down.has_fallen(&between), "Docker starts it");
        member.seen(member.deeds(), between);
        assert_eq!(member.state(), "down");
        assert_eq!(member.crashes(), ["exit code 139"]);
        member.seen(member.deeds(), living("2"));
        assert_eq!((member.state(), member.crashes().len()), ("starting", 1));
    }

    #[test]
    fn cpu_time_counts_from_the_first_look_and_over_all_lives() {
        let mut used = Used::default();
        for (cpu_s, memory) in [(100.0, 5), (101.5, 9), (0.5, 3), (1.0, 4)] {
            used.see(cpu_s, memory);
        }
        assert_eq!((used.cpu_s, used.peak_bytes), (2.5, 9));
    }
}
