//! `doorbuster chaos list` and `doorbuster chaos clear`: the faults that services hold.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use chaos::{AdminClient, InjectError};
use http::StatusCode;
use shop_contract::faults::FaultState;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::places::NOWHERE;
use super::{ClearArgs, PlaceArgs};
use crate::run;

/// Someone who does not accept a connection for so long lives, but cannot be asked.
const CONNECT: Duration = Duration::from_millis(500);

/// What a replica said when it was asked for its faults.
enum Said<T> {
    Answer(T),
    /// Nobody is there, so nobody holds a fault.
    Down,
    /// Somebody is there and does not answer as it should.
    Silent(InjectError),
}

/// Shows the faults in force. Gives the exit code.
///
/// # Errors
/// A shop that is not known.
pub(crate) fn list(args: &PlaceArgs) -> Result<u8> {
    let places = args.places()?;
    let said = run::runtime()?.block_on(async {
        let client = args.client(&places);
        each(places.all(), move |address| {
            let client = client.clone();
            async move { client.list(address).await }
        })
        .await
    });
    let mut rows = Vec::new();
    let mut silent = false;
    for (replica, said) in said {
        match said {
            Said::Answer(states) => {
                rows.extend(states.active.into_iter().map(|s| (replica.clone(), s)));
            }
            other => silent |= complain(&replica, &other),
        }
    }
    tell(&table(&rows));
    Ok(u8::from(silent))
}

/// Ends faults at every replica. Gives the exit code.
///
/// # Errors
/// A shop that is not known.
pub(crate) fn clear(args: &ClearArgs) -> Result<u8> {
    let places = args.place.places()?;
    let said = run::runtime()?.block_on(async {
        let client = args.place.client(&places);
        each(places.all(), move |address| {
            clear_at(client.clone(), address, args.name.clone())
        })
        .await
    });
    let mut ended = Vec::new();
    let mut silent = false;
    for (replica, said) in said {
        match said {
            Said::Answer(states) => {
                ended.extend(states.into_iter().map(|s| (replica.clone(), s)));
            }
            other => silent |= complain(&replica, &other),
        }
    }
    let mut text = String::new();
    for (replica, state) in &ended {
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "ended {} at {replica}, {} hits",
            state.name, state.hits
        );
    }
    if ended.is_empty() {
        text = match &args.name {
            Some(name) => format!("no fault {name} was in force\n"),
            None => "no fault was in force\n".to_owned(),
        };
    }
    tell(&text);
    Ok(u8::from(silent))
}

/// Whoever closed the pipe has seen enough; what was done is done.
fn tell(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Ends one fault or all at one replica; gives those that were in force until now.
async fn clear_at(
    client: AdminClient,
    address: SocketAddr,
    name: Option<String>,
) -> Result<Vec<FaultState>, InjectError> {
    let before = client.list(address).await?.active;
    let meant = |s: &FaultState| name.as_ref().is_none_or(|n| *n == s.name);
    let meant: BTreeSet<String> = before.into_iter().filter(meant).map(|s| s.name).collect();
    let mut ended = Vec::new();
    for name in meant {
        match client.clear(address, &name).await {
            Ok(state) => ended.push(state),
            // Its own time was quicker.
            Err(InjectError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {}
            Err(e) => return Err(e),
        }
    }
    if name.is_none() {
        // Whatever has come since.
        client.clear_all(address).await?;
    }
    Ok(ended)
}

/// One call to each replica, all at once, so that one that hangs does not keep the others waiting.
async fn each<T, F>(
    places: Vec<(String, SocketAddr)>,
    call: impl Fn(SocketAddr) -> F,
) -> Vec<(String, Said<T>)>
where
    T: Send + 'static,
    F: Future<Output = Result<T, InjectError>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for (place, (replica, address)) in places.into_iter().enumerate() {
        let call = call(address);
        calls.spawn(async move {
            let said = match call.await {
                Ok(answer) => Said::Answer(answer),
                Err(_) if is_down(address).await => Said::Down,
                Err(e) => Said::Silent(e),
            };
            (place, replica, said)
        });
    }
    let mut said = calls.join_all().await;
    said.sort_by_key(|(place, ..)| *place);
    said.into_iter()
        .map(|(_, replica, s)| (replica, s))
        .collect()
}

/// Whether nobody listens there: the port of a dead process refuses, and a dead container has none.
async fn is_down(address: SocketAddr) -> bool {
    if address == NOWHERE {
        return true;
    }
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    matches!(connected, Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused)
}

/// Tells of a replica that has not answered; true for one that lives.
fn complain<T>(replica: &str, said: &Said<T>) -> bool {
    match said {
        Said::Answer(_) => false,
        Said::Down => {
            eprintln!("{replica} is down and holds no faults");
            false
        }
        Said::Silent(error) => {
            let hint = match error {
                InjectError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
                    "; give its token with DOORBUSTER_ADMIN_TOKEN or --token"
                }
                _ => "; what it holds ends when its time is over",
            };
            eprintln!("{replica} did not answer: {error}{hint}");
            true
        }
    }
}

fn table(rows: &[(String, FaultState)]) -> String {
    if rows.is_empty() {
        return "no fault is in force\n".to_owned();
    }
    let width = |least: usize, of: fn(&(String, FaultState)) -> usize| {
        rows.iter().map(of).max().unwrap_or(0).max(least)
    };
    let (name, kind) = (width(5, |r| r.1.name.len()), width(4, |r| r.1.kind.len()));
    let at = width(7, |r| r.0.len());
    let mut text = format!(
        "{:name$}  {:kind$}  {:at$}  {:>8}  {:>9}\n",
        "fault", "kind", "replica", "hits", "ends in"
    );
    for (replica, state) in rows {
        let left = state.remaining_ms as f64 / 1e3;
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "{:name$}  {:kind$}  {replica:at$}  {:>8}  {left:>7.1} s",
            state.name, state.kind, state.hits
        );
    }
    text
}
