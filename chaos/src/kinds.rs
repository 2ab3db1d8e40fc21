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
    /// The same, or `payment->bank`: what one sends to the other.
    RoleReplicaOrWay,
    /// `payment->bank` and nothing else.
    Way,
    /// `bank`: a role as a whole, since what is touched belongs to all replicas together.
    OneRole,
    /// `order/1`; just `order` where the role has no other.
    OneReplica,
}

/// What the names of kinds begin with that touch a path and none of the services at its ends.
const OF_A_PATH: &str = "tcp-";

impl KindInfo {
    /// Whether it is done to the connections of a way, by a proxy there.
    pub fn is_of_a_path(&self) -> bool {
        self.name.starts_with(OF_A_PATH)
    }

    /// Whether it is done from outside, so that no service can tell that it is in force: to a process, or on a way.
    pub fn is_from_outside(&self) -> bool {
        self.is_of_a_path() || self.aim == Aim::OneReplica
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RoleOrReplica => "a role or one replica",
            Self::RoleReplicaOrWay => "a role, one replica, or a way such as payment->bank",
            Self::Way => "a way such as payment->bank",
            Self::OneRole => "a role",
            Self::OneReplica => "one replica",
        })
    }
}

/// Keys that every fault takes.
pub const COMMON_KEYS: &[&str] = &[
    "name", "at", "after", "when", "wait", "every", "times", "target", "kind",
];

/// Every kind of fault.
pub const KINDS: &[KindInfo] = &[
    KindInfo {
        name: "latency",
        about: "each request waits before it is served; on a way, before it is sent",
        aim: Aim::RoleReplicaOrWay,
        keys: &[
            "for",
            "delay",
            "jitter",
            "distribution",
            "share",
            "route",
            "caller",
            "shopper",
            "shoppers",
        ],
        example: "{ name: bank-slow, at: 12s, for: 8s, target: bank, kind: latency, delay: 300ms, jitter: 100ms, share: 100% }",
    },
    KindInfo {
        name: "error",
        about: "a request is answered with an error instead of being served",
        aim: Aim::RoleReplicaOrWay,
        keys: &[
            "for", "status", "share", "route", "caller", "shopper", "shoppers",
        ],
        example: "{ name: stock-errors, at: 12s, for: 8s, target: inventory, kind: error, status: 503, share: 20% }",
    },
    KindInfo {
        name: "abort",
        about: "the connection is reset instead of an answer",
        aim: Aim::RoleReplicaOrWay,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: cart-resets, at: 12s, for: 8s, target: cart, kind: abort, share: 10%, route: 'PUT /cart/items/{product_id}' }",
    },
    KindInfo {
        name: "hang",
        about: "no answer comes until whoever asks gives up",
        aim: Aim::RoleReplicaOrWay,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: bank-hangs, at: 12s, for: 8s, target: payment->bank, kind: hang, share: 30% }",
    },
    KindInfo {
        name: "slow-body",
        about: "the answer's body comes slowly",
        aim: Aim::RoleReplicaOrWay,
        keys: &[
            "for", "rate", "share", "route", "caller", "shopper", "shoppers",
        ],
        example: "{ name: pages-trickle, at: 12s, for: 8s, target: product, kind: slow-body, rate: 2KB/s, route: GET /products }",
    },
    KindInfo {
        name: "truncate",
        about: "the connection is closed in the middle of the answer's body",
        aim: Aim::RoleReplicaOrWay,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: pages-cut, at: 12s, for: 8s, target: product, kind: truncate, share: 10% }",
    },
    KindInfo {
        name: "corrupt",
        about: "some bytes of the answer's body are others",
        aim: Aim::RoleReplicaOrWay,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: pages-garbled, at: 12s, for: 8s, target: product, kind: corrupt, share: 10% }",
    },
    KindInfo {
        name: "refuse",
        about: "one role cannot connect to another, while others can",
        aim: Aim::Way,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: split, at: 12s, for: 8s, target: order->inventory, kind: refuse, share: 100% }",
    },
    KindInfo {
        name: "cpu",
        about: "threads that compute nothing take the processor",
        aim: Aim::RoleOrReplica,
        keys: &["for", "threads"],
        example: "{ name: neighbour, at: 12s, for: 8s, target: product, kind: cpu, threads: 2 }",
    },
    KindInfo {
        name: "memory",
        about: "memory is taken, evenly over the fault's time",
        aim: Aim::RoleOrReplica,
        keys: &["for", "size"],
        example: "{ name: leak, at: 12s, for: 8s, target: cart, kind: memory, size: 200MB }",
    },
    KindInfo {
        name: "slow-database",
        about: "each piece of work with the database waits first",
        aim: Aim::RoleOrReplica,
        keys: &["for", "delay", "jitter", "share"],
        example: "{ name: slow-disk, at: 12s, for: 8s, target: inventory, kind: slow-database, delay: 50ms, jitter: 20ms }",
    },
    KindInfo {
        name: "failing-database",
        about: "work with the database fails",
        aim: Aim::RoleOrReplica,
        keys: &["for", "share"],
        example: "{ name: flaky-disk, at: 12s, for: 8s, target: inventory, kind: failing-database, share: 10% }",
    },
    KindInfo {
        name: "locked-database",
        about: "somebody else holds the database's lock on writes",
        aim: Aim::OneRole,
        keys: &["for"],
        example: "{ name: backup, at: 12s, for: 4s, target: order, kind: locked-database }",
    },
    KindInfo {
        name: "full-disk",
        about: "writes to the database fail, reads go on",
        aim: Aim::RoleOrReplica,
        keys: &["for"],
        example: "{ name: disk-full, at: 12s, for: 8s, target: order, kind: full-disk }",
    },
    KindInfo {
        name: "leaked-connections",
        about: "connections to the database are held by nobody",
        aim: Aim::RoleOrReplica,
        keys: &["for", "left"],
        example: "{ name: leak, at: 12s, for: 8s, target: product, kind: leaked-connections, left: 1 }",
    },
    KindInfo {
        name: "clock-skew",
        about: "the service's clock is wrong",
        aim: Aim::RoleOrReplica,
        keys: &["for", "by"],
        example: "{ name: clock-back, at: 12s, for: 8s, target: user, kind: clock-skew, by: -2h }",
    },
    KindInfo {
        name: "kill",
        about: "the process dies at once and is started again some time later",
        aim: Aim::OneReplica,
        keys: &["restart"],
        example: "{ name: order-down, at: 30s, target: order/1, kind: kill, restart: 3s }",
    },
    KindInfo {
        name: "pause",
        about: "the process stops in its tracks and goes on later",
        aim: Aim::OneReplica,
        keys: &["for"],
        example: "{ name: order-stalls, at: 30s, for: 4s, target: order/1, kind: pause }",
    },
    KindInfo {
        name: "restart",
        about: "the process is told to end and is started again, as in a deployment",
        aim: Aim::OneReplica,
        keys: &[],
        example: "{ name: deploy, at: 30s, target: order/1, kind: restart }",
    },
    KindInfo {
        name: "slow-start",
        about: "the process dies, is started at once and is long in getting ready",
        aim: Aim::OneReplica,
        keys: &["delay"],
        example: "{ name: cold-start, at: 30s, target: product/0, kind: slow-start, delay: 5s }",
    },
    KindInfo {
        name: "tcp-latency",
        about: "what is sent on a connection comes later",
        aim: Aim::Way,
        keys: &["for", "delay", "jitter", "share", "direction"],
        example: "{ name: far-bank, at: 12s, for: 8s, target: payment->bank, kind: tcp-latency, delay: 100ms, jitter: 20ms }",
    },
    KindInfo {
        name: "tcp-bandwidth",
        about: "so much gets through a connection at most",
        aim: Aim::Way,
        keys: &["for", "rate", "share", "direction"],
        example: "{ name: thin-line, at: 12s, for: 8s, target: gateway->product, kind: tcp-bandwidth, rate: 20KB/s }",
    },
    KindInfo {
        name: "tcp-slicer",
        about: "what is sent comes in small pieces",
        aim: Aim::Way,
        keys: &["for", "size", "variation", "delay", "share", "direction"],
        example: "{ name: crumbs, at: 12s, for: 8s, target: cart->product, kind: tcp-slicer, size: 100B, variation: 50B, delay: 1ms }",
    },
    KindInfo {
        name: "tcp-reset",
        about: "connections are reset, open ones as well as new ones",
        aim: Aim::Way,
        keys: &["for", "share"],
        example: "{ name: cut-off, at: 12s, for: 2s, target: order/1->inventory, kind: tcp-reset, share: 50% }",
    },
    KindInfo {
        name: "tcp-timeout",
        about: "nothing that is sent ever comes",
        aim: Aim::Way,
        keys: &["for", "share", "direction"],
        example: "{ name: black-hole, at: 12s, for: 4s, target: order->payment, kind: tcp-timeout }",
    },
    KindInfo {
        name: "tcp-slow-close",
        about: "the end of a connection comes later",
        aim: Aim::Way,
        keys: &["for", "delay", "share", "direction"],
        example: "{ name: lingering, at: 12s, for: 8s, target: gateway->order, kind: tcp-slow-close, delay: 2s }",
    },
    KindInfo {
        name: "tcp-limit",
        about: "a connection is closed when so much has come through",
        aim: Aim::Way,
        keys: &["for", "size", "share", "direction"],
        example: "{ name: cut-short, at: 12s, for: 8s, target: gateway->product, kind: tcp-limit, size: 50KB }",
    },
];
