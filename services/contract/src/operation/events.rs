//! The operation that pushes an event to a subscriber.

use super::{Operation, cart, notification, product};
use crate::role::Role;

/// The operation of a subscriber. `None`: the role subscribes to nothing.
pub fn push_to(subscriber: Role) -> Option<&'static Operation> {
    match subscriber {
        Role::Cart => Some(&cart::EVENT),
        Role::Notification => Some(&notification::EVENT),
        Role::Product => Some(&product::EVENT),
        _ => None,
    }
}
