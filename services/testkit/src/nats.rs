//! A NATS server for events, when its URL is given: see `.ci/nats`.

use std::path::Path;

use sha2::{Digest, Sha256};

/// The environment variable with the server: `nats://127.0.0.1:4222`.
const SERVER: &str = "DOORBUSTER_TEST_NATS";

/// The URL for a test's events; every folder is its own shop on the server. `None`, with a message, if there is no
/// server.
pub fn nats(folder: &Path) -> Option<String> {
    let Ok(server) = std::env::var(SERVER) else {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        eprintln!("skipped: {test} needs a NATS server, see .ci/nats");
        return None;
    };
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let hex: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
    Some(format!("{}/{hex}", server.trim_end_matches('/')))
}
