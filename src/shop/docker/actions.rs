//! Kills, stops, pauses and restarts containers, and undoes that.
//!
//! The guard process gets each disruption before it happens, so that it can undo it if the run dies. Actions run in tasks of
//! their own, so they complete even if the caller stops waiting.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use bollard::query_parameters::{KillContainerOptions, StopContainerOptionsBuilder};
use chaos::{InjectError, ProcessAction};
use tokio::time::{Instant, sleep};

use super::api;
use super::containers::Containers;
use super::service::{Disruption, ServiceContainer};

/// The time limit until a disruption is visible in the container's state.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit until the service is ready again.
const RESTART_TIMEOUT: Duration = Duration::from_secs(30);
/// The interval of inspections while an action waits.
const POLL: Duration = Duration::from_millis(20);
/// The grace period before Docker kills a container that it stops. In seconds, Docker's unit.
const GRACE_S: i32 = 10;

/// What a fault does to a container.
#[derive(Debug, Clone, Copy)]
enum Action {
    Kill,
    Stop,
    Pause(Duration),
}

impl Containers {
    /// Runs an action on a replica, in a task of its own. Returns the process id of a container that was disrupted.
    pub(super) async fn run_action(
        &self,
        role: &str,
        replica: u32,
        action: ProcessAction,
    ) -> Result<Option<u32>, InjectError> {
        let target = format!("{role}/{replica}");
        let is_target =
            |s: &ServiceContainer| s.info.role.name() == role && s.info.replica == replica;
        let Some(index) = self.services.iter().position(is_target) else {
            return Err(InjectError::NoSuchTarget { target });
        };
        let result = match tokio::spawn(self.clone().perform(index, action)).await {
            Ok(result) => result,
            Err(e) => Err(anyhow!("the action failed: {e}")),
        };
        result.map_err(|e| InjectError::Process {
            target,
            reason: format!("{e:#}"),
        })
    }

    async fn perform(self, index: usize, action: ProcessAction) -> Result<Option<u32>> {
        let disrupted = match action {
            ProcessAction::Kill => self.disrupt(index, Action::Kill).await,
            ProcessAction::Stop => self.disrupt(index, Action::Stop).await,
            ProcessAction::Pause { at_most } => self.disrupt(index, Action::Pause(at_most)).await,
            ProcessAction::Start { delay } => {
                return self.restore_and_wait(index, delay).await.map(|()| None);
            }
            ProcessAction::Resume => {
                let resumed = self.restore_and_wait(index, Duration::ZERO).await;
                return resumed.map(|()| None);
            }
        };
        disrupted.map(Some)
    }

    /// Disrupts a container, and waits until its state shows it.
    async fn disrupt(self, index: usize, action: Action) -> Result<u32> {
        let service = &self.services[index];
        let _locked = service.action_lock.lock().await;
        if self.stop.is_cancelled() {
            bail!("the shop is closing");
        }
        self.refresh(service).await?;
        let state = service.state();
        if !state.running {
            bail!("it is down already");
        }
        // The end of the first pause would also end the second.
        if matches!(action, Action::Pause(_)) && state.paused {
            bail!("it is paused already");
        }
        let id = &service.info.id;
        let now = std::time::Instant::now();
        let disruption = match action {
            Action::Kill | Action::Stop => Disruption::Down,
            Action::Pause(most) => Disruption::Paused { since: now, most },
        };
        let before = (service.disruption(), service.is_in_doubt());
        self.guard
            .register(id, disruption.pending_undo(now))
            .await?;
        service.set_disruption(Some(disruption));
        let done = match action {
            Action::Kill => {
                self.api
                    .kill_container(id, None::<KillContainerOptions>)
                    .await
            }
            Action::Stop => {
                let grace = StopContainerOptionsBuilder::new().t(GRACE_S).build();
                self.api.stop_container(id, Some(grace)).await
            }
            Action::Pause(_) => self.api.pause_container(id).await,
        };
        if let Err(e) = &done
            && api::has_refused(e)
        {
            self.revert(service, before).await;
            bail!("Docker refused: {}", api::words(e));
        }
        // Without a response Docker may still have done it, so the container's state decides.
        let Err(not_visible) = self.wait_until_visible(service, disruption).await else {
            return Ok(state.pid.unwrap_or_default());
        };
        // The caller takes an error as "not disrupted", so the container is restored here. The undo stays pending.
        service.set_in_doubt();
        if let Err(e) = self.restore_locked(service).await {
            tracing::warn!(target = service.target(), error = %e, "a container is not restored yet");
        }
        match done {
            Ok(()) => Err(not_visible),
            Err(e) => bail!("Docker: {}", api::words(&e)),
        }
    }

    /// Docker refused a disruption: the one before it, such as a pause, is in effect again.
    async fn revert(
        &self,
        service: &ServiceContainer,
        (disruption, in_doubt): (Option<Disruption>, bool),
    ) {
        service.set_disruption(disruption);
        if in_doubt {
            service.set_in_doubt();
        }
        let id = &service.info.id;
        let Some(disruption) = disruption else {
            return self.guard.complete(id).await;
        };
        let pending = disruption.pending_undo(std::time::Instant::now());
        if let Err(e) = self.guard.register(id, pending).await {
            tracing::warn!(error = %e, "the guard process has ended");
        }
    }

    /// Waits until a disruption is visible in the container's state. Failed inspections are repeated.
    async fn wait_until_visible(
        &self,
        service: &ServiceContainer,
        disruption: Disruption,
    ) -> Result<()> {
        let until = Instant::now() + EFFECT_TIMEOUT;
        loop {
            let inspected = self.refresh(service).await;
            let state = service.state();
            if inspected.is_ok() && disruption.is_visible_in(&state) {
                return Ok(());
            }
            if Instant::now() > until {
                inspected?;
                bail!(
                    "its container is still {} after {} s",
                    state.status,
                    EFFECT_TIMEOUT.as_secs()
                );
            }
            sleep(POLL).await;
        }
    }

    /// Restores a container, and waits until its service is ready.
    pub(super) async fn restore_and_wait(self, index: usize, late: Duration) -> Result<()> {
        if !late.is_zero() {
            bail!("a slow start cannot be injected into a container");
        }
        let service = &self.services[index];
        self.restore(service).await?;
        let until = Instant::now() + RESTART_TIMEOUT;
        while !self.check_ready(service).await {
            if Instant::now() > until {
                bail!("not ready after {} s", RESTART_TIMEOUT.as_secs());
            }
            self.refresh(service).await?;
            let state = service.state();
            if state.is_down() && service.disruption().is_none() {
                bail!(
                    "it ended again, {}; see `docker logs {}`",
                    state.ended,
                    service.info.name
                );
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Resumes or starts a container, depending on its state.
    pub(super) async fn restore(&self, service: &ServiceContainer) -> Result<()> {
        let _locked = service.action_lock.lock().await;
        self.restore_locked(service).await
    }

    /// Undoes a disruption that timed out and took effect later.
    pub(super) async fn undo_late(&self, service: &ServiceContainer) {
        // An action in progress takes precedence.
        let Ok(_locked) = service.action_lock.try_lock() else {
            return;
        };
        if service.is_in_doubt()
            && let Err(e) = self.restore_locked(service).await
        {
            tracing::warn!(target = service.target(), error = %e, "a container is not restored yet");
        }
    }

    /// As [`Self::restore`], for a caller that holds the action lock.
    async fn restore_locked(&self, service: &ServiceContainer) -> Result<()> {
        self.refresh(service).await?;
        let (id, state) = (&service.info.id, service.state());
        let done = if state.is_down() {
            self.api.start_container(id, None).await
        } else if state.paused {
            self.api.unpause_container(id).await
        } else {
            // The guard or Docker has restored it, or Docker will.
            Ok(())
        };
        if let Err(e) = done {
            bail!("Docker: {}", api::words(&e));
        }
        // Docker may publish other ports after a start.
        self.refresh(service).await?;
        // A disruption that timed out may still take effect on a container that runs.
        let took_effect = service.disruption().is_none_or(|d| d.is_visible_in(&state));
        if took_effect || !service.is_in_doubt() {
            service.set_disruption(None);
            self.guard.complete(id).await;
        }
        Ok(())
    }
}
