//! Reads repetitions, chains, storms and abort conditions, and reports their mistakes.

use std::time::Duration;

use chaos::spec::{self, Shop, read_abort, read_storm};
use chaos::{Begin, Breaker, Fault};
use syntax::Document;

fn shop() -> Shop {
    let replicas = [("bank", 1), ("order", 2), ("payment", 1)];
    Shop {
        replicas: replicas.map(|(role, n)| (role.to_owned(), n)).into(),
        duration: Duration::from_secs(60),
    }
}

fn result<T>(document: Document<'_>, read: Option<T>) -> Result<T, Vec<String>> {
    match document.finish() {
        Ok(()) => Ok(read.expect("no mistakes, so there is something")),
        Err(mistakes) => Err(mistakes
            .list
            .iter()
            .map(|m| format!("{}:{}: {}", m.line, m.column, m.message))
            .collect()),
    }
}

fn faults(text: &str) -> Result<Vec<Fault>, Vec<String>> {
    let document = Document::parse("x.yaml", text).unwrap();
    let read = spec::read(document.root(), &shop());
    result(document, read)
}

fn slow(name: &str, when: &str) -> String {
    format!("- {{ name: {name}, {when}, for: 2s, target: bank, kind: latency, delay: 1ms }}\n")
}

fn kill(name: &str, when: &str) -> String {
    format!("- {{ name: {name}, {when}, target: order/1, kind: kill, restart: 3s }}\n")
}

#[test]
fn each_repetition_of_a_fault_has_its_own_time_and_name() {
    let read = faults(&slow("bank-slow", "at: 5s, every: 10s, times: 3")).unwrap();
    let seen: Vec<(&str, Duration)> = read
        .iter()
        .map(|f| (f.name.as_str(), f.window().unwrap().from))
        .collect();
    let s = Duration::from_secs;
    assert_eq!(
        seen,
        [
            ("bank-slow", s(5)),
            ("bank-slow-2", s(15)),
            ("bank-slow-3", s(25))
        ]
    );
}

#[test]
fn chains_are_read_and_wait_for_the_last_repetition() {
    let text = slow("a", "at: 5s, every: 10s, times: 3")
        + &kill("b", "after: a, wait: 1s")
        + &slow("c", "after: a-2")
        + &slow("d", "when: breaker payment->bank")
        + &slow("e", "when: breaker payment->bank opens, wait: 500ms");
    let read = faults(&text).unwrap();
    let after = |fault: &str, ms| Begin::After {
        fault: fault.to_owned(),
        wait: Duration::from_millis(ms),
    };
    let when = |ms| Begin::When {
        breaker: Breaker {
            caller: "payment".to_owned(),
            callee: "bank".to_owned(),
        },
        wait: Duration::from_millis(ms),
    };
    let begins: Vec<&Begin> = read[3..].iter().map(|f| &f.begins).collect();
    assert_eq!(
        begins,
        [&after("a-3", 1000), &after("a-2", 0), &when(0), &when(500)]
    );
    // Written and read, they are the same.
    let again = spec::write_faults(&read);
    let again = again.strip_prefix("faults:\n").unwrap();
    assert_eq!(faults(again).unwrap(), read);
}

#[test]
fn all_mistakes_about_time_are_reported() {
    let text = slow("one", "at: 1s, after: two")
        + &slow("two", "at: 1s, wait: 1s")
        + &slow("three", "at: 1s, every: 5s")
        + &slow("four", "at: 1s, times: 5")
        + &slow("five", "after: two, every: 5s, times: 2")
        + &slow("six", "at: 1s, every: 1s, times: 3")
        + &slow("seven", "at: 1s, every: 30s, times: 3")
        + &slow("eight", "after: sevn")
        + &slow("nine", "when: breaker paymnt->bank")
        + &slow("ten", "when: bank is slow")
        + &kill("eleven", "at: 20s, every: 3s, times: 2");
    assert_eq!(
        faults(&text).unwrap_err(),
        [
            "1:3: a fault begins at one time only: keep one of `at`, `after` and `when`",
            "2:30: `wait` goes with `after` or `when`; with `at`, write the later time",
            "3:33: `every` needs `times`: say how often, such as `times: 3`",
            "4:32: `times` needs `every`: say how far apart, such as `every: 30s`",
            "5:36: only a fault with `at` can be repeated",
            "6:31: the fault comes every 1s and lasts 2s: it would overlap itself",
            "7:33: the fault comes 3 times and ends at 63s for the last time, but the load is over after 1m",
            "8:25: there is no fault `sevn`; did you mean `seven`?",
            "9:23: the shop has no `paymnt`; did you mean `payment`?",
            "10:22: expected a breaker such as `breaker payment->bank`, found `bank is slow`",
            "11:35: the fault comes every 3s and lasts 3s: it would overlap itself",
        ]
    );
}

#[test]
fn a_chain_that_is_circular_or_cannot_end_in_time_is_refused() {
    let text = slow("a", "after: b") + &slow("b", "after: a") + &slow("c", "after: c");
    assert_eq!(
        faults(&text).unwrap_err(),
        [
            "1:21: `a` waits for its own end, and so never begins",
            "2:21: `b` waits for its own end, and so never begins",
            "3:21: `c` waits for its own end, and so never begins",
        ]
    );
    let late = kill("a", "at: 50s") + &slow("b", "after: a, wait: 5s") + &slow("c", "after: b");
    assert_eq!(
        faults(&late).unwrap_err(),
        ["3:21: the fault ends at 62s at the earliest, but the load is over after 1m"]
    );
    let late = slow("d", "when: breaker payment->bank, wait: 59s");
    assert_eq!(faults(&late).unwrap_err().len(), 1);
}

#[test]
fn a_repetition_must_not_have_another_faults_name() {
    let text = slow("a", "at: 5s, every: 10s, times: 3") + &slow("a-3", "at: 1s");
    assert_eq!(
        faults(&text).unwrap_err(),
        ["2:11: there is a fault `a-3` already, on line 1; give each its own name"]
    );
    let text = slow("a-3", "at: 1s") + &slow("a", "at: 5s, every: 10s, times: 3");
    assert_eq!(
        faults(&text).unwrap_err(),
        [
            "2:11: `a` is repeated and one of its times is called `a-3`, as is a fault on line 1; give each its own name"
        ]
    );
}

#[test]
fn chained_faults_do_not_overlap_each_other() {
    let chained = kill("a", "at: 10s") + &kill("b", "after: a") + &kill("c", "after: b, wait: 1s");
    assert_eq!(faults(&chained).unwrap().len(), 3);
    // But their planned windows may overlap other faults, and so may each repetition.
    let clash = kill("a", "at: 10s") + &slow("b", "at: 13s") + &kill("c", "after: b");
    assert_eq!(faults(&clash).unwrap().len(), 3);
    let clash = kill("a", "at: 10s") + &slow("b", "at: 8s") + &kill("c", "after: b");
    assert!(
        faults(&clash).unwrap_err()[0].starts_with("3:21: `c` overlaps `a`: order/1 is killed")
    );
    let clash = kill("a", "at: 10s") + &kill("b", "at: 2s, every: 5s, times: 4");
    assert!(faults(&clash).unwrap_err()[0].starts_with("2:18: `b-2` overlaps `a`"));
}

#[test]
fn a_fault_that_begins_now_needs_no_name_and_no_time() {
    let now = |text: &str| {
        let document = Document::parse("fault", text).unwrap();
        let read = spec::read_now(document.root(), &shop());
        result(document, read)
    };
    let fault = now("{ target: payment->bank, kind: hang, for: 3s, share: 30% }").unwrap();
    assert_eq!(fault.name, "hang-payment-bank");
    assert_eq!(fault.begins, Begin::At(Duration::ZERO));
    assert_eq!(
        now("{ name: x, target: bnk, at: 3s, kind: hang }").unwrap_err(),
        [
            "1:1: `for` is missing: say how long the fault lasts, such as `for: 8s`",
            "1:20: the shop has no `bnk`; did you mean `bank`?",
            "1:29: `at` belongs to scenarios; here the fault begins at once",
        ]
    );
}

#[test]
fn all_mistakes_in_a_storm_are_reported() {
    let storm = |text: &str| {
        let document = Document::parse("x.yaml", text).unwrap();
        let written = faults(&slow("storm-slow", "at: 1s")).unwrap();
        let read = read_storm(document.root(), &shop(), &written);
        result(document, read)
    };
    let text = "\
from: 10
for: 0s
kinds: [latncy, kill]
at_once: 0
every: 1ms
lasts: 5s..1s
targets: [bnk]
spare: bank
cool_down: 3
singles: perhaps
colour: red
";
    assert_eq!(
        storm(text).unwrap_err(),
        [
            "1:1: names that begin with `storm-` are the storm's own; give `storm-slow` another",
            "1:7: expected a length of time such as 300ms, 5s or 2m, found `10`",
            "2:6: a storm's length must be more than 0s",
            "3:9: unknown `latncy`; did you mean `latency`?",
            "4:10: expected 1 to 9, found 0",
            "5:8: the least from one fault to the next is 100ms",
            "6:8: the shorter one comes first and is more than nothing, found `5s..1s`",
            "7:11: the shop has no `bnk`; did you mean `bank`?",
            "8:8: expected a list, found `bank`",
            "9:12: expected a length of time such as 300ms, 5s or 2m, found `3`",
            "10:10: expected true or false, found `perhaps`",
            "11:1: unknown key `colour`; expected one of: at_once, cool_down, every, for, from, kinds, lasts, singles, spare, targets",
        ]
    );
    assert_eq!(
        storm("{ from: 30s, for: 31s, spare: [bank, order, payment] }").unwrap_err()[1..],
        [
            "1:1: names that begin with `storm-` are the storm's own; give `storm-slow` another"
                .to_owned(),
            "1:19: the storm is over at 61s, but the load after 1m already".to_owned(),
        ]
    );
}

#[test]
fn all_mistakes_in_abort_conditions_are_reported() {
    let abort = |text: &str| {
        let document = Document::parse("x.yaml", text).unwrap();
        let read = read_abort(document.root(), &["home", "buy_confirm"]);
        result(document, read)
    };
    let good = "\
- { errors: 50%, for: 5s }
- { step: buy_confirm, p99: 10s, for: 5s }
";
    assert_eq!(abort(good).unwrap().len(), 2);
    let bad = "\
- { errors: 0%, for: 5s }
- { step: hom, p99: 10s, for: 5s }
- { errors: 5%, p99: 10s, for: 5s }
- { step: home, for: 500ms }
- { errors: 5% }
";
    assert_eq!(
        abort(bad).unwrap_err(),
        [
            "1:13: errors are always at 0% or more, so the run would stop at once",
            "2:11: no step `hom`; did you mean `home`?",
            "3:3: a condition to stop at is about one figure: `errors` (such as errors: 50%) or one of p50, p90, p95, \
             p99, p999 (such as p99: 10s); write one entry for each",
            "4:3: a condition to stop at is about one figure: `errors` (such as errors: 50%) or one of p50, p90, p95, \
             p99, p999 (such as p99: 10s); write one entry for each",
            "4:22: figures come once a second, so the least is 1s",
            "5:3: `for` is missing",
        ]
    );
}
