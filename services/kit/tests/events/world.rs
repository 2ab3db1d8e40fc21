//! A service that writes events, one that acts on them, and the way between them.

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
use shop_kit::events::{self, Relay, Subscriber, Taken};
use shop_kit::net::{self, Lease};
use shop_kit::problem::ApiError;
use shop_kit::store::{Store, StoreError};
use shop_kit::{Kit, server};
use shop_testkit::config;
use sqlx::Row;
use sqlx::migrate::Migrator;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

static MIGRATIONS: std::sync::LazyLock<Migrator> =
    shop_kit::migrations!["migrations/0001_events.sql"];

/// Which way events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Http,
    Nats,
}

/// Waits for a condition.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition does not come about");
}

/// The tests' subscriber: notes what events are about.
#[derive(Clone)]
pub(crate) struct Notes {
    pub kit: Kit,
    pub store: Store,
    /// How many more events it fails at.
    pub failing: Arc<AtomicU32>,
}

impl Subscriber for Notes {
    const DESTINATIONS: &'static [&'static str] = &[ORDERS];

    async fn take(&self, envelope: &Envelope) -> Result<Taken, StoreError> {
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
            return Ok(Taken::Duplicate);
        }
        sqlx::query("INSERT INTO acts (about) VALUES ($1)")
            .bind(&envelope.subject)
            .execute(&mut *t)
            .await?;
        t.commit().await?;
        Ok(Taken::Done)
    }
}

impl Notes {
    /// How often it acted, and on how many things.
    pub(crate) async fn acts(&self) -> (i64, i64) {
        let sql = "SELECT COUNT(*) AS acts, COUNT(DISTINCT about) AS things FROM acts";
        let row = sqlx::query(sql)
            .fetch_one(self.store.reader())
            .await
            .unwrap();
        (row.get("acts"), row.get("things"))
    }
}

async fn take_event(
    State(notes): State<Notes>,
    Json(envelope): Json<Envelope>,
) -> Result<StatusCode, ApiError> {
    events::receive(&notes.kit, &envelope, notes.take(&envelope)).await
}

/// Something that runs until it is told to stop.
pub(crate) struct Running {
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Tells it to stop and waits until it has; it may not take longer than a service waits for its workers.
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
    pub way: Way,
    pub writer: (Kit, Store),
    pub notes: Notes,
    port: Lease,
    _folder: TempDir,
}

impl World {
    /// A world with events going this way. Nothing where there is no server for it.
    pub(crate) async fn open(way: Way) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let events = match way {
            Way::Http => Events::Http,
            Way::Nats => Events::Nats {
                url: shop_testkit::nats(folder.path())?,
            },
        };
        Some(Self::with(way, events, folder).await)
    }

    pub(crate) async fn with(way: Way, events: Events, folder: TempDir) -> Self {
        let port = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let peers = BTreeMap::from([
            (Role::Notification, vec![port.address().to_string()]),
            // A second subscriber at the same place: it has rows of its own in the outbox.
            (Role::Cart, vec![port.address().to_string()]),
        ]);
        let service = async |role| {
            let mut config = config(role, folder.path(), peers.clone());
            config.events = events.clone();
            let kit = Kit::new(config);
            let url = &kit.config().database_url;
            let store = Store::open(
                url,
                &MIGRATIONS,
                kit.metrics().clone(),
                kit.wall_clock().clone(),
            )
            .await;
            (kit, store.unwrap())
        };
        let writer = service(Role::Order).await;
        let (kit, store) = service(Role::Notification).await;
        let failing = Arc::default();
        Self {
            way,
            writer,
            notes: Notes {
                kit,
                store,
                failing,
            },
            port,
            _folder: folder,
        }
    }

    /// Writes events about things of these numbers, as a change would.
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

    /// Writes an event into the outbox; writing it a second time is what a death before the deletion leaves behind.
    pub(crate) async fn write_one(&self, envelope: &Envelope) {
        let mut t = self.writer.1.begin().await.unwrap();
        let to = [Role::Notification, Role::Cart];
        events::write(&mut t, envelope, &to).await.unwrap();
        t.commit().await.unwrap();
    }

    /// What is still in the outbox.
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
            .with_state(self.notes.clone());
        let routes = server::stack(&self.notes.kit, routes)
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = net::listen(self.port.address()).unwrap();
        let stop = shutdown.clone();
        let mut tasks = vec![tokio::spawn(async move {
            let served = axum::serve(listener, routes);
            let stopped = served.with_graceful_shutdown(async move { stop.cancelled().await });
            stopped.await.unwrap();
        })];
        let workers = events::workers(&self.notes.kit, &self.notes, &shutdown);
        assert_eq!(workers.is_empty(), self.way == Way::Http);
        tasks.extend(workers.into_iter().map(tokio::spawn));
        Running { shutdown, tasks }
    }

    /// Waits until so many things were acted on, each once, and the outbox has no more than `left`.
    pub(crate) async fn settled(&self, things: i64, left: i64) {
        until(async || self.notes.acts().await.1 == things && self.pending().await == left).await;
        assert_eq!(self.notes.acts().await, (things, things));
    }
}
