//! An OTLP receiver of spans and log records: gRPC for both, and HTTP for log records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// Attributes as text, by name.
pub(crate) type Attributes = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) service: String,
    pub(crate) message: String,
    pub(crate) trace: Vec<u8>,
    pub(crate) span: Vec<u8>,
    pub(crate) attributes: Attributes,
}

/// Stores everything that it receives. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    spans: Arc<Mutex<Vec<Span>>>,
    records: Arc<Mutex<Vec<Record>>>,
}

/// A receiver that listens until it is dropped.
pub(crate) struct Listening {
    pub(crate) receiver: Receiver,
    /// `http://host:port` for gRPC.
    pub(crate) grpc: String,
    /// The whole URL for log records by HTTP.
    pub(crate) http_logs: String,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    pub(crate) fn listen() -> Listening {
        let receiver = Self::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (grpc, http) = (listener(), listener());
        let at = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (grpc_at, http_at) = (at(&grpc), at(&http));
        let incoming = tonic::transport::server::TcpIncoming::from(grpc);
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(receiver.clone()))
                .add_service(LogsServiceServer::new(receiver.clone()))
                .serve_with_incoming(incoming),
        );
        let routes = axum::Router::new()
            .route("/otlp/v1/logs", post(by_http))
            .with_state(receiver.clone());
        runtime.spawn(async move { axum::serve(http, routes).await });
        Listening {
            receiver,
            grpc: grpc_at,
            http_logs: format!("{http_at}/otlp/v1/logs"),
            _runtime: runtime,
        }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    fn store(&self, request: ExportLogsServiceRequest) {
        let mut stored = self.records.lock().unwrap();
        for resource in request.resource_logs {
            let service = service(resource.resource);
            for record in resource.scope_logs.into_iter().flat_map(|s| s.log_records) {
                stored.push(Record {
                    service: service.clone(),
                    message: text(record.body),
                    trace: record.trace_id,
                    span: record.span_id,
                    attributes: attributes(record.attributes),
                });
            }
        }
    }
}

async fn by_http(State(receiver): State<Receiver>, body: Bytes) -> StatusCode {
    match ExportLogsServiceRequest::decode(body) {
        Ok(request) => {
            receiver.store(request);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|v| v.value) {
        Some(OtlpValue::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

fn attributes(list: Vec<KeyValue>) -> Attributes {
    list.into_iter().map(|a| (a.key, text(a.value))).collect()
}

fn service(resource: Option<Resource>) -> String {
    let attributes = attributes(resource.unwrap().attributes);
    attributes["service.name"].clone()
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut stored = self.spans.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
                stored.push(Span {
                    kind: span.kind(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    attributes: attributes(span.attributes),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.store(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
