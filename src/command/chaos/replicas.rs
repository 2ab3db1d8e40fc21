//! Calls every replica of a shop at once. Distinguishes replicas that are down from those that do not answer.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use chaos::InjectError;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::terminal::output::note;

/// The time limit of a connection attempt. A replica that does not accept in time is not down, but does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// The reply of a replica.
enum Reply<T> {
    Answer(T),
    /// The process is down, so it holds no fault.
    Down,
    Failed(InjectError),
}

/// The replies of all replicas.
pub(super) struct Replies<T> {
    /// Name and answer of each replica that answered.
    pub(super) answers: Vec<(String, T)>,
    /// Whether a replica that is not down failed to answer.
    pub(super) any_failed: bool,
}

/// Calls each replica, all at once, so that a slow one does not delay the others. Prints a note for each that does not
/// answer.
pub(super) async fn call_each<T, F>(
    replicas: Vec<(String, Option<SocketAddr>)>,
    call: impl Fn(SocketAddr) -> F,
) -> Replies<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, InjectError>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for (index, (replica, address)) in replicas.into_iter().enumerate() {
        let call = address.map(|address| (address, call(address)));
        calls.spawn(async move {
            let reply = match call {
                None => Reply::Down,
                Some((address, call)) => match call.await {
                    Ok(answer) => Reply::Answer(answer),
                    Err(_) if is_down(address).await => Reply::Down,
                    Err(e) => Reply::Failed(e),
                },
            };
            (index, replica, reply)
        });
    }
    let mut replies = calls.join_all().await;
    replies.sort_by_key(|(index, ..)| *index);
    let (mut answers, mut any_failed) = (Vec::new(), false);
    for (_, replica, reply) in replies {
        match reply {
            Reply::Answer(answer) => answers.push((replica, answer)),
            Reply::Down => note(&format!("{replica} is down and holds no faults")),
            Reply::Failed(error) => {
                note(&format!(
                    "{replica} did not answer: {error}{}",
                    hint(&error)
                ));
                any_failed = true;
            }
        }
    }
    Replies {
        answers,
        any_failed,
    }
}

/// Whether the port refuses connections, as that of a process that is down.
async fn is_down(address: SocketAddr) -> bool {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    matches!(connected, Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused)
}

fn hint(error: &InjectError) -> &'static str {
    match error {
        InjectError::Refused { status, .. } if *status == StatusCode::UNAUTHORIZED => {
            "; give its token with DOORBUSTER_ADMIN_TOKEN or --token"
        }
        _ => "; its faults end when their time is over",
    }
}
