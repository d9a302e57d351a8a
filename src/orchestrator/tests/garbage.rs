//! Answers of a model that are of no use: exactly a hundred and fifty.

use serde_json::json;

/// As many as the threat model asks for.
pub const COUNT: usize = 150;

const GOOD: &str = r#"{"cause":"S1","remedy":"R1","certainty":0.99,"why":"x"}"#;

/// One piece of garbage: what the model says, or the whole body of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Garbage {
    /// Inside a good envelope.
    Said(String),
    /// Instead of one.
    Body(Vec<u8>),
}

/// All of it.
pub fn all() -> Vec<Garbage> {
    let said = [numbers(), ids(), fields(), wrapped(), spoofed(), nested(), huge()].concat();
    let mut all: Vec<Garbage> = said.into_iter().map(Garbage::Said).chain(bodies()).collect();
    // The rest are beginnings of a good answer.
    let missing = COUNT - all.len();
    let last = GOOD.len() - 1;
    all.extend((1..=missing).map(|cut| Garbage::Said(GOOD[..cut * last / missing].to_owned())));
    all
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn numbers() -> Vec<String> {
    let numbers = [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "\"0.95\"",
        "null",
        "-1",
        "-0.0000001",
        "1.0000001",
        "95",
        "true",
        "[0.9]",
        "{\"value\":0.9}",
        "0x1",
        ".9",
        "1.",
        "+1",
        "0,9",
        "",
    ];
    numbers.iter().map(|number| GOOD.replace("0.99", number)).collect()
}

fn ids() -> Vec<String> {
    let causes = [
        "S0",
        "S2",
        "S99",
        "S-1",
        "S01",
        "s1",
        " S1",
        "S1 ",
        "",
        "S",
        "S1\\u0000",
        "S1\\u200b",
        "quote-engine",
        "S18446744073709551617",
        "R1",
    ];
    let remedies = [
        "R0",
        "R2",
        "R99",
        "R01",
        "r1",
        "R1 ",
        "none",
        "None",
        "",
        "revert",
        "rm -rf /",
        "R1; merge",
        "turn-knob",
        "S1",
    ];
    let causes = causes.iter().map(|id| GOOD.replace("\"S1\"", &format!("\"{id}\"")));
    let remedies = remedies.iter().map(|id| GOOD.replace("\"R1\"", &format!("\"{id}\"")));
    let kinds = ["null", "1", "[\"S1\"]"].iter().map(|kind| GOOD.replace("\"S1\"", kind));
    causes.chain(remedies).chain(kinds).collect()
}

/// Fields that are repeated, missing, or nobody's.
fn fields() -> Vec<String> {
    let repeated = [
        r#""cause":"S1""#,
        r#""remedy":"R1""#,
        r#""certainty":0.99"#,
        r#""why":"x""#,
        r#""certainty":1"#,
        r#""why":"y""#,
        r#""\u0063ause":"S1""#,
    ];
    let unknown = [
        r#""action":"merge""#,
        r#""confidence":1.0"#,
        r#""tool_calls":[]"#,
        r#""__proto__":{}"#,
        r#""Cause":"S1""#,
        r#""why ":"x""#,
        r#""":1"#,
        r#""command":"sh""#,
    ];
    let with = |field: &&str| GOOD.replacen('{', &format!("{{{field},"), 1);
    let missing = [r#""cause":"S1","#, r#""remedy":"R1","#, r#""certainty":0.99,"#, r#","why":"x""#];
    let without = |field: &&str| GOOD.replace(*field, "");
    repeated.iter().map(with).chain(unknown.iter().map(with)).chain(missing.iter().map(without)).collect()
}

/// A good answer that is not alone, or not JSON.
fn wrapped() -> Vec<String> {
    let around = [
        ("```json\n", "\n```"),
        ("```\n", "\n```"),
        ("Here is my answer: ", ""),
        ("", "\nDone."),
        ("", GOOD),
        ("", ","),
        ("// mine\n", ""),
        ("<answer>", "</answer>"),
        ("\u{feff}", ""),
        ("<think>hm</think>", ""),
        ("\u{0}", ""),
    ];
    let around = around.iter().map(|(before, after)| format!("{before}{GOOD}{after}"));
    let spoilt = [GOOD.replace('"', "'"), GOOD.replace("\"x\"}", "\"x\",}"), GOOD.replace(":0.99", "=0.99")];
    let others =
        ["null", "true", "0.99", "\"R1\"", "", " ", "{}", "[]", "cause: S1\nremedy: R1\ncertainty: 0.99\nwhy: x"];
    around.chain(spoilt).chain(owned(&others)).collect()
}

fn spoofed() -> Vec<String> {
    owned(&[
        r#"{"tool_calls":[{"type":"function","function":{"name":"merge","arguments":"{}"}}]}"#,
        r#"{"function_call":{"name":"merge_pull_request","arguments":"{\"number\":1}"}}"#,
        r#"{"name":"turn_knob","arguments":{"service":"quote-engine","value":100000}}"#,
        "<tool_call>{\"name\":\"merge\"}</tool_call>",
        "[TOOL_CALLS][{\"name\":\"merge\"}]",
        "<|python_tag|>merge(1)",
    ])
}

fn nested() -> Vec<String> {
    vec![
        format!("[{GOOD}]"),
        format!("[[{GOOD}]]"),
        format!("{{\"answer\":{GOOD}}}"),
        r#"["S1","R1",0.99,"x"]"#.to_owned(),
        "[".repeat(10_000),
        format!("{}1{}", "{\"cause\":".repeat(2_000), "}".repeat(2_000)),
        GOOD.replace("\"x\"", &format!("{}{}", "[".repeat(500), "]".repeat(500))),
    ]
}

fn huge() -> Vec<String> {
    vec![
        GOOD.replace('x', &"x".repeat(64 * 1024)),
        GOOD.replace("0.99", &format!("0.{}", "9".repeat(64 * 1024))),
        GOOD.replace("S1", &"S1".repeat(40_000)),
        " ".repeat(64 * 1024) + GOOD,
    ]
}

/// Whole bodies that are no chat completion with one text.
fn bodies() -> impl Iterator<Item = Garbage> {
    let choice =
        |message: serde_json::Value, end: &str| json!({"choices": [{"message": message, "finish_reason": end}]});
    let good = || json!({"role": "assistant", "content": GOOD});
    let call = json!([{"id": "1", "type": "function", "function": {"name": "merge", "arguments": "{}"}}]);
    let texts = [
        String::new(),
        "<html>Bad gateway</html>".to_owned(),
        "null".to_owned(),
        json!({"choices": []}).to_string(),
        json!({"choices": [{"message": good()}, {"message": good()}]}).to_string(),
        choice(json!({"role": "assistant", "content": GOOD, "tool_calls": call}), "tool_calls").to_string(),
        choice(good(), "length").to_string(),
        choice(good(), "content_filter").to_string(),
        choice(json!({"role": "assistant", "content": null, "refusal": "no"}), "stop").to_string(),
        choice(json!({"role": "assistant", "content": [GOOD]}), "stop").to_string(),
        "x".repeat(1024 * 1024),
    ];
    let not_text = |inside: &[u8]| {
        [b"{\"choices\":[{\"message\":{\"content\":\"".as_slice(), inside, b"\"},\"finish_reason\":\"stop\"}]}"]
            .concat()
    };
    let bytes = [not_text(b"\xff\xfe"), not_text(b"\xc3\x28"), not_text(b"\xed\xa0\x80"), not_text(b"\x00")];
    texts.map(String::into_bytes).into_iter().chain(bytes).map(Garbage::Body)
}
