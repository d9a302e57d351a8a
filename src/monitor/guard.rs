//! Who may ask for what: tokens, origins, hosts.
//!
//! Mutating routes need the token. Without one configured they answer only this machine's own pages: a loopback peer, a
//! loopback `Host` (so that a rebound name is refused) and no foreign `Origin`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sre_space_domain::secret::Secret;

use super::problem::Problem;
use crate::ingest::tokens::same;

/// Paths that never need a token; a webhook is signed.
const OPEN: [&str; 14] = [
    "/",
    "/monitor",
    "/monitor.js",
    "/monitor.css",
    "/favicon.svg",
    "/docs",
    "/docs.js",
    "/docs.css",
    "/openapi.json",
    "/health",
    "/healthz",
    "/ready",
    "/readyz",
    "/webhook/github",
];

/// The rules.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Bearer token.
    pub token: Option<Secret>,
    /// Exact origins for CORS.
    pub allowed_origins: Vec<String>,
    /// Reads stay open although a token is set.
    pub public_read: bool,
}

/// Lets a request through or refuses it.
pub async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let origin = guard.allowed_origin(request.headers());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let mut response = if request.method() == Method::OPTIONS && origin.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        match guard.refusal(request.method(), request.uri().path(), request.headers(), peer) {
            Some(detail) => Problem::new(StatusCode::FORBIDDEN, detail).into_response(),
            None => next.run(request).await,
        }
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    }
    response
}

impl Guard {
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.allowed_origins.iter().any(|allowed| allowed == text).then(|| origin.clone())
    }

    /// Why a request is refused; `None` lets it through.
    fn refusal(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Option<&'static str> {
        if OPEN.contains(&path) {
            return None;
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if path.starts_with("/demo/") {
            return from_elsewhere(headers);
        }
        match &self.token {
            Some(_) if is_read && self.public_read => None,
            Some(token) if bears(headers, token) => None,
            Some(_) => Some("send `Authorization: Bearer TOKEN` with the server's SRE_SPACE_TOKEN"),
            None if is_read => None,
            None if peer.is_some_and(|peer| !peer.ip().is_loopback()) => {
                Some("without SRE_SPACE_TOKEN only this machine may change anything")
            }
            None => from_elsewhere(headers),
        }
    }
}

fn bears(headers: &HeaderMap, token: &Secret) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    sent.is_some_and(|sent| same(sent.as_bytes(), token.bare().as_bytes()))
}

/// Whether another site's page, or a rebound name, is behind the request.
fn from_elsewhere(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").unwrap_or_default();
    if !is_loopback(host) {
        return Some("this Host is not this machine");
    }
    if text("origin").is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
        return Some("requests of other origins are refused");
    }
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Some("requests of other sites are refused");
    }
    None
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    fn post(guard: &Guard, path: &str, pairs: &[(&'static str, &'static str)]) -> bool {
        let peer = Some(SocketAddr::from(([127, 0, 0, 1], 5)));
        guard.refusal(&Method::POST, path, &headers(pairs), peer).is_none()
    }

    #[test]
    fn the_demo_answers_the_bare_curl_and_its_own_page_only() {
        let guard = Guard::default();
        let path = "/demo/inject-failure";
        assert!(post(&guard, path, &[("host", "localhost:8001")]));
        assert!(post(&guard, path, &[("host", "127.0.0.1:8001"), ("origin", "http://127.0.0.1:8001")]));
        for refused in [
            &[("host", "evil.example")][..],
            &[("host", "localhost.evil.example:8001")],
            &[("host", "localhost:8001"), ("origin", "http://evil.example")],
            &[("host", "localhost:8001"), ("origin", "null")],
            &[("host", "localhost:8001"), ("origin", "http://localhost:8002")],
            &[("host", "localhost:8001"), ("origin", "https://localhost:8001")],
            &[("host", "localhost:8001"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:8001"), ("sec-fetch-site", "same-site")],
            &[],
        ] {
            assert!(!post(&guard, path, refused), "{refused:?}");
        }
    }

    #[test]
    fn a_token_is_asked_for_once_it_is_configured() {
        let guard = Guard { token: Some(Secret::new("s3cret")), ..Guard::default() };
        let path = "/api/v1/incidents/x/approve";
        assert!(post(&guard, path, &[("host", "elsewhere"), ("authorization", "Bearer s3cret")]));
        assert!(!post(&guard, path, &[("host", "localhost"), ("authorization", "Bearer s3cre7")]));
        assert!(!post(&guard, path, &[("host", "localhost")]));
        assert!(guard.refusal(&Method::GET, "/status", &HeaderMap::new(), None).is_some());
        assert!(guard.refusal(&Method::GET, "/health", &HeaderMap::new(), None).is_none());
    }

    #[test]
    fn without_a_token_a_stranger_changes_nothing() {
        let peer = Some(SocketAddr::from(([192, 0, 2, 7], 5)));
        let refused = Guard::default().refusal(&Method::POST, "/x", &headers(&[("host", "localhost")]), peer);
        assert!(refused.is_some());
    }
}
