//! Tests of the structure in ARCHITECTURE.md, from `cargo metadata` and the source files: floors of crates, rooms in `src/`, no
//! circles of files in any crate, and no route of the shop in the kit.
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
