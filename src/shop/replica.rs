//! Names one process of the shop.

use shop_contract::Role;

/// A role and the number of the replica, from 0.
pub(crate) type ReplicaId = (Role, u32);
