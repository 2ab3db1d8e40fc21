//! The configuration of a service under test.

use std::collections::BTreeMap;
use std::path::Path;

use shop_contract::role::Role;
use shop_kit::config::{Events, ServiceConfig, Switches};

use crate::database;

/// The services' key in tests.
pub const KEY: &str = "key-of-the-tests";

/// The configuration of one service with the database of `folder`: the same folder is the same database.
pub fn config(role: Role, folder: &Path, peers: BTreeMap<Role, Vec<String>>) -> ServiceConfig {
    ServiceConfig {
        role,
        replica: 0,
        listen: ([127, 0, 0, 1], 0).into(),
        admin: ([127, 0, 0, 1], 0).into(),
        admin_token: None,
        database_url: database::url(role, folder),
        peers,
        service_key: KEY.to_owned(),
        events: Events::Http,
        resilience: Switches::default(),
        traces: Default::default(),
        seed: 7,
    }
}
