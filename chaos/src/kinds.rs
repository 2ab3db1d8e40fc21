//! The kinds of fault: one table for help texts, for reading scenarios and for "did you mean".
//!
//! A new kind starts with a row here. Its effect is a variant of [`FaultKind`](crate::FaultKind).

use std::fmt;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A service implements it itself.
    Service(ServiceKind),
    /// It affects a process from outside.
    Process(ProcessKind),
    /// A proxy affects the connections of an edge.
    Path(PathKind),
}

/// The kinds of service fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`KINDS` describes each")]
pub enum ServiceKind {
    Latency,
    Error,
    Abort,
    Hang,
    SlowBody,
    Truncate,
    Corrupt,
    Refuse,
    Cpu,
    Memory,
    SlowDatabase,
    FailingDatabase,
    LockedDatabase,
    FullDisk,
    LeakedConnections,
    ClockSkew,
}

/// The kinds of process fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`KINDS` describes each")]
pub enum ProcessKind {
    Kill,
    Pause,
    Restart,
    SlowStart,
}

/// The kinds of path fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`KINDS` describes each")]
pub enum PathKind {
    Latency,
    Bandwidth,
    Slicer,
    Reset,
    Timeout,
    SlowClose,
    Limit,
}

/// One kind of fault, for scenarios and help texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// The kind.
    pub kind: Kind,
    /// What a scenario writes after `kind:`.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The targets that it takes.
    pub aim: Aim,
    /// Its keys besides [`COMMON_KEYS`].
    pub keys: &'static [&'static str],
    /// A complete example for a scenario, in one line.
    pub example: &'static str,
}

/// The targets that a kind of fault takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// All replicas of a role (`bank`), or one of them (`bank/0`).
    RoleOrReplica,
    /// The same, or an edge (`payment->bank`): the requests from one role to another.
    RoleReplicaOrEdge,
    /// An edge only: `payment->bank`.
    Edge,
    /// A whole role (`bank`), because its replicas share the affected resource.
    OneRole,
    /// One replica: `order/1`, or `order` if the role has only one.
    OneReplica,
}

impl KindInfo {
    /// Whether it is a path fault: a proxy affects the connections of an edge.
    pub fn is_path_fault(&self) -> bool {
        matches!(self.kind, Kind::Path(_))
    }

    /// Whether it is a process or path fault: no service can report that it is in force.
    pub fn is_external(&self) -> bool {
        !matches!(self.kind, Kind::Service(_))
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RoleOrReplica => "a role or one replica",
            Self::RoleReplicaOrEdge => "a role, one replica, or a way such as payment->bank",
            Self::Edge => "a way such as payment->bank",
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
        kind: Kind::Service(ServiceKind::Latency),
        name: "latency",
        about: "each request is delayed before it is served; on an edge, before it is sent",
        aim: Aim::RoleReplicaOrEdge,
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
        kind: Kind::Service(ServiceKind::Error),
        name: "error",
        about: "a request gets an error response",
        aim: Aim::RoleReplicaOrEdge,
        keys: &[
            "for", "status", "share", "route", "caller", "shopper", "shoppers",
        ],
        example: "{ name: stock-errors, at: 12s, for: 8s, target: inventory, kind: error, status: 503, share: 20% }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Abort),
        name: "abort",
        about: "the connection is reset instead of a response",
        aim: Aim::RoleReplicaOrEdge,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: cart-resets, at: 12s, for: 8s, target: cart, kind: abort, share: 10%, route: 'PUT /cart/items/{product_id}' }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Hang),
        name: "hang",
        about: "no response until the caller gives up",
        aim: Aim::RoleReplicaOrEdge,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: bank-hangs, at: 12s, for: 8s, target: payment->bank, kind: hang, share: 30% }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::SlowBody),
        name: "slow-body",
        about: "the response body is sent slowly",
        aim: Aim::RoleReplicaOrEdge,
        keys: &[
            "for", "rate", "share", "route", "caller", "shopper", "shoppers",
        ],
        example: "{ name: pages-trickle, at: 12s, for: 8s, target: product, kind: slow-body, rate: 2KB/s, route: GET /products }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Truncate),
        name: "truncate",
        about: "the connection is closed in the middle of the response body",
        aim: Aim::RoleReplicaOrEdge,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: pages-cut, at: 12s, for: 8s, target: product, kind: truncate, share: 10% }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Corrupt),
        name: "corrupt",
        about: "some bytes of the response body are changed",
        aim: Aim::RoleReplicaOrEdge,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: pages-garbled, at: 12s, for: 8s, target: product, kind: corrupt, share: 10% }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Refuse),
        name: "refuse",
        about: "one role cannot connect to another, while others can",
        aim: Aim::Edge,
        keys: &["for", "share", "route", "caller", "shopper", "shoppers"],
        example: "{ name: split, at: 12s, for: 8s, target: order->inventory, kind: refuse, share: 100% }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Cpu),
        name: "cpu",
        about: "busy threads use the processor",
        aim: Aim::RoleOrReplica,
        keys: &["for", "threads"],
        example: "{ name: neighbour, at: 12s, for: 8s, target: product, kind: cpu, threads: 2 }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::Memory),
        name: "memory",
        about: "memory is allocated at an even rate over the fault's time",
        aim: Aim::RoleOrReplica,
        keys: &["for", "size"],
        example: "{ name: leak, at: 12s, for: 8s, target: cart, kind: memory, size: 200MB }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::SlowDatabase),
        name: "slow-database",
        about: "each database operation is delayed",
        aim: Aim::RoleOrReplica,
        keys: &["for", "delay", "jitter", "share"],
        example: "{ name: slow-disk, at: 12s, for: 8s, target: inventory, kind: slow-database, delay: 50ms, jitter: 20ms }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::FailingDatabase),
        name: "failing-database",
        about: "database operations fail",
        aim: Aim::RoleOrReplica,
        keys: &["for", "share"],
        example: "{ name: flaky-disk, at: 12s, for: 8s, target: inventory, kind: failing-database, share: 10% }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::LockedDatabase),
        name: "locked-database",
        about: "another process holds the database's write lock",
        aim: Aim::OneRole,
        keys: &["for"],
        example: "{ name: backup, at: 12s, for: 4s, target: order, kind: locked-database }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::FullDisk),
        name: "full-disk",
        about: "writes to the database fail, reads succeed",
        aim: Aim::RoleOrReplica,
        keys: &["for"],
        example: "{ name: disk-full, at: 12s, for: 8s, target: order, kind: full-disk }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::LeakedConnections),
        name: "leaked-connections",
        about: "connections of the database pool are leaked",
        aim: Aim::RoleOrReplica,
        keys: &["for", "left"],
        example: "{ name: leak, at: 12s, for: 8s, target: product, kind: leaked-connections, left: 1 }",
    },
    KindInfo {
        kind: Kind::Service(ServiceKind::ClockSkew),
        name: "clock-skew",
        about: "the service's clock is wrong",
        aim: Aim::RoleOrReplica,
        keys: &["for", "by"],
        example: "{ name: clock-back, at: 12s, for: 8s, target: user, kind: clock-skew, by: -2h }",
    },
    KindInfo {
        kind: Kind::Process(ProcessKind::Kill),
        name: "kill",
        about: "the process is killed and started again later",
        aim: Aim::OneReplica,
        keys: &["restart"],
        example: "{ name: order-down, at: 30s, target: order/1, kind: kill, restart: 3s }",
    },
    KindInfo {
        kind: Kind::Process(ProcessKind::Pause),
        name: "pause",
        about: "the process is suspended and resumed later",
        aim: Aim::OneReplica,
        keys: &["for"],
        example: "{ name: order-stalls, at: 30s, for: 4s, target: order/1, kind: pause }",
    },
    KindInfo {
        kind: Kind::Process(ProcessKind::Restart),
        name: "restart",
        about: "the process ends gracefully and is started again, as in a deployment",
        aim: Aim::OneReplica,
        keys: &[],
        example: "{ name: deploy, at: 30s, target: order/1, kind: restart }",
    },
    KindInfo {
        kind: Kind::Process(ProcessKind::SlowStart),
        name: "slow-start",
        about: "the process is killed, started again at once, and becomes ready late",
        aim: Aim::OneReplica,
        keys: &["delay"],
        example: "{ name: cold-start, at: 30s, target: product/0, kind: slow-start, delay: 5s }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::Latency),
        name: "tcp-latency",
        about: "data on a connection is delayed",
        aim: Aim::Edge,
        keys: &["for", "delay", "jitter", "share", "direction"],
        example: "{ name: far-bank, at: 12s, for: 8s, target: payment->bank, kind: tcp-latency, delay: 100ms, jitter: 20ms }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::Bandwidth),
        name: "tcp-bandwidth",
        about: "the throughput of a connection is limited",
        aim: Aim::Edge,
        keys: &["for", "rate", "share", "direction"],
        example: "{ name: thin-line, at: 12s, for: 8s, target: gateway->product, kind: tcp-bandwidth, rate: 20KB/s }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::Slicer),
        name: "tcp-slicer",
        about: "data is sent in small pieces",
        aim: Aim::Edge,
        keys: &["for", "size", "variation", "delay", "share", "direction"],
        example: "{ name: crumbs, at: 12s, for: 8s, target: cart->product, kind: tcp-slicer, size: 100B, variation: 50B, delay: 1ms }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::Reset),
        name: "tcp-reset",
        about: "connections are reset, open ones as well as new ones",
        aim: Aim::Edge,
        keys: &["for", "share"],
        example: "{ name: cut-off, at: 12s, for: 2s, target: order/1->inventory, kind: tcp-reset, share: 50% }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::Timeout),
        name: "tcp-timeout",
        about: "data on a connection is dropped",
        aim: Aim::Edge,
        keys: &["for", "share", "direction"],
        example: "{ name: black-hole, at: 12s, for: 4s, target: order->payment, kind: tcp-timeout }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::SlowClose),
        name: "tcp-slow-close",
        about: "the end of a connection is delayed",
        aim: Aim::Edge,
        keys: &["for", "delay", "share", "direction"],
        example: "{ name: lingering, at: 12s, for: 8s, target: gateway->order, kind: tcp-slow-close, delay: 2s }",
    },
    KindInfo {
        kind: Kind::Path(PathKind::Limit),
        name: "tcp-limit",
        about: "a connection is closed after some data",
        aim: Aim::Edge,
        keys: &["for", "size", "share", "direction"],
        example: "{ name: cut-short, at: 12s, for: 8s, target: gateway->product, kind: tcp-limit, size: 50KB }",
    },
];
