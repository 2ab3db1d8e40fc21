//! The harness's own page of metrics: what the crowd does and meets, and the faults that no service can show itself,
//! because its process is dead or paused, or because they lie on the way to it.
//!
//! Served beside the services' pages and listed among the scrape targets of a run.

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
use shop_kit::auth::{bearer, same};
use shop_kit::telemetry::metrics::{MEDIA_TYPE, Metrics};
use shop_kit::telemetry::names::{FAULT_ACTIVE, FAULT_HITS, HELP};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::serve::ADMIN_TOKEN;

/// What the harness is called where the services have their roles.
pub(crate) const LOADGEN: &str = "loadgen";
/// 1 for the phase of the load that is in force.
const PHASE: &str = "loadgen_phase_active";

/// How long a fault is shown at least: a restart may be over in less than the time between two scrapes, and a fault that
/// nobody sees is none.
const SHOWN: Duration = Duration::from_secs(3);

/// The harness's figures. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Figures {
    metrics: Metrics,
    phases: Arc<[(String, Duration)]>,
    /// Faults that are over and still to be shown.
    over: Arc<Mutex<Vec<Over>>>,
    /// When each fault began that is shown.
    begun: Arc<Mutex<BTreeMap<String, Instant>>>,
}

/// A fault that is over, and until when it is shown.
struct Over {
    until: Instant,
    event: FaultEvent,
}

impl Figures {
    /// The figures of a load, declared as far as they are known beforehand.
    pub(crate) fn of(load: &Load) -> Self {
        let metrics = Metrics::new(LOADGEN, "loadgen-0")
            .with_buckets(load_metrics::LATENESS, load_metrics::LATENESS_BUCKETS);
        let phases = load.phases.iter().map(|p| (p.name.clone(), p.lasts));
        let shown = Self {
            metrics,
            phases: phases.collect(),
            over: Arc::default(),
            begun: Arc::default(),
        };
        shown.metrics.record(|| {
            for (name, text) in load_metrics::HELP {
                // A recorder here keeps a help text by its name alone, whatever it is of.
                describe_histogram!(*name, *text);
            }
            describe_gauge!(PHASE, "1 for the phase of the load that is in force");
            for (name, text) in HELP.iter().filter(|(name, _)| *name == FAULT_HITS) {
                describe_counter!(*name, *text);
            }
        });
        // Nothing has begun.
        shown.phase(None);
        shown
    }

    /// Where the load tells its own.
    pub(crate) fn recorder(&self) -> SharedRecorder {
        self.metrics.recorder()
    }

    /// The load has come so far, in seconds from its start.
    pub(crate) fn at(&self, t_s: f64) {
        let mut end = Duration::ZERO;
        let now = self.phases.iter().position(|(_, lasts)| {
            end += *lasts;
            // A second belongs to the phase it ends in; the load's last one to the last phase.
            t_s <= end.as_secs_f64()
        });
        self.phase(now);
    }

    fn phase(&self, now: Option<usize>) {
        self.metrics.record(|| {
            for (n, (phase, _)) in self.phases.iter().enumerate() {
                let active = if now == Some(n) { 1.0 } else { 0.0 };
                gauge!(PHASE, "phase" => phase.clone()).set(active);
            }
        });
    }

    /// Something that happened to a fault. Those that a service holds are on its own page, and not here again.
    pub(crate) fn fault(&self, event: &FaultEvent, now: Instant) {
        let info = KINDS.iter().find(|info| info.name == event.kind);
        if !info.is_some_and(KindInfo::is_from_outside) {
            return;
        }
        match event.event {
            FaultEventKind::InForce => {
                locked(&self.begun).insert(event.fault.clone(), now);
                self.show(event, 1.0);
            }
            FaultEventKind::Ended => {
                let begun = locked(&self.begun).remove(&event.fault).unwrap_or(now);
                let (until, event) = (begun + SHOWN, event.clone());
                locked(&self.over).push(Over { until, event });
            }
            FaultEventKind::Asked | FaultEventKind::Refused => {}
        }
    }

    /// The page, as it is to be seen now.
    fn page(&self, now: Instant) -> String {
        let seen: Vec<Over> = locked(&self.over)
            .extract_if(.., |over| over.until <= now)
            .collect();
        for over in seen {
            self.show(&over.event, 0.0);
        }
        self.metrics.render()
    }

    fn show(&self, event: &FaultEvent, active: f64) {
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

/// The page, open as long as this lives.
pub(crate) struct Page {
    address: SocketAddr,
    _served: AbortOnDropHandle<()>,
}

impl Page {
    /// Where it is when nobody says otherwise: at any free port.
    pub(crate) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    /// Opens the page. Where the environment sets a token for admin listeners, it asks for it, as they do.
    ///
    /// # Errors
    /// An address that cannot be had, or that can be reached from outside while there is no token.
    pub(crate) async fn open(at: SocketAddr, figures: &Figures) -> Result<Self> {
        let token = std::env::var(ADMIN_TOKEN).ok().filter(|t| !t.is_empty());
        if !at.ip().is_loopback() && token.is_none() {
            bail!(
                "the address {at} for the harness's metrics can be reached from outside, where they could be read by anyone; set {ADMIN_TOKEN}, or choose a loopback address with --metrics"
            );
        }
        let taken = || {
            format!(
                "the address {at} for the harness's metrics cannot be had; choose another with --metrics (port 0 takes any free one)"
            )
        };
        let listener = TcpListener::bind(at).await.with_context(taken)?;
        Self::on(listener, token, figures)
    }

    /// Opens the page where a place was taken for it. It asks for the token.
    ///
    /// # Errors
    /// A listener that has no address.
    pub(crate) fn on(
        listener: TcpListener,
        token: Option<String>,
        figures: &Figures,
    ) -> Result<Self> {
        let address = listener
            .local_addr()
            .context("the harness's metrics have no address")?;
        let routes = Router::new()
            .route("/metrics", get(page))
            .with_state((figures.clone(), token))
            .route("/livez", get(|| async { "live\n" }))
            .route("/readyz", get(|| async { "ready\n" }));
        let served = tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, routes).await {
                tracing::warn!(error = %e, "the harness's metrics are served no more");
            }
        });
        Ok(Self {
            address,
            _served: AbortOnDropHandle::new(served),
        })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn page(
    State((figures, token)): State<(Figures, Option<String>)>,
    headers: HeaderMap,
) -> Response {
    let shown = bearer(&headers).unwrap_or_default();
    if token.is_some_and(|token| !same(shown.as_bytes(), token.as_bytes())) {
        return (
            StatusCode::UNAUTHORIZED,
            "this page needs its bearer token\n",
        )
            .into_response();
    }
    (
        [(header::CONTENT_TYPE, MEDIA_TYPE)],
        figures.page(Instant::now()),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{DEMO, DEMO_PATH, Scenario};

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
    fn the_page_tells_the_phase_and_the_faults_that_no_service_can() {
        let demo = Scenario::parse(DEMO_PATH, DEMO, None).unwrap();
        let figures = Figures::of(&demo.load);
        let zero = Instant::now();
        let after = |seconds| zero + Duration::from_secs(seconds);
        let has_after = |seconds, line: &str| {
            let page = figures.page(after(seconds));
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
        figures.at(5.0);
        has(r#"loadgen_phase_active{phase="warm-up"} 1.0"#);
        figures.at(6.0);
        has(r#"loadgen_phase_active{phase="warm-up"} 0.0"#);
        has(r#"loadgen_phase_active{phase="steady"} 1.0"#);
        figures.at(51.0);
        has(r#"loadgen_phase_active{phase="recovery"} 0.0"#);

        figures.fault(&event("latency", FaultEventKind::InForce, None), zero);
        assert!(!figures.metrics.render().contains(FAULT_ACTIVE));
        figures.fault(&event("kill", FaultEventKind::InForce, None), zero);
        has(r#"chaos_fault_active{fault="f",kind="kill",target="order/1"} 1.0"#);
        has(r#"chaos_fault_hits_total{fault="f"} 0"#);
        figures.fault(&event("kill", FaultEventKind::Ended, Some(7)), after(1));
        // Over in no time, and to be seen all the same.
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
