//! The data that expectations and the verdict are judged on.

use crate::record::{
    AuditRow, FaultRow, Generator, MetastabilityRow, PhaseRow, RunSummary, StepRow,
};

/// The rows of the record that expectations and the verdict are judged on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'r> {
    /// The phases that the run entered.
    pub phases: &'r [PhaseRow],
    /// The steps of measured phases.
    pub steps: &'r [StepRow],
    /// The faults of the scenario.
    pub faults: &'r [FaultRow],
    /// Whether the goodput came back. `None` when no fault was injected.
    pub metastability: Option<&'r MetastabilityRow>,
    /// Services that crashed.
    pub crashes: &'r [String],
    /// The audit.
    pub audit: &'r AuditRow,
    /// The generator's report on itself.
    pub generator: &'r Generator,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
    /// The abort condition that ended the run early, in words.
    pub aborted: Option<&'r str>,
    /// Reasons why the measurement is not valid, found by the generator and the audit while they ran.
    pub doubts: &'r [String],
}

impl<'r> Evidence<'r> {
    /// The evidence in a summary, together with the doubts of the instruments. The summary's own expectations, verdict
    /// and reasons are not read.
    pub fn of(summary: &'r RunSummary, doubts: &'r [String]) -> Self {
        Self {
            phases: &summary.phases,
            steps: &summary.steps,
            faults: &summary.faults,
            metastability: summary.metastability.as_ref(),
            crashes: &summary.crashes,
            audit: &summary.audit,
            generator: &summary.generator,
            interrupted: summary.interrupted,
            aborted: summary.aborted.as_deref(),
            doubts,
        }
    }

    /// The row of a step in a phase, if the step was taken there.
    pub(super) fn step(&self, step: &str, phase: &str) -> Option<&'r StepRow> {
        self.steps
            .iter()
            .find(|row| row.step == step && row.phase == phase && row.requests > 0)
    }
}
