//! A TCP fault proxy that speaks the HTTP API of Toxiproxy 2: faults of the path between two services, which neither of
//! them can tell from a bad network.
//!
//! # The way of a byte
//!
//! 1. **A listener accepts** (`listener`). Each connection gets a number and a task of its own, which dials the
//!    upstream; an upstream that does not answer holds up nobody else.
//! 2. **A link each way carries it** (`link`): it reads, asks its pipe (`pipe`) what may go, and writes. This is all the
//!    I/O there is. What one end does, the other is told: the end of its sending (half-close) as well as a reset.
//! 3. **The pipe decides** (`pipe`, `stage`). It is a chain of toxics over chunks that know when they arrived. Pure: time
//!    is passed in, draws are seeded. A delayed chunk does not hold up the reading of the next, so delay does not
//!    throttle; how much may wait in each stage is bounded, and beyond that the sender has to wait.
//! 4. **Toxics change while it flows** (`toxics`). Each change is published to all links, so connections that are
//!    open are hit as new ones are, and are let go again.
//!
//! # Whom a toxic touches
//!
//! `toxicity` is the share of *connections* (`draw`). Each connection draws once for each toxic, from the seed, the
//! two's names and how often a toxic of that name was added before: other toxics, edits and the order of events do not change it.
//!
//! # Proof and end
//!
//! Each toxic counts the connections and bytes that it acted on ([`Hits`]). With a time to live it ends by itself, even
//! when whoever asked for it has died. Everything ends with the token that [`Proxies::new`] was given.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use chaos::proxy::{Kind, NewToxic, Proxies};
//!
//! let proxies = Proxies::new(7, Default::default());
//! let address = proxies.open("bank", "127.0.0.1:0", "127.0.0.1:9000").await?;
//! let latency = Kind::Latency { latency: Duration::from_millis(100), jitter: Duration::ZERO };
//! let slow = NewToxic::new(latency).ttl(Duration::from_secs(30));
//! let toxic = proxies.add_toxic("bank", slow)?;
//! // … requests to `address` …
//! let hits = proxies.remove_toxic("bank", &toxic.name)?;
//! proxies.close().await;
//! # Ok(())
//! # }
//! ```

pub mod api;
mod draw;
mod error;
mod link;
mod listener;
mod pipe;
mod proxies;
mod resolve;
mod stage;
mod toxic;
mod toxics;
mod wire;

pub use error::ProxyError;
pub use proxies::{Change, Connections, Proxies, ProxyInfo, ProxySpec};
pub use toxic::{Kind, NewToxic, Stream};
pub use toxics::{Hits, ToxicInfo};
pub use wire::specs_from_json;
