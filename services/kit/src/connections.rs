//! Connections of a listener: accepted, served, and drained when the service ends.
//!
//! The loop is our own because it enforces a limit on the time for a request's header. Without it, a thousand clients that send
//! one byte a minute would hold every file descriptor of the process, and no deadline would end them, as there is no request
//! yet that could have one.

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

use crate::response_marks::ResetConnection;

/// The limit from a connection's start, or from the end of the previous request, to the end of a request's header. It also
/// closes idle connections, so clients must close theirs sooner: see `client::connector`. A header has one or two packets; 20 s
/// is the initial limit of Apache's `mod_reqtimeout`.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause after a failed accept, most likely for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves every connection of a listener until `shutdown`, and finishes the requests in progress. Dropping it closes all
/// connections at once.
///
/// Hyper limits the header to 100 fields and 408 KiB, and responds with 431 beyond that.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    header_timeout: Duration,
    shutdown: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout);
    // Resolved once here, not for every request.
    let routes: Router = routes.with_state(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let serving = serve_connection(http.clone(), stream, peer, routes.clone(), shutdown.clone());
                    connections.spawn(serving);
                }
                // The client disconnected before it was accepted.
                Err(e) if is_client_error(&e) => {}
                Err(e) => {
                    tracing::error!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // Ended connections are removed from the set.
            Some(_) = connections.join_next() => {}
        }
    }
    // New connections are refused, or go to another listener on the address.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection to its end.
async fn serve_connection(
    http: http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    shutdown: CancellationToken,
) {
    // Responses are small and must not wait to be combined.
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY was refused");
    }
    let reset_requested = CancellationToken::new();
    let request_reset = reset_requested.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        // The gateway limits by the client's address; for the other services it costs next to nothing.
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = routes.clone().oneshot(request);
        let request_reset = request_reset.clone();
        async move {
            let response = response.await;
            if let Ok(response) = &response
                && response.extensions().get::<ResetConnection>().is_some()
            {
                request_reset.cancel();
                // The reset drops this future with the connection. No byte of a response may be written before.
                return pending().await;
            }
            response
        }
    });
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    let serving = async {
        tokio::select! {
            ended = Pin::new(&mut connection) => return ended,
            () = shutdown.cancelled() => {}
        }
        // The request in progress is the connection's last one.
        Pin::new(&mut connection).graceful_shutdown();
        Pin::new(&mut connection).await
    };
    let ended = tokio::select! {
        ended = serving => ended,
        () = reset_requested.cancelled() => {
            reset(connection.into_parts().io.into_inner());
            return;
        }
    };
    if let Err(e) = ended {
        // Clients disconnect and send invalid requests all the time; an operator cannot act on it.
        tracing::debug!(error = %e, %peer, "a connection failed");
    }
}

/// Closes a connection with a TCP reset instead of an orderly end. Lingering is switched off only here, so no other connection
/// is reset by accident.
fn reset(stream: TcpStream) {
    if let Err(e) = stream.set_zero_linger() {
        tracing::warn!(error = %e, "a connection could not be reset and is closed normally");
    }
}

fn is_client_error(e: &io::Error) -> bool {
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

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n";

    struct TestServer {
        address: SocketAddr,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start(routes: Router, header_timeout: Duration) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, routes, header_timeout, stop.clone()));
        TestServer {
            address,
            stop,
            task,
        }
    }

    async fn connect(server: &TestServer) -> TcpStream {
        TcpStream::connect(server.address).await.unwrap()
    }

    /// Reads until the server closes the connection.
    async fn read_all(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_header_is_disconnected() {
        let routes = Router::new().route("/", get(|| async { "well" }));
        let server = start(routes, Duration::from_millis(50)).await;
        for part in [&b""[..], &REQUEST[..20]] {
            let mut slow = connect(&server).await;
            slow.write_all(part).await.unwrap();
            assert_eq!(read_all(&mut slow).await, "", "closed without a response");
        }
    }

    #[tokio::test]
    async fn the_header_limit_does_not_apply_to_the_handler() {
        let go = Arc::new(Notify::new());
        let wait = Arc::clone(&go);
        let routes = Router::new().route(
            "/",
            get(move || async move {
                wait.notified().await;
                "well"
            }),
        );
        let server = start(routes, Duration::from_millis(20)).await;
        let mut patient = connect(&server).await;
        patient.write_all(REQUEST).await.unwrap();
        // A later client has been disconnected, so the limit has passed for the first one as well.
        read_all(&mut connect(&server).await).await;
        go.notify_one();
        assert!(read_all(&mut patient).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn at_shutdown_requests_in_progress_are_finished_and_idle_connections_closed() {
        let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (notify, wait) = (Arc::clone(&started), Arc::clone(&go));
        let routes = Router::new().route(
            "/",
            get(move || async move {
                notify.notify_one();
                wait.notified().await;
                "well"
            }),
        );
        let server = start(routes, Duration::from_secs(60)).await;
        let mut busy = connect(&server).await;
        busy.write_all(REQUEST).await.unwrap();
        started.notified().await;
        let mut idle = connect(&server).await;
        server.stop.cancel();
        assert_eq!(read_all(&mut idle).await, "");
        // New connections are refused.
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!server.task.is_finished());
        go.notify_one();
        let response = read_all(&mut busy).await;
        assert!(response.ends_with("well"), "{response}");
        server.task.await.unwrap();
    }
}
