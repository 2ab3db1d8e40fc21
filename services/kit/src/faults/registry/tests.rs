//! The registry: faults are accepted or refused, counted and ended.

use std::collections::BTreeMap;

use shop_contract::faults::{Distribution, FaultEffect, MAX_TTL_MS, Only};

use super::super::request_fault::FaultAction;
use super::*;
use crate::config::{Events, Switches};

fn config(role: Role, peers: &[Role]) -> ServiceConfig {
    let address = || vec!["127.0.0.1:1".to_owned()];
    ServiceConfig {
        role,
        replica: 0,
        listen: ([127, 0, 0, 1], 0).into(),
        admin: ([127, 0, 0, 1], 0).into(),
        admin_token: None,
        database_url: String::new(),
        peers: peers
            .iter()
            .map(|&r| (r, address()))
            .collect::<BTreeMap<_, _>>(),
        service_key: String::new(),
        events: Events::Http,
        resilience: Switches::default(),
        seed: 7,
        traces: Default::default(),
    }
}

fn faults() -> Faults {
    let config = config(Role::Payment, &[Role::Bank, Role::User]);
    Faults::new(&config, Metrics::new("payment", "payment-0"))
}

fn order(effect: FaultEffect) -> FaultOrder {
    FaultOrder {
        name: effect.kind().to_owned(),
        ttl_ms: MAX_TTL_MS,
        share: 1.0,
        seed: 7,
        only: Only::default(),
        effect,
    }
}

fn latency(delay_us: u64, jitter_us: u64) -> FaultOrder {
    order(FaultEffect::Latency {
        delay_us,
        jitter_us,
        distribution: Distribution::Uniform,
    })
}

fn some_request(faults: &Faults) -> Vec<Injection> {
    faults.for_request(|| RequestInfo::served(&http::Method::GET, "/", None, None))
}

/// Waits until no fault is active. It does not sweep the registry, so only a timer can have ended the fault.
async fn until_ended(faults: &Faults) {
    while !faults.0.read().active.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An injector that logs its calls.
#[derive(Default, Clone)]
struct FakeInjector(Arc<Mutex<Vec<String>>>);

impl FakeInjector {
    fn log(&self, what: &str) {
        self.0.lock().push(what.to_owned());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

struct FakeGuard(FakeInjector);

impl Drop for FakeGuard {
    fn drop(&mut self) {
        self.0.log("end");
    }
}

impl FaultInjector for FakeInjector {
    fn check(&self, order: &FaultOrder) -> Result<(), FaultRefused> {
        match order.effect {
            FaultEffect::Cpu { threads: 0 } => Err(FaultRefused::Invalid("none".to_owned())),
            _ => Ok(()),
        }
    }

    fn start(&self, order: &FaultOrder, hits: FaultHits) -> FaultGuard {
        self.log(order.effect.kind());
        hits.add();
        Box::new(FakeGuard(self.clone()))
    }
}

#[tokio::test]
async fn a_process_fault_is_started_by_its_injector_and_ends_by_itself() {
    let (faults, injector) = (faults(), FakeInjector::default());
    faults.register(Touches::Process, Arc::new(injector.clone()));
    let refused = faults.inject(order(FaultEffect::Cpu { threads: 0 }));
    assert_eq!(refused, Err(FaultRefused::Invalid("none".to_owned())));
    faults
        .inject(FaultOrder {
            ttl_ms: 20,
            ..order(FaultEffect::Cpu { threads: 1 })
        })
        .unwrap();
    until_ended(&faults).await;
    assert_eq!(injector.all(), ["cpu", "end"]);
    let ended = faults.states().ended;
    assert_eq!((ended[0].name.as_str(), ended[0].hits), ("cpu", 1));
}

#[tokio::test]
async fn a_fault_is_undone_when_it_is_cleared_or_the_service_is_dropped() {
    let (faults, injector) = (faults(), FakeInjector::default());
    faults.register(Touches::Process, Arc::new(injector.clone()));
    faults
        .inject(order(FaultEffect::Cpu { threads: 1 }))
        .unwrap();
    faults.clear("cpu");
    assert_eq!(injector.all(), ["cpu", "end"]);
    faults
        .inject(order(FaultEffect::Cpu { threads: 1 }))
        .unwrap();
    drop(faults);
    assert_eq!(injector.all(), ["cpu", "end", "cpu", "end"]);
}

#[tokio::test]
async fn served_requests_are_hits_of_a_process_fault() {
    let (faults, injector) = (faults(), FakeInjector::default());
    faults.register(Touches::Process, Arc::new(injector));
    faults
        .inject(order(FaultEffect::Cpu { threads: 1 }))
        .unwrap();
    for _ in 0..3 {
        assert!(some_request(&faults).is_empty());
    }
    assert_eq!(faults.clear("cpu").unwrap().hits, 1 + 3);
}

#[tokio::test]
async fn a_fault_without_an_injector_is_refused_with_the_reason() {
    let Err(FaultRefused::Invalid(why)) = faults().inject(order(FaultEffect::FullDisk)) else {
        panic!("accepted");
    };
    assert!(why.contains("payment has no database"), "{why}");
}

#[tokio::test]
async fn an_active_name_and_invalid_values_are_refused() {
    let faults = faults();
    faults.inject(latency(10, 5)).unwrap();
    assert!(matches!(
        faults.inject(latency(10, 5)),
        Err(FaultRefused::NameTaken(_))
    ));
    let with = |only| FaultOrder {
        only,
        ..order(FaultEffect::Abort)
    };
    let route = |r: &str| Only {
        route: Some(r.to_owned()),
        ..Only::default()
    };
    for (wrong, why) in [
        (
            FaultOrder {
                ttl_ms: 0,
                ..order(FaultEffect::Abort)
            },
            "ttl_ms",
        ),
        (
            FaultOrder {
                share: 0.0,
                ..order(FaultEffect::Abort)
            },
            "share",
        ),
        (
            FaultOrder {
                name: "other".to_owned(),
                ..latency(1, 2)
            },
            "jitter_us",
        ),
        (order(FaultEffect::Error { status: 302 }), "status"),
        (order(FaultEffect::SlowBody { bytes_per_s: 0 }), "hang"),
        (order(FaultEffect::Refuse), "only.calling"),
        (with(route("orders")), "template"),
        (
            with(Only {
                calling: Some(Role::Cart),
                ..Only::default()
            }),
            "no address of cart",
        ),
        (
            with(Only {
                calling: Some(Role::Bank),
                caller: Some(Role::Order),
                ..Only::default()
            }),
            "payment itself",
        ),
        (
            with(Only {
                shoppers: Some(1.5),
                ..Only::default()
            }),
            "shoppers",
        ),
        (
            FaultOrder {
                only: route("/orders"),
                ..order(FaultEffect::FullDisk)
            },
            "touches none",
        ),
    ] {
        match faults.inject(wrong.clone()) {
            Err(FaultRefused::Invalid(m)) if m.contains(why) => {}
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    let bank = Faults::new(&config(Role::Bank, &[]), Metrics::new("bank", "bank-0"));
    let by_caller = with(Only {
        caller: Some(Role::Payment),
        ..Only::default()
    });
    assert!(matches!(
        bank.inject(by_caller),
        Err(FaultRefused::Invalid(_))
    ));
}

#[tokio::test]
async fn an_unbounded_distribution_may_have_more_jitter_than_delay() {
    for distribution in [Distribution::Normal, Distribution::Exponential] {
        let wide = FaultEffect::Latency {
            delay_us: 1,
            jitter_us: 2,
            distribution,
        };
        faults().inject(order(wide)).unwrap();
    }
}

#[tokio::test]
async fn a_cleared_fault_reports_its_hits_also_late_ones() {
    let faults = faults();
    faults.inject(latency(10, 0)).unwrap();
    let injections = some_request(&faults);
    injections[0].hit();
    let page = faults.0.metrics.render();
    let line = r#"chaos_fault_active{service_name="payment",service_instance_id="payment-0",fault="latency",kind="latency",target="payment/0"} 1"#;
    assert!(page.contains(line), "{page}");
    assert_eq!(faults.clear("latency").map(|s| s.hits), Some(1));
    assert!(injections[0].ended().is_cancelled());
    injections[0].hit();
    assert_eq!(faults.states().ended[0].hits, 2);
    assert!(some_request(&faults).is_empty());
    assert!(faults.states().active.is_empty());
    assert!(faults.clear("other").is_none());
}

#[tokio::test]
async fn call_faults_do_not_affect_requests_and_the_other_way_round() {
    let faults = faults();
    faults
        .inject(FaultOrder {
            only: Only {
                calling: Some(Role::Bank),
                ..Only::default()
            },
            ..order(FaultEffect::Refuse)
        })
        .unwrap();
    let a_call = |faults: &Faults, to| {
        faults.for_call(|| RequestInfo::calling(to, &http::Method::GET, "/", Role::Payment, None))
    };
    assert!(some_request(&faults).is_empty());
    assert!(a_call(&faults, Role::User).is_empty());
    assert_eq!(a_call(&faults, Role::Bank)[0].action, FaultAction::Refuse);
    faults.clear_all();
    faults.inject(order(FaultEffect::Abort)).unwrap();
    assert!(a_call(&faults, Role::Bank).is_empty());
    assert_eq!(some_request(&faults)[0].action, FaultAction::Abort);
}
