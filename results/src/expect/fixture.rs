//! A record for the tests of judging.

use super::evidence::Evidence;
use crate::record::{
    AuditRow, FaultRow, Generator, MetastabilityRow, PhaseRow, Quantiles, StepRow,
};

/// The rows of a run, for a test to change.
pub(super) struct Record {
    pub(super) phases: Vec<PhaseRow>,
    pub(super) steps: Vec<StepRow>,
    pub(super) faults: Vec<FaultRow>,
    pub(super) metastability: Option<MetastabilityRow>,
    pub(super) audit: AuditRow,
    pub(super) generator: Generator,
    pub(super) interrupted: bool,
    pub(super) aborted: Option<&'static str>,
    pub(super) doubts: Vec<String>,
}

impl Record {
    /// A run that passes.
    pub(super) fn good() -> Self {
        let phase = |name: &str, from_s, to_s, measure| PhaseRow {
            name: name.to_owned(),
            from_s,
            to_s,
            measure,
        };
        let step = |step: &str, phase: &str| StepRow {
            step: step.to_owned(),
            phase: phase.to_owned(),
            requests: 200,
            ok: 200,
            response_us: Quantiles {
                p50: 9_000,
                p99: 412_000,
                ..Quantiles::default()
            },
            ..StepRow::default()
        };
        let fault = |name: &str, target: &str| FaultRow {
            name: name.to_owned(),
            target: target.to_owned(),
            hits: 40,
            recovered_s: Some(0.0),
            ..FaultRow::default()
        };
        Self {
            phases: vec![
                phase("warm-up", 0.0, 5.0, false),
                phase("steady", 5.0, 25.0, true),
                phase("rush", 25.0, 35.0, true),
            ],
            steps: vec![
                step("home", "steady"),
                step("buy_confirm", "steady"),
                step("home", "rush"),
                step("buy_confirm", "rush"),
            ],
            faults: vec![fault("bank-slow", "bank"), fault("order-down", "order/1")],
            metastability: None,
            audit: AuditRow {
                complete: true,
                orders_promised: 212,
                orders_found: 212,
                ..AuditRow::default()
            },
            generator: Generator {
                offered: 800,
                sent: 800,
                valid: true,
                ..Generator::default()
            },
            interrupted: false,
            aborted: None,
            doubts: Vec::new(),
        }
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            crashes: &[],
            phases: &self.phases,
            steps: &self.steps,
            faults: &self.faults,
            metastability: self.metastability.as_ref(),
            audit: &self.audit,
            generator: &self.generator,
            interrupted: self.interrupted,
            aborted: self.aborted,
            doubts: &self.doubts,
        }
    }

    pub(super) fn step(&mut self, step: &str, phase: &str) -> &mut StepRow {
        self.steps
            .iter_mut()
            .find(|row| row.step == step && row.phase == phase)
            .unwrap()
    }
}
