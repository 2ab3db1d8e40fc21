//! `doorbuster chaos …`: faults by hand, without a run.

pub(crate) mod proxy;
