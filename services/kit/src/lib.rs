//! What every service is built on: server stack, client stack, telemetry, store, events, identity, faults.
//!
//! A service crate has its routes, its rules and its SQL; everything that all services need is here, once. [`Kit`] holds
//! it for one service: it is made from a [`config::ServiceConfig`] and cloned into handlers and workers.
//!
//! * [`server::stack`]: what happens to each request before its handler runs. The best place to begin.
//! * [`client`]: how one service calls another; the policies are those of `shop-resilience`.
//! * [`store`], [`queue`], [`events`]: the service's own database, work queued in it, and the delivery of events.
//! * [`auth`]: who is calling. [`problem`]: the errors that a caller sees.
//! * [`openapi`]: routes and the document that describes them, from one place.
//! * [`admin`], [`audit`], [`faults`]: the admin listener.
//! * [`service::run`]: all of it as one process.
//!
//! Files import only downwards: none imports a file that imports it, directly or through others. Types that several
//! modules share have files of their own, such as [`context`] and [`telemetry::names`].

pub mod admin;
pub mod audit;
pub mod auth;
pub mod client;
pub mod clock;
pub mod config;
mod connections;
pub mod context;
pub mod events;
pub mod faults;
mod kit;
pub mod limiter;
pub mod net;
pub mod openapi;
pub mod problem;
pub mod queue;
mod response_marks;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;

pub use kit::Kit;
