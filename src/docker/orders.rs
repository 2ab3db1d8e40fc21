//! What faults of processes do to containers, and how it is undone.
//!
//! Each blow is told to the guard before it falls, so that it is undone also when we die at the worst moment. Deeds run
//! in tasks of their own: whoever waits for one may go away, and it is done all the same.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use bollard::query_parameters::{KillContainerOptions, StopContainerOptionsBuilder};
use chaos::{BoxFuture, InjectError, ProcessAction, Processes};
use tokio::time::{Instant, sleep};

use super::member::{Blow, Member};
use super::{Containers, api, look};

/// How long a container may take to be seen dead, or standing still, when it was struck.
const FALLS: Duration = Duration::from_secs(10);
/// How long it may take to be ready again.
const RESTART: Duration = Duration::from_secs(30);
/// Between two looks, meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// How long a container may take to end when asked to, before Docker kills it. In seconds, as Docker has it.
const GRACE_S: i32 = 10;

/// What is done to a container.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Kill,
    Stop,
    Pause(Duration),
}

impl Containers {
    async fn perform(self, index: usize, action: ProcessAction) -> Result<Option<u32>> {
        let deed = match action {
            ProcessAction::Kill => Deed::Kill,
            ProcessAction::Stop => Deed::Stop,
            ProcessAction::Pause { at_most } => Deed::Pause(at_most),
            ProcessAction::Start { delay } => {
                return self.mend_and_wait(index, delay).await.map(|()| None);
            }
            ProcessAction::Resume => {
                let resumed = self.mend_and_wait(index, Duration::ZERO).await;
                return resumed.map(|()| None);
            }
        };
        self.strike(index, deed).await.map(Some)
    }

    async fn strike(self, index: usize, deed: Deed) -> Result<u32> {
        let member = &self.members[index];
        let _turn = member.turn.lock().await;
        if self.stop.is_cancelled() {
            bail!("the shop is closing");
        }
        self.look_at(member).await?;
        let standing = member.standing();
        if !standing.running {
            bail!("it is dead already");
        }
        // The end of the first would end the second as well.
        if matches!(deed, Deed::Pause(_)) && standing.paused {
            bail!("it stands still already");
        }
        let id = &member.found.id;
        let now = std::time::Instant::now();
        let blow = match deed {
            Deed::Kill | Deed::Stop => Blow::Down,
            Deed::Pause(most) => Blow::Paused { since: now, most },
        };
        let before = (member.struck(), member.is_in_doubt());
        self.guard.owe(id, blow.debt(now)).await?;
        member.strike(Some(blow));
        let done = match deed {
            Deed::Kill => {
                self.api
                    .kill_container(id, None::<KillContainerOptions>)
                    .await
            }
            Deed::Stop => {
                let grace = StopContainerOptionsBuilder::new().t(GRACE_S).build();
                self.api.stop_container(id, Some(grace)).await
            }
            Deed::Pause(_) => self.api.pause_container(id).await,
        };
        if let Err(e) = &done
            && api::has_refused(e)
        {
            self.call_off(member, before).await;
            bail!("Docker says: {}", api::words(e));
        }
        // Without an answer it may have been done all the same, so that what is seen decides.
        let Err(unseen) = self.until_fallen(member, blow).await else {
            return Ok(standing.pid.unwrap_or_default());
        };
        // An error means that it lives on, and nobody else would raise it. What is still owed stays owed.
        member.doubt();
        if let Err(e) = self.raise(member).await {
            tracing::warn!(target = member.target(), error = %e, "a container was not mended yet");
        }
        match done {
            Ok(()) => Err(unseen),
            Err(e) => bail!("Docker says: {}", api::words(&e)),
        }
    }

    /// A blow will not fall: what was owed before it is owed again, such as the end of a pause in its time.
    async fn call_off(&self, member: &Member, (blow, in_doubt): (Option<Blow>, bool)) {
        member.strike(blow);
        if in_doubt {
            member.doubt();
        }
        let id = &member.found.id;
        let Some(blow) = blow else {
            return self.guard.paid(id).await;
        };
        let owed = blow.debt(std::time::Instant::now());
        if let Err(e) = self.guard.owe(id, owed).await {
            tracing::warn!(error = %e, "the guard of the containers is gone");
        }
    }

    /// Waits until a blow is seen to have fallen. A look that fails says nothing.
    async fn until_fallen(&self, member: &Member, blow: Blow) -> Result<()> {
        let until = Instant::now() + FALLS;
        loop {
            let looked = self.look_at(member).await;
            let standing = member.standing();
            if looked.is_ok() && blow.has_fallen(&standing) {
                return Ok(());
            }
            if Instant::now() > until {
                looked?;
                bail!(
                    "its container is {} still, {} s later",
                    standing.status,
                    FALLS.as_secs()
                );
            }
            sleep(LOOK).await;
        }
    }

    async fn mend_and_wait(self, index: usize, late: Duration) -> Result<()> {
        if !late.is_zero() {
            bail!("a container cannot be told to start slowly this once");
        }
        let member = &self.members[index];
        self.mend(member).await?;
        let until = Instant::now() + RESTART;
        while !look::ask(&self, member).await {
            if Instant::now() > until {
                bail!("not ready {} s later", RESTART.as_secs());
            }
            self.look_at(member).await?;
            let standing = member.standing();
            if standing.is_dead() && member.struck().is_none() {
                bail!(
                    "it ended again, {}; see `docker logs {}`",
                    standing.ended,
                    member.found.name
                );
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Lets a container go on, or starts it, whatever it needs.
    pub(super) async fn mend(&self, member: &Member) -> Result<()> {
        let _turn = member.turn.lock().await;
        self.raise(member).await
    }

    /// Undoes a blow that was given up and has fallen after all.
    pub(super) async fn undo_late(&self, member: &Member) {
        // An order that is under way knows better.
        let Ok(_turn) = member.turn.try_lock() else {
            return;
        };
        if member.is_in_doubt()
            && let Err(e) = self.raise(member).await
        {
            tracing::warn!(target = member.target(), error = %e, "a container was not mended yet");
        }
    }

    /// As [`Self::mend`], for who has the turn.
    async fn raise(&self, member: &Member) -> Result<()> {
        self.look_at(member).await?;
        let (id, standing) = (&member.found.id, member.standing());
        let done = if standing.is_dead() {
            self.api.start_container(id, None).await
        } else if standing.paused {
            self.api.unpause_container(id).await
        } else {
            // Whoever has done it was quicker, such as the guard, or Docker will do it.
            Ok(())
        };
        if let Err(e) = done {
            bail!("Docker says: {}", api::words(&e));
        }
        // Where Docker chooses its ports, they are others in each life.
        self.look_at(member).await?;
        // One that is upright may yet be struck by an order that was given up.
        let had_fallen = member.struck().is_none_or(|b| b.has_fallen(&standing));
        if had_fallen || !member.is_in_doubt() {
            member.strike(None);
            self.guard.paid(id).await;
        }
        Ok(())
    }

    async fn look_at(&self, member: &Member) -> Result<()> {
        let inspected = api::inspect(&self.api, &member.found.id).await?;
        member.now(member.found.standing(&inspected));
        Ok(())
    }
}

impl Processes for Containers {
    fn replicas(&self, role: &str) -> u32 {
        let of_role = self.members.iter().filter(|m| m.found.role.name() == role);
        of_role.count() as u32
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        self.member(role, replica)?.admin()
    }

    /// Acts in a task of its own, so that the action is completed also when the caller is dropped.
    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        action: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        Box::pin(async move {
            let target = format!("{role}/{replica}");
            let is = |m: &Member| m.found.role.name() == role && m.found.replica == replica;
            let Some(index) = self.members.iter().position(is) else {
                return Err(InjectError::NoSuchTarget { target });
            };
            let acted = match tokio::spawn(self.clone().perform(index, action)).await {
                Ok(acted) => acted,
                Err(e) => Err(anyhow!("it was not done: {e}")),
            };
            acted.map_err(|e| InjectError::Process {
                target,
                reason: format!("{e:#}"),
            })
        })
    }
}
