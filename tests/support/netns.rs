//! Network namespaces: address translation by the kernel, and a wire between two namespaces that loses and delays packets.
//!
//! The wire is a pair of TUN devices with this process between them: every packet, whoever sends it, is lost or delayed alike.
//! It stands in for `tc netem`, which not every kernel has.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{Read, Write},
    os::fd::AsRawFd,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::installed;

/// Whether namespaces can be made here; says so where not.
pub fn available(programs: &[&str]) -> bool {
    if !programs.iter().all(|program| installed(program)) {
        return false;
    }
    let probe = format!("tl-probe-{}", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &probe]).output().is_ok_and(|output| output.status.success());
    let _ = Command::new("ip").args(["netns", "del", &probe]).output();
    if !made {
        eprintln!("skipped: network namespaces need root");
    }
    made
}

/// A name of its own for each net of this machine.
fn own_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("tl{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// From here on this thread, what it starts and the sockets that it opens are in the namespace.
#[expect(unsafe_code, reason = "the standard library knows no namespaces")]
pub fn enter(name: &str) {
    let file = File::open(format!("/run/netns/{name}")).expect("a namespace");
    // SAFETY: the descriptor is open; the call changes nothing but this thread's network.
    let done = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// The namespaces of `tests/netns/nat.sh`, gone when dropped.
pub struct Translated {
    name: String,
}

impl Translated {
    pub fn new() -> Self {
        let net = Self { name: own_name() };
        net.script("up");
        net
    }

    /// `up`, `forward`, `rebind`, `down`.
    #[track_caller]
    pub fn script(&self, what: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns/nat.sh");
        run(script.to_str().expect("text"), &[what, &self.name]);
    }

    /// The outside.
    pub fn public(&self) -> String {
        format!("{}-pub", self.name)
    }

    /// Behind the translation.
    pub fn private(&self) -> String {
        format!("{}-lan", self.name)
    }
}

impl Drop for Translated {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns/nat.sh");
        let _ = Command::new(script).args(["down", &self.name]).output();
    }
}

/// What the wire does to packets, each way.
#[derive(Clone, Copy, Debug)]
pub struct Impairment {
    /// Lost of a thousand.
    pub loss_per_mille: u64,
    pub delay_ms: u64,
    /// More or less than the delay, evenly.
    pub jitter_ms: u64,
    pub seed: u64,
}

/// Two namespaces with a bad wire between them: 10.96.0.1 in the one, 10.96.0.2 in the other.
pub struct BadWire {
    near: String,
    far: String,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    lost: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
}

impl BadWire {
    pub fn new(impairment: Impairment) -> Self {
        let name = own_name();
        let (near, far) = (format!("{name}-near"), format!("{name}-far"));
        let ends = [(&near, "10.96.0.1", "10.96.0.2"), (&far, "10.96.0.2", "10.96.0.1")].map(|(name, own, other)| {
            run("ip", &["netns", "add", name]);
            let inside = name.clone();
            let device = thread::spawn(move || {
                enter(&inside);
                open_tun()
            });
            let device = device.join().expect("a TUN device");
            run("ip", &["-n", name, "link", "set", "lo", "up"]);
            run("ip", &["-n", name, "addr", "add", own, "peer", other, "dev", "tl0"]);
            run("ip", &["-n", name, "link", "set", "tl0", "up"]);
            device
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (lost, passed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let wire = Wire { impairment, lost: lost.clone(), passed: passed.clone(), under_way: BinaryHeap::new(), sent: 0 };
        let stopped = stop.clone();
        let thread = Some(thread::spawn(move || wire.carry(ends, &stopped)));
        Self { near, far, stop, thread, lost, passed }
    }

    pub fn near(&self) -> &str {
        &self.near
    }

    pub fn far(&self) -> &str {
        &self.far
    }

    /// Packets lost and passed so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.lost.load(Ordering::Relaxed), self.passed.load(Ordering::Relaxed))
    }
}

impl Drop for BadWire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for name in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

/// The device `tl0` in this thread's namespace.
#[expect(unsafe_code, reason = "the standard library knows no TUN devices")]
fn open_tun() -> File {
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    /// IP packets without a header of their own (IFF_TUN, IFF_NO_PI).
    const FLAGS: u16 = 0x1001;
    let device = File::options().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
    let mut request = [0u8; 40];
    request[..3].copy_from_slice(b"tl0");
    request[16..18].copy_from_slice(&FLAGS.to_ne_bytes());
    // SAFETY: the descriptor is open and the request as long as a `struct ifreq`.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    device
}

/// When it is due, its number in order of sending, the end that it comes out at, the packet.
type UnderWay = (Instant, u64, usize, Vec<u8>);

struct Wire {
    impairment: Impairment,
    lost: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    sent: u64,
}

impl Wire {
    #[expect(unsafe_code, reason = "the standard library cannot wait for two files")]
    fn carry(mut self, mut ends: [File; 2], stop: &AtomicBool) {
        let mut random = ChaCha12Rng::seed_from_u64(self.impairment.seed);
        let mut buffer = [0; 2_048];
        while !stop.load(Ordering::Relaxed) {
            let wait =
                self.under_way.peek().map_or(20, |next| next.0.0.saturating_duration_since(Instant::now()).as_millis().min(20) as i32);
            let mut polled = [0, 1].map(|end| libc::pollfd { fd: ends[end].as_raw_fd(), events: libc::POLLIN, revents: 0 });
            // SAFETY: two descriptors that are open, and their number.
            let ready = unsafe { libc::poll(polled.as_mut_ptr(), 2, wait) };
            for end in (0..2).filter(|end| ready > 0 && polled[*end].revents & libc::POLLIN != 0) {
                if let Ok(length) = ends[end].read(&mut buffer) {
                    self.send(&mut random, 1 - end, &buffer[..length]);
                }
            }
            while self.under_way.peek().is_some_and(|next| next.0.0 <= Instant::now()) {
                if let Some(Reverse((_, _, end, packet))) = self.under_way.pop() {
                    // A device that is down takes nothing; the test is over then.
                    let _ = ends[end].write(&packet);
                }
            }
        }
    }

    fn send(&mut self, random: &mut ChaCha12Rng, end: usize, packet: &[u8]) {
        let Impairment { loss_per_mille, delay_ms, jitter_ms, .. } = self.impairment;
        if random.next_u64() % 1_000 < loss_per_mille {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
        let delay = delay_ms * 1_000 - jitter_ms * 1_000 + random.next_u64() % (2 * jitter_ms * 1_000 + 1);
        self.sent += 1;
        self.under_way.push(Reverse((Instant::now() + Duration::from_micros(delay), self.sent, end, packet.to_vec())));
    }
}
