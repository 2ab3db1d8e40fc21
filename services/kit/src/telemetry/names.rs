//! Every metric a service has, with its help text and buckets. Declared once, here.
//!
//! Names follow the OpenTelemetry semantic conventions in their Prometheus spelling; own names stand only where no
//! convention exists.

/// `error_type` of what nobody waits for any more: a request whose caller hung up, an operation of the database whose
/// request is over. Like the code of that name in gRPC.
pub(crate) const CANCELLED: &str = "cancelled";

/// Duration of inbound requests. `http_request_method`, `http_route`, `http_response_status_code`, `error_type`.
pub const HTTP_SERVER_DURATION: &str = "http_server_request_duration_seconds";
/// Requests being served.
pub const HTTP_SERVER_ACTIVE: &str = "http_server_active_requests";
/// Duration of each outbound attempt. `server_address` is the role called, `server_port` its replica's port.
pub const HTTP_CLIENT_DURATION: &str = "http_client_request_duration_seconds";
/// Outbound attempts that were begun, by the replica they were sent to. What is still waiting for its answer, or was given
/// up, is in here and not among the durations.
pub const ATTEMPTS: &str = "shop_client_attempts_total";
/// Duration of database operations.
pub const DB_DURATION: &str = "db_client_operation_duration_seconds";
/// Open connections of a database pool. `db_client_connection_state`: `used` or `idle`.
pub const DB_POOL_COUNT: &str = "db_client_connection_count";
/// The most connections that a database pool opens.
pub const DB_POOL_MAX: &str = "db_client_connection_max";
/// How long a connection of a database pool was waited for.
pub const DB_POOL_WAIT: &str = "db_client_connection_wait_time_seconds";
/// Waits for a connection of a database pool that were in vain.
pub const DB_POOL_TIMEOUTS: &str = "db_client_connection_timeouts_total";
/// The label that tells pools apart: `write`, `read`, or `shared` by both.
pub const DB_POOL_NAME: &str = "db_client_connection_pool_name";
/// Events handed to a subscriber.
pub const MESSAGING_SENT: &str = "messaging_client_sent_messages_total";
/// Events received.
pub const MESSAGING_CONSUMED: &str = "messaging_client_consumed_messages_total";
/// Duration of handling one event.
pub const MESSAGING_PROCESS: &str = "messaging_process_duration_seconds";
/// Orders that reached an end. `outcome`: `confirmed`, or the reason they were cancelled for.
pub const ORDERS: &str = "shop_orders_total";
/// Money taken for confirmed orders.
pub const REVENUE: &str = "shop_revenue_minor_total";
/// State of the breaker towards a peer's replica.
pub const BREAKER_STATE: &str = "shop_circuit_breaker_state";
/// Attempts beyond the first.
pub const RETRIES: &str = "shop_client_retries_total";
/// Reads that were asked for a second time. `outcome`: `won` where the second answer was taken, else `lost`.
pub const HEDGES: &str = "shop_client_hedges_total";
/// Calls under way to a peer.
pub const BULKHEAD_IN_USE: &str = "shop_bulkhead_in_use";
/// Calls to a peer that were not made because too many were under way.
pub const BULKHEAD_REJECTED: &str = "shop_bulkhead_rejected_total";
/// Requests refused to protect the service. `reason`: `full` and `reserved` by the limit, `database` where no
/// connection became free, `rate_limited` at the gateway.
pub const SHED: &str = "shop_requests_shed_total";
/// Events waiting in the outbox.
pub const OUTBOX_PENDING: &str = "shop_outbox_pending";
/// What waits in a queue. `queue`: a destination of events, `mail`, or `runtime` for tasks that no worker has taken yet.
pub const QUEUE_DEPTH: &str = "shop_queue_depth";
/// Messages to customers that reached an end. `channel`, `outcome`.
pub const NOTIFICATIONS: &str = "shop_notifications_total";
/// Look-ups in a cache. `cache` is its name, `result` is `hit` or `miss`.
pub const CACHE_REQUESTS: &str = "shop_cache_requests_total";
/// Entries of a cache.
pub const CACHE_ENTRIES: &str = "shop_cache_entries";
/// Answers with less in them than they should have, because something that they need did not help. `reason` says why.
pub const DEGRADED: &str = "shop_degraded_answers_total";
/// Traces that began here. `sampled`: whether they are kept.
pub const TRACES_STARTED: &str = "shop_traces_started_total";
/// How many new traces are kept a second at most; 0 is no limit.
pub const TRACES_LIMIT: &str = "shop_traces_per_second_limit";
/// 1 while a fault is in force.
pub const FAULT_ACTIVE: &str = "chaos_fault_active";
/// Requests that a fault touched.
pub const FAULT_HITS: &str = "chaos_fault_hits_total";

/// Requests that failed here, of which the histogram shows none before the first: `error_type` as in the histogram.
pub const FAILED: &str = "shop_requests_failed_total";
/// Requests whose time was over. `at`: `arrival`, so that nothing was begun, or `work`.
pub const DEADLINES_MISSED: &str = "shop_deadlines_missed_total";
/// Steps of shoppers through the shop, at the gateway. `step`: `list`, `search`, `product`, `cart`, `checkout`, `confirmed`.
pub const FUNNEL: &str = "shop_funnel_steps_total";
/// How many requests the adaptive limit lets a service work on at a time. Absent where shedding is switched off.
pub const LIMIT: &str = "shop_concurrency_limit";
/// How many it is working on, of those. Absent where shedding is switched off.
pub const LIMIT_IN_USE: &str = "shop_concurrency_in_use";
/// Time that the runtime's workers were busy, all together.
pub const RUNTIME_BUSY: &str = "shop_runtime_busy_seconds_total";
/// Threads that the runtime polls tasks on.
pub const RUNTIME_WORKERS: &str = "shop_runtime_workers";
/// Tasks that have not ended.
pub const RUNTIME_TASKS: &str = "shop_runtime_tasks";
/// CPU time of the process, user and system together, in the system's ticks of usually 10 ms.
pub const PROCESS_CPU: &str = "process_cpu_time_seconds_total";
/// Resident memory of the process.
pub const PROCESS_MEMORY: &str = "process_memory_usage_bytes";
/// Open file descriptors of the process, its sockets among them.
pub const PROCESS_FILES: &str = "process_open_file_descriptor_count";
/// Threads of the process.
pub const PROCESS_THREADS: &str = "process_thread_count";
/// Time since the service was started, by a steady clock.
pub const PROCESS_UPTIME: &str = "process_uptime_seconds";
/// Always 1: what there is to say of a service that is no figure. `service_version`.
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
    (DB_POOL_TIMEOUTS, "Waits for a connection that were in vain"),
    (MESSAGING_SENT, "Events handed to a subscriber"),
    (MESSAGING_CONSUMED, "Events received"),
    (MESSAGING_PROCESS, "Duration of handling one event"),
    (ORDERS, "Orders that reached an end, by outcome"),
    (REVENUE, "Money taken for confirmed orders, in minor units"),
    (
        BREAKER_STATE,
        "Breaker towards a peer's replica: 0 closed, 1 half-open, 2 open",
    ),
    (RETRIES, "Attempts beyond the first"),
    (
        HEDGES,
        "Reads that were asked for a second time, by who was quicker",
    ),
    (BULKHEAD_IN_USE, "Calls under way to a peer"),
    (
        BULKHEAD_REJECTED,
        "Calls not made because too many were under way",
    ),
    (SHED, "Requests refused to protect the service"),
    (OUTBOX_PENDING, "Events waiting in the outbox"),
    (QUEUE_DEPTH, "What waits in a queue"),
    (
        NOTIFICATIONS,
        "Messages to customers, by channel and what became of them",
    ),
    (CACHE_REQUESTS, "Look-ups in a cache, by result"),
    (CACHE_ENTRIES, "Entries of a cache"),
    (DEGRADED, "Answers given without a part, by reason"),
    (TRACES_STARTED, "Traces that began here"),
    (
        TRACES_LIMIT,
        "New traces kept a second at most, 0 for no limit",
    ),
    (FAULT_ACTIVE, "1 while a fault is in force"),
    (FAULT_HITS, "Requests that a fault touched"),
    (
        FAILED,
        "Requests that failed here, by what they failed with",
    ),
    (
        DEADLINES_MISSED,
        "Requests whose time was over when they came, or before they were answered",
    ),
    (FUNNEL, "Steps of shoppers through the shop"),
    (LIMIT, "Requests that the adaptive limit lets in at a time"),
    (LIMIT_IN_USE, "Requests that the adaptive limit has let in"),
    (RUNTIME_BUSY, "Time that the runtime's workers were busy"),
    (RUNTIME_WORKERS, "Threads that the runtime polls tasks on"),
    (RUNTIME_TASKS, "Tasks that have not ended"),
    (PROCESS_CPU, "CPU time of the process"),
    (PROCESS_MEMORY, "Resident memory of the process"),
    (PROCESS_FILES, "Open file descriptors of the process"),
    (PROCESS_THREADS, "Threads of the process"),
    (PROCESS_UPTIME, "Time since the service was started"),
    (TARGET_INFO, "The service that is scraped"),
];

/// Seconds. The convention's own buckets begin at 5 ms; on one machine most requests are faster than that.
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
