//! The harness's own metrics: the load, and the faults that no service can export, because its process is down or paused or
//! because the fault is on a network path.
//!
//! The page is one of the scrape targets of a run.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chaos::{KINDS, KindInfo};
use loadgen::metrics::{self as load_metrics, SharedRecorder};
use loadgen::spec::Load;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use results::record::{FaultEvent, FaultEventKind};
use shop_kit::auth::{bearer, constant_time_eq};
use shop_kit::telemetry::metrics::{MEDIA_TYPE, Metrics};
use shop_kit::telemetry::names::{FAULT_ACTIVE, FAULT_HITS, HELP};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::environment::ADMIN_TOKEN;

/// The name of the harness in `service_name`.
pub(crate) const LOADGEN: &str = "loadgen";
/// Gauge: 1 for the current phase of the load.
const PHASE: &str = "loadgen_phase_active";

/// The shortest time for which a fault is exported. A restart may be shorter than the time between two scrapes.
const MIN_EXPORT: Duration = Duration::from_secs(3);

/// The harness's metrics. Clones share them.
#[derive(Clone)]
pub(crate) struct HarnessMetrics {
    metrics: Metrics,
    phases: Arc<[(String, Duration)]>,
    /// Ended faults that are still exported.
    ended: Arc<Mutex<Vec<EndedFault>>>,
    /// The start of each fault that is in force.
    started: Arc<Mutex<BTreeMap<String, Instant>>>,
}

/// A fault that has ended and is exported until an instant.
struct EndedFault {
    until: Instant,
    event: FaultEvent,
}

impl HarnessMetrics {
    /// Declares the metrics of a load.
    pub(crate) fn of(load: &Load) -> Self {
        let metrics = Metrics::new(LOADGEN, "loadgen-0")
            .with_buckets(load_metrics::LATENESS, load_metrics::LATENESS_BUCKETS);
        let phases = load.phases.iter().map(|p| (p.name.clone(), p.lasts));
        let declared = Self {
            metrics,
            phases: phases.collect(),
            ended: Arc::default(),
            started: Arc::default(),
        };
        declared.metrics.record(|| {
            for (name, text) in load_metrics::HELP {
                // The recorder keeps a help text by name, whatever the type of the metric.
                describe_histogram!(*name, *text);
            }
            describe_gauge!(PHASE, "1 for the current phase of the load");
            for (name, text) in HELP.iter().filter(|(name, _)| *name == FAULT_HITS) {
                describe_counter!(*name, *text);
            }
        });
        // Workers declare these as well, but only when they start, and Prometheus may scrape earlier.
        load_metrics::declare(declared.recorder());
        declared.set_phase(None);
        declared
    }

    /// The recorder of the load generator's metrics.
    pub(crate) fn recorder(&self) -> SharedRecorder {
        self.metrics.recorder()
    }

    /// Sets the current time of the load, in seconds from its start.
    pub(crate) fn set_time(&self, t_s: f64) {
        let mut end = Duration::ZERO;
        let now = self.phases.iter().position(|(_, lasts)| {
            end += *lasts;
            // A second belongs to the phase in which it ends. The last second belongs to the last phase.
            t_s <= end.as_secs_f64()
        });
        self.set_phase(now);
    }

    fn set_phase(&self, now: Option<usize>) {
        self.metrics.record(|| {
            for (n, (phase, _)) in self.phases.iter().enumerate() {
                let active = if now == Some(n) { 1.0 } else { 0.0 };
                gauge!(PHASE, "phase" => phase.clone()).set(active);
            }
        });
    }

    /// Takes an event of a fault. In-service faults are skipped, because the service itself exports them.
    pub(crate) fn fault(&self, event: &FaultEvent, now: Instant) {
        let info = KINDS.iter().find(|info| info.name == event.kind);
        if !info.is_some_and(KindInfo::is_external) {
            return;
        }
        match event.event {
            FaultEventKind::InForce => {
                locked(&self.started).insert(event.fault.clone(), now);
                self.export(event, 1.0);
            }
            FaultEventKind::Ended => {
                let started = locked(&self.started).remove(&event.fault).unwrap_or(now);
                let (until, event) = (started + MIN_EXPORT, event.clone());
                locked(&self.ended).push(EndedFault { until, event });
            }
            FaultEventKind::Asked | FaultEventKind::Refused => {}
        }
    }

    /// Renders the page.
    fn page(&self, now: Instant) -> String {
        let expired: Vec<EndedFault> = locked(&self.ended)
            .extract_if(.., |fault| fault.until <= now)
            .collect();
        for fault in expired {
            self.export(&fault.event, 0.0);
        }
        self.metrics.render()
    }

    fn export(&self, event: &FaultEvent, active: f64) {
        let FaultEvent {
            fault,
            kind,
            target,
            ..
        } = event;
        self.metrics.record(|| {
            gauge!(FAULT_ACTIVE, "fault" => fault.clone(), "kind" => kind.clone(), "target" => target.clone())
                .set(active);
            counter!(FAULT_HITS, "fault" => fault.clone()).absolute(event.hits.unwrap_or_default());
        });
    }
}

/// The server of the page. Dropping this closes it.
pub(crate) struct MetricsServer {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl MetricsServer {
    /// The default address: any free port of the loopback.
    pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Serves the page at an address. It requires the token of the admin listeners, if the environment sets one.
    ///
    /// # Errors
    /// The address is not available, or is not on the loopback while there is no token.
    pub(crate) async fn bind(at: SocketAddr, metrics: &HarnessMetrics) -> Result<Self> {
        let token = std::env::var(ADMIN_TOKEN).ok().filter(|t| !t.is_empty());
        if !at.ip().is_loopback() && token.is_none() {
            bail!(
                "the address {at} for the harness's metrics can be reached from other machines; set {ADMIN_TOKEN}, or choose a loopback address with --metrics"
            );
        }
        let taken = || {
            format!(
                "the address {at} for the harness's metrics is not available; choose another with --metrics (port 0 takes any free one)"
            )
        };
        let listener = TcpListener::bind(at).await.with_context(taken)?;
        Self::on(listener, token, metrics)
    }

    /// Serves the page on a listener. It requires the token, if there is one.
    ///
    /// # Errors
    /// The listener has no address.
    pub(crate) fn on(
        listener: TcpListener,
        token: Option<String>,
        metrics: &HarnessMetrics,
    ) -> Result<Self> {
        let address = listener
            .local_addr()
            .context("the harness's metrics have no address")?;
        let routes = Router::new()
            .route("/metrics", get(page))
            .with_state((metrics.clone(), token))
            .route("/livez", get(|| async { "live\n" }))
            .route("/readyz", get(|| async { "ready\n" }));
        let task = tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, routes).await {
                tracing::warn!(error = %e, "the server of the harness's metrics has ended");
            }
        });
        Ok(Self {
            address,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// The address of the page.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn page(
    State((metrics, token)): State<(HarnessMetrics, Option<String>)>,
    headers: HeaderMap,
) -> Response {
    let given = bearer(&headers).unwrap_or_default();
    if token.is_some_and(|token| !constant_time_eq(given.as_bytes(), token.as_bytes())) {
        return (
            StatusCode::UNAUTHORIZED,
            "this page needs its bearer token\n",
        )
            .into_response();
    }
    (
        [(header::CONTENT_TYPE, MEDIA_TYPE)],
        metrics.page(Instant::now()),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syntax::Document;

    /// The load of the demo.
    fn demo_load() -> Load {
        let text = include_str!("../scenarios/demo.yaml");
        let document = Document::parse("demo.yaml", text).unwrap();
        let mut map = document.root().map().unwrap();
        map.required("load", Load::read).unwrap()
    }

    fn event(kind: &str, what: FaultEventKind, hits: Option<u64>) -> FaultEvent {
        FaultEvent {
            t_s: 1.0,
            fault: "f".to_owned(),
            kind: kind.to_owned(),
            target: "order/1".to_owned(),
            event: what,
            hits,
            detail: None,
        }
    }

    #[test]
    fn the_page_has_the_phase_and_the_process_faults() {
        let metrics = HarnessMetrics::of(&demo_load());
        let zero = Instant::now();
        let after = |seconds| zero + Duration::from_secs(seconds);
        let has_after = |seconds, line: &str| {
            let page = metrics.page(after(seconds));
            let there = page.lines().any(|l| {
                l.replace(
                    r#"service_name="loadgen",service_instance_id="loadgen-0","#,
                    "",
                ) == line
            });
            assert!(there, "no `{line}` in\n{page}");
        };
        let has = |line: &str| has_after(0, line);
        has(r#"loadgen_phase_active{phase="warm-up"} 0.0"#);
        metrics.set_time(5.0);
        has(r#"loadgen_phase_active{phase="warm-up"} 1.0"#);
        metrics.set_time(6.0);
        has(r#"loadgen_phase_active{phase="warm-up"} 0.0"#);
        has(r#"loadgen_phase_active{phase="steady"} 1.0"#);
        metrics.set_time(51.0);
        has(r#"loadgen_phase_active{phase="recovery"} 0.0"#);

        metrics.fault(&event("latency", FaultEventKind::InForce, None), zero);
        assert!(!metrics.metrics.render().contains(FAULT_ACTIVE));
        metrics.fault(&event("kill", FaultEventKind::InForce, None), zero);
        has(r#"chaos_fault_active{fault="f",kind="kill",target="order/1"} 1.0"#);
        has(r#"chaos_fault_hits_total{fault="f"} 0"#);
        metrics.fault(&event("kill", FaultEventKind::Ended, Some(7)), after(1));
        // Short, but exported for the shortest time.
        has_after(
            2,
            r#"chaos_fault_active{fault="f",kind="kill",target="order/1"} 1.0"#,
        );
        has_after(2, r#"chaos_fault_hits_total{fault="f"} 0"#);
        has_after(
            3,
            r#"chaos_fault_active{fault="f",kind="kill",target="order/1"} 0.0"#,
        );
        has_after(3, r#"chaos_fault_hits_total{fault="f"} 7"#);
    }
}
