//! Property tests and small simulations of the policies, in virtual time.
//!
//! Each file is about one policy. Nothing here sleeps or reads a clock; a minute of a shop takes milliseconds.

mod balance;
mod breaker;
mod bucket;
mod budget;
mod bulkhead;
mod deadline;
mod hedge;
mod limit;
mod retry;
mod virtual_time;
