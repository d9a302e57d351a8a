//! `GET /api/v1/query`: both ends of the time are within it, a gap is null.

use serde_json::{Value, json};

use super::{Answered, KEY, OTHER_KEY, Request, Row, by_host, finite};

pub(super) fn answer(rows: &[Row], request: &Request) -> Answered {
    if request.header("dd-api-key") != KEY || request.header("dd-application-key") != OTHER_KEY {
        return Err((403, r#"{"errors": ["Forbidden"]}"#));
    }
    let (from_ms, to_ms) = (request.time_ms("from"), request.time_ms("to"));
    let is_within = |row: &&&Row| (from_ms..=to_ms).contains(&(row.at_ms as f64));
    let mut series = Vec::new();
    for (index, query) in request.asked("query").split(',').enumerate() {
        let name = query.strip_prefix("avg:").and_then(|rest| rest.strip_suffix("{*} by {host}"));
        let name = name.ok_or((400, r#"{"errors": ["Error parsing query"]}"#))?;
        for (host, rows) in by_host(rows, name) {
            let points: Vec<Value> =
                rows.iter().filter(is_within).map(|row| json!([row.at_ms as f64, finite(row.value)])).collect();
            let scope = format!("env:prod,host:{host}");
            series.push(json!({
                "metric": name, "display_name": name, "scope": scope, "tag_set": [format!("host:{host}")], "aggr": "avg",
                "interval": 60, "length": points.len(), "pointlist": points, "query_index": index, "expression": query,
            }));
        }
    }
    Ok(
        json!({"status": "ok", "res_type": "time_series", "error": "", "message": "", "group_by": ["host"], "series": series}),
    )
}
