//! Connections of a listener: accepted, served, and let go when the service ends.
//!
//! The loop is our own because what protects a door is decided here: how long a caller may take to say what it wants.
//! Without that limit, some thousand callers that send one byte a minute hold every descriptor of the process, and no
//! deadline ends them, as there is no request yet that could have one.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// From a connection's start, or from the end of the request before, until a whole head has come. A connection that is
/// kept alive for longer than this without a request is closed, too, so callers must let go of theirs sooner: see
/// [`super::client`]. A head has one or two packets; 20 s is what Apache's `mod_reqtimeout` gives to begin with.
pub(crate) const HEAD: Duration = Duration::from_secs(20);

/// The pause after a failure to accept, most likely for want of descriptors, until some may have been given back.
const BREATH: Duration = Duration::from_millis(250);

/// On a response: it is not to be sent, and its connection is to be reset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reset;

/// Serves every connection of a listener until `shutdown`, then until requests that are under way are answered. When it
/// is dropped before that, all connections end at once.
///
/// Hyper's own bounds hold for heads: 100 headers, 408 KiB in all; beyond them it answers 431.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    head: Duration,
    shutdown: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    // Resolved here once, and not for every request.
    let routes: Router = routes.with_state(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let serving = converse(http.clone(), stream, peer, routes.clone(), shutdown.clone());
                    connections.spawn(serving);
                }
                // The caller went before its turn came.
                Err(e) if is_the_callers(&e) => {}
                Err(e) => {
                    tracing::error!(error = %e, "connections cannot be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            },
            // Reaped as they end, so that the set holds only those that live.
            Some(_) = connections.join_next() => {}
        }
    }
    // From here on connections are refused, and go to whoever else listens on the address.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection to its end.
async fn converse(
    http: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    shutdown: CancellationToken,
) {
    // Answers are small and must not wait for company.
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY was refused");
    }
    let cut = CancellationToken::new();
    let cutting = cut.clone();
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        // The gateway limits by the caller's address; to the others it costs nothing worth a switch.
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answering, cut) = (routes.clone().oneshot(request), cutting.clone());
        async move {
            let answered = answering.await;
            if let Ok(answer) = &answered
                && answer.extensions().get::<Reset>().is_some()
            {
                cut.cancel();
                // The connection goes, and this with it. No byte of an answer may be written before.
                return pending().await;
            }
            answered
        }
    });
    let mut connection = http.serve_connection(TokioIo::new(stream), answer);
    let serving = async {
        tokio::select! {
            ended = Pin::new(&mut connection) => return ended,
            () = shutdown.cancelled() => {}
        }
        // The request under way is the connection's last one.
        Pin::new(&mut connection).graceful_shutdown();
        Pin::new(&mut connection).await
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = cut.cancelled() => {
            reset(connection.into_parts().io.into_inner());
            return;
        }
    };
    if let Err(e) = ended {
        // Callers break off and talk nonsense all day; it is nothing that an operator could act on.
        tracing::debug!(error = %e, %peer, "a connection failed");
    }
}

/// Closes a connection so that the other side is told of a reset, and not of an orderly end. Lingering is switched off
/// here and nowhere sooner, so no other connection can come to such an end.
fn reset(stream: TcpStream) {
    if let Err(e) = stream.set_zero_linger() {
        tracing::warn!(error = %e, "a connection is closed in order that was to be reset");
    }
}

fn is_the_callers(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;

    const WHOLE: &[u8] = b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n";

    struct Door {
        address: SocketAddr,
        stop: CancellationToken,
        served: tokio::task::JoinHandle<()>,
    }

    async fn door(routes: Router, head: Duration) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(listener, routes, head, stop.clone()));
        Door {
            address,
            stop,
            served,
        }
    }

    async fn connect(door: &Door) -> TcpStream {
        TcpStream::connect(door.address).await.unwrap()
    }

    /// All that comes until the other side hangs up.
    async fn hear(stream: &mut TcpStream) -> String {
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        String::from_utf8(heard).unwrap()
    }

    #[tokio::test]
    async fn a_caller_who_never_finishes_its_head_is_hung_up_on() {
        let routes = Router::new().route("/", get(|| async { "well" }));
        let door = door(routes, Duration::from_millis(50)).await;
        for begun in [&b""[..], &WHOLE[..20]] {
            let mut slow = connect(&door).await;
            slow.write_all(begun).await.unwrap();
            assert_eq!(hear(&mut slow).await, "", "hung up on without an answer");
        }
    }

    #[tokio::test]
    async fn the_time_for_the_head_does_not_count_against_the_handler() {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        let routes = Router::new().route(
            "/",
            get(move || async move {
                wait.notified().await;
                "well"
            }),
        );
        let door = door(routes, Duration::from_millis(20)).await;
        let mut patient = connect(&door).await;
        patient.write_all(WHOLE).await.unwrap();
        // Another caller who came later has been hung up on, so the limit has passed for the first one as well.
        hear(&mut connect(&door).await).await;
        go.notify_one();
        assert!(hear(&mut patient).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn when_the_service_ends_requests_under_way_are_answered_and_idle_connections_closed() {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
        let routes = Router::new().route(
            "/",
            get(move || async move {
                tell.notify_one();
                wait.notified().await;
                "well"
            }),
        );
        let door = door(routes, Duration::from_secs(60)).await;
        let mut busy = connect(&door).await;
        busy.write_all(WHOLE).await.unwrap();
        begun.notified().await;
        let mut idle = connect(&door).await;
        door.stop.cancel();
        assert_eq!(hear(&mut idle).await, "");
        // Nobody new is taken in.
        while TcpStream::connect(door.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!door.served.is_finished());
        go.notify_one();
        let answer = hear(&mut busy).await;
        assert!(answer.ends_with("well"), "{answer}");
        door.served.await.unwrap();
    }
}
