//! `GET /api/v1/query_range`: both ends of the time are within it, values are texts, and some are no numbers.

use serde_json::{Value, json};

use super::{Answered, KEY, Request, Row, by_host};

pub(super) fn answer(rows: &[Row], request: &Request) -> Answered {
    if request.header("authorization") != format!("Bearer {KEY}") {
        return Err((401, "Unauthorized"));
    }
    let (start_ms, end_ms) = (request.time_ms("start"), request.time_ms("end"));
    let step_s =
        request.asked("step").parse::<f64>().map_err(|_| (400, r#"{"status": "error", "errorType": "bad_data"}"#))?;
    if (end_ms - start_ms) / step_s / 1_000.0 > 11_000.0 {
        return Err((400, r#"{"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution"}"#));
    }
    let is_within = |row: &&&Row| (start_ms..=end_ms).contains(&(row.at_ms as f64));
    let said = |value: f64| match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    };
    let name = request.asked("query");
    let series = by_host(rows, name).into_iter().filter_map(|(host, rows)| {
        let values: Vec<Value> =
            rows.iter().filter(is_within).map(|row| json!([row.at_ms as f64 / 1_000.0, said(row.value)])).collect();
        let labels = json!({"__name__": name, "instance": host, "job": "stand-in"});
        (!values.is_empty()).then(|| json!({"metric": labels, "values": values}))
    });
    let result: Vec<Value> = series.collect();
    Ok(json!({"status": "success", "data": {"resultType": "matrix", "result": result}}))
}
