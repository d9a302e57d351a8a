//! Bodies that are what they say, and bodies that are not.

use std::io::Write as _;

use super::super::admit::Admission;
use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).expect("written");
    encoder.finish().expect("finished")
}

fn zstd_with_window(plain: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(window_log).expect("a window");
    encoder.write_all(plain).expect("written");
    encoder.finish().expect("finished")
}

fn decoded(encoding: Encoding, body: Vec<u8>) -> Result<Bytes, Refusal> {
    inflate(encoding, body.into(), &mut Admission::default().account())
}

#[test]
fn every_encoding_gives_the_body_back() {
    let plain = b"telemetry ".repeat(10_000);
    assert_eq!(decoded(Encoding::Identity, plain.clone()).expect("identity"), plain);
    assert_eq!(decoded(Encoding::Gzip, gzip(&plain)).expect("gzip"), plain);
    assert_eq!(decoded(Encoding::Zstd, zstd_with_window(&plain, 20)).expect("zstd"), plain);
}

#[test]
fn members_and_frames_count_together() {
    let (half, more) = (vec![7; MOST_BYTES / 2], vec![7; MOST_BYTES / 2 + 1]);
    assert_eq!(decoded(Encoding::Gzip, gzip(&half).repeat(2)).expect("two members").len(), MOST_BYTES);
    assert!(matches!(decoded(Encoding::Gzip, gzip(&more).repeat(2)), Err(Refusal::TooLarge)));
    let frame = zstd_with_window(&more, 20);
    assert!(matches!(decoded(Encoding::Zstd, frame.repeat(2)), Err(Refusal::TooLarge)));
}

#[test]
fn the_largest_body_passes_and_one_byte_more_does_not() {
    let mut plain = vec![0; MOST_BYTES];
    assert_eq!(decoded(Encoding::Gzip, gzip(&plain)).expect("the bound itself").len(), MOST_BYTES);
    plain.push(0);
    assert!(matches!(decoded(Encoding::Gzip, gzip(&plain)), Err(Refusal::TooLarge)));
    assert!(matches!(decoded(Encoding::Zstd, zstd_with_window(&plain, 20)), Err(Refusal::TooLarge)));
}

#[test]
fn a_window_larger_than_any_body_is_refused() {
    // The window has to be in the header: a frame that knows its size carries none.
    let body = |log| zstd_with_window(b"small", log);
    assert!(decoded(Encoding::Zstd, body(23)).is_ok());
    assert!(matches!(decoded(Encoding::Zstd, body(27)), Err(Refusal::Malformed(_))));
}

#[test]
fn cut_and_alien_bodies_are_malformed() {
    let plain = b"telemetry ".repeat(100);
    let (mut short_gzip, mut short_zstd) = (gzip(&plain), zstd_with_window(&plain, 20));
    short_gzip.truncate(short_gzip.len() - 9);
    short_zstd.truncate(short_zstd.len() - 3);
    let bodies = [
        (Encoding::Gzip, short_gzip),
        (Encoding::Zstd, short_zstd),
        (Encoding::Gzip, plain.clone()),
        (Encoding::Zstd, plain),
    ];
    for (encoding, body) in bodies {
        assert!(matches!(decoded(encoding, body), Err(Refusal::Malformed(_))), "{encoding:?}");
    }
}

#[test]
fn inflated_bytes_are_on_the_account() {
    let admission = Admission::new(1, 1024);
    let refused = inflate(Encoding::Gzip, gzip(&[0; 100_000]).into(), &mut admission.account());
    assert!(matches!(refused, Err(Refusal::Busy)));
}

#[test]
fn an_encoding_is_named_in_any_case() {
    assert_eq!(Encoding::named(" GZip ").expect("gzip"), Encoding::Gzip);
    assert_eq!(Encoding::named("").expect("none"), Encoding::Identity);
    assert!(matches!(Encoding::named("br"), Err(Refusal::Encoding(name)) if name == "br"));
}
