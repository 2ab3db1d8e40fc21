//! Takes whatever is sent by OTLP over gRPC, says thanks, and forgets it: a receiver that costs next to nothing, so that a
//! benchmark measures the sender.
//!
//! Prints its address, then serves until it is killed. It speaks just enough gRPC: an answer is an empty message, which
//! means that everything was taken, and a trailer that says so.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Not compressed, and no bytes long.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service_fn(take));
        // A sender that goes away has its reasons.
        tokio::spawn(async move { connection.await.ok() });
    }
}

async fn take(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let status = HeaderName::from_static("grpc-status");
    let trailers = HeaderMap::from_iter([(status, HeaderValue::from_static("0"))]);
    let thanks = Full::new(EMPTY_MESSAGE).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(thanks);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
