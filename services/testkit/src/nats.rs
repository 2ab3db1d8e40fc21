//! A shop of its own for each test on a NATS server, if the server's URL is given: see `.ci/nats`.

use std::path::Path;

use sha2::{Digest, Sha256};

/// The environment variable with the server: `nats://127.0.0.1:4222`.
const SERVER: &str = "DOORBUSTER_TEST_NATS";

/// The URL for a test's events; each folder is a shop of its own on the server. Without a server it returns `None` and prints
/// that the test is skipped.
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
