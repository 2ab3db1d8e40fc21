//! `doorbuster audit` on a real shop: silent while all fits, and finding what was broken on purpose.

use std::net::SocketAddr;
use std::process::Output;

use serde_json::{Value, json};
use shop_contract::user::{SEEDED_PASSWORD, seeded_email};
use sqlx::{AnyConnection, Connection};

use crate::harness::{RunningShop, SMALL, TestDir, http, json as read_json, stderr};

/// A shop whose bank declines nothing.
const SHOP: &str = "\
name: audited
shop: { products: 20, customers: 10, bank: { declines: 0%, silent: 0% } }
load:
  phases: [ { name: steady, for: 1s, arrivals: 1/s } ]
";

/// Buys something; gives the order.
fn buy(shop: &RunningShop, key: &str) -> Value {
    let login = json!({"email": seeded_email(0), "password": SEEDED_PASSWORD});
    let (status, session) = shop.call("POST", "/users/login", &[], &login);
    assert_eq!(status, 200, "{session}");
    let token = format!("Bearer {}", session["token"].as_str().unwrap());
    let me = ("Authorization", token.as_str());
    let (status, cart) = shop.call("PUT", "/cart/items/p-00001", &[me], &json!({"quantity": 2}));
    assert_eq!(status, 200, "{cart}");
    let key = ("Idempotency-Key", key);
    let (status, order) = shop.call("POST", "/orders", &[me, key], &json!({"card": "tok_good"}));
    assert_eq!(status, 201, "{order}");
    order
}

fn ledger_line(key: &str, outcome: &str, order: &Value) -> String {
    let entry = json!({
        "t_s": 1.0, "key": key, "user_id": "u-000000", "outcome": outcome,
        "order_id": order["id"], "total_minor": order["total"]["minor"],
    });
    format!("{entry}\n")
}

/// Changes a service's database behind its back.
fn tamper(shop: &RunningShop, role: &str, sql: &'static str) {
    let file = shop.run_dir().join("data").join(format!("{role}.db"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}", file.display());
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        let done = sqlx::query(sql).execute(&mut connection).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
        connection.close().await.unwrap();
    });
}

fn output_text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &stderr(output)
}

#[test]
fn a_consistent_shop_is_clean_until_its_data_change() {
    let shop = RunningShop::with(SHOP, &[]);
    let dir = shop.run_dir();
    let topology = dir.join("topology.json");
    let topology = topology.to_str().unwrap();
    let ledger = dir.join("ledger.jsonl");
    let audit = |more: &[&str]| {
        let ledger = ledger.to_str().unwrap();
        let args = ["audit", "--topology", topology, "--ledger", ledger];
        shop.run(&[&args, more].concat())
    };
    let order = buy(&shop, "bought");
    let total = order["total"]["minor"].as_i64().unwrap();
    let promised = ledger_line("bought", "promised", &order);
    let unknown = ledger_line("never-arrived", "unknown", &Value::Null);
    std::fs::write(&ledger, format!("{promised}{unknown}")).unwrap();

    let clean = audit(&[]);
    assert_eq!(clean.status.code(), Some(0), "{}", output_text(&clean));
    assert!(output_text(&clean).contains("no contradiction"));
    let row: Value = serde_json::from_slice(&audit(&["--json"]).stdout).unwrap();
    assert_eq!(row["complete"], true);
    assert_eq!(
        (&row["orders_promised"], &row["orders_found"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&row["unknown_came_true"], &row["unknown_did_not"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(row["captured_minor"], total);
    assert_eq!(row["confirmed_minor"], total);

    // A promise without an order.
    let broken = ledger_line("lost", "promised", &order);
    std::fs::write(&ledger, format!("{promised}{broken}")).unwrap();
    let violated = audit(&[]);
    assert_eq!(
        violated.status.code(),
        Some(2),
        "{}",
        output_text(&violated)
    );
    assert!(
        output_text(&violated).contains("✗ order under key lost was promised and does not exist")
    );
    std::fs::write(&ledger, promised).unwrap();

    // A charge that is too high.
    tamper(
        &shop,
        "bank",
        "UPDATE charges SET amount_minor = amount_minor + 1",
    );
    let violated = audit(&[]);
    let message = output_text(&violated);
    assert_eq!(violated.status.code(), Some(2), "{message}");
    let took = format!("the bank took {} for payment", total + 1);
    let sum = format!("the bank took {} and gave back 0", total + 1);
    assert!(
        message.contains(&took) && message.contains(&sum),
        "{message}"
    );
    let row: Value = serde_json::from_slice(&audit(&["--json"]).stdout).unwrap();
    assert_eq!(row["violations"].as_array().unwrap().len(), 2, "{row:#}");

    // An event that is never delivered. It could still resolve a contradiction.
    tamper(
        &shop,
        "order",
        "INSERT INTO outbox (id, subscriber, payload, lease_until, attempts, created_at_ms)
         VALUES ('e', 'cart', '{}', 9000000000000000, 0, 0)",
    );
    let moving = audit(&["--wait", "300ms"]);
    let message = output_text(&moving);
    assert_eq!(moving.status.code(), Some(3), "{message}");
    assert!(
        message.contains("1 events were still in progress after 300ms"),
        "{message}"
    );
}

#[test]
fn every_service_with_an_outbox_is_audited() {
    let shop = RunningShop::with(SHOP, &[]);
    let topology = read_json(&shop.run_dir().join("topology.json"));
    let services = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
    let mut outboxes = 0;
    for process in topology.as_array().unwrap() {
        let role = process["role"].as_str().unwrap();
        let schema = services.join(role).join("migrations");
        let files = std::fs::read_dir(schema).into_iter().flatten();
        let texts = files.map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap());
        let has_outbox = texts.into_iter().any(|t| t.contains("CREATE TABLE outbox"));
        let admin: SocketAddr = process["admin"].as_str().unwrap().parse().unwrap();
        let (status, message) = http(admin, "GET", "/audit", &[], &Value::Null);
        assert_eq!(status, 200, "{role}: {message}");
        assert_eq!(
            message.contains(r#""holds":"outbox""#),
            has_outbox,
            "{role}: {message}"
        );
        outboxes += u32::from(has_outbox);
    }
    assert!(outboxes >= 2, "order and inventory have one");
}

#[test]
fn a_shop_that_does_not_answer_is_not_clean() {
    let test_dir = TestDir::with(SMALL);
    let shut = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let shut = {
        let address = shut.local_addr().unwrap();
        drop(shut);
        address
    };
    let roles = ["order", "payment", "bank", "inventory", "notification"];
    let doors: Vec<String> = roles.iter().map(|r| format!("{r}={shut}")).collect();
    let mut args = vec!["audit"];
    args.extend(doors.iter().flat_map(|door| ["--admin", door.as_str()]));
    for (args, expected) in [
        (args, "the shop cannot be audited; check that it is up"),
        (vec!["audit"], "--topology"),
        (
            vec!["audit", "--admin", "order=127.0.0.1:1"],
            "add --admin payment=host:port",
        ),
        (
            vec!["audit", "--topology", "none.json"],
            "`doorbuster up` prints the path",
        ),
        (
            vec!["audit", "--topology", "s.yaml"],
            "is not the topology.json of a shop",
        ),
        (
            vec!["audit", "--admin", "oder=127.0.0.1:1"],
            "no role `oder`",
        ),
    ] {
        let output = test_dir.run(&args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            output_text(&output).contains(expected),
            "{args:?}: {}",
            output_text(&output)
        );
    }
}
