//! `GetMetricData` in AWS JSON 1.0: pages of a few values, whose signature is checked.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Answered, KEY, Request, Row, by_host};

/// Values of a page.
const PAGE: usize = 4;

pub(super) fn answer(rows: &[Row], request: &Request) -> Answered {
    if request.header("x-amz-target") != "GraniteServiceVersion20100801.GetMetricData" {
        return Err((400, r#"{"__type": "com.amazon.coral.service#UnknownOperationException"}"#));
    }
    if is_signed(request).is_none() {
        return Err((403, r#"{"__type": "com.amazon.coral.service#SignatureDoesNotMatch"}"#));
    }
    let number = |name: &str| request.body[name].as_f64().map_or(f64::NAN, |seconds| seconds * 1_000.0);
    let (start_ms, end_ms) = (number("StartTime"), number("EndTime"));
    let mut found = Vec::new();
    for query in request.body["MetricDataQueries"].as_array().into_iter().flatten() {
        let metric = metric(query).ok_or((400, r#"{"__type": "ValidationError"}"#))?;
        for (host, rows) in by_host(rows, &metric) {
            let is_within = |row: &&&Row| (start_ms..end_ms).contains(&(row.at_ms as f64)) && row.value.is_finite();
            found.extend(rows.iter().filter(is_within).map(|row| (query["Id"].clone(), host, row.at_ms, row.value)));
        }
    }
    let from = request.body["NextToken"].as_str().map_or(Ok(0), str::parse::<usize>);
    let from = from.map_err(|_| (400, r#"{"__type": "InvalidNextToken"}"#))?;
    let page = found.iter().skip(from).take(PAGE);
    let results: Vec<Value> = page
        .map(|(id, host, at_ms, value)| {
            let status = if found.len() > PAGE { "PartialData" } else { "Complete" };
            json!({"Id": id, "Label": host, "Timestamps": [*at_ms as f64 / 1e3], "Values": [value], "StatusCode": status})
        })
        .collect();
    let next = (from + PAGE < found.len()).then(|| (from + PAGE).to_string());
    Ok(json!({"MetricDataResults": results, "NextToken": next, "Messages": []}))
}

/// `NAMESPACE/METRIC` of a search over instances.
fn metric(query: &Value) -> Option<String> {
    let search = query["Expression"].as_str()?.strip_prefix(r#"SEARCH('{""#)?;
    let (namespace, rest) = search.split_once(r#"","InstanceId"} MetricName=""#)?;
    let (name, _) = rest.split_once('"')?;
    (query["Label"] == "${PROP('Dim.InstanceId')}").then(|| format!("{namespace}/{name}"))
}

/// Whether the signature is that of what came: AWS Signature Version 4, read from its description.
fn is_signed(request: &Request) -> Option<()> {
    let told = request.header("authorization").strip_prefix("AWS4-HMAC-SHA256 Credential=AKIDSTANDIN/")?;
    let (scope, rest) = told.split_once(", SignedHeaders=")?;
    let (names, signature) = rest.split_once(", Signature=")?;
    let lines: String = names.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let hash = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", hash(&request.raw));
    let time = request.header("x-amz-date");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let date = time.split_once('T')?.0;
    let is_scope = scope == format!("{date}/us-east-1/monitoring/aws4_request");
    let key = scope.split('/').fold(format!("AWS4{KEY}").into_bytes(), |key, part| keyed(&key, part));
    let is_all = ["content-type", "host", "x-amz-date", "x-amz-target"]
        .iter()
        .all(|name| names.split(';').any(|one| one == *name));
    (is_scope && is_all && signature == hex(&keyed(&key, &text))).then_some(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
