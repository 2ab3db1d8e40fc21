//! The names, help texts and buckets of all metrics of a service.
//!
//! Names follow the OpenTelemetry semantic conventions in Prometheus spelling, and are our own only where no convention exists.

/// The `error_type` of abandoned work: a request whose caller disconnected, a database operation whose request has ended. Named
/// like gRPC's code.
pub(crate) const CANCELLED: &str = "cancelled";

/// Duration of inbound requests. `http_request_method`, `http_route`, `http_response_status_code`, `error_type`.
pub const HTTP_SERVER_DURATION: &str = "http_server_request_duration_seconds";
/// Requests being served.
pub const HTTP_SERVER_ACTIVE: &str = "http_server_active_requests";
/// Duration of each outbound attempt. `server_address` is the role of the callee, `server_port` the port of its replica.
pub const HTTP_CLIENT_DURATION: &str = "http_client_request_duration_seconds";
/// Outbound attempts started, by replica. Includes attempts that still wait or were abandoned, which have no duration.
pub const ATTEMPTS: &str = "shop_client_attempts_total";
/// Duration of database operations.
pub const DB_DURATION: &str = "db_client_operation_duration_seconds";
/// Open connections of a database pool. `db_client_connection_state`: `used` or `idle`.
pub const DB_POOL_COUNT: &str = "db_client_connection_count";
/// The largest number of connections of a database pool.
pub const DB_POOL_MAX: &str = "db_client_connection_max";
/// Time spent waiting for a connection of a database pool.
pub const DB_POOL_WAIT: &str = "db_client_connection_wait_time_seconds";
/// Waits for a connection of a database pool that timed out.
pub const DB_POOL_TIMEOUTS: &str = "db_client_connection_timeouts_total";
/// The label of the pool: `write`, `read`, or `shared` for both.
pub const DB_POOL_NAME: &str = "db_client_connection_pool_name";
/// Events delivered to a subscriber.
pub const MESSAGING_SENT: &str = "messaging_client_sent_messages_total";
/// Events received.
pub const MESSAGING_CONSUMED: &str = "messaging_client_consumed_messages_total";
/// Duration of processing one event.
pub const MESSAGING_PROCESS: &str = "messaging_process_duration_seconds";
/// Orders that reached a final state. `outcome`: `confirmed`, or the reason of the cancellation.
pub const ORDERS: &str = "shop_orders_total";
/// Money taken for confirmed orders.
pub const REVENUE: &str = "shop_revenue_minor_total";
/// State of the circuit breaker for a replica of a peer.
pub const BREAKER_STATE: &str = "shop_circuit_breaker_state";
/// Attempts beyond the first.
pub const RETRIES: &str = "shop_client_retries_total";
/// Hedged reads. `outcome`: `won` if the response of the second attempt was used, else `lost`.
pub const HEDGES: &str = "shop_client_hedges_total";
/// Calls in progress to a peer.
pub const BULKHEAD_IN_USE: &str = "shop_bulkhead_in_use";
/// Calls to a peer that were not sent because the bulkhead was full.
pub const BULKHEAD_REJECTED: &str = "shop_bulkhead_rejected_total";
/// Requests refused to protect the service. `reason`: `full` or `reserved` by the adaptive limit, `database` if no connection
/// became free, `rate_limited` at the gateway.
pub const SHED: &str = "shop_requests_shed_total";
/// Events waiting in the outbox.
pub const OUTBOX_PENDING: &str = "shop_outbox_pending";
/// The length of a queue. `queue`: a destination of events, `mail`, or `runtime` for tasks that wait for a worker thread.
pub const QUEUE_DEPTH: &str = "shop_queue_depth";
/// Messages to customers that reached a final state. `channel`, `outcome`.
pub const NOTIFICATIONS: &str = "shop_notifications_total";
/// Look-ups in a cache. `cache` is its name, `result` is `hit` or `miss`.
pub const CACHE_REQUESTS: &str = "shop_cache_requests_total";
/// Entries of a cache.
pub const CACHE_ENTRIES: &str = "shop_cache_entries";
/// Responses that left a part out, because a dependency failed. `reason`: why.
pub const DEGRADED: &str = "shop_degraded_answers_total";
/// Traces that began here. `sampled`: `true` or `false`.
pub const TRACES_STARTED: &str = "shop_traces_started_total";
/// The limit of new sampled traces a second; 0 is no limit.
pub const TRACES_LIMIT: &str = "shop_traces_per_second_limit";
/// 1 while a fault is active.
pub const FAULT_ACTIVE: &str = "chaos_fault_active";
/// Requests, or pieces of database work, that a fault changed.
pub const FAULT_HITS: &str = "chaos_fault_hits_total";

/// Failed requests, declared at zero, unlike the series of the histogram. `error_type` as in the histogram.
pub const FAILED: &str = "shop_requests_failed_total";
/// Requests that missed their deadline. `at`: `arrival`, before any work, or `work`.
pub const DEADLINES_MISSED: &str = "shop_deadlines_missed_total";
/// Steps of shoppers through the shop, at the gateway. `step`: `list`, `search`, `product`, `cart`, `checkout`, `confirmed`.
pub const FUNNEL: &str = "shop_funnel_steps_total";
/// The adaptive limit on requests in progress. Absent if shedding is switched off.
pub const LIMIT: &str = "shop_concurrency_limit";
/// The requests in progress that count against the adaptive limit. Absent if shedding is switched off.
pub const LIMIT_IN_USE: &str = "shop_concurrency_in_use";
/// Busy time of all worker threads of the runtime.
pub const RUNTIME_BUSY: &str = "shop_runtime_busy_seconds_total";
/// Worker threads of the runtime.
pub const RUNTIME_WORKERS: &str = "shop_runtime_workers";
/// Tasks of the runtime that are alive.
pub const RUNTIME_TASKS: &str = "shop_runtime_tasks";
/// CPU time of the process, user and system, at the resolution of the system's clock tick of usually 10 ms.
pub const PROCESS_CPU: &str = "process_cpu_time_seconds_total";
/// Resident memory of the process.
pub const PROCESS_MEMORY: &str = "process_memory_usage_bytes";
/// Open file descriptors of the process, its sockets among them.
pub const PROCESS_FILES: &str = "process_open_file_descriptor_count";
/// Threads of the process.
pub const PROCESS_THREADS: &str = "process_thread_count";
/// Time since the start of the service, by a monotonic clock.
pub const PROCESS_UPTIME: &str = "process_uptime_seconds";
/// Always 1; its labels describe the service: `service_version`.
pub const TARGET_INFO: &str = "target_info";

/// Name and help text of every metric.
pub const HELP: &[(&str, &str)] = &[
    (HTTP_SERVER_DURATION, "Duration of inbound requests"),
    (HTTP_SERVER_ACTIVE, "Requests being served"),
    (HTTP_CLIENT_DURATION, "Duration of each outbound attempt"),
    (ATTEMPTS, "Outbound attempts that were begun"),
    (DB_DURATION, "Duration of database operations"),
    (DB_POOL_COUNT, "Open connections of a database pool"),
    (DB_POOL_MAX, "Most connections of a database pool"),
    (DB_POOL_WAIT, "Wait for a connection of a database pool"),
    (DB_POOL_TIMEOUTS, "Waits for a connection that timed out"),
    (MESSAGING_SENT, "Events delivered to a subscriber"),
    (MESSAGING_CONSUMED, "Events received"),
    (MESSAGING_PROCESS, "Duration of processing one event"),
    (ORDERS, "Orders that reached a final state, by outcome"),
    (REVENUE, "Money taken for confirmed orders, in minor units"),
    (
        BREAKER_STATE,
        "Circuit breaker for a replica of a peer: 0 closed, 1 half-open, 2 open",
    ),
    (RETRIES, "Attempts beyond the first"),
    (HEDGES, "Hedged reads, by whether the second attempt won"),
    (BULKHEAD_IN_USE, "Calls in progress to a peer"),
    (
        BULKHEAD_REJECTED,
        "Calls not sent because the bulkhead was full",
    ),
    (SHED, "Requests refused to protect the service"),
    (OUTBOX_PENDING, "Events waiting in the outbox"),
    (QUEUE_DEPTH, "Length of a queue"),
    (
        NOTIFICATIONS,
        "Messages to customers, by channel and outcome",
    ),
    (CACHE_REQUESTS, "Look-ups in a cache, by result"),
    (CACHE_ENTRIES, "Entries of a cache"),
    (DEGRADED, "Responses that left a part out, by reason"),
    (TRACES_STARTED, "Traces that began here"),
    (
        TRACES_LIMIT,
        "Limit of new sampled traces a second, 0 for no limit",
    ),
    (FAULT_ACTIVE, "1 while a fault is active"),
    (
        FAULT_HITS,
        "Requests or pieces of database work that a fault changed",
    ),
    (FAILED, "Failed requests, by error"),
    (
        DEADLINES_MISSED,
        "Requests that missed their deadline, on arrival or during the work",
    ),
    (FUNNEL, "Steps of shoppers through the shop"),
    (LIMIT, "Adaptive limit on requests in progress"),
    (
        LIMIT_IN_USE,
        "Requests in progress under the adaptive limit",
    ),
    (RUNTIME_BUSY, "Busy time of the runtime's worker threads"),
    (RUNTIME_WORKERS, "Worker threads of the runtime"),
    (RUNTIME_TASKS, "Tasks of the runtime that are alive"),
    (PROCESS_CPU, "CPU time of the process"),
    (PROCESS_MEMORY, "Resident memory of the process"),
    (PROCESS_FILES, "Open file descriptors of the process"),
    (PROCESS_THREADS, "Threads of the process"),
    (PROCESS_UPTIME, "Time since the start of the service"),
    (TARGET_INFO, "Labels that describe the service"),
];

/// Seconds. The convention's buckets begin at 5 ms; on one machine most requests are faster.
const HTTP_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];
/// Seconds, from the convention for database clients, with two finer ones for SQLite.
const DB_BUCKETS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
];

/// The buckets of a histogram, in seconds.
pub fn buckets(name: &str) -> &'static [f64] {
    if matches!(name, DB_DURATION | DB_POOL_WAIT) {
        DB_BUCKETS
    } else {
        HTTP_BUCKETS
    }
}
