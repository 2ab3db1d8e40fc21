//! The stream of a shop's events on a NATS server.

/// A stream on a NATS server.
pub(super) struct EventStream {
    /// The server, with the name of the stream as path.
    pub(super) url: String,
    /// Whether the stream was created for this shop and is removed with it.
    pub(super) is_owned: bool,
}

impl EventStream {
    /// A new stream for each run, so that runs do not receive each other's events. A URL with a path names an existing
    /// stream, which others may use as well. `None` for `http`.
    pub(super) fn on(events: &str) -> Option<Self> {
        let (_, server) = events.split_once("://")?;
        let is_named = server.trim_end_matches('/').contains('/');
        let number = uuid::Uuid::now_v7().simple();
        let url = if is_named {
            events.to_owned()
        } else {
            format!("{}/run-{number}", events.trim_end_matches('/'))
        };
        Some(Self {
            url,
            is_owned: !is_named,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_stream_is_owned() {
        let new = EventStream::on("nats://127.0.0.1:4222/").unwrap();
        assert!(new.is_owned && new.url.starts_with("nats://127.0.0.1:4222/run-"));
        assert_ne!(
            new.url,
            EventStream::on("nats://127.0.0.1:4222").unwrap().url
        );
        let named = EventStream::on("nats://127.0.0.1:4222/blue").unwrap();
        assert!(!named.is_owned && named.url == "nats://127.0.0.1:4222/blue");
        assert!(EventStream::on("http").is_none());
    }
}
