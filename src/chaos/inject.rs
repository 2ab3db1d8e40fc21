//! `doorbuster chaos inject`: one fault, now, for its time.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use chaos::{Board, Fault, FaultKind, InjectError, Injector, Planned, Processes, Schedule};
use results::record::{FaultEventKind, FaultRow};
use syntax::{Document, Mistakes};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::places::Places;
use super::{AdminClient, InjectArgs};
use crate::progress::Progress;
use crate::run;
use crate::scenario::ScenarioError;

/// Brings a fault about. Gives the exit code.
///
/// # Errors
/// Mistakes in the fault, a shop that is not known, a service that refuses it.
pub(crate) fn inject(args: &InjectArgs) -> Result<u8> {
    let places = args.place.places()?;
    let fault = read(&args.fault, &places)?;
    match fault.kind {
        FaultKind::InService(_) => {}
        FaultKind::Path(_) => bail!(
            "kind `{}` takes a proxy between {} and what it calls, and this shop's services speak to each other directly; \
             open one with `doorbuster chaos proxy` and tell the caller its address, or write the fault into a scenario \
             for `doorbuster run`",
            fault.kind.name(),
            fault.target.role
        ),
        FaultKind::Process(_) => bail!(
            "kind `{}` is done to a process by whoever has started it, who also brings it back; write it into a scenario \
             for `doorbuster run`, or choose a kind that the service holds by itself, such as hang or abort",
            fault.kind.name()
        ),
    }
    run::runtime()?.block_on(async {
        let client = args.place.client(&places);
        if args.detach {
            detached(&fault, args.seed, &places, &client).await
        } else {
            followed(fault, args, &places, client).await
        }
    })
}

/// Reads a fault, with or without the braces around it. Mistakes are those of scenarios, with their column.
fn read(text: &str, places: &Places) -> Result<Fault, ScenarioError> {
    let braces = text.trim_start().starts_with('{');
    let whole = match braces {
        true => text.to_owned(),
        false => format!("{{ {text} }}"),
    };
    let shift = |mut mistakes: Mistakes| {
        for mistake in mistakes.list.iter_mut().filter(|m| !braces && m.line == 1) {
            mistake.column = mistake.column.saturating_sub(2).max(1);
        }
        ScenarioError::Mistakes(mistakes)
    };
    let document = Document::parse("fault", &whole).map_err(shift)?;
    let fault = chaos::spec::read_now(document.root(), &places.shop());
    document.finish().map_err(shift)?;
    let unexplained = || Mistakes::single("fault", "this is not a fault as scenarios write them");
    fault.ok_or_else(|| ScenarioError::Mistakes(unexplained()))
}

/// Asks each target for the fault and leaves. All of those that answer, or none.
async fn detached(fault: &Fault, seed: u64, places: &Places, client: &AdminClient) -> Result<u8> {
    let schedule = Schedule::new([fault.clone()], seed);
    let planned = schedule.planned().first().context("there is no fault")?;
    let role = &fault.target.role;
    let replicas = match fault.target.replica {
        Some(replica) => vec![replica],
        None => (0..places.replicas(role)).collect(),
    };
    let (mut placed, mut failed) = (Vec::new(), Vec::new());
    for replica in replicas {
        match ask(planned, replica, places, client).await {
            Ok(()) => placed.push(replica),
            Err(e) => failed.push((replica, e)),
        }
    }
    let refused = |e: &InjectError| matches!(e, InjectError::Refused { .. });
    let fatal = failed.iter().position(|(_, e)| refused(e));
    if let Some(index) = fatal.or(placed.is_empty().then_some(0)) {
        for replica in placed {
            if let Some(address) = places.admin_address(role, replica) {
                // It ends by itself where it cannot be taken back; the refusal is what has to be told.
                let _ = client.clear(address, &fault.name).await;
            }
        }
        let (replica, error) = failed.swap_remove(index);
        bail!("{role}/{replica}: {error}");
    }
    for (replica, error) in &failed {
        eprintln!("doorbuster: not at {role}/{replica}: {error}");
    }
    println!(
        "{} is in force for {}\n  see it   doorbuster chaos list\n  end it   doorbuster chaos clear {}",
        fault.name,
        syntax::units::show_duration(fault.length()),
        fault.name
    );
    Ok(u8::from(!failed.is_empty()))
}

async fn ask(
    planned: &Planned,
    replica: u32,
    places: &Places,
    client: &AdminClient,
) -> Result<(), InjectError> {
    let fault = &planned.fault;
    let target = || format!("{}/{replica}", fault.target.role);
    let address = places
        .admin_address(&fault.target.role, replica)
        .ok_or_else(|| InjectError::NoSuchTarget { target: target() })?;
    let order = planned.order_at(replica, fault.length());
    let order = order.ok_or(InjectError::TooLate)?;
    client.inject(address, &order).await.map(|_| ())
}

/// Stays with the fault until it is over, or until Ctrl-C, which ends it.
async fn followed(
    fault: Fault,
    args: &InjectArgs,
    places: &Places,
    client: AdminClient,
) -> Result<u8> {
    let stop = run::stop_on_signal();
    let progress = Progress::new(args.quiet);
    let (name, length) = (fault.name.clone(), fault.length());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let places = Arc::new(places.clone());
    let injector = Injector::new(places.clone(), places, client, tell);
    let board = injector.board();
    let schedule = Schedule::new([fault], args.seed);
    let shown = CancellationToken::new();
    let running = async {
        let began = tokio::time::Instant::now();
        let rows = injector.run(schedule, began, stop).await;
        shown.cancel();
        rows
    };
    let watching = async {
        let watching = show_hits(board, &name, &progress);
        shown.run_until_cancelled(watching).await;
    };
    let mut refused = None;
    let listening = async {
        while let Some(event) = told.recv().await {
            match event.event {
                FaultEventKind::Asked | FaultEventKind::Ended => {}
                FaultEventKind::Refused => refused = event.detail,
                FaultEventKind::InForce => {
                    let detail = event.detail.map(|d| format!("; {d}")).unwrap_or_default();
                    let length = syntax::units::show_duration(length);
                    progress.say(&format!("{name} is in force for {length}{detail}"));
                }
            }
        }
    };
    let (rows, (), ()) = tokio::join!(running, watching, listening);
    progress.done();
    if let Some(why) = refused {
        bail!("{name} could not be injected: {why}");
    }
    let row = rows.into_iter().next();
    over(&row.ok_or_else(|| anyhow!("interrupted before the fault began"))?)
}

/// A line whenever the hits are others, which are asked for once a second.
async fn show_hits(mut board: watch::Receiver<Board>, name: &str, progress: &Progress) {
    let mut known = 0;
    while board.changed().await.is_ok() {
        let hits = board.borrow().get(name).map_or(0, |now| now.hits);
        if hits > known {
            known = hits;
            progress.report(&format!("{name}: {hits} hits"));
        }
    }
}

fn over(row: &FaultRow) -> Result<u8> {
    let after = row.ended_s - row.started_s;
    match row.hits {
        0 => println!(
            "{} is over after {after:.1} s; it touched nothing, for nobody asked {} meanwhile",
            row.name, row.target
        ),
        1 => println!("{} is over after {after:.1} s: 1 hit", row.name),
        hits => println!("{} is over after {after:.1} s: {hits} hits", row.name),
    }
    if let Some(trouble) = &row.end_error {
        bail!(
            "{} may still be in force until its time is over: {trouble}; `doorbuster chaos clear` asks again",
            row.name
        );
    }
    Ok(0)
}
