//! Names of environment variables that several parts of the command read or set.

/// Set by the supervisor: the child process ends when its standard input does.
pub(crate) const SUPERVISED: &str = "DOORBUSTER_SUPERVISED";
/// Delays the readiness of a service by this many milliseconds: a fault, set for a single start.
pub(crate) const START_LATE_MS: &str = "DOORBUSTER_START_LATE_MS";
/// The key that the services share.
pub(crate) const SERVICE_KEY: &str = "DOORBUSTER_SERVICE_KEY";
/// The bearer token of the admin listeners.
pub(crate) const ADMIN_TOKEN: &str = "DOORBUSTER_ADMIN_TOKEN";
