//! OTLP over gRPC.

use std::future::Future;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

use super::{Ears, MOST_BYTES, RETRY_AFTER_S, Refusal, http};

/// Serves until `stop` resolves, then finishes what is in flight.
pub async fn serve(
    listener: TcpListener,
    ears: Arc<Ears>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let service = TraceServiceServer::new(Receiver { ears })
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(MOST_BYTES);
    let incoming = TcpListenerStream::new(listener);
    Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, stop).await
}

struct Receiver {
    ears: Arc<Ears>,
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let authorization = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let source = self.ears.tokens.source(authorization).ok_or_else(|| status(&Refusal::Unknown))?;
        let Some(_room) = self.ears.admission.enter() else { return Err(status(&self.ears.busy())) };
        let body = request.into_inner().encode_to_vec().into();
        let counted = self.ears.take(source, body).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(http::reply(&counted)))
    }
}

fn status(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::Unknown => Code::Unauthenticated,
        Refusal::Malformed(_) | Refusal::Unsupported(_) => Code::InvalidArgument,
        Refusal::TooLarge => Code::OutOfRange,
        Refusal::Busy => return busy(),
    };
    Status::new(code, refusal.to_string())
}

/// `google.rpc.RetryInfo`: without it exporters drop what is refused.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Seconds>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Seconds {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

fn busy() -> Status {
    let message = Refusal::Busy.to_string();
    let delay = Seconds { seconds: i64::try_from(RETRY_AFTER_S).unwrap_or(1) };
    let info = Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: RetryInfo { retry_delay: Some(delay) }.encode_to_vec(),
    };
    let code = Code::ResourceExhausted;
    let details = RpcStatus { code: code as i32, message: message.clone(), details: vec![info] };
    Status::with_details(code, message, details.encode_to_vec().into())
}
