//! Words of a text, as retrieval counts them.
//!
//! Operators write names in one piece (`AlertmanagerClusterDown`, `db_pool_size`, `HTTPServerErrors`) and ask in several:
//! an identifier counts as each of its parts and as the whole. Everything is lower case.

/// The words of a text, in order.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
        let parts = parts(run);
        let is_compound = parts.len() > 1;
        words.extend(parts.iter().map(|part| part.to_lowercase()));
        words.extend(is_compound.then(|| run.to_lowercase()));
    }
    words
}

/// The parts of an identifier: a part ends before a capital that follows a small letter, before the last capital of several that a
/// small letter follows, and between letters and digits.
fn parts(run: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    let mut parts = Vec::new();
    let mut from = 0;
    for (index, window) in letters.windows(2).enumerate() {
        let ((_, before), (at, here)) = (window[0], window[1]);
        let follows = letters.get(index + 2).map(|(_, letter)| *letter);
        let is_hump = before.is_lowercase() && here.is_uppercase();
        let is_acronyms_end = before.is_uppercase() && here.is_uppercase() && follows.is_some_and(char::is_lowercase);
        if is_hump || is_acronyms_end || before.is_numeric() != here.is_numeric() {
            parts.push(&run[from..at]);
            from = at;
        }
    }
    parts.push(&run[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_counts_as_its_parts_and_as_a_whole() {
        let expected = ["http", "server", "errors", "httpservererrors", "on", "db", "pool", "2", "pool2"];
        assert_eq!(words("HTTPServerErrors on `db_pool2`"), expected);
        assert_eq!(words("KubeAPIDown"), ["kube", "api", "down", "kubeapidown"]);
        assert_eq!(words("POST /quote?user_id=u1"), ["post", "quote", "user", "id", "u", "1", "u1"]);
        assert_eq!(words("Überlast ΔX"), ["überlast", "δx"]);
        assert_eq!(words(" -- "), Vec::<String>::new());
    }
}
