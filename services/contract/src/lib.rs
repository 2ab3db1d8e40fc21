//! What services share about each other: wire types, event types and names. Nothing else.
//!
//! One file per service, named like it, with the bodies of its requests and answers; [`events`] for what travels
//! between services without being asked for; [`audit`] and [`faults`] for the admin listeners; [`problem`] for
//! every error; [`openapi`] for which path takes and gives what. No behaviour lives here beyond reading and writing these shapes.

pub mod audit;
pub mod bank;
pub mod cart;
mod enumeration;
pub mod events;
pub mod faults;
pub mod headers;
pub mod inventory;
pub mod money;
pub mod notification;
pub mod openapi;
pub mod operation;
pub mod order;
pub mod payment;
pub mod problem;
pub mod product;
pub mod role;
pub mod user;
mod whole;

pub use money::Money;
pub use problem::Problem;
pub use role::Role;
