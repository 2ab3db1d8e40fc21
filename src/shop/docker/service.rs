//! One service's container: its current state, and the disruption in effect. No I/O.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::container::{ContainerInfo, ContainerState};
use super::guard::pending::PendingUndo;

/// What a fault did to a container, until it is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disruption {
    /// Killed or stopped.
    Down,
    /// Paused, for this long at most.
    Paused { since: Instant, most: Duration },
}

impl Disruption {
    /// What must be undone from now on.
    pub(super) fn pending_undo(self, now: Instant) -> PendingUndo {
        match self {
            Self::Down => PendingUndo::Start,
            Self::Paused { since, most } => {
                PendingUndo::Resume(most.saturating_sub(now.saturating_duration_since(since)))
            }
        }
    }

    /// Whether the container's state shows the disruption.
    pub(super) fn is_visible_in(self, state: &ContainerState) -> bool {
        match self {
            Self::Down => state.is_down(),
            Self::Paused { .. } => state.paused,
        }
    }
}

/// The memory and CPU time of a container during the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// The largest memory seen, without the file cache.
    pub(super) peak_bytes: u64,
    /// CPU time since the first measurement.
    pub(super) cpu_s: f64,
    /// Docker's last value. It counts from each start of the container.
    last_cpu_s: Option<f64>,
}

impl Usage {
    fn add(&mut self, cpu_s: f64, memory_bytes: u64) {
        self.peak_bytes = self.peak_bytes.max(memory_bytes);
        if let Some(last) = self.last_cpu_s {
            self.cpu_s += if cpu_s < last { cpu_s } else { cpu_s - last };
        }
        self.last_cpu_s = Some(cpu_s);
    }
}

#[derive(Debug, Default)]
struct Status {
    state: ContainerState,
    /// Whether the service was ready since the container's last start.
    ready: bool,
    disruption: Option<Disruption>,
    /// Whether the disruption timed out and may still take effect.
    in_doubt: bool,
    /// Counts our actions, so that a poll that began before an action does not overwrite its result.
    actions: u64,
    crashes: Vec<String>,
    usage: Usage,
}

/// One service's container.
pub(super) struct ServiceContainer {
    pub(super) info: ContainerInfo,
    status: Mutex<Status>,
    /// Held during an action: one at a time.
    pub(super) action_lock: tokio::sync::Mutex<()>,
}

impl ServiceContainer {
    pub(super) fn new(info: ContainerInfo) -> Self {
        let status = Status {
            state: info.state.clone(),
            ..Status::default()
        };
        Self {
            info,
            status: Mutex::new(status),
            action_lock: tokio::sync::Mutex::new(()),
        }
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `order/1`.
    pub(super) fn target(&self) -> String {
        self.info.target()
    }

    /// The state at the last inspection.
    pub(super) fn state(&self) -> ContainerState {
        self.status().state.clone()
    }

    /// The admin listener, while the container runs and is not paused.
    pub(super) fn admin(&self) -> Option<SocketAddr> {
        let status = self.status();
        let answers = status.state.running && !status.state.paused;
        status.state.admin.filter(|_| answers)
    }

    pub(super) fn is_ready(&self) -> bool {
        let status = self.status();
        status.ready && status.state.running && !status.state.paused
    }

    /// The name of the state in the record.
    pub(super) fn state_name(&self) -> &'static str {
        let status = self.status();
        match &status.state {
            ContainerState { running: false, .. } => "down",
            ContainerState { paused: true, .. } => "paused",
            _ if !status.ready => "starting",
            ContainerState {
                unhealthy: true, ..
            } => "unhealthy",
            _ => "ready",
        }
    }

    pub(super) fn crashes(&self) -> Vec<String> {
        self.status().crashes.clone()
    }

    pub(super) fn usage(&self) -> Usage {
        self.status().usage
    }

    /// The disruption that is not undone yet.
    pub(super) fn disruption(&self) -> Option<Disruption> {
        self.status().disruption
    }

    /// Notes a disruption before it happens, or `None` after it was undone.
    pub(super) fn set_disruption(&self, disruption: Option<Disruption>) {
        let mut status = self.status();
        status.actions += 1;
        status.disruption = disruption;
        status.in_doubt = false;
    }

    /// Notes that the disruption timed out and may still take effect.
    pub(super) fn set_in_doubt(&self) {
        self.status().in_doubt = true;
    }

    /// Whether a disruption timed out and may still take effect.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.status().in_doubt
    }

    /// Sets the state that was inspected during an action.
    pub(super) fn set_state(&self, state: ContainerState) {
        let mut status = self.status();
        status.actions += 1;
        status.update(state);
    }

    /// The number of actions so far, for [`Self::set_polled_state`].
    pub(super) fn actions(&self) -> u64 {
        self.status().actions
    }

    /// Sets the state of a poll, unless an action happened since the poll began.
    pub(super) fn set_polled_state(&self, actions: u64, state: ContainerState) {
        let mut status = self.status();
        if status.actions != actions {
            return;
        }
        status.update(state);
    }

    /// Notes that the service was ready, if the container has not restarted since `started_at`.
    pub(super) fn set_ready(&self, started_at: &str) {
        let mut status = self.status();
        status.ready |= status.state.running && status.state.started_at == started_at;
    }

    /// Adds a measurement: CPU time since the container's start, and current memory.
    pub(super) fn add_usage(&self, cpu_s: f64, memory_bytes: u64) {
        self.status().usage.add(cpu_s, memory_bytes);
    }
}

impl Status {
    /// Sets a new state. Notes a crash if the container ended without a disruption.
    fn update(&mut self, state: ContainerState) {
        let should_run = self.state.running && self.disruption != Some(Disruption::Down);
        if should_run && !state.running {
            self.crashes.push(state.ended.clone());
        } else if should_run && state.started_at != self.state.started_at {
            let how = "it ended and Docker restarted it".to_owned();
            self.crashes.push(how);
        }
        self.ready &= state.running && state.started_at == self.state.started_at;
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerInspectResponse;
    use shop_contract::Role;

    use super::*;

    fn running(start: &str) -> ContainerState {
        ContainerState {
            running: true,
            started_at: start.to_owned(),
            ..ContainerState::default()
        }
    }

    fn ended(start: &str) -> ContainerState {
        ContainerState {
            running: false,
            ended: "exit code 139".to_owned(),
            ..running(start)
        }
    }

    fn ready_service() -> ServiceContainer {
        let inspected = ContainerInspectResponse {
            id: Some("ab".to_owned()),
            ..ContainerInspectResponse::default()
        };
        let service =
            ServiceContainer::new(ContainerInfo::read(Role::Order, 1, &inspected).unwrap());
        assert_eq!(service.state_name(), "down");
        service.set_state(running("1"));
        service.set_ready("1");
        service
    }

    #[test]
    fn an_exit_without_a_disruption_is_a_crash() {
        let service = ready_service();
        assert_eq!(service.state_name(), "ready");
        service.set_disruption(Some(Disruption::Down));
        service.set_polled_state(service.actions(), ended("1"));
        assert_eq!((service.state_name(), service.crashes()), ("down", vec![]));
        service.set_state(running("2"));
        service.set_disruption(None);
        assert_eq!(service.state_name(), "starting", "it was restarted");
        service.set_ready("1");
        assert_eq!(
            service.state_name(),
            "starting",
            "an answer from before the restart"
        );
        service.set_ready("2");
        assert_eq!(service.state_name(), "ready");

        service.set_polled_state(service.actions(), ended("2"));
        service.set_polled_state(service.actions(), ended("2"));
        assert_eq!(service.crashes(), ["exit code 139"]);
        // Docker restarts it. Then it crashes and is restarted between two polls.
        service.set_polled_state(service.actions(), running("3"));
        assert_eq!(service.crashes().len(), 1);
        service.set_polled_state(service.actions(), running("4"));
        assert_eq!(service.crashes().len(), 2);
    }

    #[test]
    fn a_poll_from_before_an_action_is_ignored() {
        let service = ready_service();
        let before = service.actions();
        service.set_disruption(Some(Disruption::Down));
        service.set_state(running("2"));
        service.set_disruption(None);
        service.set_polled_state(before, ended("1"));
        assert!(service.crashes().is_empty());
        assert!(service.state().running);
    }

    #[test]
    fn the_undo_of_a_pause_is_due_at_its_end() {
        let since = Instant::now();
        let most = Duration::from_secs(5);
        let pause = Disruption::Paused { since, most };
        let pending = |after| pause.pending_undo(since + Duration::from_secs(after));
        assert_eq!(pending(0), PendingUndo::Resume(most));
        assert_eq!(pending(2), PendingUndo::Resume(Duration::from_secs(3)));
        assert_eq!(pending(9), PendingUndo::Resume(Duration::ZERO));
    }

    #[test]
    fn a_container_that_docker_will_restart_is_down_and_has_crashed() {
        let service = ready_service();
        let between = ContainerState {
            restarting: true,
            ..ended("1")
        };
        assert!(
            !Disruption::Down.is_visible_in(&between),
            "Docker restarts it"
        );
        service.set_polled_state(service.actions(), between);
        assert_eq!(service.state_name(), "down");
        assert_eq!(service.crashes(), ["exit code 139"]);
        service.set_polled_state(service.actions(), running("2"));
        assert_eq!(
            (service.state_name(), service.crashes().len()),
            ("starting", 1)
        );
    }

    #[test]
    fn cpu_time_counts_from_the_first_measurement_across_restarts() {
        let mut usage = Usage::default();
        for (cpu_s, memory) in [(100.0, 5), (101.5, 9), (0.5, 3), (1.0, 4)] {
            usage.add(cpu_s, memory);
        }
        assert_eq!((usage.cpu_s, usage.peak_bytes), (2.5, 9));
    }
}
