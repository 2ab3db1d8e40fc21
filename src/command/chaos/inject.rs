//! `doorbuster chaos inject`: injects one fault now.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use chaos::{
    AdminClient, Fault, FaultKind, FaultStatuses, InjectError, Injector, Processes, Schedule,
    ScheduledFault,
};
use results::record::{FaultEventKind, FaultRow};
use syntax::{Document, Mistakes};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::targets::AdminTargets;
use crate::command::attach::AttachArgs;
use crate::runtime;
use crate::scenario::ScenarioError;
use crate::terminal::output;
use crate::terminal::progress::Progress;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The fault is written as in a scenario, without `at`; docs/scenarios.md has all kinds. Ctrl-C ends it before its time.

Examples:
  doorbuster up                                            in one terminal, and in another:
  doorbuster chaos inject 'target: bank, kind: latency, delay: 300ms, for: 30s'
  doorbuster chaos inject 'target: payment->bank, kind: hang, share: 20%, for: 1m' --detach
  doorbuster chaos inject 'target: order/1, kind: error, for: 10s' --topology runs/up/topology.json
  doorbuster chaos inject 'target: bank, kind: error, for: 1m' --docker
  doorbuster chaos inject 'target: bank, kind: abort, for: 5s' --admin bank=10.0.0.7:9080")]
pub(super) struct InjectArgs {
    /// The fault: `target: bank, kind: latency, delay: 300ms, for: 30s`
    fault: String,
    #[command(flatten)]
    attach: AttachArgs,
    /// Return at once. The fault ends when its time is over, or by `doorbuster chaos clear`
    #[arg(long)]
    detach: bool,
    /// Seed of its random choices: which requests it affects, and how long they wait
    #[arg(long, env = "DOORBUSTER_SEED", default_value_t = 1)]
    seed: u64,
    /// No progress, only the result
    #[arg(long, short)]
    quiet: bool,
}

/// Injects a fault. Gives the exit code.
///
/// # Errors
/// The fault has mistakes, the shop is not known, or a service refuses the fault.
pub(super) fn inject(args: &InjectArgs) -> Result<u8> {
    let targets = AdminTargets::of(&args.attach.find()?)?;
    let fault = read(&args.fault, &targets)?;
    match fault.kind {
        FaultKind::Service(_) => {}
        FaultKind::Path(_) => bail!(
            "kind `{}` needs a proxy between {} and the service that it calls, and this shop has none; \
             open one with `doorbuster chaos proxy` and give the caller its address, or write the fault into a scenario \
             for `doorbuster run`",
            fault.kind.name(),
            fault.target.role
        ),
        FaultKind::Process(_) => bail!(
            "kind `{}` needs control of the process, which only the command that started it has; write the fault into a scenario \
             for `doorbuster run`, or choose a kind that the service itself injects, such as hang or abort",
            fault.kind.name()
        ),
    }
    runtime::runtime()?.block_on(async {
        let client = targets.client();
        if args.detach {
            detached(&fault, args.seed, &targets, &client).await
        } else {
            followed(fault, args, &targets, client).await
        }
    })
}

/// Reads a fault, with or without braces around it. Mistakes are reported as in scenarios, with their column.
fn read(text: &str, targets: &AdminTargets) -> Result<Fault, ScenarioError> {
    let has_braces = text.trim_start().starts_with('{');
    let whole = match has_braces {
        true => text.to_owned(),
        false => format!("{{ {text} }}"),
    };
    let shift = |mut mistakes: Mistakes| {
        for mistake in mistakes
            .list
            .iter_mut()
            .filter(|m| !has_braces && m.line == 1)
        {
            mistake.column = mistake.column.saturating_sub(2).max(1);
        }
        ScenarioError::Mistakes(mistakes)
    };
    let document = Document::parse("fault", &whole).map_err(shift)?;
    let fault = chaos::spec::read_now(document.root(), &targets.shop());
    document.finish().map_err(shift)?;
    let unexplained = || Mistakes::single("fault", "this is not a fault as scenarios write them");
    fault.ok_or_else(|| ScenarioError::Mistakes(unexplained()))
}

/// Injects the fault at each target and returns. If one target refuses it, it is taken back from the others.
async fn detached(
    fault: &Fault,
    seed: u64,
    targets: &AdminTargets,
    client: &AdminClient,
) -> Result<u8> {
    let schedule = Schedule::new([fault.clone()], seed);
    let scheduled = schedule.scheduled().first().context("there is no fault")?;
    let role = &fault.target.role;
    let replicas = match fault.target.replica {
        Some(replica) => vec![replica],
        None => (0..targets.replicas(role)).collect(),
    };
    let (mut injected, mut failed) = (Vec::new(), Vec::new());
    for replica in replicas {
        match inject_at(scheduled, replica, targets, client).await {
            Ok(()) => injected.push(replica),
            Err(e) => failed.push((replica, e)),
        }
    }
    let refused = |e: &InjectError| matches!(e, InjectError::Refused { .. });
    let fatal = failed.iter().position(|(_, e)| refused(e));
    if let Some(index) = fatal.or(injected.is_empty().then_some(0)) {
        for replica in injected {
            if let Some(address) = targets.admin_address(role, replica) {
                // If this fails, the fault ends by itself. The error to report is the refusal.
                let _ = client.clear(address, &fault.name).await;
            }
        }
        let (replica, error) = failed.swap_remove(index);
        bail!("{role}/{replica}: {error}");
    }
    for (replica, error) in &failed {
        output::note(&format!("doorbuster: not at {role}/{replica}: {error}"));
    }
    output::print(&format!(
        "{} is in force for {}\n  see it   doorbuster chaos list\n  end it   doorbuster chaos clear {}\n",
        fault.name,
        syntax::units::show_duration(fault.length()),
        fault.name
    ));
    Ok(u8::from(!failed.is_empty()))
}

async fn inject_at(
    scheduled: &ScheduledFault,
    replica: u32,
    targets: &AdminTargets,
    client: &AdminClient,
) -> Result<(), InjectError> {
    let fault = &scheduled.fault;
    let target = || format!("{}/{replica}", fault.target.role);
    let address = targets
        .admin_address(&fault.target.role, replica)
        .ok_or_else(|| InjectError::NoSuchTarget { target: target() })?;
    let order = scheduled.order_at(replica, fault.length());
    let order = order.ok_or(InjectError::TooLate)?;
    client.inject(address, &order).await.map(|_| ())
}

/// Shows the fault's hits until it has ended. Ctrl-C ends it.
async fn followed(
    fault: Fault,
    args: &InjectArgs,
    targets: &AdminTargets,
    client: AdminClient,
) -> Result<u8> {
    let stop = runtime::stop_on_signal();
    let progress = Progress::new(args.quiet);
    let (name, length) = (fault.name.clone(), fault.length());
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
    let targets = Arc::new(targets.clone());
    let injector = Injector::new(targets.clone(), targets, client, tx);
    let statuses = injector.statuses();
    let schedule = Schedule::new([fault], args.seed);
    let ended = CancellationToken::new();
    let running = async {
        let start = tokio::time::Instant::now();
        let rows = injector.run(schedule, start, stop).await;
        ended.cancel();
        rows
    };
    let watching = async {
        let watching = show_hits(statuses, &name, &progress);
        ended.run_until_cancelled(watching).await;
    };
    let mut refused = None;
    let receiving = async {
        while let Some(event) = rx.recv().await {
            match event.event {
                FaultEventKind::Asked | FaultEventKind::Ended => {}
                FaultEventKind::Refused => refused = event.detail,
                FaultEventKind::InForce => {
                    let detail = event.detail.map(|d| format!("; {d}")).unwrap_or_default();
                    let length = syntax::units::show_duration(length);
                    progress.line(&format!("{name} is in force for {length}{detail}"));
                }
            }
        }
    };
    let (rows, (), ()) = tokio::join!(running, watching, receiving);
    progress.finish();
    if let Some(why) = refused {
        bail!("{name} could not be injected: {why}");
    }
    let row = rows.into_iter().next();
    show_result(&row.ok_or_else(|| anyhow!("interrupted before the fault started"))?)
}

/// Shows the hits whenever they change. The injector updates them once a second.
async fn show_hits(mut statuses: watch::Receiver<FaultStatuses>, name: &str, progress: &Progress) {
    let mut shown = 0;
    while statuses.changed().await.is_ok() {
        let hits = statuses.borrow().get(name).map_or(0, |status| status.hits);
        if hits > shown {
            shown = hits;
            progress.report(&format!("{name}: {hits} hits"));
        }
    }
}

fn show_result(row: &FaultRow) -> Result<u8> {
    let after = row.ended_s - row.started_s;
    let text = match row.hits {
        0 => format!(
            "{} is over after {after:.1} s; it hit nothing, because {} received no request in this time",
            row.name, row.target
        ),
        1 => format!("{} is over after {after:.1} s: 1 hit", row.name),
        hits => format!("{} is over after {after:.1} s: {hits} hits", row.name),
    };
    output::print(&format!("{text}\n"));
    if let Some(trouble) = &row.end_error {
        bail!(
            "{} may still be in force until its time is over: {trouble}; `doorbuster chaos clear` tries again",
            row.name
        );
    }
    Ok(0)
}
