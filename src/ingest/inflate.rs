//! Decompression with the bound counted on decoded bytes, while inflating.

use std::io::Read;

use bytes::Bytes;

use super::{MOST_BYTES, Refusal};

/// Largest zstd window accepted, as a power of two: 8 MiB, what a 4 MiB body can need.
const MOST_WINDOW_LOG: u32 = 23;

/// Decodes a body by its `Content-Encoding`.
pub fn inflate(encoding: &str, body: Bytes) -> Result<Bytes, Refusal> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        "gzip" => bounded(flate2::read::MultiGzDecoder::new(body.as_ref())),
        "zstd" => {
            let broken = |error: std::io::Error| Refusal::Malformed(error.to_string());
            let mut decoder = zstd::stream::read::Decoder::new(body.as_ref()).map_err(broken)?;
            decoder.window_log_max(MOST_WINDOW_LOG).map_err(broken)?;
            bounded(decoder)
        }
        other => Err(Refusal::Unsupported(format!("content encoding {other:?}"))),
    }
}

fn bounded(reader: impl Read) -> Result<Bytes, Refusal> {
    let mut decoded = Vec::new();
    let read = reader.take(MOST_BYTES as u64 + 1).read_to_end(&mut decoded);
    read.map_err(|error| Refusal::Malformed(error.to_string()))?;
    if decoded.len() > MOST_BYTES { Err(Refusal::TooLarge) } else { Ok(decoded.into()) }
}
