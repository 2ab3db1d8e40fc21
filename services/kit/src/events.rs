//! Events between services: a transactional outbox, a relay that delivers, an inbox that deduplicates.
//!
//! A service writes an event to its outbox in the same transaction as the change itself, so neither exists without the other.
//! The relay delivers it: at least once, in no guaranteed order. The subscriber writes the event's id to its inbox in the same
//! transaction as its own change, so it processes no event twice.
//!
//! There are two transports, chosen by [`crate::config::Events`]; neither the writer of an event nor the [`Subscriber`] depends
//! on which it is. *HTTP*: the relay pushes each row to `POST /events` of its subscriber until the subscriber accepts it; a
//! dead subscriber does not delay others, since each has rows of its own. *NATS JetStream*: the relay publishes each event once
//! and deletes it when the server has stored it; each subscriber pulls it from there.
//!
//! The outbox has a row per subscriber with both transports, though NATS needs only one per event. So a shop can be stopped
//! with one transport and started with the other, and what is still in the outbox arrives.
//!
//! A service with an outbox has this table, and a subscriber the second one:
//!
//! ```sql
//! CREATE TABLE outbox (
//!     id TEXT NOT NULL, subscriber TEXT NOT NULL, payload TEXT NOT NULL,
//!     lease_until BIGINT NOT NULL, attempts BIGINT NOT NULL, created_at_ms BIGINT NOT NULL,
//!     PRIMARY KEY (id, subscriber)
//! );
//! CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at_ms BIGINT NOT NULL);
//! ```

mod inbox;
pub(crate) mod nats;
mod outbox;
mod pull;
mod relay;
mod subscriber;

use tokio_util::sync::CancellationToken;

use crate::Kit;
use crate::service::Worker;
pub use inbox::first_time;
pub use nats::delete_stream;
pub use outbox::{envelope, pending, write};
pub use relay::Relay;
pub use subscriber::{EventOutcome, Subscriber, receive};

/// The workers that pull a subscriber's events from NATS. None over HTTP, where events are pushed to `POST /events`.
pub fn workers<S: Subscriber>(
    kit: &Kit,
    subscriber: &S,
    shutdown: &CancellationToken,
) -> Vec<Worker> {
    for destination in S::DESTINATIONS {
        subscriber::declare_metrics(kit, destination);
    }
    let Some(nats) = kit.nats() else {
        return Vec::new();
    };
    let pull = |destination: &&'static str| {
        let (kit, nats, subscriber) = (kit.clone(), nats.clone(), subscriber.clone());
        let work = pull::run(kit, nats, subscriber, destination, shutdown.clone());
        Box::pin(work) as Worker
    };
    S::DESTINATIONS.iter().map(pull).collect()
}
