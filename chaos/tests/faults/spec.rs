//! Faults are read from scenarios, and all mistakes are reported in one pass, each with its position.

use std::time::Duration;

use chaos::spec::{self, Shop, read, write_fault};
use chaos::{
    Begin, COMMON_KEYS, Direction, Fault, FaultKind, KINDS, PathEffect, PathFault, ProcessFault,
    ServiceFault, Target,
};
use shop_contract::Role;
use shop_contract::faults::{Distribution, FaultEffect};
use syntax::Document;

fn shop() -> Shop {
    let replicas = [("bank", 1), ("order", 2), ("cart", 3)];
    Shop {
        replicas: replicas.map(|(role, n)| (role.to_owned(), n)).into(),
        duration: Duration::from_secs(50),
    }
}

/// Every role, with two replicas each.
fn whole_shop() -> Shop {
    let replicas = Role::ALL.map(|role| (role.name().to_owned(), 2));
    Shop {
        replicas: replicas.into(),
        ..shop()
    }
}

/// The faults, or all mistakes as `line:column: message`.
fn faults(text: &str) -> Result<Vec<Fault>, Vec<String>> {
    let document = Document::parse("x.yaml", text).unwrap();
    let faults = read(document.root(), &shop());
    match document.finish() {
        Ok(()) => Ok(faults.expect("no mistakes, so there is a list")),
        Err(mistakes) => Err(mistakes
            .list
            .iter()
            .map(|m| format!("{}:{}: {}", m.line, m.column, m.message))
            .collect()),
    }
}

fn mistakes(text: &str) -> Vec<String> {
    faults(text).expect_err("there are mistakes")
}

/// A kill.
fn kill(name: &str, at: u32, restart: u32, target: &str) -> String {
    format!("- {{ name: {name}, at: {at}s, target: {target}, kind: kill, restart: {restart}s }}\n")
}

/// A latency.
fn slow(name: &str, at: u32, lasts: u32, target: &str) -> String {
    format!(
        "- {{ name: {name}, at: {at}s, target: {target}, kind: latency, for: {lasts}s, delay: 1ms }}\n"
    )
}

#[test]
fn the_faults_of_the_demo_are_read() {
    let text = "\
- { name: bank-slow,  at: 12s, for: 8s, target: bank,    kind: latency, delay: 300ms, jitter: 100ms, share: 25% }
- { name: order-down, at: 30s,          target: order/1, kind: kill, restart: 3s }
";
    let expected = [
        Fault {
            name: "bank-slow".to_owned(),
            begins: Begin::At(Duration::from_secs(12)),
            lasts: Some(Duration::from_secs(8)),
            target: Target::role("bank"),
            kind: FaultKind::Service(ServiceFault {
                share: 0.25,
                ..ServiceFault::on_all(FaultEffect::Latency {
                    delay_us: 300_000,
                    jitter_us: 100_000,
                    distribution: Distribution::Uniform,
                })
            }),
        },
        Fault {
            name: "order-down".to_owned(),
            begins: Begin::At(Duration::from_secs(30)),
            lasts: None,
            target: Target::replica("order", 1),
            kind: FaultKind::Process(ProcessFault::Kill {
                restart: Duration::from_secs(3),
            }),
        },
    ];
    assert_eq!(faults(text).unwrap(), expected);
}

#[test]
fn every_example_can_be_read_and_written_and_uses_only_the_keys_of_its_kind() {
    for info in KINDS {
        let text = format!("- {}\n", info.example);
        let document = Document::parse("example", &text).unwrap();
        let read = read(document.root(), &whole_shop()).unwrap();
        assert!(document.finish().is_ok(), "{}", info.example);
        assert_eq!(read[0].kind.name(), info.name);
        let text = format!("- {}\n", write_fault(&read[0]));
        let again = Document::parse("written", &text).unwrap();
        let faults = spec::read(again.root(), &whole_shop());
        assert_eq!(faults, Some(read), "{text}");
        let document = Document::parse("example", info.example).unwrap();
        let map = document.root().map().unwrap();
        for (key, ..) in map.entries() {
            assert!(
                COMMON_KEYS.contains(&key) || info.keys.contains(&key),
                "{key} of {}",
                info.name
            );
        }
    }
}

#[test]
fn path_faults_are_read_with_share_and_direction() {
    let text = "\
- { name: a, at: 1s, for: 2s, target: order/1->bank, kind: tcp-bandwidth, rate: 20KB/s, share: 25%, direction: both }
- { name: b, at: 1s, for: 2s, target: order->bank, kind: tcp-latency, delay: 3ms }
- { name: c, at: 1s, for: 2s, target: order->bank, kind: tcp-timeout }
";
    let read = faults(text).unwrap();
    let kinds: Vec<FaultKind> = read.iter().map(|f| f.kind.clone()).collect();
    let path = |effect, share, direction| {
        FaultKind::Path(PathFault {
            effect,
            share,
            direction,
        })
    };
    let latency = PathEffect::Latency {
        delay: Duration::from_millis(3),
        jitter: Duration::ZERO,
    };
    let bandwidth = PathEffect::Bandwidth {
        kilobytes_per_s: 20,
    };
    assert_eq!(
        kinds,
        [
            path(bandwidth, 0.25, Direction::Both),
            path(latency, 1.0, Direction::From),
            path(PathEffect::Timeout, 1.0, Direction::Both),
        ]
    );
    assert_eq!(read[0].target.to_string(), "order/1->bank");
}

#[test]
fn mistakes_in_path_faults_have_their_positions() {
    let text = "\
- { name: a, at: 1s, for: 2s, target: bank, kind: tcp-reset }
- { name: b, at: 1s, for: 2s, target: order->bank, kind: tcp-bandwidth, rate: 500B/s }
- { name: c, at: 1s, for: 2s, target: order->bank, kind: tcp-slicer, size: 10B, variation: 10B }
- { name: d, at: 1s, for: 2s, target: order->bank, kind: tcp-reset, direction: to, route: /orders }
- { name: e, at: 1s, for: 2s, target: order->bank, kind: tcp-timeout, direction: form }
- { name: f, at: 1s, target: order->bank, kind: tcp-limit, size: 0B }
- { name: g, at: 1s, for: 2s, target: order->bank, kind: tcp-latency, delay: 1ms, jitter: 2ms }
- { name: h, at: 1s, for: 2s, target: order->gateway, kind: tcp-reset }
";
    let document = Document::parse("x.yaml", text).unwrap();
    let _ = read(document.root(), &whole_shop());
    let mistakes = document.finish().unwrap_err();
    let messages: Vec<String> = mistakes
        .list
        .iter()
        .map(|m| format!("{}:{}: {}", m.line, m.column, m.message))
        .collect();
    assert_eq!(
        messages,
        [
            "1:39: kind `tcp-reset` is aimed at a way such as payment->bank, found `bank`",
            "2:79: the rate of a path is in whole KB/s, 1KB/s at least; where nothing is to pass there is `tcp-timeout`",
            "3:92: a variation as large as the size leaves pieces of nothing",
            "4:69: `direction` belongs to kinds such as `tcp-latency` and `tcp-bandwidth`; kind `tcp-reset` takes for, share",
            "4:84: `route` belongs to kinds such as `latency` and `error`; kind `tcp-reset` takes for, share",
            "5:82: unknown `form`; did you mean `from`?",
            "6:3: `for` is missing: say how long the fault lasts, such as `for: 8s`",
            "6:66: it must be more than nothing",
            "7:91: a jitter of 2ms is larger than the delay of 1ms, and no request can wait less than nothing",
            "8:39: no service calls the gateway, only shoppers do; aim at the gateway itself, or at a way from it",
        ]
    );
}

#[test]
fn a_path_fault_may_overlap_a_kill_of_the_caller() {
    let reset = "- { name: a, at: 5s, for: 8s, target: order/1->bank, kind: tcp-reset }\n";
    let both = kill("b", 10, 3, "order/1");
    assert_eq!(faults(&format!("{reset}{both}")).unwrap().len(), 2);
}

#[test]
fn jitter_share_and_the_only_replica_have_defaults() {
    let text = slow("a", 1, 2, "bank") + &kill("b", 4, 1, "bank");
    let read = faults(&text).unwrap();
    let expected = FaultEffect::Latency {
        delay_us: 1_000,
        jitter_us: 0,
        distribution: Distribution::Uniform,
    };
    let FaultKind::Service(fault) = &read[0].kind else {
        panic!("{read:?}");
    };
    assert_eq!(*fault, ServiceFault::on_all(expected));
    assert_eq!(read[0].target.to_string(), "bank");
    assert_eq!(read[1].target.to_string(), "bank/0");
}

#[test]
fn all_mistakes_are_reported_in_one_pass_with_their_positions() {
    let text = "\
- { name: Bank Slow, at: 1s, for: 1s, target: bnak, kind: latency, delay: 3 }
- { name: two, at: 2s, for: 2s, target: order/2, kind: latnecy, delay: 1ms }
- { name: two, at: 60s, target: order, kind: kill, restart: 1s, delay: 1ms, for: 2s }
- { name: four, at: 3s, target: order/x, kind: latency, delay: 300ms, jitter: 400ms, share: 0% }
- { name: five, at: 45s, for: 10s, target: bank, kind: latency, delay: 0s, colour: red }
- { at: 49s, target: bank, kind: kill, restart: 2s }
- { name: seven, at: 5s, for: 2h, target: cart/3, kind: latency, delay: 1ms, restart: 1s }
- { name: '***', for: 1s }
- just words
";
    assert_eq!(
        mistakes(text),
        [
            "1:11: a fault's name is made of a-z, 0-9 and `-`, found `Bank Slow`; write `bank-slow`",
            "1:47: the shop has no `bnak`; did you mean `bank`?",
            "1:75: expected a length of time such as 300ms, 5s or 2m, found `3`",
            "2:41: there is no order/2; order has 2 replicas, counted from 0: order/0 and order/1",
            "2:56: unknown `latnecy`; did you mean `latency`?",
            "3:11: there is a fault `two` already, on line 2; give each its own name",
            "3:20: the fault starts at 1m, but the load is over after 50s",
            "3:33: say which replica; order has 2 replicas, counted from 0: order/0 and order/1",
            "3:65: `delay` belongs to kinds such as `latency` and `slow-database`; kind `kill` takes restart",
            "3:77: `for` belongs to kinds such as `latency` and `error`; kind `kill` takes restart",
            "4:3: `for` is missing: say how long the fault lasts, such as `for: 8s`",
            "4:33: expected a role or one of its replicas, such as order or order/0, found `order/x`",
            "4:79: a jitter of 400ms is larger than the delay of 300ms, and no request can wait less than nothing",
            "4:93: a share of 0% touches no request; leave the fault out instead",
            "5:72: a delay must be more than 0s",
            "5:76: unknown key `colour`; expected one of: after, at, caller, delay, distribution, every, for, jitter, kind, name, route, share, shopper, shoppers, target, times, wait, when",
            "6:3: `name` is missing",
            "6:49: the fault ends at 51s, but the load is over after 50s; 1s is the most that fits",
            "7:31: a target takes no fault for longer than 60m",
            "7:43: there is no cart/3; cart has 3 replicas, counted from 0: cart/0 to cart/2",
            "7:78: `restart` belongs to kind `kill`; kind `latency` takes for, delay, jitter, distribution, share, route, caller, shopper, shoppers",
            "8:3: `kind` is missing",
            "8:3: `target` is missing",
            "8:3: say when it begins: `at: 12s`, `after: other-fault` or `when: breaker payment->bank`",
            "8:11: a fault's name is made of a-z, 0-9 and `-`, found `***`",
            "9:3: expected `key: value` pairs, found `just words`",
        ]
    );
}

#[test]
fn a_replica_that_is_down_can_have_no_other_fault() {
    let refused = |first: &str, second: &str| {
        let list = mistakes(&format!("{first}{second}"));
        assert_eq!(list.len(), 1, "{list:?}");
        list[0].clone()
    };
    assert_eq!(
        refused(&kill("a", 10, 3, "order/1"), &kill("b", 12, 3, "order/1")),
        "2:18: `b` overlaps `a`: order/1 is killed at 10s and starts again at 13s, \
         until it is ready nothing else can happen to it"
    );
    // `bank` and `bank/0` are the same single replica.
    let both = refused(&slow("a", 5, 8, "bank"), &kill("b", 10, 3, "bank/0"));
    assert!(
        both.starts_with("2:18: `b` overlaps `a`: bank/0 is killed at 10s"),
        "{both}"
    );
    // The order in the file does not matter.
    refused(&kill("a", 10, 3, "bank"), &slow("b", 5, 8, "bank"));
    refused(&kill("a", 12, 3, "order/1"), &kill("b", 10, 3, "order/1"));
    // A started replica is not ready yet.
    refused(&kill("a", 10, 3, "order/1"), &kill("b", 13, 3, "order/1"));
    refused(&kill("a", 10, 3, "order/1"), &slow("b", 13, 3, "order/1"));
}

#[test]
fn faults_that_do_not_conflict_are_allowed() {
    for text in [
        // Latencies add up.
        slow("a", 5, 8, "bank") + &slow("b", 7, 8, "bank"),
        // The other replica, or the other replicas, can be slow.
        slow("a", 5, 20, "order/0") + &kill("b", 10, 3, "order/1"),
        slow("a", 5, 20, "order") + &kill("b", 10, 3, "order/1"),
        kill("a", 10, 3, "order/0") + &kill("b", 10, 3, "order/1"),
        // One after the other.
        slow("a", 5, 5, "bank") + &kill("b", 10, 3, "bank"),
        kill("a", 10, 3, "bank") + &slow("b", 14, 3, "bank"),
    ] {
        assert_eq!(faults(&text).unwrap().len(), 2, "{text}");
    }
}

#[test]
fn a_fault_may_end_with_the_load_but_not_later() {
    faults(&slow("a", 49, 1, "bank")).unwrap();
    assert_eq!(mistakes(&slow("a", 49, 2, "bank")).len(), 1);
    assert_eq!(mistakes(&slow("a", 50, 1, "bank")).len(), 1);
}

#[test]
fn no_fault_is_too_late_if_the_load_could_not_be_read() {
    let document = Document::parse(
        "x.yaml",
        "- { name: a, at: 900h, target: bank, kind: kill, restart: 1s }",
    );
    let document = document.unwrap();
    let shop = Shop {
        duration: Duration::MAX,
        ..shop()
    };
    let read = read(document.root(), &shop).unwrap();
    document.finish().unwrap();
    assert_eq!(read[0].begins, Begin::At(Duration::from_secs(900 * 3600)));
}
