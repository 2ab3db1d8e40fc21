//! The kinds of fault there are: one table for help texts, for reading scenarios and for "did you mean".
//!
//! A new kind starts with a row here. What it *does* is a variant of [`FaultKind`](crate::FaultKind).

use std::fmt;

/// One kind of fault, as scenarios and help texts show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// What a scenario writes after `kind:`.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// What it may be aimed at.
    pub aim: Aim,
    /// The keys that it takes besides [`COMMON_KEYS`].
    pub keys: &'static [&'static str],
    /// One line that could stand in a scenario.
    pub example: &'static str,
}

/// What a kind of fault may be aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// `bank`: all replicas of a role, or `bank/0`: one of them.
    RoleOrReplica,
    /// `order/1`; just `order` where the role has no other.
    OneReplica,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RoleOrReplica => "a role or one replica",
            Self::OneReplica => "one replica",
        })
    }
}

/// Keys that every fault takes.
pub const COMMON_KEYS: &[&str] = &["name", "at", "target", "kind"];

/// Every kind of fault.
pub const KINDS: &[KindInfo] = &[
    KindInfo {
        name: "latency",
        about: "each request waits before it is served",
        aim: Aim::RoleOrReplica,
        keys: &["for", "delay", "jitter", "share"],
        example: "{ name: bank-slow, at: 12s, for: 8s, target: bank, kind: latency, delay: 300ms, jitter: 100ms, share: 100% }",
    },
    KindInfo {
        name: "kill",
        about: "the process dies at once and is started again some time later",
        aim: Aim::OneReplica,
        keys: &["restart"],
        example: "{ name: order-down, at: 30s, target: order/1, kind: kill, restart: 3s }",
    },
];
