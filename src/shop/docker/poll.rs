//! Looks at the containers of a shop for as long as a run lasts: how they stand, whether they are ready, what they use.

use std::time::Duration;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;

use super::member::Member;
use super::{ANSWER, Containers, api};

/// Between two looks at a container.
const LOOK: Duration = Duration::from_millis(500);
/// Every so many looks, what it uses is asked for as well: that costs Docker more.
const USAGE_EVERY: u32 = 4;

/// Looks until the shop is closed.
pub(super) async fn watch(shop: Containers) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0u32;
    let looking = async {
        loop {
            ticks.tick().await;
            let with_usage = round.is_multiple_of(USAGE_EVERY);
            round = round.wrapping_add(1);
            join_all(shop.members.iter().map(|m| look(&shop, m, with_usage))).await;
        }
    };
    shop.stop.run_until_cancelled(looking).await;
}

async fn look(shop: &Containers, member: &Member, with_usage: bool) {
    let deeds = member.deeds();
    match api::inspect(&shop.api, &member.found.id).await {
        Ok(inspected) => member.seen(deeds, member.found.standing(&inspected)),
        // The next look will tell; what is known stays.
        Err(e) => {
            tracing::warn!(target = member.target(), error = %e, "a look at a container failed")
        }
    }
    if member.is_in_doubt() {
        shop.undo_late(member).await;
    }
    if !member.is_ready() {
        ask(shop, member).await;
    }
    if with_usage && member.standing().running {
        usage(shop, member).await;
    }
}

/// Asks a service whether it is ready, and notes when it is.
pub(super) async fn ask(shop: &Containers, member: &Member) -> bool {
    let Some(admin) = member.admin() else {
        return false;
    };
    let life = member.standing().started_at;
    let ready = shop.http.get(admin, "/readyz", ANSWER).await.is_ok();
    if ready {
        member.answered(&life);
    }
    ready
}

async fn usage(shop: &Containers, member: &Member) {
    let once = StatsOptionsBuilder::new()
        .stream(false)
        .one_shot(true)
        .build();
    let mut stats = std::pin::pin!(shop.api.stats(&member.found.id, Some(once)));
    if let Some(Ok(stats)) = stats.next().await
        && let Some((cpu_s, memory_bytes)) = read(&stats)
    {
        member.uses(cpu_s, memory_bytes);
    }
}

/// CPU time since the container's start, and memory without the file cache that the system would give back, which is
/// called differently in the two versions of control groups. Nothing of one that has just ended.
fn read(stats: &ContainerStatsResponse) -> Option<(f64, u64)> {
    let cpu = stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = stats.memory_stats.as_ref()?;
    let details = memory.stats.as_ref();
    let cached = ["total_inactive_file", "inactive_file"]
        .into_iter()
        .find_map(|key| details?.get(key).copied());
    let used = memory.usage?.saturating_sub(cached.unwrap_or_default());
    Some((cpu as f64 / 1e9, used))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_is_only_cached_is_not_used() {
        let read = |key: &str| {
            let stats = json!({
                "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000u64}},
                "memory_stats": {"usage": 100, "stats": {key: 30}},
            });
            super::read(&serde_json::from_value(stats).unwrap())
        };
        assert_eq!(read("total_inactive_file"), Some((1.5, 70)));
        assert_eq!(read("inactive_file"), Some((1.5, 70)));
        assert_eq!(read("other"), Some((1.5, 100)));
        let ended = json!({"cpu_stats": {}, "memory_stats": {}});
        assert_eq!(super::read(&serde_json::from_value(ended).unwrap()), None);
    }
}
