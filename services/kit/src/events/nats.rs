//! The line to NATS JetStream: connection, stream, publishing. What is drawn from it is `draw`'s business.
//!
//! All events of a shop are in one stream on disk. It keeps them for [`KEPT`], taken or not, so a subscriber that is
//! created late, or was away over the weekend, still finds them. A shop whose URL has a path
//! (`nats://127.0.0.1:4222/blue`) has a stream and subjects of its own on the same server; without that, a second shop
//! would take in the events of the first.

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
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Within this time the server drops an event that it has been given before. Beyond it, the inbox does.
const DUPLICATES: Duration = Duration::from_secs(600);
/// How long the server has for one answer. Shorter than a relay's claim.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(1);
/// A line on which nothing comes back for two of these is dead.
const PING: Duration = Duration::from_secs(3);
/// The longest wait between two tries to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why NATS cannot be worked with. It may be able to a moment later.
#[derive(Debug, thiserror::Error)]
pub(super) enum NatsError {
    /// The address can never work.
    #[error("{0}")]
    Address(String),
    /// There is no connection now; the client goes on trying by itself.
    #[error("there is no connection to NATS")]
    Away,
    /// The server, or JetStream on it, refused or did not answer.
    #[error("{0}: {1}")]
    Refused(&'static str, String),
}

impl NatsError {
    pub(super) fn refused(what: &'static str) -> impl Fn(async_nats::Error) -> Self {
        move |e| Self::Refused(what, e.to_string())
    }
}

/// Where the events of a shop are.
#[derive(Debug, Clone)]
struct Address {
    server: ServerAddr,
    /// Set when several shops share the server.
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

/// The line of one service. Made without a connection; the first use begins one, which from then on comes back by
/// itself however often it breaks.
pub(crate) struct Nats {
    address: Result<Address, String>,
    name: String,
    jetstream: OnceCell<Context>,
    prepared: AtomicBool,
}

impl Nats {
    /// A line to the server of `url`, under the name that the server's own lists will show.
    pub(crate) fn new(url: &str, name: String) -> Self {
        Self {
            address: Address::parse(url),
            name,
            jetstream: OnceCell::new(),
            prepared: AtomicBool::new(false),
        }
    }

    /// What is wrong with the address, if anything is.
    pub(crate) fn mistake(&self) -> Option<&str> {
        self.address.as_ref().err().map(String::as_str)
    }

    /// Whether there is a connection now. The first question begins one.
    pub(super) async fn is_connected(&self) -> bool {
        self.connected().await.is_ok()
    }

    /// JetStream with the stream in place. Fails at once when there is no connection, so that nobody waits for one.
    pub(super) async fn ready(&self) -> Result<&Context, NatsError> {
        let context = self.connected().await?;
        if !self.prepared.load(Ordering::Acquire) {
            let address = self.address()?;
            let config = Config {
                name: address.stream(),
                subjects: vec![address.subject("shop.*")],
                storage: StorageType::File,
                max_age: KEPT,
                duplicate_window: DUPLICATES,
                ..Config::default()
            };
            let made = context.get_or_create_stream(config).await;
            made.map_err(|e| NatsError::refused("the stream cannot be made")(e.into()))?;
            self.prepared.store(true, Ordering::Release);
        }
        Ok(context)
    }

    /// Takes the stream away with all that is in it. One that is not there is as good as gone.
    async fn remove(&self) -> Result<(), NatsError> {
        let refused = NatsError::refused("the stream cannot be taken away");
        let context = self.jetstream.get_or_try_init(|| self.begin()).await?;
        let stream = self.stream()?;
        match tokio::time::timeout(ANSWER, context.delete_stream(&stream)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) if e.to_string().contains("not found") => Ok(()),
            Ok(Err(e)) => Err(refused(e.into())),
            Err(e) => Err(refused(e.into())),
        }
    }

    /// To be called after a refusal: the stream may be gone, as after the server lost its disk, and is looked for
    /// again before the next use.
    pub(super) fn doubt(&self) {
        self.prepared.store(false, Ordering::Release);
    }

    /// The stream's name.
    pub(super) fn stream(&self) -> Result<String, NatsError> {
        Ok(self.address()?.stream())
    }

    /// The subject of a destination.
    pub(super) fn subject(&self, destination: &str) -> Result<String, NatsError> {
        Ok(self.address()?.subject(destination))
    }

    /// Publishes an event and waits until the server has it on disk. A second time under the same id changes nothing.
    pub(super) async fn publish(
        &self,
        envelope: &Envelope,
        traceparent: Option<&str>,
    ) -> Result<(), NatsError> {
        // All of it together, the stream's making too: a claim is not for longer.
        let published =
            match tokio::time::timeout(ANSWER, self.try_publish(envelope, traceparent)).await {
                Ok(published) => published,
                Err(e) => Err(NatsError::refused("not published")(e.into())),
            };
        if matches!(published, Err(NatsError::Refused(..))) {
            self.doubt();
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
        // Were some other stream to catch the subject, its receipt would mean nothing.
        headers.insert(NATS_EXPECTED_STREAM, self.stream()?);
        if let Some(traceparent) = traceparent {
            headers.insert(TRACEPARENT, traceparent);
        }
        let subject = self.subject(envelope.event.destination())?;
        let sent = jetstream.publish_with_headers(subject, headers, payload.into());
        let receipt = sent.await.map_err(|e| refused(e.into()))?;
        receipt.await.map(drop).map_err(|e| refused(e.into()))
    }

    /// Sends out what the client still holds, acknowledgements above all.
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
        let context = self.jetstream.get_or_try_init(|| self.begin()).await?;
        match context.client().connection_state() {
            State::Connected => Ok(context),
            _ => Err(NatsError::Away),
        }
    }

    async fn begin(&self) -> Result<Context, NatsError> {
        let server = self.address()?.server.clone();
        let client = ConnectOptions::new()
            .name(&self.name)
            .retry_on_initial_connect()
            .connection_timeout(CONNECT)
            .ping_interval(PING)
            .reconnect_delay_callback(|tries| wait(tries as u32))
            .event_callback(|event| async move { tracing::info!(%event, "NATS") })
            .connect(server)
            .await
            .map_err(|e| NatsError::refused("no connection")(e.into()))?;
        let mut context = jetstream::new(client);
        context.set_timeout(ANSWER);
        Ok(context)
    }
}

/// Forgets a shop on a NATS server: its stream, its subscribers' places in it, every event.
///
/// # Errors
/// Not the address of a server, no answer, or a refusal, in words.
pub async fn forget(url: &str) -> Result<(), String> {
    let line = Nats::new(url, "doorbuster".to_owned());
    line.remove().await.map_err(|e| e.to_string())
}

/// The wait before a try to connect: 50 ms doubled with each one before, [`LONGEST_WAIT`] at most.
fn wait(tries: u32) -> Duration {
    (Duration::from_millis(50) * 2u32.pow(tries.min(6))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shops_that_share_a_server_share_no_subject() {
        let alone = Address::parse("nats://127.0.0.1:4222").unwrap();
        assert_eq!(alone.stream(), "SHOP");
        assert_eq!(alone.subject("shop.orders"), "shop.orders");
        let blue = Address::parse("nats://shop:secret@127.0.0.1:4222/blue").unwrap();
        assert_eq!(blue.stream(), "SHOP-blue");
        assert_eq!(blue.subject("shop.orders"), "blue.shop.orders");
        assert_eq!(
            blue.server.into_inner().as_str().trim_end_matches('/'),
            "nats://shop:secret@127.0.0.1:4222"
        );
    }

    #[test]
    fn a_name_that_would_be_a_wildcard_is_refused() {
        for url in ["nats://h/a.b", "nats://h/*", "nats://h/a/b", "http://h"] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_wait_grows_and_stays_bounded() {
        assert_eq!(wait(0), Duration::from_millis(50));
        assert!(wait(3) > wait(2));
        assert_eq!(wait(1000), LONGEST_WAIT);
    }
}
