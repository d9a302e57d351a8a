//! This process, as the kernel sees it.

/// Kibibytes of one field of `/proc/self/status`; `None` where the kernel does not tell.
fn status_kib(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory, bytes.
pub fn resident_bytes() -> Option<u64> {
    status_kib("VmRSS")?.checked_mul(1_024)
}

/// The most that was ever resident, bytes.
pub fn most_resident_bytes() -> Option<u64> {
    status_kib("VmHWM")?.checked_mul(1_024)
}

/// Both, for people.
pub fn memory() -> String {
    let mib = |bytes: Option<u64>| bytes.map_or("?".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1_048_576.0));
    format!("{} MiB resident, {} MiB at most", mib(resident_bytes()), mib(most_resident_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_here_and_never_above_its_peak() {
        let (now, most) = (resident_bytes().expect("known"), most_resident_bytes().expect("known"));
        assert!(now > 1024 * 1024 && now <= most, "{now} {most}");
    }
}
