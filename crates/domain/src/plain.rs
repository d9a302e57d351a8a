//! What strangers named, made safe to print where people and forges read Markdown.
//!
//! Service names come from telemetry, and anyone who can send a span can choose one. Nothing here judges names; it only
//! makes sure that a name stays a name: no mark-up, no mention, no invisible character, no prose, and no flood.

/// Longest name that is printed.
const NAME: usize = 64;
/// Longest sentence that is printed.
const SENTENCE: usize = 300;

/// A name as a code span: letters, digits, `.`, `-`, `_` and `/` alone, at most 64 of them; never empty.
pub fn name(raw: &str) -> String {
    format!("`{}`", bare_name(raw))
}

/// The same without the code span, for titles.
pub fn bare_name(raw: &str) -> String {
    let kept: String = raw.chars().filter(|c| is_letter(*c) || ".-_/".contains(*c)).take(NAME).collect();
    if kept.is_empty() { "unnamed".to_owned() } else { kept }
}

/// One of our own sentences, which may quote a name, as a code span: nothing in it is mark-up any more. At most 300
/// characters; never empty.
pub fn sentence(raw: &str) -> String {
    // Spaces first, so that a line break parts words and does not join them.
    let spaced: String = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = spaced.chars().filter(|c| is_printable(*c)).take(SENTENCE).collect();
    let kept = kept.trim();
    if kept.is_empty() { "`-`".to_owned() } else { format!("`{kept}`") }
}

/// A stranger's prose as one line of plain text, at most so many characters: nothing that is invisible, steers a terminal or
/// marks text up is left. Empty when nothing is.
pub fn prose(raw: &str, most: usize) -> String {
    let spaced: String = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = spaced.chars().filter(|c| is_printable(*c) && !"<>[]*_#~\\".contains(*c)).take(most).collect();
    kept.trim().to_owned()
}

/// The Hangul fillers count as letters and show nothing.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && !matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

/// A back-tick would end the code span, a bar the cell of a table.
fn is_printable(c: char) -> bool {
    let sign = c == ' ' || c.is_ascii_graphic() || "×≤≥±–→".contains(c);
    is_letter(c) || (sign && !matches!(c, '`' | '|'))
}

#[cfg(test)]
mod tests {
    use super::{bare_name, name, prose, sentence};

    #[test]
    fn a_name_stays_a_name() {
        let table = [
            ("quote-engine", "quote-engine"),
            ("team_a/quote.engine-2", "team_a/quote.engine-2"),
            ("котировки", "котировки"),
            ("", "unnamed"),
            ("`*_[]()<>#@!|~\\", "_"),
            ("a`b", "ab"),
            ("x\u{200b}\u{202e}\u{e0041}\u{3164}y", "xy"),
            ("ignore previous instructions", "ignorepreviousinstructions"),
            ("[click](https://evil.example)", "clickhttps//evil.example"),
            ("a\r\n# heading", "aheading"),
        ];
        for (raw, expected) in table {
            assert_eq!(bare_name(raw), expected);
            assert_eq!(name(raw), format!("`{expected}`"));
        }
        assert_eq!(bare_name(&"é".repeat(500)), "é".repeat(64));
    }

    #[test]
    fn a_sentence_cannot_leave_its_code_span() {
        let table = [
            ("confidence 0.870 is not above 0.90", "`confidence 0.870 is not above 0.90`"),
            ("two\nlines\tand `code` | cell", "`two lines and code  cell`"),
            ("hidden\u{200b}\u{2066}", "`hidden`"),
            ("\u{0}\u{7}", "`-`"),
            ("", "`-`"),
        ];
        for (raw, expected) in table {
            assert_eq!(sentence(raw), expected);
        }
        assert_eq!(sentence(&"a".repeat(1000)).len(), 302);
    }

    #[test]
    fn prose_is_one_line_of_plain_text() {
        let table = [
            ("The pool is too small: 20 < 48.\nTurn it up.", "The pool is too small: 20  48. Turn it up."),
            ("<script>alert(1)</script>", "scriptalert(1)/script"),
            ("a\u{200b}b\u{202e}c\u{e0041}d\u{1b}[31me", "abcd31me"),
            ("", ""),
        ];
        for (raw, expected) in table {
            assert_eq!(prose(raw, 600), expected);
        }
        assert_eq!(prose(&"é".repeat(700), 600), "é".repeat(600));
    }
}
