//! The resource usage of this process, from `/proc/self`. Not available outside of Linux.

/// The current resource usage of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// User and system time so far, in seconds.
    pub(super) cpu_s: f64,
    /// Resident memory.
    pub(super) memory_bytes: u64,
    /// Its threads.
    pub(super) threads: u64,
}

/// The current usage, if `/proc` exists.
pub(super) fn usage() -> Option<Usage> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let ticks_per_s = rustix::param::clock_ticks_per_second();
    let page_bytes = rustix::param::page_size();
    parse(&stat, ticks_per_s, page_bytes as u64)
}

/// The number of open file descriptors, if `/proc` exists.
pub(super) fn open_files() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    // One of them is open only for this listing.
    Some((entries.count() as u64).saturating_sub(1))
}

/// Fields 14, 15, 20 and 24 of `/proc/<pid>/stat` (proc(5)). The second field, the name, may hold spaces and parentheses.
fn parse(stat: &str, ticks_per_s: u64, page_bytes: u64) -> Option<Usage> {
    let (_, after_name) = stat.rsplit_once(')')?;
    // The first of them is field 3.
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)?.checked_add(field(15)?)?;
    Some(Usage {
        cpu_s: ticks as f64 / ticks_per_s.max(1) as f64,
        memory_bytes: field(24)?.saturating_mul(page_bytes),
        threads: field(20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a b) c) S 1 42 42 0 -1 4194560 100 0 0 0 70 55 0 0 20 0 7 0 9000 1000000 300 18446744073709551615 1 1";

    #[test]
    fn usage_is_parsed_from_the_kernels_format() {
        let usage = parse(STAT, 100, 4096).unwrap();
        assert_eq!((usage.memory_bytes, usage.threads), (300 * 4096, 7));
        assert!((usage.cpu_s - 1.25).abs() < 1e-9, "{usage:?}");
    }

    #[test]
    fn truncated_or_malformed_text_is_rejected() {
        for length in 0..STAT.len() {
            let usage = parse(&STAT[..length], 100, 4096);
            assert!(usage.is_none() || length > STAT.find("300").unwrap());
        }
        for malformed in ["", ")", "1 (x) S a b c", "1 x S 1 1"] {
            assert_eq!(parse(malformed, 100, 4096), None, "{malformed}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_threads_and_files() {
        let usage = usage().unwrap();
        assert!(usage.memory_bytes > 0 && usage.threads > 0, "{usage:?}");
        let before = open_files().unwrap();
        let _held: Vec<_> = (0..50)
            .map(|_| std::fs::File::open("/proc/self/stat").unwrap())
            .collect();
        // Other tests of this process open and close files meanwhile, but not that many.
        assert!(open_files().unwrap() > before + 20);
    }
}
