//! A place for the events of one test on a NATS server, when a URL of one is given: see `.ci/nats`.

use std::path::Path;

use sha2::{Digest, Sha256};

/// The environment variable with the server: `nats://127.0.0.1:4222`.
const SERVER: &str = "DOORBUSTER_TEST_NATS";

/// The URL for the tests' events; every folder is a shop of its own on the server. Without a server it gives nothing
/// and says so.
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
