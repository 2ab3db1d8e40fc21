//! Polls the containers of a shop during a run: state, readiness, memory and CPU time.

use std::time::Duration;

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;

use super::api;
use super::containers::Containers;
use super::service::ServiceContainer;

/// The interval of polls.
const POLL: Duration = Duration::from_millis(500);
/// Memory and CPU time are measured every this many polls, because that costs Docker more.
const USAGE_EVERY: u32 = 4;

/// Polls until the shop is closed.
pub(super) async fn watch(shop: Containers) {
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0u32;
    let polling = async {
        loop {
            ticks.tick().await;
            let with_usage = round.is_multiple_of(USAGE_EVERY);
            round = round.wrapping_add(1);
            join_all(shop.services.iter().map(|s| poll(&shop, s, with_usage))).await;
        }
    };
    shop.stop.run_until_cancelled(polling).await;
}

async fn poll(shop: &Containers, service: &ServiceContainer, with_usage: bool) {
    let actions = service.actions();
    match api::inspect(&shop.api, &service.info.id).await {
        Ok(inspected) => service.set_polled_state(actions, service.info.state_of(&inspected)),
        // The last state stays until the next poll.
        Err(e) => {
            tracing::warn!(target = service.target(), error = %e, "a container could not be inspected");
        }
    }
    if service.is_in_doubt() {
        shop.undo_late(service).await;
    }
    if !service.is_ready() {
        shop.check_ready(service).await;
    }
    if with_usage && service.state().running {
        measure(shop, service).await;
    }
}

async fn measure(shop: &Containers, service: &ServiceContainer) {
    let once = StatsOptionsBuilder::new()
        .stream(false)
        .one_shot(true)
        .build();
    let mut stats = std::pin::pin!(shop.api.stats(&service.info.id, Some(once)));
    if let Some(Ok(stats)) = stats.next().await
        && let Some((cpu_s, memory_bytes)) = read(&stats)
    {
        service.add_usage(cpu_s, memory_bytes);
    }
}

/// CPU time since the container's start, and memory without the file cache. The two versions of control groups name the
/// cache differently. `None` for a container that has just ended.
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
    fn the_file_cache_is_not_counted() {
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
