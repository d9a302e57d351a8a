//! OTLP over gRPC: the `Export` methods of `TraceService`, `MetricsService` and `LogsService`.
//!
//! tonic carries the connection; the one message of the call is taken out of its frame here, so that it is bounded and
//! inflated as over HTTP and never built as structs: two bytes of an empty span would become hundreds.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::decode::Counted;
use super::http::Format;
use super::inflate::Encoding;
use super::refusal::Refusal;
use super::telemetry::Telemetry;
use super::{Ears, MOST_BYTES, Sent, reply};

/// A compression flag and the message's length stand before it.
const FRAME_HEAD: usize = 5;
/// Calls at the same time on one connection.
const MOST_STREAMS: u32 = 64;
/// Bytes of headers of one call.
const MOST_HEADERS: u32 = 16 * 1024;
/// Bytes a connection may send ahead of being read.
const WINDOW: u32 = 1024 * 1024;
/// How often a silent connection is asked whether it still lives, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Serves until `stop` resolves, then finishes what is in flight.
pub async fn serve(
    listener: TcpListener,
    ears: Arc<Ears>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_header_list_size(MOST_HEADERS)
        .initial_stream_window_size(WINDOW / 4)
        .initial_connection_window_size(WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(Receiver::<0> { ears: Arc::clone(&ears) })
        .add_service(Receiver::<1> { ears: Arc::clone(&ears) })
        .add_service(Receiver::<2> { ears })
        // An answer is a few bytes: held back to be sent with more, it would wait for the sender's delayed acknowledgement.
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
        .await
}

/// Takes the signal with this number: a service's name is part of its type.
#[derive(Clone)]
struct Receiver<const SIGNAL: usize> {
    ears: Arc<Ears>,
}

impl<const SIGNAL: usize> NamedService for Receiver<SIGNAL> {
    const NAME: &'static str = Telemetry::ALL[SIGNAL].service();
}

impl<const SIGNAL: usize> Service<Request<Body>> for Receiver<SIGNAL> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ears = Arc::clone(&self.ears);
        Box::pin(async move { Ok(export(&ears, Telemetry::ALL[SIGNAL], request).await) })
    }
}

async fn export(ears: &Ears, telemetry: Telemetry, request: Request<Body>) -> Response<Body> {
    ears.stats.request();
    let taken = if request.uri().path().ends_with("/Export") {
        accept(ears, telemetry, request).await.map_err(Refusal::into_grpc)
    } else {
        Err(Status::unimplemented("the service has one method: Export"))
    };
    let mut response = taken.map_or_else(
        |status| {
            ears.stats.refused();
            status.into_http()
        },
        |counted| answer(&counted),
    );
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,zstd"));
    response
}

async fn accept(ears: &Ears, telemetry: Telemetry, request: Request<Body>) -> Result<Counted, Refusal> {
    let (head, body) = request.into_parts();
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let source = ears.tokens.source(text("authorization")).ok_or(Refusal::Unknown)?;
    let encoding = Encoding::named(text("grpc-encoding").unwrap_or_default())?;
    let mut held = ears.admission.account();
    let framed = super::body::read(body, MOST_BYTES + FRAME_HEAD, &mut held).await?;
    let (encoding, bytes) = unframe(framed, encoding)?;
    ears.take(Sent { telemetry, source, encoding, format: Format::Protobuf, bytes }, held).await
}

/// The message of a unary call, and how it is compressed: a message may be plain though the call names an encoding.
fn unframe(mut framed: Bytes, encoding: Encoding) -> Result<(Encoding, Bytes), Refusal> {
    let wrong = |what: &str| Refusal::Malformed(format!("no gRPC message: {what}"));
    if framed.len() < FRAME_HEAD {
        return Err(wrong("the frame is cut short"));
    }
    let (flag, length) = (framed.get_u8(), framed.get_u32());
    if u32::try_from(framed.len()) != Ok(length) {
        return Err(wrong("a call carries exactly one"));
    }
    match (flag, encoding) {
        (0, _) => Ok((Encoding::Identity, framed)),
        (1, Encoding::Gzip | Encoding::Zstd) => Ok((encoding, framed)),
        (1, Encoding::Identity) => Err(wrong("it is compressed and the call does not say how")),
        (2.., _) => Err(wrong("the compression flag is neither 0 nor 1")),
    }
}

fn answer(counted: &Counted) -> Response<Body> {
    let message = reply(counted).encode_to_vec();
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
