//! The services' interfaces: wire types, events, operations and names. It is all that services share about each other.
//!
//! One file per service has the bodies of its requests and answers; [`operation`] has methods, paths and how they are
//! called and served; [`openapi`] makes documents of them. [`events`] has the events between services, [`audit`] and
//! [`faults`] the admin listeners, [`problem`] every error. There is no behavior beyond reading and writing these
//! shapes.

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
