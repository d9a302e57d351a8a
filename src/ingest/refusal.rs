//! Why a request was not taken, and what that is called over HTTP and over gRPC.
//!
//! OTLP: the body of every HTTP error is a `google.rpc.Status`, in the encoding of the request; gRPC carries the same in
//! its details. An exporter drops what is refused unless it is told when to try again.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use sre_space_ports::bus::BusError;
use thiserror::Error;
use tonic::{Code, Status};

use super::MOST_BYTES;
use super::http::Format;

/// Seconds after which a refused sender should try again.
pub const RETRY_AFTER_S: u32 = 1;

/// Why a request was not taken.
#[derive(Debug, Error)]
pub enum Refusal {
    /// No or an unknown ingest token.
    #[error("an ingest token is required: send `Authorization: Bearer TOKEN` with one of SRE_SPACE_INGEST_TOKENS")]
    Unknown,
    /// No OTLP, or nothing usable in it.
    #[error("{0}")]
    Malformed(String),
    /// Over the bound.
    #[error("the body is larger than {MOST_BYTES} bytes, as sent or when decoded")]
    TooLarge,
    /// Over what the bus carries in one message.
    #[error("{0} bytes are more than the bus carries in one message: send smaller batches")]
    Oversized(usize),
    /// A content type that is not spoken here.
    #[error("content type {0:?} is not application/x-protobuf or application/json")]
    Media(String),
    /// A compression that is not known here.
    #[error("content encoding {0:?} is not identity, gzip or zstd")]
    Encoding(String),
    /// The body did not arrive in time, or not whole.
    #[error("the body did not arrive")]
    Slow,
    /// No room now.
    #[error("busy: try again in {RETRY_AFTER_S} s")]
    Busy,
    /// Nobody to hand the spans to.
    #[error("the bus is down: try again in {RETRY_AFTER_S} s")]
    Down,
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Full(_) => Self::Busy,
            BusError::Closed | BusError::Unreachable(_) => Self::Down,
            BusError::TooLarge(bytes) => Self::Oversized(bytes),
        }
    }
}

impl Refusal {
    /// Whether the same request may be taken later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::Down => true,
            Self::Unknown
            | Self::Malformed(_)
            | Self::TooLarge
            | Self::Oversized(_)
            | Self::Media(_)
            | Self::Encoding(_)
            | Self::Slow => false,
        }
    }

    fn names(&self) -> (StatusCode, Code) {
        match self {
            Self::Unknown => (StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::TooLarge | Self::Oversized(_) => (StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted),
            Self::Media(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument),
            Self::Encoding(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted),
            Self::Down => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        }
    }

    /// The refusal as an HTTP response.
    pub fn into_http(self, format: Format) -> Response {
        let (status, code) = self.names();
        let mut response = match format {
            Format::Protobuf => ([(header::CONTENT_TYPE, Format::PROTOBUF)], self.details(code)).into_response(),
            Format::Json => {
                axum::Json(serde_json::json!({ "code": code as i32, "message": self.to_string() })).into_response()
            }
        };
        *response.status_mut() = status;
        if self.is_transient() {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
        }
        response
    }

    /// The refusal as a gRPC status.
    pub fn into_grpc(self) -> Status {
        let (_, code) = self.names();
        if self.is_transient() {
            Status::with_details(code, self.to_string(), self.details(code).into())
        } else {
            Status::new(code, self.to_string())
        }
    }

    fn details(&self, code: Code) -> Vec<u8> {
        let retry = self.is_transient().then(|| Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: RetryInfo { retry_delay: Some(Delay { seconds: i64::from(RETRY_AFTER_S) }) }.encode_to_vec(),
        });
        let details = retry.into_iter().collect();
        RpcStatus { code: code as i32, message: self.to_string(), details }.encode_to_vec()
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`, whole seconds of it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Delay {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}
