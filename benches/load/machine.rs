//! What the kernel says of a process: processor time by thread, memory, descriptors; and of the machine.

use std::{collections::BTreeMap, ffi::OsStr, fs, path::PathBuf, process::Command, time::Duration};

/// Processor time of each thread of a process, threads of one name summed, digits at a name's end left out.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    by_thread: BTreeMap<String, Duration>,
}

impl Cpu {
    /// As of now; a process that is gone has used nothing.
    pub fn of(pid: u32) -> Self {
        let mut by_thread = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let ran: u64 = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
            let name = read("comm").trim().trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
            *by_thread.entry(name).or_default() += Duration::from_nanos(ran);
        }
        Self { by_thread }
    }

    /// What was used since `before`; threads that ended in between are missing from it.
    pub fn since(&self, before: &Self) -> Self {
        let used = |(name, now): (&String, &Duration)| {
            let then = before.by_thread.get(name).copied().unwrap_or_default();
            (name.clone(), now.saturating_sub(then))
        };
        Self { by_thread: self.by_thread.iter().map(used).collect() }
    }

    /// All threads together.
    pub fn total(&self) -> Duration {
        self.by_thread.values().sum()
    }

    /// Those that have used anything.
    pub fn threads(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.by_thread.iter().filter(|(_, used)| !used.is_zero()).map(|(name, used)| (name.as_str(), *used))
    }

    /// One thread's.
    pub fn thread(&self, name: &str) -> Duration {
        self.by_thread.get(name).copied().unwrap_or_default()
    }

    /// The threads that used most, each in microseconds for each of `units`.
    pub fn per(&self, units: u64) -> String {
        let mut threads: Vec<_> = self.by_thread.iter().collect();
        threads.sort_by_key(|(_, used)| std::cmp::Reverse(**used));
        let each = |(name, used): &(&String, &Duration)| format!("{name} {:.0}", used.as_secs_f64() * 1e6 / units.max(1) as f64);
        threads.iter().take(5).map(each).collect::<Vec<_>>().join(", ")
    }
}

/// Resident memory, octets.
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most resident memory since [`forget_peak`], octets.
pub fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM:").max(resident(pid))
}

/// From here on the peak is counted anew, as far as the kernel lets us.
pub fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

fn memory(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Open descriptors.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Threads.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Datagrams that the kernel dropped at sockets of this address because nobody read them in time.
pub fn socket_drops(address: std::net::IpAddr) -> u64 {
    let std::net::IpAddr::V4(v4) = address else { return 0 };
    // The kernel prints addresses in its own byte order.
    let local = format!("{:08X}:", u32::from_ne_bytes(v4.octets()));
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let own = table.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|address| address.starts_with(&local)));
    own.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
}

/// How many sockets the server may open.
pub fn descriptor_limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    line.split_whitespace().nth(4).and_then(|hard| hard.parse().ok()).unwrap_or(1024)
}

/// The load averages of one and five minutes.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(2).collect::<Vec<_>>().join(" / ")
}

/// Processor, cores, memory, kernel.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("?").trim_start_matches([' ', '\t', ':']).to_owned();
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kb: u64 = memory.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0);
    format!("{cores} × {model}, {} GiB, Linux {}", kb >> 20, read("/proc/sys/kernel/osrelease").trim())
}

/// A program on the path.
pub fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A command that runs on core 0 and ends when this process does, however it ends; as far as the machine has the tools.
pub fn on_core_0(what: impl AsRef<OsStr>) -> Command {
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    if let Some(setpriv) = program("setpriv") {
        words.extend([setpriv.into(), "--pdeathsig".into(), "KILL".into()]);
    }
    if let Some(taskset) = program("taskset") {
        words.extend([taskset.into(), "-c".into(), "0".into()]);
    }
    words.push(what.as_ref().to_owned());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
