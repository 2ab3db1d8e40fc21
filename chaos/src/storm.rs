//! Storms: faults drawn at random from the run's seed, within limits. Pure: the same storm, shop and seed give the same
//! list of plain faults, so that record, digest and shrinking know nothing of storms.
//!
//! What keeps a storm from being a catastrophe:
//! - at most [`Storm::at_once`] faults are in force, those that the scenario itself has included;
//! - a role has one fault at a time and is left alone for [`Storm::cool_down`] after it, so that never more than one
//!   replica of a role is down, and none dies before it is ready again;
//! - a role's only replica is taken down only where [`Storm::singles`] allows it, and then for two seconds at most;
//! - a role for which the scenario has a fault whose time is not known beforehand is spared;
//! - every parameter is drawn from a range in which the kind is felt and survived (`storm/draw.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::Role;
use shop_contract::faults::Touches;

use crate::fault::{Begin, Fault, FaultKind, Target, Window};
use crate::kinds::{Aim, KindInfo};
use crate::schedule::seed_of;
use crate::spec::Shop;

mod draw;

/// What the names of a storm's faults begin with.
pub const PREFIX: &str = "storm-";
/// How long a process that was down may take until it is ready; so long it counts as in force.
const READY: Duration = Duration::from_secs(2);
/// The longest that a role's only replica is taken down.
const SINGLE_DOWN: Duration = Duration::from_secs(2);
/// Who calls whom in the shop, often enough for a fault on the way to be met.
const WAYS: [(Role, Role); 10] = [
    (Role::Gateway, Role::User),
    (Role::Gateway, Role::Product),
    (Role::Gateway, Role::Cart),
    (Role::Gateway, Role::Order),
    (Role::Product, Role::Inventory),
    (Role::Cart, Role::Product),
    (Role::Order, Role::Cart),
    (Role::Order, Role::Inventory),
    (Role::Order, Role::Payment),
    (Role::Payment, Role::Bank),
];

/// Whether a storm draws faults of a kind. Of those of paths it draws the ones that whoever sends anything meets; the
/// others need traffic of a certain sort, and one that meets none would void the run.
pub fn draws(info: &KindInfo) -> bool {
    !info.is_of_a_path() || matches!(info.name, "tcp-latency" | "tcp-reset")
}

/// A storm as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Storm {
    /// When it begins, from the run's start.
    pub from: Duration,
    /// How long it lasts. No fault of it is in force later.
    pub lasts: Duration,
    /// The kinds that are drawn from, each as likely; only such as it [draws].
    pub kinds: Vec<&'static KindInfo>,
    /// The most faults in force at a time.
    pub at_once: usize,
    /// How far the beginnings are apart, give or take: each falls into the first half of its turn.
    pub every: Duration,
    /// The shortest and the longest that a fault lasts.
    pub length: (Duration, Duration),
    /// The roles that are drawn from. A way is taken when both of its ends are among them.
    pub targets: BTreeSet<String>,
    /// How long a role is left alone after a fault.
    pub cool_down: Duration,
    /// Whether the only replica of a role may be taken down.
    pub singles: bool,
}

/// A role that has a fault, cool-down not included.
#[derive(Debug, Clone)]
struct Struck {
    role: String,
    window: Window,
}

impl Storm {
    /// The faults of the storm, in the order of time, for a scenario that has `written` ones of its own.
    pub fn faults(&self, shop: &Shop, written: &[Fault], seed: u64) -> Vec<Fault> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed_of("storm", seed));
        let (mut struck, barred) = known(written);
        let end = self.from.saturating_add(self.lasts).min(shop.duration);
        let mut faults = Vec::new();
        let mut turn = self.from;
        while turn < end {
            let begins = turn + draw::between(&mut rng, Duration::ZERO, self.every / 2);
            let length = draw::between(&mut rng, self.length.0, self.length.1);
            turn += self.every;
            let length = length.min(end.saturating_sub(begins));
            if length < self.length.0 {
                break;
            }
            let window = Window::new(begins, length + READY);
            let others = struck.iter().filter(|s| touch(s.window, window)).count();
            if others >= self.at_once {
                continue;
            }
            let resting: BTreeSet<&str> = struck
                .iter()
                .filter(|s| touch(self.rested(s.window), self.rested(window)))
                .map(|s| s.role.as_str())
                .chain(barred.iter().map(String::as_str))
                .collect();
            let Some((target, kind, lasts)) = self.strike(&mut rng, length, &resting, shop) else {
                continue;
            };
            let mut fault = Fault {
                name: String::new(),
                begins: Begin::At(begins),
                lasts,
                target,
                kind,
            };
            fault.name = name_of(&fault, faults.len() + 1);
            struck.push(occupied(&fault, begins));
            faults.push(fault);
        }
        faults
    }

    /// What happens to whom: a kind, then a place that it can be aimed at now.
    fn strike(
        &self,
        rng: &mut ChaCha8Rng,
        length: Duration,
        resting: &BTreeSet<&str>,
        shop: &Shop,
    ) -> Option<(Target, FaultKind, Option<Duration>)> {
        let mut kinds = self.kinds.clone();
        while !kinds.is_empty() {
            let info = kinds.swap_remove(rng.random_range(0..kinds.len()));
            let (mut kind, lasts) = draw::kind(rng, info.name, length);
            let mut places = self.places(info, &kind, resting, shop);
            if places.is_empty() {
                continue;
            }
            let target = places.swap_remove(rng.random_range(0..places.len()));
            let single = shop.replicas.get(&target.role) == Some(&1);
            let (mut lasts, down) = (lasts, kind.takes_replica_down());
            if single && down {
                (kind, lasts) = draw::kind(rng, info.name, length.min(SINGLE_DOWN));
            }
            if let (FaultKind::InService(held), Some(to)) = (&mut kind, &target.to) {
                held.only.calling = to.parse().ok();
            }
            return Some((target, kind, lasts));
        }
        None
    }

    /// Everywhere that a kind can be aimed at now.
    fn places(
        &self,
        info: &KindInfo,
        kind: &FaultKind,
        resting: &BTreeSet<&str>,
        shop: &Shop,
    ) -> Vec<Target> {
        let free = |role: &str| self.targets.contains(role) && !resting.contains(role);
        let mut places = Vec::new();
        for (role, count) in shop.replicas.iter().filter(|(role, _)| free(role)) {
            let one = (0..*count).map(|replica| Target::replica(role, replica));
            match info.aim {
                Aim::Way => {}
                _ if !has_place(kind, role) => {}
                Aim::OneRole => places.push(Target::role(role)),
                Aim::OneReplica if *count == 1 && !self.singles => {}
                Aim::OneReplica => places.extend(one),
                Aim::RoleOrReplica | Aim::RoleReplicaOrWay => {
                    places.push(Target::role(role));
                    places.extend(one.filter(|_| *count > 1));
                }
            }
        }
        if matches!(info.aim, Aim::Way | Aim::RoleReplicaOrWay) {
            let ways = WAYS.iter().map(|(a, b)| (a.name(), b.name()));
            let there = |role: &str| shop.replicas.get(role).is_some_and(|count| *count > 0);
            let ways =
                ways.filter(|(a, b)| free(a) && self.targets.contains(*b) && there(a) && there(b));
            places.extend(ways.map(|(a, b)| Target {
                to: Some(b.to_owned()),
                ..Target::role(a)
            }));
        }
        places
    }

    /// A window with the rest after it.
    fn rested(&self, window: Window) -> Window {
        Window {
            from: window.from,
            to: window.to.saturating_add(self.cool_down),
        }
    }
}

/// Whether a role has what the kind touches: the gateway stores nothing.
fn has_place(kind: &FaultKind, role: &str) -> bool {
    match kind {
        FaultKind::InService(held) if held.effect.touches() == Touches::Database => {
            role != Role::Gateway.name()
        }
        _ => true,
    }
}

/// What the scenario's own faults take up, and the roles of those whose time nobody knows beforehand.
fn known(written: &[Fault]) -> (Vec<Struck>, BTreeSet<String>) {
    let mut struck = Vec::new();
    let mut barred = BTreeSet::new();
    for fault in written {
        match fault.begins {
            Begin::At(at) => struck.push(occupied(fault, at)),
            Begin::After { .. } | Begin::When { .. } => {
                barred.insert(fault.target.role.clone());
            }
        }
    }
    (struck, barred)
}

fn occupied(fault: &Fault, at: Duration) -> Struck {
    let down = fault.kind.takes_replica_down();
    let ready = if down { READY } else { Duration::ZERO };
    Struck {
        role: fault.target.role.clone(),
        window: Window::new(at, fault.length() + ready),
    }
}

/// Whether two windows have an instant in common, their ends included.
fn touch(a: Window, b: Window) -> bool {
    a.from <= b.to && b.from <= a.to
}

/// `storm-3-latency-bank`, `storm-4-refuse-order-inventory`.
fn name_of(fault: &Fault, number: usize) -> String {
    let target = fault.target.to_string();
    let target = target.replace("->", "-").replace('/', "-");
    format!("{PREFIX}{number}-{}-{target}", fault.kind.name())
}
