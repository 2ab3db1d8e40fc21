//! A TCP fault proxy with the HTTP API of Toxiproxy 2. It injects faults into the path between two services; to them it
//! looks like a bad network.
//!
//! # From client to upstream
//!
//! 1. **A listener accepts connections** (`listener`). Each connection gets a number and its own task, which dials the
//!    upstream. A slow upstream does not delay other connections.
//! 2. **A link for each direction does the I/O** (`link`). It reads, passes the data through its pipe, and writes. It
//!    also passes on half-closes and resets.
//! 3. **The pipe applies the toxics** (`pipe`, `stage`). It is a chain of stages, one for each toxic, over chunks with
//!    their time of arrival. Pure: time is passed in, draws are seeded. A delayed chunk does not stop reading, so a
//!    delay does not limit throughput. The data in each stage is bounded; beyond that the sender has to wait.
//! 4. **Toxics can change at any time** (`toxics`). Each change is sent to all links, so it affects open connections as
//!    well as new ones.
//!
//! # Which connections a toxic affects
//!
//! `toxicity` is the share of *connections* (`draw`). Each connection has one draw for each toxic. It depends on the
//! seed, the names of proxy and toxic, and how often a toxic of that name was added before. It does not depend on other
//! toxics, changes, or the order of events.
//!
//! # Hits and time to live
//!
//! Each toxic counts the connections and bytes that it affected ([`Hits`]). A toxic with a time to live ends even if its
//! creator has died. Everything ends when the token given to [`Proxies::new`] is cancelled.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use chaos::proxy::{NewToxic, Proxies, ToxicKind};
//!
//! let proxies = Proxies::new(7, Default::default());
//! let address = proxies.open("bank", "127.0.0.1:0", "127.0.0.1:9000").await?;
//! let latency = ToxicKind::Latency { latency: Duration::from_millis(100), jitter: Duration::ZERO };
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
pub use proxies::{Connections, Proxies, ProxyChange, ProxyInfo, ProxySpec};
pub use toxic::{NewToxic, Stream, ToxicKind};
pub use toxics::{Hits, ToxicInfo};
pub use wire::specs_from_json;
