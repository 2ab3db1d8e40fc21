//! NATS JetStream: connection, stream, publishing. Pulling is in `pull`.
//!
//! All events of a shop are in one stream on disk. It keeps them for [`RETENTION`], processed or not, so a subscriber that is
//! created late, or was down over the weekend, still finds them. A shop whose URL has a path (`nats://127.0.0.1:4222/blue`) has
//! a stream and subjects of its own; without it, a second shop on the server would receive the events of the first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, HeaderMap, ServerAddr};
use shop_contract::events::Envelope;
use shop_contract::headers::TRACEPARENT;
use tokio::sync::OnceCell;

/// How long the stream keeps an event.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Within this time the server drops duplicates. After it, the inbox does.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);
/// The limit for one response of the server. Shorter than a relay's claim.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The ping interval. A connection without a pong for two intervals is dead.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// The longest wait between two attempts to connect.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Why an operation of NATS failed. Most causes are temporary.
#[derive(Debug, thiserror::Error)]
pub(super) enum NatsError {
    /// The address is invalid.
    #[error("{0}")]
    Address(String),
    /// There is no connection now; the client reconnects by itself.
    #[error("there is no connection to NATS")]
    Disconnected,
    /// The server, or JetStream on it, refused or did not respond.
    #[error("{0}: {1}")]
    Refused(&'static str, String),
}

impl NatsError {
    pub(super) fn refused(what: &'static str) -> impl Fn(async_nats::Error) -> Self {
        move |e| Self::Refused(what, e.to_string())
    }
}

/// The NATS server and the shop on it.
#[derive(Debug, Clone)]
struct Address {
    server: ServerAddr,
    /// Set if several shops share the server.
    shop: Option<String>,
}

impl Address {
    /// Reads `nats://host:port` or `nats://host:port/shop`.
    fn parse(url: &str) -> Result<Self, String> {
        let server: ServerAddr = url.parse().map_err(|e: std::io::Error| e.to_string())?;
        let mut url = server.into_inner();
        let shop = url.path().trim_matches('/').to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !shop.chars().all(plain) {
            return Err(format!(
                "`{shop}` cannot name a shop on NATS; use letters, digits, `-` and `_`"
            ));
        }
        url.set_path("");
        Ok(Self {
            server: ServerAddr::from_url(url).map_err(|e| e.to_string())?,
            shop: Some(shop).filter(|s| !s.is_empty()),
        })
    }

    fn stream(&self) -> String {
        match &self.shop {
            Some(shop) => format!("SHOP-{shop}"),
            None => "SHOP".to_owned(),
        }
    }

    fn subject(&self, destination: &str) -> String {
        match &self.shop {
            Some(shop) => format!("{shop}.{destination}"),
            None => destination.to_owned(),
        }
    }
}

/// The NATS client of one service. It connects on first use, and reconnects by itself from then on.
pub(crate) struct Nats {
    address: Result<Address, String>,
    name: String,
    jetstream: OnceCell<Context>,
    /// Whether the stream is known to exist.
    stream_ready: AtomicBool,
}

impl Nats {
    /// A client for the server of `url`. The server lists the connection under `name`.
    pub(crate) fn new(url: &str, name: String) -> Self {
        Self {
            address: Address::parse(url),
            name,
            jetstream: OnceCell::new(),
            stream_ready: AtomicBool::new(false),
        }
    }

    /// The error in the address, if there is one.
    pub(crate) fn address_error(&self) -> Option<&str> {
        self.address.as_ref().err().map(String::as_str)
    }

    /// Whether there is a connection now. The first call starts one.
    pub(super) async fn is_connected(&self) -> bool {
        self.connected().await.is_ok()
    }

    /// JetStream, with the stream created. Fails at once without a connection, instead of waiting for one.
    pub(super) async fn ready(&self) -> Result<&Context, NatsError> {
        let context = self.connected().await?;
        if !self.stream_ready.load(Ordering::Acquire) {
            let address = self.address()?;
            let config = Config {
                name: address.stream(),
                subjects: vec![address.subject("shop.*")],
                storage: StorageType::File,
                max_age: RETENTION,
                duplicate_window: DUPLICATE_WINDOW,
                ..Config::default()
            };
            let created = context.get_or_create_stream(config).await;
            created.map_err(|e| NatsError::refused("the stream could not be created")(e.into()))?;
            self.stream_ready.store(true, Ordering::Release);
        }
        Ok(context)
    }

    /// Deletes the stream with all its events. A missing stream is no error.
    async fn delete_stream(&self) -> Result<(), NatsError> {
        let refused = NatsError::refused("the stream could not be deleted");
        let context = self.jetstream.get_or_try_init(|| self.connect()).await?;
        let stream = self.stream()?;
        match tokio::time::timeout(RESPONSE_TIMEOUT, context.delete_stream(&stream)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) if e.to_string().contains("not found") => Ok(()),
            Ok(Err(e)) => Err(refused(e.into())),
            Err(e) => Err(refused(e.into())),
        }
    }

    /// Call it after a refusal: the stream may be gone, such as after the server lost its disk. It is created again before the
    /// next use.
    pub(super) fn forget_stream(&self) {
        self.stream_ready.store(false, Ordering::Release);
    }

    /// The stream's name.
    pub(super) fn stream(&self) -> Result<String, NatsError> {
        Ok(self.address()?.stream())
    }

    /// The subject of a destination.
    pub(super) fn subject(&self, destination: &str) -> Result<String, NatsError> {
        Ok(self.address()?.subject(destination))
    }

    /// Publishes an event and waits until the server has stored it. Publishing the same id again has no effect.
    pub(super) async fn publish(
        &self,
        envelope: &Envelope,
        traceparent: Option<&str>,
    ) -> Result<(), NatsError> {
        // One limit for everything, also creating the stream: a claim does not last longer.
        let published =
            match tokio::time::timeout(RESPONSE_TIMEOUT, self.try_publish(envelope, traceparent))
                .await
            {
                Ok(published) => published,
                Err(e) => Err(NatsError::refused("not published")(e.into())),
            };
        if matches!(published, Err(NatsError::Refused(..))) {
            self.forget_stream();
        }
        published
    }

    async fn try_publish(
        &self,
        envelope: &Envelope,
        traceparent: Option<&str>,
    ) -> Result<(), NatsError> {
        let refused = NatsError::refused("not published");
        let jetstream = self.ready().await?;
        let payload = serde_json::to_vec(envelope).map_err(|e| refused(e.into()))?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, envelope.id.as_str());
        // Refuses the receipt of another stream that might capture the subject.
        headers.insert(NATS_EXPECTED_STREAM, self.stream()?);
        if let Some(traceparent) = traceparent {
            headers.insert(TRACEPARENT, traceparent);
        }
        let subject = self.subject(envelope.event.destination())?;
        let sent = jetstream.publish_with_headers(subject, headers, payload.into());
        let receipt = sent.await.map_err(|e| refused(e.into()))?;
        receipt.await.map(drop).map_err(|e| refused(e.into()))
    }

    /// Sends what the client has buffered, mainly acknowledgements.
    pub(super) async fn flush(&self) {
        if let Some(context) = self.jetstream.get()
            && context.client().connection_state() == State::Connected
            && let Err(e) = context.client().flush().await
        {
            tracing::debug!(error = %e, "the last acknowledgements may be lost");
        }
    }

    fn address(&self) -> Result<&Address, NatsError> {
        self.address
            .as_ref()
            .map_err(|e| NatsError::Address(e.clone()))
    }

    async fn connected(&self) -> Result<&Context, NatsError> {
        let context = self.jetstream.get_or_try_init(|| self.connect()).await?;
        match context.client().connection_state() {
            State::Connected => Ok(context),
            _ => Err(NatsError::Disconnected),
        }
    }

    async fn connect(&self) -> Result<Context, NatsError> {
        let server = self.address()?.server.clone();
        let client = ConnectOptions::new()
            .name(&self.name)
            .retry_on_initial_connect()
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(|attempts| wait(attempts as u32))
            .event_callback(|event| async move { tracing::info!(%event, "NATS") })
            .connect(server)
            .await
            .map_err(|e| NatsError::refused("no connection")(e.into()))?;
        let mut context = jetstream::new(client);
        context.set_timeout(RESPONSE_TIMEOUT);
        Ok(context)
    }
}

/// Deletes a shop on a NATS server: its stream with all events and consumers.
///
/// # Errors
/// An invalid address, no response, or a refusal, as a message.
pub async fn delete_stream(url: &str) -> Result<(), String> {
    let nats = Nats::new(url, "doorbuster".to_owned());
    nats.delete_stream().await.map_err(|e| e.to_string())
}

/// The wait before an attempt to connect: 50 ms, doubled with each earlier attempt, at most [`MAX_WAIT`].
fn wait(attempts: u32) -> Duration {
    (Duration::from_millis(50) * 2u32.pow(attempts.min(6))).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shops_on_one_server_have_separate_subjects() {
        let only_shop = Address::parse("nats://127.0.0.1:4222").unwrap();
        assert_eq!(only_shop.stream(), "SHOP");
        assert_eq!(only_shop.subject("shop.orders"), "shop.orders");
        let blue = Address::parse("nats://shop:secret@127.0.0.1:4222/blue").unwrap();
        assert_eq!(blue.stream(), "SHOP-blue");
        assert_eq!(blue.subject("shop.orders"), "blue.shop.orders");
        assert_eq!(
            blue.server.into_inner().as_str().trim_end_matches('/'),
            "nats://shop:secret@127.0.0.1:4222"
        );
    }

    #[test]
    fn a_name_that_is_a_wildcard_is_refused() {
        for url in ["nats://h/a.b", "nats://h/*", "nats://h/a/b", "http://h"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_wait_grows_up_to_its_maximum() {
        assert_eq!(wait(0), Duration::from_millis(50));
        assert!(wait(3) > wait(2));
        assert_eq!(wait(1000), MAX_WAIT);
    }
}
