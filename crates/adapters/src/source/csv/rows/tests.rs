//! Rows good and bad.

use super::*;

fn read(text: &str) -> Vec<Result<(i64, f64), String>> {
    let rows = rows(text.as_bytes()).expect("columns");
    rows.map(|row| row.map(|row| (row.at_ms, row.value)).map_err(|bad| bad.to_string())).collect()
}

fn is_refused(text: &str) -> bool {
    matches!(rows(text.as_bytes()).err(), Some(SourceError::Unreadable { .. }))
}

#[test]
fn a_moment_is_written_in_many_ways() {
    let table = [
        ("2014-02-14T14:30:00Z", Some(1_392_388_200_000)),
        ("2014-02-14T14:30:00.25+01:00", Some(1_392_384_600_250)),
        ("2014-02-14 14:30:00", Some(1_392_388_200_000)),
        ("2014-02-14", Some(1_392_336_000_000)),
        ("1392388200", Some(1_392_388_200_000)),
        ("1392388200.125", Some(1_392_388_200_125)),
        ("1392388200000", Some(1_392_388_200_000)),
        ("-1", Some(-1_000)),
        ("NaN", None),
        ("inf", None),
        ("1e300", None),
        ("yesterday", None),
        ("", None),
    ];
    for (stamp, expected) in table {
        assert_eq!(at_ms(stamp), expected, "{stamp}");
    }
}

#[test]
fn columns_are_found_by_name_or_by_their_number() {
    let row = |host: Option<&str>, metric: Option<&str>, line| Row {
        line,
        stamp: "7".to_owned(),
        host: host.map(str::to_owned),
        metric: metric.map(str::to_owned),
        at_ms: 7_000,
        value: 1.5,
    };
    let all = |text: &str| rows(text.as_bytes()).expect("columns").collect::<Vec<_>>();
    assert_eq!(all("7,1.5\n"), [Ok(row(None, None, 1))]);
    assert_eq!(all("\u{feff}Timestamp,Value\r\n7,1.5\r\n"), [Ok(row(None, None, 2))]);
    assert_eq!(all("web-1,cpu,7,1.5"), [Ok(row(Some("web-1"), Some("cpu"), 1))]);
    let exported = "id,metric_name,host,value,timestamp\n1,cpu,\"web,1\",1.5,7\n";
    assert_eq!(all(exported), [Ok(row(Some("web,1"), Some("cpu"), 2))]);
    assert_eq!(all(""), []);
    assert_eq!(all("timestamp,value\n"), []);
    assert!(is_refused("a,b,c\n1,2,3\n") && is_refused("timestamp,host\n") && is_refused("one\n"));
}

#[test]
fn bad_rows_are_refused_by_their_line_and_the_others_are_read() {
    let text = "timestamp,value\n1,1\nnever,2\n3,NaN\n4,inf\n5\n\n\"multi\nline\",6\n9,9\n";
    let expected = [
        Ok((1_000, 1.0)),
        Err("line 3: \"never\" is no timestamp".to_owned()),
        Err("line 4: \"NaN\" is no finite number".to_owned()),
        Err("line 5: \"inf\" is no finite number".to_owned()),
        Err("line 6: 1 columns".to_owned()),
        Err("line 8: \"multiline\" is no timestamp".to_owned()),
        Ok((9_000, 9.0)),
    ];
    assert_eq!(read(text), expected);
}

#[test]
fn a_quote_that_is_never_closed_takes_in_few_lines() {
    let text = format!("timestamp,value\n1,\"2\n{}30,30\n", "2,2\n".repeat(19));
    assert_eq!(read(&text), [Err("line 2: a quote is not closed".to_owned()), Ok((30_000, 30.0))]);
    assert_eq!(read("timestamp,value\n1,\"2"), [Err("line 2: a quote is not closed".to_owned())]);
    assert_eq!(fields(r#"a,"b ""c"", d",,e"#), ["a", "b \"c\", d", "", "e"]);
}

#[test]
fn what_is_no_text_is_one_bad_row() {
    let text = b"timestamp,value\n1,1\n\xff\xfe,2\n3,3\n".as_slice();
    let read: Vec<_> = rows(text).expect("columns").map(|row| row.map(|row| row.at_ms)).collect();
    assert_eq!(read, [Ok(1_000), Err(BadRow { line: 3, why: "not UTF-8".to_owned() }), Ok(3_000)]);
}
