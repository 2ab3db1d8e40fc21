//! Metrics of process, runtime and adaptive limit, read when the metrics are rendered.

use metrics::gauge;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::{names, process};
use crate::Kit;

/// Updates them. Call it before the metrics are rendered, within the runtime that serves.
pub(crate) fn update(kit: &Kit) {
    update_process(kit);
    update_runtime(kit, &Handle::current().metrics());
    if kit.config().resilience.shedding {
        let (limit, in_use) = kit.limiter().limit_and_in_flight();
        kit.metrics().record(|| {
            gauge!(names::LIMIT).set(f64::from(limit));
            gauge!(names::LIMIT_IN_USE).set(f64::from(in_use));
        });
    }
}

fn update_process(kit: &Kit) {
    let (usage, files) = (process::usage(), process::open_files());
    // By the monotonic clock: the time of day may jump.
    let uptime = kit.uptime();
    kit.metrics().record(|| {
        gauge!(names::PROCESS_UPTIME).set(uptime.as_secs_f64());
        if let Some(usage) = usage {
            gauge!(names::PROCESS_MEMORY).set(usage.memory_bytes as f64);
            gauge!(names::PROCESS_THREADS).set(usage.threads as f64);
        }
        if let Some(files) = files {
            gauge!(names::PROCESS_FILES).set(files as f64);
        }
    });
    if let Some(usage) = usage {
        kit.metrics().set_sum(names::PROCESS_CPU, usage.cpu_s);
    }
}

fn update_runtime(kit: &Kit, runtime: &RuntimeMetrics) {
    let workers = runtime.num_workers();
    let busy = (0..workers).map(|w| runtime.worker_total_busy_duration(w));
    let busy_s: f64 = busy.map(|d| d.as_secs_f64()).sum();
    kit.metrics().set_sum(names::RUNTIME_BUSY, busy_s);
    kit.metrics().record(|| {
        gauge!(names::RUNTIME_WORKERS).set(workers as f64);
        gauge!(names::RUNTIME_TASKS).set(runtime.num_alive_tasks() as f64);
        gauge!(names::QUEUE_DEPTH, "queue" => "runtime").set(runtime.global_queue_depth() as f64);
    });
}
