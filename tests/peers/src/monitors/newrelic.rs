//! `POST /graphql`: NRQL in buckets of a minute, with an empty one after the last value of every host.

use serde_json::{Value, json};

use super::{Answered, KEY, Request, Row, by_host, finite};

pub(super) fn answer(rows: &[Row], request: &Request) -> Answered {
    if request.header("api-key") != KEY {
        return Err((401, r#"{"errors": [{"message": "The API key provided is invalid"}]}"#));
    }
    if !request.body["query"]
        .as_str()
        .is_some_and(|document| document.starts_with("query ") && !document.contains("mutation"))
    {
        return Err((400, "no query"));
    }
    let nrql = request.body["variables"]["nrql"].as_str().unwrap_or_default();
    let after = |word: &str| nrql.split_once(word).map_or("", |(_, rest)| rest.trim_start());
    let first = |text: &str| text.split([' ', ')', '`']).find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    let number = |word: &str| first(after(word)).parse::<i64>().map_err(|_| (400, "NRQL Syntax Error"));
    let (since_ms, until_ms) = (number("SINCE ")?, number("UNTIL ")?);
    if number("TIMESERIES ")? != 60 || until_ms - since_ms > 366 * 60_000 {
        return Err((400, "NRQL Syntax Error: TIMESERIES"));
    }
    let metric = format!("{}.{}", first(after("FROM ")), first(after("average(")));
    let mut found = Vec::new();
    for (host, rows) in by_host(rows, &metric) {
        let within: Vec<&&Row> = rows.iter().filter(|row| (since_ms..until_ms).contains(&row.at_ms)).collect();
        let gap = within.last().map(|last| bucket(host, last.at_ms + 60_000, Value::Null));
        found.extend(within.iter().map(|row| bucket(host, row.at_ms, finite(row.value))));
        found.extend(gap);
    }
    Ok(json!({"data": {"actor": {"account": {"nrql": {"results": found}}}}}))
}

fn bucket(host: &str, at_ms: i64, value: Value) -> Value {
    let begin = at_ms / 1_000;
    json!({"facet": host, "hostname": host, "beginTimeSeconds": begin, "endTimeSeconds": begin + 60, "value": value})
}
