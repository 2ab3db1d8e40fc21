//! A service that writes events, a subscriber, and the transport between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use shop_contract::Role;
use shop_contract::events::{Envelope, Event, ORDERS, OrderCancelled};
use shop_kit::config::Events;
use shop_kit::events::{self, EventOutcome, Relay, Subscriber};
use shop_kit::net::{self, Lease};
use shop_kit::problem::ApiError;
use shop_kit::store::{Store, StoreError};
use shop_kit::{Kit, server};
use shop_testkit::{config, until};
use sqlx::Row;
use sqlx::migrate::Migrator;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

static MIGRATIONS: std::sync::LazyLock<Migrator> =
    shop_kit::migrations!["migrations/0001_events.sql"];

/// The transport of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Nats,
}

/// The tests' subscriber: stores the subjects of its events.
#[derive(Clone)]
pub(crate) struct TestSubscriber {
    pub kit: Kit,
    pub store: Store,
    /// The number of events that it still fails to process.
    pub failing: Arc<AtomicU32>,
}

impl Subscriber for TestSubscriber {
    const DESTINATIONS: &'static [&'static str] = &[ORDERS];

    async fn handle(&self, envelope: &Envelope) -> Result<EventOutcome, StoreError> {
        let one_less = |n: u32| n.checked_sub(1);
        if self
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .is_ok()
        {
            return Err(StoreError::Corrupt("as the test wants it".to_owned()));
        }
        let mut t = self.store.begin().await?;
        if !events::first_time(&mut t, &envelope.id, self.store.unix_ms()).await? {
            return Ok(EventOutcome::Duplicate);
        }
        sqlx::query("INSERT INTO acts (about) VALUES ($1)")
            .bind(&envelope.subject)
            .execute(&mut *t)
            .await?;
        t.commit().await?;
        Ok(EventOutcome::Processed)
    }
}

impl TestSubscriber {
    /// The number of processed events, and of distinct subjects.
    pub(crate) async fn processed(&self) -> (i64, i64) {
        let sql = "SELECT COUNT(*) AS acts, COUNT(DISTINCT about) AS things FROM acts";
        let row = sqlx::query(sql)
            .fetch_one(self.store.reader())
            .await
            .unwrap();
        (row.get("acts"), row.get("things"))
    }
}

async fn take_event(
    State(subscriber): State<TestSubscriber>,
    Json(envelope): Json<Envelope>,
) -> Result<StatusCode, ApiError> {
    events::receive(&subscriber.kit, &envelope, subscriber.handle(&envelope)).await
}

/// A part of the world that runs until it is stopped.
pub(crate) struct Running {
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Stops it and waits for its end, no longer than a service waits for its workers.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            let ended = tokio::time::timeout(Duration::from_secs(5), task).await;
            ended.expect("it does not stop").unwrap();
        }
    }
}

/// Both services, with a database each.
pub(crate) struct World {
    pub transport: Transport,
    pub writer: (Kit, Store),
    pub test_subscriber: TestSubscriber,
    port: Lease,
    _folder: TempDir,
}

impl World {
    /// A world with this transport. `None` if it needs a server that is not configured.
    pub(crate) async fn open(transport: Transport) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let events = match transport {
            Transport::Http => Events::Http,
            Transport::Nats => Events::Nats {
                url: shop_testkit::nats(folder.path())?,
            },
        };
        Some(Self::with(transport, events, folder).await)
    }

    pub(crate) async fn with(transport: Transport, events: Events, folder: TempDir) -> Self {
        let port = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let peers = BTreeMap::from([
            (Role::Notification, vec![port.address().to_string()]),
            // A second subscriber at the same address: it has its own rows in the outbox.
            (Role::Cart, vec![port.address().to_string()]),
        ]);
        let service = async |role| {
            let mut config = config(role, folder.path(), peers.clone());
            config.events = events.clone();
            let kit = Kit::new(config);
            let store = Store::open(&kit, &MIGRATIONS).await;
            (kit, store.unwrap())
        };
        let writer = service(Role::Order).await;
        let (kit, store) = service(Role::Notification).await;
        let failing = Arc::default();
        Self {
            transport,
            writer,
            test_subscriber: TestSubscriber {
                kit,
                store,
                failing,
            },
            port,
            _folder: folder,
        }
    }

    /// Writes events with subjects of these numbers.
    pub(crate) async fn write(&self, numbers: std::ops::Range<u32>) -> Vec<Envelope> {
        let mut written = Vec::new();
        for n in numbers {
            let event = Event::OrderCancelled(OrderCancelled {
                order_id: format!("o-{n}"),
                user_id: "u-1".to_owned(),
                email: String::new(),
                reason: "out-of-stock".to_owned(),
            });
            let envelope = events::envelope(
                Role::Order,
                &format!("o-{n}"),
                self.writer.1.unix_ms(),
                event,
            );
            self.write_one(&envelope).await;
            written.push(envelope);
        }
        written
    }

    /// Writes an event to the outbox. A second write has the effect of a relay that died before the deletion.
    pub(crate) async fn write_one(&self, envelope: &Envelope) {
        let mut t = self.writer.1.begin().await.unwrap();
        let to = [Role::Notification, Role::Cart];
        events::write(&mut t, envelope, &to).await.unwrap();
        t.commit().await.unwrap();
    }

    /// The rows in the outbox.
    pub(crate) async fn pending(&self) -> i64 {
        events::pending(&self.writer.1).await.unwrap()
    }

    /// Starts the writer's relay.
    pub(crate) fn relay(&self) -> Running {
        let (kit, store) = self.writer.clone();
        let shutdown = CancellationToken::new();
        let work = Relay::new(kit, store).run(shutdown.clone());
        Running {
            shutdown,
            tasks: vec![tokio::spawn(work)],
        }
    }

    /// Starts the subscriber, as its service would.
    pub(crate) fn subscriber(&self) -> Running {
        let shutdown = CancellationToken::new();
        let routes = Router::new()
            .route("/events", post(take_event))
            .with_state(self.test_subscriber.clone());
        let routes = server::stack(&self.test_subscriber.kit, routes)
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = net::listen(self.port.address()).unwrap();
        let stop = shutdown.clone();
        let mut tasks = vec![tokio::spawn(async move {
            let served = axum::serve(listener, routes);
            let stopped = served.with_graceful_shutdown(async move { stop.cancelled().await });
            stopped.await.unwrap();
        })];
        let workers = events::workers(&self.test_subscriber.kit, &self.test_subscriber, &shutdown);
        assert_eq!(workers.is_empty(), self.transport == Transport::Http);
        tasks.extend(workers.into_iter().map(tokio::spawn));
        Running { shutdown, tasks }
    }

    /// Waits until this many subjects were processed, each once, and the outbox has `left` rows.
    pub(crate) async fn settled(&self, subjects: i64, left: i64) {
        until("all events to be processed", async || {
            self.test_subscriber.processed().await.1 == subjects && self.pending().await == left
        })
        .await;
        assert_eq!(self.test_subscriber.processed().await, (subjects, subjects));
    }
}
