//! As whom GitHub is asked: a token that was given, or an App's, exchanged for one hour and renewed before it ends.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use sre_space_domain::secret::Secret;
use thiserror::Error;

/// GitHub accepts ten minutes at most; clocks differ.
const LIFE_S: i64 = 540;
const EARLY_S: i64 = 60;

/// What was given to ask as.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A personal access token, or the token of a workflow run.
    Token(Secret),
    /// A GitHub App.
    App {
        /// Its id, or its client id.
        id: String,
        /// Its private key, PEM.
        key: Secret,
    },
}

/// A private key that cannot be used; what it holds is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadKey {
    /// Not a PEM block of an RSA private key.
    #[error("the private key is no PEM block of an RSA private key")]
    NotPem,
    /// The block holds something else.
    #[error("the private key is not an RSA key of 2048 bits or more")]
    NotRsa,
}

/// The App's own token, RS256, by which it asks for an installation's.
pub(super) fn app_token(id: &str, key: &Secret, now: Timestamp) -> Result<Secret, BadKey> {
    let now = now.as_second();
    let claims = json!({ "iat": now - EARLY_S, "exp": now + LIFE_S, "iss": id });
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(json!({ "alg": "RS256", "typ": "JWT" }).to_string()), part(claims.to_string()));
    let pair = key_pair(key.bare())?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| BadKey::NotRsa)?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// Reads PKCS#1 and PKCS#8. An environment variable may hold the line ends as `\n`.
fn key_pair(pem: &str) -> Result<RsaKeyPair, BadKey> {
    let pem = pem.replace("\\n", "\n");
    let block = |label: &str| {
        let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
        let (inside, _) = rest.split_once(&format!("-----END {label}-----"))?;
        STANDARD.decode(inside.split_whitespace().collect::<String>()).ok()
    };
    if let Some(der) = block("RSA PRIVATE KEY") {
        return RsaKeyPair::from_der(&der).map_err(|_| BadKey::NotRsa);
    }
    let der = block("PRIVATE KEY").ok_or(BadKey::NotPem)?;
    RsaKeyPair::from_pkcs8(&der).map_err(|_| BadKey::NotRsa)
}
