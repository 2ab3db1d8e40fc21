//! A database for each test: a SQLite file, or a database on a PostgreSQL server when its URL is given.
//!
//! The name on the server is derived from the folder, so a test that opens its folder again, as after a restart or as a
//! second replica, finds its data. Nothing is dropped: the script that starts the server throws it away, see
//! `.ci/postgres`.

use std::path::Path;

use sha2::{Digest, Sha256};
use shop_contract::role::Role;
use shop_kit::store::{DatabaseServer, sqlite_url};

/// The environment variable with the server, without a database: `postgres://user@127.0.0.1:5432`.
const SERVER: &str = "DOORBUSTER_TEST_POSTGRES";

/// The URL of a service's database. It exists when this returns.
pub(crate) fn url(role: Role, folder: &Path) -> String {
    match std::env::var(SERVER) {
        // A gateway has no database.
        Ok(server) if role != Role::Gateway => on_server(server, role, folder),
        _ => sqlite_url(&folder.join(format!("{role}.db"))),
    }
}

fn on_server(server: String, role: Role, folder: &Path) -> String {
    let name = name(role, folder);
    let parsed = DatabaseServer::parse(&server).unwrap_or_else(|e| panic!("{SERVER}: {e}"));
    let url = parsed.database(&name);
    // A runtime cannot be blocked on within another one, and this function is not async: hence a thread.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let created = runtime.unwrap().block_on(parsed.create(&name));
        created.unwrap_or_else(|e| panic!("{SERVER}: {e}"));
    })
    .join()
    .unwrap();
    url
}

/// PostgreSQL cuts names after 63 bytes. This one is shorter and needs no quotes.
fn name(role: Role, folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let hex: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
    format!("{role}_{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_and_role_has_a_database_of_its_own() {
        let (one, other) = (Path::new("/tmp/one"), Path::new("/tmp/other"));
        assert_eq!(name(Role::Order, one), name(Role::Order, one));
        assert_ne!(name(Role::Order, one), name(Role::Order, other));
        assert_ne!(name(Role::Order, one), name(Role::User, one));
    }

    #[test]
    fn names_need_no_quotes() {
        let name = name(Role::Notification, Path::new("/tmp/.tmpA b\"ü"));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.len() < 64 && name.chars().all(plain), "{name}");
    }
}
