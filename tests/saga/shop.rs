//! A shop of real processes with a proxy on each edge, and a shopper.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use results::record::{LedgerEntry, OrderOutcome};
use serde_json::{Value, json};
use shop_contract::Role;
use shop_contract::audit::AuditLine;
use shop_kit::net::Lease;
use tempfile::TempDir;

use crate::http_proxy::{ArmedFault, ArmedFaults, HttpProxy};
use crate::nats_proxy::NatsProxy;
use crate::processes::{Processes, ReplicaId, StartOptions};
use shop_audit::{Holdings, check};

/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The interval of polls.
const POLL: Duration = Duration::from_millis(50);
/// The edges with a proxy: caller and callee of each call of an order.
const EDGES: [(Role, Role); 7] = [
    (Role::Gateway, Role::Order),
    (Role::Order, Role::Inventory),
    (Role::Order, Role::Payment),
    (Role::Order, Role::Notification),
    (Role::Order, Role::Cart),
    (Role::Order, Role::Product),
    (Role::Payment, Role::Bank),
];
/// The roles that are audited, at one replica each.
const AUDITED_ROLES: [Role; 5] = [
    Role::Order,
    Role::Payment,
    Role::Bank,
    Role::Inventory,
    Role::Notification,
];

struct Listeners {
    shop: Lease,
    admin: Lease,
}

pub(crate) struct Shop {
    armed: ArmedFaults,
    processes: Processes,
    listeners: BTreeMap<ReplicaId, Listeners>,
    http: Client<HttpConnector, Full<Bytes>>,
    ledger: Vec<LedgerEntry>,
    /// Tokens of the customers with a confirmed order.
    buyers: Vec<String>,
    /// The units of each product in the basket sold before the test.
    sold_at_first: BTreeMap<&'static str, i64>,
    _folder: TempDir,
}

/// The purchase of every customer.
const BASKET: [(&str, i64); 2] = [("p-00001", 2), ("p-00002", 1)];

/// The NATS server for events, if one is set.
fn nats() -> Option<SocketAddr> {
    let url = std::env::var("DOORBUSTER_TEST_NATS").ok()?;
    let address = url.trim_start_matches("nats://").parse();
    Some(address.unwrap_or_else(|e| panic!("DOORBUSTER_TEST_NATS={url}: {e}")))
}

fn replicas(role: Role) -> u32 {
    // Two replicas of order share the work and must not do anything twice.
    if role == Role::Order { 2 } else { 1 }
}

impl Shop {
    /// Whether events use NATS.
    pub(crate) fn is_on_nats() -> bool {
        nats().is_some()
    }

    /// Starts the shop and waits until every process is ready.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = || Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let replica_ids: Vec<ReplicaId> = Role::ALL
            .into_iter()
            .flat_map(|role| (0..replicas(role)).map(move |n| (role, n)))
            .collect();
        let listeners: BTreeMap<ReplicaId, Listeners> = replica_ids
            .iter()
            .map(|&id| {
                let listeners = Listeners {
                    shop: port(),
                    admin: port(),
                };
                (id, listeners)
            })
            .collect();
        let nats = nats();
        let number = uuid::Uuid::new_v4().simple();
        let (armed, processes) = (ArmedFaults::default(), Processes::default());
        let key = "the key that the services share";
        for &id in &replica_ids {
            let mut peers: BTreeMap<Role, Vec<String>> = BTreeMap::new();
            for (&callee, of_callee) in &listeners {
                let upstream = of_callee.shop.address();
                let proxy = HttpProxy {
                    caller: id,
                    callee,
                    upstream,
                    armed: armed.clone(),
                    processes: processes.clone(),
                };
                let address = if EDGES.contains(&(id.0, callee.0)) {
                    proxy.open().await
                } else {
                    upstream
                };
                let of_role = peers.entry(callee.0).or_default();
                of_role.push(address.to_string());
            }
            let peers: Vec<String> = peers
                .into_iter()
                .map(|(role, addresses)| format!("{role}={}", addresses.join(",")))
                .collect();
            let (role, replica) = id;
            let database = shop_testkit::config(role, folder.path(), BTreeMap::new()).database_url;
            let events = match &nats {
                Some(server) => {
                    let proxy = NatsProxy {
                        service: id,
                        server: *server,
                        armed: armed.clone(),
                        processes: processes.clone(),
                    };
                    format!("nats://{}/{number}", proxy.open().await)
                }
                None => "http".to_owned(),
            };
            let environment = [
                ("DOORBUSTER_EVENTS", events),
                ("DOORBUSTER_SUPERVISED", "1".to_owned()),
                ("DOORBUSTER_SERVICE_KEY", key.to_owned()),
                ("DOORBUSTER_REPLICA", replica.to_string()),
                (
                    "DOORBUSTER_LISTEN",
                    listeners[&id].shop.address().to_string(),
                ),
                (
                    "DOORBUSTER_ADMIN",
                    listeners[&id].admin.address().to_string(),
                ),
                ("DOORBUSTER_PEERS", peers.join(";")),
                ("DOORBUSTER_DATABASE_URL", database),
                ("DOORBUSTER_PRODUCTS", "20".to_owned()),
                ("DOORBUSTER_CUSTOMERS", "1".to_owned()),
            ];
            let options = StartOptions {
                environment: environment.map(|(k, v)| (k.to_owned(), v)).into(),
                log: folder.path().join(format!("{role}-{replica}.log")),
            };
            processes.start(id, options);
        }
        let mut shop = Self {
            armed,
            processes,
            listeners,
            http: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(HttpConnector::new()),
            ledger: Vec::new(),
            buyers: Vec::new(),
            sold_at_first: BTreeMap::new(),
            _folder: folder,
        };
        for id in replica_ids {
            shop.wait_until_ready(id).await;
        }
        for (product, _) in BASKET {
            let sold = shop.sold(product).await.unwrap();
            shop.sold_at_first.insert(product, sold);
        }
        shop
    }

    /// Arms faults. Each hits the first call that matches, in their order.
    pub(crate) fn arm(&self, faults: Vec<ArmedFault>) {
        self.armed.set(faults);
    }

    /// A new customer buys the basket, and repeats the checkout with the same idempotency key until the outcome is known.
    pub(crate) async fn buy(&mut self, card: &str) -> OrderOutcome {
        let email = format!("{}@shop.example", uuid::Uuid::new_v4());
        let account = json!({"email": email, "password": "correct horse", "name": "A Customer"});
        let user = self
            .request_until_ok(Method::POST, "/users", None, &account)
            .await;
        let login = json!({"email": email, "password": "correct horse"});
        let session = self
            .request_until_ok(Method::POST, "/users/login", None, &login)
            .await;
        let token = session["token"].as_str().unwrap().to_owned();
        for (product, quantity) in BASKET {
            let line = json!({"quantity": quantity});
            let path = format!("/cart/items/{product}");
            self.request_until_ok(Method::PUT, &path, Some((&token, "")), &line)
                .await;
        }
        let key = uuid::Uuid::new_v4().to_string();
        let checkout = json!({"card": card});
        let start = Instant::now();
        loop {
            let credentials = (token.as_str(), key.as_str());
            let response = self
                .request(
                    self.gateway(),
                    Method::POST,
                    "/orders",
                    Some(credentials),
                    &checkout,
                )
                .await;
            let outcome = match &response {
                Some((201, _)) => OrderOutcome::Promised,
                Some((402 | 409, _)) => OrderOutcome::Refused,
                // Unknown yet. The process that was killed may be the one to call.
                _ => {
                    self.restart_dead().await;
                    self.check_timeout(start, "a response to the checkout", || {
                        format!("{response:?}")
                    });
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            };
            let body = response.map_or(Value::Null, |(_, body)| body);
            if outcome == OrderOutcome::Promised {
                self.buyers.push(token);
            }
            self.ledger.push(LedgerEntry {
                t_s: 0.0,
                key,
                user_id: user["id"].as_str().unwrap().to_owned(),
                outcome,
                order_id: body["id"].as_str().map(ToOwned::to_owned),
                total_minor: body["total"]["minor"].as_i64(),
            });
            return outcome;
        }
    }

    /// Waits until every fault is done. Restarts killed processes meanwhile, because the call may need them.
    pub(crate) async fn wait_for_faults(&self) {
        let start = Instant::now();
        while !self.armed.all_done() {
            self.restart_dead().await;
            self.check_timeout(start, "a fault", || format!("{:?}", self.armed));
            tokio::time::sleep(POLL).await;
        }
    }

    /// Restarts processes that are down, and waits until they are ready.
    pub(crate) async fn restart_dead(&self) {
        for id in self.processes.restart_dead() {
            self.wait_until_ready(id).await;
        }
    }

    /// Waits until nothing is in progress and everything agrees: promises, orders, money, stock, messages.
    pub(crate) async fn wait_until_consistent(&self) {
        let start = Instant::now();
        loop {
            let difference = match self.holdings().await {
                Some(held) if held.is_settled() => {
                    let row = check(&self.ledger, &held);
                    let promised = self
                        .ledger
                        .iter()
                        .filter(|e| e.outcome == OrderOutcome::Promised);
                    let missing = self.missing_effects().await;
                    if row.violations.is_empty()
                        && row.orders_found == promised.count() as u64
                        && missing.is_empty()
                    {
                        return;
                    }
                    format!("{:#?} {missing}", row.violations)
                }
                Some(held) => format!("still in progress: {held:#?}"),
                None => "a service did not answer".to_owned(),
            };
            self.check_timeout(start, "consistency", || difference);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Checks the data once more, and closes the shop.
    pub(crate) async fn close(self) {
        self.wait_until_consistent().await;
        self.processes.kill_all();
    }

    /// The effects of events that are missing or wrong: a cart that is not empty, or a wrong count of sold units.
    async fn missing_effects(&self) -> String {
        let mut text = String::new();
        for (product, each) in BASKET {
            let counted = self.sold(product).await;
            let sold = self.sold_at_first[product] + each * self.buyers.len() as i64;
            if counted != Some(sold) {
                text += &format!("{product}: {counted:?} sold, {sold} were; ");
            }
        }
        if let Some(last) = self.buyers.last() {
            let credentials = Some((last.as_str(), ""));
            let cart = self
                .request(
                    self.gateway(),
                    Method::GET,
                    "/cart",
                    credentials,
                    &Value::Null,
                )
                .await;
            let left = cart.as_ref().and_then(|(_, cart)| cart["items"].as_array());
            if left.is_none_or(|items| !items.is_empty()) {
                text += &format!("the cart after the purchase: {cart:?}");
            }
        }
        text
    }

    async fn sold(&self, product: &str) -> Option<i64> {
        let path = format!("/products/{product}?stock=view");
        let (_, page) = self
            .request(self.gateway(), Method::GET, &path, None, &Value::Null)
            .await?;
        page["sold"].as_i64()
    }

    fn gateway(&self) -> SocketAddr {
        self.listeners[&(Role::Gateway, 0)].shop.address()
    }

    async fn holdings(&self) -> Option<Holdings> {
        let mut lines: Vec<AuditLine> = Vec::new();
        for role in AUDITED_ROLES {
            let admin = self.listeners[&(role, 0)].admin.address();
            let (status, text) = self.send(admin, Method::GET, "/audit", None, "").await?;
            if status != 200 {
                return None;
            }
            lines.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<AuditLine>(line).unwrap()),
            );
        }
        Some(Holdings::of(lines))
    }

    async fn wait_until_ready(&self, id: ReplicaId) {
        let admin = self.listeners[&id].admin.address();
        let start = Instant::now();
        while !matches!(
            self.send(admin, Method::GET, "/readyz", None, "").await,
            Some((200, _))
        ) {
            self.check_timeout(start, "readiness", || format!("{id:?}"));
            tokio::time::sleep(POLL / 5).await;
        }
    }

    fn check_timeout(&self, start: Instant, what: &str, how: impl FnOnce() -> String) {
        assert!(
            start.elapsed() < TIMEOUT,
            "{what} timed out: {}\n{}",
            how(),
            self.processes.log_tails()
        );
    }

    /// Repeats a request until its status is 2xx.
    async fn request_until_ok(
        &self,
        method: Method,
        path: &str,
        credentials: Option<(&str, &str)>,
        body: &Value,
    ) -> Value {
        let start = Instant::now();
        loop {
            let response = self
                .request(self.gateway(), method.clone(), path, credentials, body)
                .await;
            match response {
                Some((200..=299, body)) => return body,
                other => self.check_timeout(start, path, || format!("{other:?}")),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn request(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        credentials: Option<(&str, &str)>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let (status, text) = self
            .send(address, method, path, credentials, &body.to_string())
            .await?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// One request: status and text. `None` without a response.
    async fn send(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        credentials: Option<(&str, &str)>,
        body: &str,
    ) -> Option<(u16, String)> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.uri_mut() = format!("http://{address}{path}").parse().unwrap();
        *request.method_mut() = method;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        if let Some((token, key)) = credentials {
            let bearer = format!("Bearer {token}");
            headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
            if !key.is_empty() {
                headers.insert("idempotency-key", key.parse().unwrap());
            }
        }
        let response = self.http.request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8(body.into()).unwrap()))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.processes.kill_all();
    }
}
