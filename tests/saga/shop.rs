//! A shop of real processes with a proxy on each edge, and a shopper in it.

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

use shop_audit::{Holdings, check};
use crate::line::Line;
use crate::processes::{Name, Processes, Start};
use crate::strike::{Armed, Edge, Strike};

/// The longest that any condition may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The edges with a proxy: who calls whom on an order's way.
const EDGES: [(Role, Role); 7] = [
    (Role::Gateway, Role::Order),
    (Role::Order, Role::Inventory),
    (Role::Order, Role::Payment),
    (Role::Order, Role::Notification),
    (Role::Order, Role::Cart),
    (Role::Order, Role::Product),
    (Role::Payment, Role::Bank),
];
/// Who tells what it holds, from one replica each.
const HOLDERS: [Role; 5] = [
    Role::Order,
    Role::Payment,
    Role::Bank,
    Role::Inventory,
    Role::Notification,
];

struct Place {
    shop: Lease,
    admin: Lease,
}

pub(crate) struct Shop {
    armed: Armed,
    processes: Processes,
    places: BTreeMap<Name, Place>,
    http: Client<HttpConnector, Full<Bytes>>,
    ledger: Vec<LedgerEntry>,
    /// Tokens of those who bought.
    buyers: Vec<String>,
    /// Of each product in a purchase: how many had been sold when the shop opened.
    sold_at_first: BTreeMap<&'static str, i64>,
    _folder: TempDir,
}

/// What every customer buys.
const BASKET: [(&str, i64); 2] = [("p-00001", 2), ("p-00002", 1)];

/// The NATS server that events go through, where one is given.
fn nats() -> Option<SocketAddr> {
    let url = std::env::var("DOORBUSTER_TEST_NATS").ok()?;
    let address = url.trim_start_matches("nats://").parse();
    Some(address.unwrap_or_else(|e| panic!("DOORBUSTER_TEST_NATS={url}: {e}")))
}

fn replicas(role: Role) -> u32 {
    // Two that share the work on orders must not do anything twice.
    if role == Role::Order { 2 } else { 1 }
}

impl Shop {
    /// Whether events go through NATS.
    pub(crate) fn is_on_nats() -> bool {
        nats().is_some()
    }

    /// Opens the doors when every process is ready.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = || Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let names: Vec<Name> = Role::ALL
            .into_iter()
            .flat_map(|role| (0..replicas(role)).map(move |n| (role, n)))
            .collect();
        let places: BTreeMap<Name, Place> = names
            .iter()
            .map(|&name| {
                let place = Place {
                    shop: port(),
                    admin: port(),
                };
                (name, place)
            })
            .collect();
        let nats = nats();
        let number = uuid::Uuid::new_v4().simple();
        let (armed, processes) = (Armed::default(), Processes::default());
        let key = "the services' key, of which nobody else knows";
        for &name in &names {
            let mut peers: BTreeMap<Role, Vec<String>> = BTreeMap::new();
            for (&callee, place) in &places {
                let upstream = place.shop.address();
                let edge = Edge {
                    caller: name,
                    callee,
                    upstream,
                    armed: armed.clone(),
                    processes: processes.clone(),
                };
                let address = if EDGES.contains(&(name.0, callee.0)) {
                    edge.open().await
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
            let (role, replica) = name;
            let database = shop_testkit::config(role, folder.path(), BTreeMap::new()).database_url;
            let events = match &nats {
                Some(server) => {
                    let line = Line {
                        service: name,
                        server: *server,
                        armed: armed.clone(),
                        processes: processes.clone(),
                    };
                    format!("nats://{}/{number}", line.open().await)
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
                    places[&name].shop.address().to_string(),
                ),
                (
                    "DOORBUSTER_ADMIN",
                    places[&name].admin.address().to_string(),
                ),
                ("DOORBUSTER_PEERS", peers.join(";")),
                ("DOORBUSTER_DATABASE_URL", database),
                ("DOORBUSTER_PRODUCTS", "20".to_owned()),
                ("DOORBUSTER_CUSTOMERS", "1".to_owned()),
            ];
            let start = Start {
                environment: environment.map(|(k, v)| (k.to_owned(), v)).into(),
                log: folder.path().join(format!("{role}-{replica}.log")),
            };
            processes.start(name, start);
        }
        let mut shop = Self {
            armed,
            processes,
            places,
            http: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(HttpConnector::new()),
            ledger: Vec::new(),
            buyers: Vec::new(),
            sold_at_first: BTreeMap::new(),
            _folder: folder,
        };
        for name in names {
            shop.ready(name).await;
        }
        for (product, _) in BASKET {
            let sold = shop.sold(product).await.unwrap();
            shop.sold_at_first.insert(product, sold);
        }
        shop
    }

    /// Lets the strikes fall, in their order, each on the first call that it is for.
    pub(crate) fn arm(&self, strikes: Vec<Strike>) {
        self.armed.with(strikes);
    }

    /// A new customer buys two pieces of one thing and one of another, and asks under the same key until there is a
    /// definite answer.
    pub(crate) async fn buy(&mut self, card: &str) -> OrderOutcome {
        let email = format!("{}@shop.example", uuid::Uuid::new_v4());
        let account = json!({"email": email, "password": "correct horse", "name": "A Customer"});
        let user = self.insist(Method::POST, "/users", None, &account).await;
        let login = json!({"email": email, "password": "correct horse"});
        let session = self
            .insist(Method::POST, "/users/login", None, &login)
            .await;
        let token = session["token"].as_str().unwrap().to_owned();
        for (product, quantity) in BASKET {
            let line = json!({"quantity": quantity});
            let path = format!("/cart/items/{product}");
            self.insist(Method::PUT, &path, Some((&token, "")), &line)
                .await;
        }
        let key = uuid::Uuid::new_v4().to_string();
        let checkout = json!({"card": card});
        let start = Instant::now();
        loop {
            let asked = (token.as_str(), key.as_str());
            let answer = self
                .ask(
                    self.gateway(),
                    Method::POST,
                    "/orders",
                    Some(asked),
                    &checkout,
                )
                .await;
            let outcome = match &answer {
                Some((201, _)) => OrderOutcome::Promised,
                Some((402 | 409, _)) => OrderOutcome::Refused,
                // Nobody knows yet. Whoever died may be the one to ask.
                _ => {
                    self.revive().await;
                    self.not_longer_than(start, "an answer to the checkout", || {
                        format!("{answer:?}")
                    });
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
            };
            let body = answer.map_or(Value::Null, |(_, body)| body);
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

    /// Waits until every strike has fallen. What is dead is started meanwhile, for it may be what has to be called.
    pub(crate) async fn all_struck(&self) {
        let start = Instant::now();
        while !self.armed.are_through() {
            self.revive().await;
            self.not_longer_than(start, "a strike", || format!("{:?}", self.armed));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Starts what is dead, and waits until it is ready.
    pub(crate) async fn revive(&self) {
        for name in self.processes.revive() {
            self.ready(name).await;
        }
    }

    /// Waits until nothing moves and everything fits: promises, orders, money, stock, messages.
    pub(crate) async fn books_agree(&self) {
        let start = Instant::now();
        loop {
            let wrong = match self.holdings().await {
                Some(held) if held.is_settled() => {
                    let row = check(&self.ledger, &held);
                    let promised = self
                        .ledger
                        .iter()
                        .filter(|e| e.outcome == OrderOutcome::Promised);
                    let untold = self.untold().await;
                    if row.violations.is_empty()
                        && row.orders_found == promised.count() as u64
                        && untold.is_empty()
                    {
                        return;
                    }
                    format!("{:#?} {untold}", row.violations)
                }
                Some(held) => format!("still moving: {held:#?}"),
                None => "not every service tells what it holds".to_owned(),
            };
            self.not_longer_than(start, "agreement of the books", || wrong);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Looks at the books once more, and closes.
    pub(crate) async fn close(self) {
        self.books_agree().await;
        self.processes.end();
    }

    /// What those who are told of orders have not done about them: a cart that is not empty, pieces that are not counted
    /// as sold, or too many of them.
    async fn untold(&self) -> String {
        let mut text = String::new();
        for (product, each) in BASKET {
            let counted = self.sold(product).await;
            let sold = self.sold_at_first[product] + each * self.buyers.len() as i64;
            if counted != Some(sold) {
                text += &format!("{product}: {counted:?} sold, {sold} were; ");
            }
        }
        if let Some(last) = self.buyers.last() {
            let who = Some((last.as_str(), ""));
            let cart = self
                .ask(self.gateway(), Method::GET, "/cart", who, &Value::Null)
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
            .ask(self.gateway(), Method::GET, &path, None, &Value::Null)
            .await?;
        page["sold"].as_i64()
    }

    fn gateway(&self) -> SocketAddr {
        self.places[&(Role::Gateway, 0)].shop.address()
    }

    async fn holdings(&self) -> Option<Holdings> {
        let mut lines: Vec<AuditLine> = Vec::new();
        for role in HOLDERS {
            let admin = self.places[&(role, 0)].admin.address();
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

    async fn ready(&self, name: Name) {
        let admin = self.places[&name].admin.address();
        let start = Instant::now();
        while !matches!(
            self.send(admin, Method::GET, "/readyz", None, "").await,
            Some((200, _))
        ) {
            self.not_longer_than(start, "readiness", || format!("{name:?}"));
            tokio::time::sleep(LOOK_EVERY / 5).await;
        }
    }

    fn not_longer_than(&self, start: Instant, what: &str, how: impl FnOnce() -> String) {
        assert!(
            start.elapsed() < PATIENCE,
            "{what} did not come about: {}\n{}",
            how(),
            self.processes.last_words()
        );
    }

    /// Asks until the answer says yes.
    async fn insist(
        &self,
        method: Method,
        path: &str,
        who: Option<(&str, &str)>,
        body: &Value,
    ) -> Value {
        let start = Instant::now();
        loop {
            let answer = self
                .ask(self.gateway(), method.clone(), path, who, body)
                .await;
            match answer {
                Some((200..=299, body)) => return body,
                other => self.not_longer_than(start, path, || format!("{other:?}")),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn ask(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        who: Option<(&str, &str)>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let (status, text) = self
            .send(address, method, path, who, &body.to_string())
            .await?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// One request: status and text. `None`: no answer.
    async fn send(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        who: Option<(&str, &str)>,
        body: &str,
    ) -> Option<(u16, String)> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.uri_mut() = format!("http://{address}{path}").parse().unwrap();
        *request.method_mut() = method;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        if let Some((token, key)) = who {
            let bearer = format!("Bearer {token}");
            headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
            if !key.is_empty() {
                headers.insert("idempotency-key", key.parse().unwrap());
            }
        }
        let answer = self.http.request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8(body.into()).unwrap()))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.processes.end();
    }
}
