//! Decompression with the bound counted on decoded bytes, while inflating.

use std::io::Read;

use bytes::Bytes;

use super::MOST_BYTES;
use super::admit::Held;
use super::refusal::Refusal;

/// Largest zstd window accepted, as a power of two: 8 MiB, which every decoder should support (RFC 8878).
const MOST_WINDOW_LOG: u32 = 23;
/// Bytes inflated before the bounds are looked at again.
const STEP: usize = 32 * 1024;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl Encoding {
    /// The encoding a header names.
    pub fn named(name: &str) -> Result<Self, Refusal> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            other => Err(Refusal::Encoding(other.chars().take(32).collect())),
        }
    }
}

/// The decoded body. Its bytes are put on the request's account as they appear.
pub fn inflate(encoding: Encoding, body: Bytes, held: &mut Held<'_>) -> Result<Bytes, Refusal> {
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => bounded(flate2::bufread::MultiGzDecoder::new(body.as_ref()), held),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref()).map_err(broken)?;
            decoder.window_log_max(MOST_WINDOW_LOG).map_err(broken)?;
            bounded(decoder, held)
        }
    }
}

fn bounded(mut reader: impl Read, held: &mut Held<'_>) -> Result<Bytes, Refusal> {
    let mut decoded = Vec::new();
    loop {
        let read = reader.by_ref().take(STEP as u64).read_to_end(&mut decoded).map_err(broken)?;
        if read == 0 {
            return Ok(decoded.into());
        }
        if decoded.len() > MOST_BYTES {
            return Err(Refusal::TooLarge);
        }
        held.grow(read)?;
    }
}

fn broken(error: std::io::Error) -> Refusal {
    Refusal::Malformed(format!("the compressed body cannot be read: {error}"))
}

#[cfg(test)]
mod tests;
