//! What the API is, as OpenAPI 3.1 and as a page that draws it. Nothing is fetched from elsewhere.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Desk;
use super::routes::{file, page};

const API: &str = include_str!("../../static/openapi.json");
const REPORT: &str = include_str!("../../docs/schema/coherence-report.json");

/// The routes.
pub(super) fn router() -> Router<Arc<Desk>> {
    let api = api();
    Router::new()
        .route("/docs", get(async || page(include_str!("../../static/docs.html"))))
        .route("/docs.js", get(async || file("text/javascript", include_str!("../../static/docs.js"))))
        .route("/docs.css", get(async || file("text/css", include_str!("../../static/docs.css"))))
        .route("/openapi.json", get(async move || -> Response { Json(api).into_response() }))
}

/// The description, with this program's version and the schema of the engine's answers, each written in one place.
fn api() -> Value {
    let mut api: Value = serde_json::from_str(API).unwrap_or_default();
    let mut report: Value = serde_json::from_str(REPORT).unwrap_or_default();
    // Its references are its own: they begin at this name, and not at the description's beginning.
    report["$id"] = json!("coherence-report");
    api["components"]["schemas"]["CoherenceReport"] = report;
    api["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    api
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};
    use tower::ServiceExt as _;

    use super::super::tests::server_with;
    use super::*;

    #[tokio::test]
    async fn what_is_described_is_there() {
        let server = server_with(&[]).await;
        let api = api();
        let of_the_monitor =
            api["paths"].as_object().expect("paths").iter().filter(|(path, _)| !path.starts_with("/v1/"));
        for (path, item) in of_the_monitor {
            for method in item.as_object().expect("operations").keys() {
                let uri = path.replace("{id}", "inc_01M80JSCFKMVYJ6E3WW7ZCA0DN");
                let asked = Request::builder().method(method.to_uppercase().as_str()).uri(&uri).body(Body::empty());
                let answer = server.router.clone().oneshot(asked.expect("a request")).await.expect("an answer");
                assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                let is_known =
                    answer.status() != StatusCode::NOT_FOUND || answer.headers().contains_key(header::CONTENT_TYPE);
                assert!(is_known, "{method} {path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_route_says_what_it_does() {
        let api = api();
        assert_eq!(
            (api["openapi"].as_str(), api["info"]["version"].as_str()),
            (Some("3.1.0"), Some(env!("CARGO_PKG_VERSION")))
        );
        let text = api.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            let known =
                api.pointer(reference).or_else(|| api["components"]["schemas"]["CoherenceReport"].pointer(reference));
            assert!(known.is_some(), "{reference}");
        }
        let tags: Vec<&Value> = api["tags"].as_array().expect("tags").iter().map(|tag| &tag["name"]).collect();
        for (path, item) in api["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                assert!(operation["summary"].is_string() && tags.contains(&&operation["tags"][0]), "{method} {path}");
                let is_templated = path.contains("{id}");
                let names_it = operation["parameters"].to_string().contains("\"in\":\"path\"");
                assert_eq!(is_templated, names_it, "{method} {path}");
            }
        }
    }
}
