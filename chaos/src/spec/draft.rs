//! A fault while it is being read.

use syntax::Node;

use crate::fault::Fault;

/// What is known of a fault, even if it has mistakes.
pub(super) struct Draft<'d> {
    pub(super) name: Option<(String, Node<'d>)>,
    /// The node for mistakes about its time.
    pub(super) time_node: Node<'d>,
    /// The fault, once for each repetition. `None` if it has mistakes.
    pub(super) faults: Option<Vec<Fault>>,
}
