//! The structure that ARCHITECTURE.md promises, read from `cargo metadata` and from the source files: floors between crates, rooms
//! in `src/`, no circle of files in any crate, and no route of the shop in the kit.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod files;
mod floors;
mod graph;
mod kit;
mod rooms;

use std::path::Path;

/// The folder of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
