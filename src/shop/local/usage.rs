//! Memory and CPU time of a process, from `/proc`.

/// Memory and CPU time of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// Largest resident set so far.
    pub peak_rss_bytes: u64,
    /// User and system time so far.
    pub cpu_s: f64,
}

impl Usage {
    /// Adds the usage of earlier processes of the same service.
    pub(super) fn after(self, before: Usage) -> Usage {
        Usage {
            peak_rss_bytes: self.peak_rss_bytes.max(before.peak_rss_bytes),
            cpu_s: self.cpu_s + before.cpu_s,
        }
    }
}

/// The usage of a running process so far. `None` on systems without `/proc`.
pub(super) fn of(pid: u32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Usage {
        peak_rss_bytes: peak_rss_bytes(&status)?,
        cpu_s: cpu_ticks(&stat)? as f64 / rustix::param::clock_ticks_per_second() as f64,
    })
}

/// The state of a process: `R` running, `S` sleeping, `T` stopped, `Z` ended. `None` on systems without `/proc`.
pub(super) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    state_letter(&stat)
}

fn state_letter(stat: &str) -> Option<char> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.trim_start().chars().next()
}

/// `VmHWM:     12345 kB` of `/proc/<pid>/status`.
fn peak_rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Fields 14 and 15 of `/proc/<pid>/stat`. The second field, the name, may hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_parsed() {
        let status = "Name:\tx\nVmPeak:\t  200 kB\nVmHWM:\t   100 kB\nVmRSS:\t 90 kB\n";
        assert_eq!(peak_rss_bytes(status), Some(102_400));
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0";
        assert_eq!(cpu_ticks(stat), Some(12));
        assert_eq!(state_letter(stat), Some('S'));
    }

    #[test]
    fn a_restarted_process_keeps_its_earlier_usage() {
        let before = Usage {
            peak_rss_bytes: 10,
            cpu_s: 1.0,
        };
        let now = Usage {
            peak_rss_bytes: 5,
            cpu_s: 0.5,
        };
        let sum = now.after(before);
        assert_eq!((sum.peak_rss_bytes, sum.cpu_s), (10, 1.5));
    }
}
