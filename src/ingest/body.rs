//! A request's body, read whole: bounded in bytes and in time, and on the account of all bodies in hand.

use std::time::Duration;

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use super::admit::Held;
use super::refusal::Refusal;

/// How long a sender may take over one body.
const WITHIN: Duration = Duration::from_secs(10);

/// Reads at most `most` bytes.
pub async fn read<B>(body: B, most: usize, held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    // What announces itself as too large is not read at all.
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::TooLarge);
    }
    tokio::time::timeout(WITHIN, collect(body, most, held)).await.map_err(|_| Refusal::Slow)?
}

async fn collect<B>(mut body: B, most: usize, held: &mut Held<'_>) -> Result<Bytes, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Slow)?;
        let Ok(chunk) = frame.into_data() else { continue };
        if read.len() + chunk.len() > most {
            return Err(Refusal::TooLarge);
        }
        held.grow(chunk.len())?;
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::super::admit::Admission;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let endless = axum::body::Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let read = read(endless, 10, &mut Admission::default().account()).await;
        assert!(matches!(read, Err(Refusal::Slow)));
    }

    #[tokio::test]
    async fn chunks_count_together() {
        let chunks = |count| {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(b"12345"));
            axum::body::Body::from_stream(futures::stream::iter(std::iter::repeat_with(chunk).take(count)))
        };
        let admission = Admission::new(1, 100);
        assert_eq!(read(chunks(2), 10, &mut admission.account()).await.expect("whole"), "1234512345");
        assert!(matches!(read(chunks(3), 10, &mut admission.account()).await, Err(Refusal::TooLarge)));
        assert!(matches!(read(chunks(30), 1_000, &mut admission.account()).await, Err(Refusal::Busy)));
    }
}
