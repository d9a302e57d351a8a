//! AWS Signature Version 4 of a POST to the root path
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::{digest, hmac};
use sre_space_domain::secret::Secret;

/// As whom AWS is asked.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Access key id.
    pub key_id: String,
    /// Secret access key.
    pub secret: Secret,
    /// Session token, of temporary credentials.
    pub session: Option<Secret>,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Region.
    pub region: &'a str,
    /// Service.
    pub service: &'a str,
}

/// The headers that a request takes beside those that are signed, and the signature over all of them.
pub(super) fn sign(
    credentials: &Credentials,
    scope: Scope<'_>,
    (headers, body): (&[(&'static str, String)], &[u8]),
    at: Timestamp,
) -> Vec<(&'static str, String)> {
    let time = at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut all: Vec<(&'static str, String)> = headers.to_vec();
    all.push(("x-amz-date", time.clone()));
    all.extend(credentials.session.as_ref().map(|token| ("x-amz-security-token", token.bare().to_owned())));
    all.sort_unstable();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines = all.iter().fold(String::new(), |lines, (name, value)| format!("{lines}{name}:{}\n", value.trim()));
    let request = format!("POST\n/\n\n{lines}\n{names}\n{}", hash(body));
    let date = time.get(..8).unwrap_or_default();
    let within = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{within}\n{}", hash(request.as_bytes()));
    let first = format!("AWS4{}", credentials.secret.bare()).into_bytes();
    let key = [date, scope.region, scope.service, "aws4_request"].iter().fold(first, |key, part| keyed(&key, part));
    let signature = hex(&keyed(&key, &text));
    let id = &credentials.key_id;
    let told = format!("AWS4-HMAC-SHA256 Credential={id}/{within}, SignedHeaders={names}, Signature={signature}");
    all.push(("authorization", told));
    all
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(session: Option<&str>) -> Credentials {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        Credentials { key_id: "AKIDEXAMPLE".to_owned(), secret, session: session.map(Secret::new) }
    }

    fn authorization(
        session: Option<&str>,
        service: &str,
        (headers, body): (&[(&'static str, String)], &str),
    ) -> String {
        let at = "2015-08-30T12:36:00Z".parse().expect("a time");
        let scope = Scope { region: "us-east-1", service };
        let signed = sign(&credentials(session), scope, (headers, body.as_bytes()), at);
        signed.into_iter().find(|(name, _)| *name == "authorization").expect("signed").1
    }

    /// AWS's own test suite, `post-vanilla`.
    #[test]
    fn a_request_is_signed_as_aws_published_it() {
        let host = [("host", "example.amazonaws.com".to_owned())];
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                        SignedHeaders=host;x-amz-date, \
                        Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(authorization(None, "service", (&host, "")), expected);
    }

    /// What botocore, Amazon's own library, makes of the same request.
    #[test]
    fn a_session_and_a_body_are_signed_as_amazons_own_library_does() {
        let headers = [
            ("content-type", "application/x-amz-json-1.0".to_owned()),
            ("host", "monitoring.us-east-1.amazonaws.com".to_owned()),
            ("x-amz-target", "GraniteServiceVersion20100801.GetMetricData".to_owned()),
        ];
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/monitoring/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
                        Signature=31d86d4d9aa08d31fbc7c19ff86790f2169f137330fa35822c1d8b33d61d5225";
        let body = r#"{"StartTime":1700000100}"#;
        assert_eq!(authorization(Some("a+session/token=="), "monitoring", (&headers, body)), expected);
    }
}
