//! Storms: random faults, drawn from the run's seed within limits. Pure: the same storm, shop and seed give the same
//! list of plain faults, so record, digest and shrinking need no code for storms.
//!
//! Limits:
//! - At most [`Storm::at_once`] faults are in force, including the scenario's own faults.
//! - A role has one fault at a time, and none for [`Storm::cool_down`] after it. So at most one replica of a role is
//!   down, and it is ready again before the next fault.
//! - The only replica of a role is taken down only if [`Storm::singles`] is set, and for two seconds at most.
//! - A role is left out if the scenario has a fault for it whose time is not known in advance.
//! - Each parameter is drawn from a range that has a visible effect and that the shop survives (`storm/draw.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::Role;
use shop_contract::faults::Touches;

use crate::fault::{Begin, Fault, FaultKind, Target, Window};
use crate::kinds::{Aim, Kind, KindInfo, PathKind};
use crate::seed::seed_of;
use crate::shop::Shop;

mod draw;

/// The prefix of the names of a storm's faults.
pub const PREFIX: &str = "storm-";
/// How long a process that was down may take to be ready. It counts as down for this time.
const READY: Duration = Duration::from_secs(2);
/// The longest time that a role's only replica is down.
const SINGLE_DOWN: Duration = Duration::from_secs(2);
/// The edges with enough calls for a fault to have hits, from caller to callee.
const EDGES: [(Role, Role); 10] = [
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

/// Whether a storm draws faults of a kind. Most path faults are left out: they affect only certain traffic, and a fault
/// without hits makes the run invalid.
pub fn draws(info: &KindInfo) -> bool {
    match info.kind {
        Kind::Path(kind) => matches!(kind, PathKind::Latency | PathKind::Reset),
        Kind::Service(_) | Kind::Process(_) => true,
    }
}

/// A storm as a scenario describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Storm {
    /// When it begins, from the run's start.
    pub from: Duration,
    /// How long it lasts. All of its faults end within this time.
    pub lasts: Duration,
    /// The kinds to draw from, with equal probability. Each must be one that a storm [draws].
    pub kinds: Vec<&'static KindInfo>,
    /// The most faults in force at a time.
    pub at_once: usize,
    /// The length of a slot. A slot has at most one fault, which begins in its first half.
    pub every: Duration,
    /// The shortest and the longest length of a fault.
    pub length: (Duration, Duration),
    /// The roles to draw from. An edge is included if both of its roles are.
    pub targets: BTreeSet<String>,
    /// How long a role has no fault after one.
    pub cool_down: Duration,
    /// Whether the only replica of a role may be taken down.
    pub singles: bool,
}

/// A role that has a fault in this window, without cool-down.
#[derive(Debug, Clone)]
struct OccupiedRole {
    role: String,
    window: Window,
}

impl Storm {
    /// The faults of the storm in the order of time. `written` are the scenario's own faults.
    pub fn faults(&self, shop: &Shop, written: &[Fault], seed: u64) -> Vec<Fault> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed_of("storm", seed));
        let (mut occupied, excluded) = occupied_by(written);
        let end = self.from.saturating_add(self.lasts).min(shop.duration);
        let mut faults = Vec::new();
        let mut slot = self.from;
        while slot < end {
            let begins = slot + draw::between(&mut rng, Duration::ZERO, self.every / 2);
            let length = draw::between(&mut rng, self.length.0, self.length.1);
            slot += self.every;
            let length = length.min(end.saturating_sub(begins));
            if length < self.length.0 {
                break;
            }
            let window = Window::new(begins, length + READY);
            let others = occupied.iter().filter(|o| overlap(o.window, window));
            if others.count() >= self.at_once {
                continue;
            }
            let unavailable: BTreeSet<&str> = occupied
                .iter()
                .filter(|o| overlap(self.with_cool_down(o.window), self.with_cool_down(window)))
                .map(|o| o.role.as_str())
                .chain(excluded.iter().map(String::as_str))
                .collect();
            let drawn = self.draw_fault(&mut rng, length, &unavailable, shop);
            let Some((target, kind, lasts)) = drawn else {
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
            occupied.push(occupied_role(&fault, begins));
            faults.push(fault);
        }
        faults
    }

    /// Draws a kind, then one of its available targets. The last value is [`Fault::lasts`].
    fn draw_fault(
        &self,
        rng: &mut ChaCha8Rng,
        length: Duration,
        unavailable: &BTreeSet<&str>,
        shop: &Shop,
    ) -> Option<(Target, FaultKind, Option<Duration>)> {
        let mut kinds = self.kinds.clone();
        while !kinds.is_empty() {
            let info = kinds.swap_remove(rng.random_range(0..kinds.len()));
            let (mut kind, mut lasts) = draw::kind(rng, info.kind, length);
            let mut targets = self.available_targets(info, &kind, unavailable, shop);
            if targets.is_empty() {
                continue;
            }
            let target = targets.swap_remove(rng.random_range(0..targets.len()));
            let single = shop.replicas.get(&target.role) == Some(&1);
            if single && kind.takes_replica_down() {
                (kind, lasts) = draw::kind(rng, info.kind, length.min(SINGLE_DOWN));
            }
            if let (FaultKind::Service(fault), Some(to)) = (&mut kind, &target.to) {
                fault.only.calling = to.parse().ok();
            }
            return Some((target, kind, lasts));
        }
        None
    }

    fn available_targets(
        &self,
        info: &KindInfo,
        kind: &FaultKind,
        unavailable: &BTreeSet<&str>,
        shop: &Shop,
    ) -> Vec<Target> {
        let free = |role: &str| self.targets.contains(role) && !unavailable.contains(role);
        let mut targets = Vec::new();
        for (role, count) in shop.replicas.iter().filter(|(role, _)| free(role)) {
            let each = (0..*count).map(|replica| Target::replica(role, replica));
            match info.aim {
                Aim::Edge => {}
                _ if !is_applicable(kind, role) => {}
                Aim::OneRole => targets.push(Target::role(role)),
                Aim::OneReplica if *count == 1 && !self.singles => {}
                Aim::OneReplica => targets.extend(each),
                Aim::RoleOrReplica | Aim::RoleReplicaOrEdge => {
                    targets.push(Target::role(role));
                    targets.extend(each.filter(|_| *count > 1));
                }
            }
        }
        if matches!(info.aim, Aim::Edge | Aim::RoleReplicaOrEdge) {
            let edges = EDGES.iter().map(|(a, b)| (a.name(), b.name()));
            let exists = |role: &str| shop.replicas.get(role).is_some_and(|count| *count > 0);
            let edges = edges
                .filter(|(a, b)| free(a) && self.targets.contains(*b) && exists(a) && exists(b));
            targets.extend(edges.map(|(a, b)| Target {
                to: Some(b.to_owned()),
                ..Target::role(a)
            }));
        }
        targets
    }

    fn with_cool_down(&self, window: Window) -> Window {
        Window {
            from: window.from,
            to: window.to.saturating_add(self.cool_down),
        }
    }
}

/// Whether a role has the resource that the kind affects. The gateway has no database.
fn is_applicable(kind: &FaultKind, role: &str) -> bool {
    match kind {
        FaultKind::Service(fault) if fault.effect.touches() == Touches::Database => {
            role != Role::Gateway.name()
        }
        _ => true,
    }
}

/// The roles and windows of the scenario's own faults, and the roles of those whose time is not known in advance.
fn occupied_by(written: &[Fault]) -> (Vec<OccupiedRole>, BTreeSet<String>) {
    let mut occupied = Vec::new();
    let mut excluded = BTreeSet::new();
    for fault in written {
        match fault.begins {
            Begin::At(at) => occupied.push(occupied_role(fault, at)),
            Begin::After { .. } | Begin::When { .. } => {
                excluded.insert(fault.target.role.clone());
            }
        }
    }
    (occupied, excluded)
}

fn occupied_role(fault: &Fault, at: Duration) -> OccupiedRole {
    let down = fault.kind.takes_replica_down();
    let ready = if down { READY } else { Duration::ZERO };
    OccupiedRole {
        role: fault.target.role.clone(),
        window: Window::new(at, fault.length() + ready),
    }
}

/// Whether two windows overlap. Their ends are included.
fn overlap(a: Window, b: Window) -> bool {
    a.from <= b.to && b.from <= a.to
}

/// `storm-3-latency-bank`, `storm-4-refuse-order-inventory`.
fn name_of(fault: &Fault, number: usize) -> String {
    let target = fault.target.to_string();
    let target = target.replace("->", "-").replace('/', "-");
    format!("{PREFIX}{number}-{}-{target}", fault.kind.name())
}
