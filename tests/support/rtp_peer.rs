//! The audio of a peer that a test plays itself: packets of any length, a new source, silence suppression, keys; and what it hears.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use throughline::protocol::{
    audio::{g711, tone::DualTone},
    rtp::{
        COMFORT_NOISE,
        packet::{self, HEADER_LEN, Header},
        telephone_event::TelephoneEvent,
    },
};

use super::{PATIENCE, sound::Pair, wait_for};

/// Samples per millisecond.
const PER_MS: u32 = 8;
const EVENT: u8 = 101;

/// What is sent next.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A tone for so many milliseconds.
    Tone(Pair, u32),
    /// One packet of comfort noise, then nothing for so many milliseconds: silence suppression (RFC 3389).
    Silence(u32),
    /// From here on another SSRC, sequence and timestamp, without a word.
    NewSource,
    /// One key for 160 ms, its end three times (RFC 4733).
    Key(u8),
}

/// How it speaks: the payload type of G.711 and milliseconds per packet.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub payload_type: u8,
    pub packet_ms: u32,
}

/// A bound pair of ports.
pub struct RtpPeer {
    rtp: UdpSocket,
    _rtcp: UdpSocket,
}

/// What it heard.
#[derive(Clone, Debug, Default)]
pub struct Ears {
    /// 8 kHz, packets one after another.
    pub samples: Vec<i16>,
    /// Keys pressed at the other end.
    pub keys: String,
    /// Lengths of the packets, milliseconds, without repeats of one after another.
    pub packet_ms: Vec<u32>,
    /// Different synchronisation sources, in order.
    pub sources: Vec<u32>,
    /// Where the latest packet came from.
    pub from: Option<SocketAddr>,
    /// Timestamp and key of each press, in the order of pressing: a press may overtake another on a wire that reorders.
    presses: Vec<(u32, char)>,
    heard: Arc<AtomicUsize>,
}

/// Speaks and listens until it is stopped.
pub struct Speaking {
    stop: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Ears>,
}

impl RtpPeer {
    pub fn bind(address: Ipv4Addr) -> Self {
        wait_for("a free pair of ports", PATIENCE, || {
            let rtp = UdpSocket::bind((address, 0)).ok()?;
            let port = rtp.local_addr().ok()?.port();
            let rtcp = (port % 2 == 0).then(|| UdpSocket::bind((address, port + 1)).ok())??;
            Some(Self { rtp, _rtcp: rtcp })
        })
    }

    pub fn port(&self) -> u16 {
        self.rtp.local_addr().expect("bound").port()
    }

    /// Speaks to whoever speaks first, from then on.
    pub fn speak(self, manner: Manner, program: Vec<Step>) -> Speaking {
        self.run(None, manner, program, false)
    }

    /// The same, and says it again and again until it is stopped.
    pub fn speak_on(self, manner: Manner, program: Vec<Step>) -> Speaking {
        self.run(None, manner, program, true)
    }

    fn run(self, remote: Option<SocketAddr>, manner: Manner, program: Vec<Step>, again: bool) -> Speaking {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let heard = Arc::new(AtomicUsize::new(0));
        let mut ears = Ears { from: remote, heard: heard.clone(), ..Ears::default() };
        let run = move || {
            let deadline = Instant::now() + PATIENCE;
            while ears.from.is_none() && Instant::now() < deadline && !stopped.load(Ordering::Relaxed) {
                self.listen_until(Instant::now() + Duration::from_millis(5), &mut ears);
            }
            let Some(remote) = ears.from else { return ears };
            let mut mouth = Mouth::new(&self, manner, remote);
            mouth.say(&program, &mut ears);
            while again && !stopped.load(Ordering::Relaxed) {
                mouth.say(&program, &mut ears);
            }
            while !stopped.load(Ordering::Relaxed) {
                self.listen_until(Instant::now() + Duration::from_millis(20), &mut ears);
            }
            ears
        };
        Speaking { stop, heard, thread: thread::spawn(run) }
    }

    /// Speaks at once, to the audio address of this offer of the server's.
    pub fn speak_first(self, server: Ipv4Addr, offer: &[u8], manner: Manner, program: Vec<Step>) -> Speaking {
        let text = String::from_utf8_lossy(offer);
        let port = text.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
        let remote = SocketAddr::from((server, port.expect("an offer of audio")));
        self.run(Some(remote), manner, program, false)
    }

    fn listen_until(&self, due: Instant, ears: &mut Ears) {
        let mut buffer = [0; 2_048];
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.rtp.set_read_timeout(Some(left)).expect("a time-out");
            let Ok((length, from)) = self.rtp.recv_from(&mut buffer) else { continue };
            ears.from = Some(from);
            ears.take(&buffer[..length]);
        }
    }
}

impl Ears {
    fn take(&mut self, datagram: &[u8]) {
        let Ok(found) = packet::parse(datagram) else { return };
        let (payload, header) = (found.payload(datagram), found.header);
        if self.sources.last() != Some(&header.ssrc) {
            self.sources.push(header.ssrc);
        }
        let law = match header.payload_type {
            0 => g711::ulaw_to_linear,
            8 => g711::alaw_to_linear,
            _ => return self.take_key(header, payload),
        };
        let packet_ms = payload.len() as u32 / PER_MS;
        if self.packet_ms.last() != Some(&packet_ms) {
            self.packet_ms.push(packet_ms);
        }
        self.samples.extend(payload.iter().map(|octet| law(*octet)));
        self.heard.store(self.samples.len(), Ordering::Relaxed);
    }

    fn take_key(&mut self, header: Header, payload: &[u8]) {
        let Some(key) = TelephoneEvent::parse(payload).filter(|_| header.payload_type == EVENT).and_then(TelephoneEvent::key) else {
            return;
        };
        let later = self.presses.iter().rposition(|(at, _)| header.timestamp.wrapping_sub(*at) as i32 >= 0);
        if later.is_none_or(|place| self.presses[place].0 != header.timestamp) {
            self.presses.insert(later.map_or(0, |place| place + 1), (header.timestamp, key));
            self.keys = self.presses.iter().map(|(_, key)| *key).collect();
        }
    }
}

/// The sending side.
struct Mouth<'a> {
    peer: &'a RtpPeer,
    manner: Manner,
    remote: SocketAddr,
    header: Header,
    due: Instant,
}

impl<'a> Mouth<'a> {
    fn new(peer: &'a RtpPeer, manner: Manner, remote: SocketAddr) -> Self {
        let header =
            Header { marker: true, payload_type: manner.payload_type, sequence: 65_500, timestamp: u32::MAX - 4_000, ssrc: 0x0a0b_0c0d };
        Self { peer, manner, remote, header, due: Instant::now() }
    }

    fn say(&mut self, program: &[Step], ears: &mut Ears) {
        for step in program {
            match *step {
                Step::Tone(pair, length_ms) => self.tone(pair, length_ms, ears),
                Step::Silence(length_ms) => {
                    self.send(COMFORT_NOISE, &[0x40]);
                    self.pass(length_ms, ears);
                    self.header.marker = true;
                }
                Step::NewSource => {
                    let Header { ssrc, sequence, timestamp, .. } = self.header;
                    let (sequence, timestamp) = (sequence.wrapping_add(9_000), timestamp.wrapping_mul(7));
                    self.header = Header { ssrc: ssrc.wrapping_add(1), sequence, timestamp, ..self.header };
                }
                Step::Key(event) => self.key(event, ears),
            }
        }
    }

    fn tone(&mut self, pair: Pair, length_ms: u32, ears: &mut Ears) {
        let mut tone = DualTone::new(pair.0, pair.1, 8_000, 8_000);
        let packet_ms = self.manner.packet_ms;
        for _ in 0..length_ms / packet_ms {
            let law = if self.manner.payload_type == 0 { g711::linear_to_ulaw } else { g711::linear_to_alaw };
            let payload: Vec<u8> = (0..packet_ms * PER_MS).map(|_| law(tone.next_sample())).collect();
            self.send(self.manner.payload_type, &payload);
            self.header.marker = false;
            self.pass(packet_ms, ears);
        }
    }

    /// Eight packets 20 ms apart with the timestamp of the first, the last three of them its end.
    fn key(&mut self, event: u8, ears: &mut Ears) {
        for n in 1..=8 {
            let told = TelephoneEvent { event, end: n > 5, volume: 10, duration: 160 * n.min(6) };
            self.header.marker = n == 1;
            self.send(EVENT, &told.to_bytes());
            // The timestamp stands still while the time passes.
            self.due += Duration::from_millis(20);
            self.peer.listen_until(self.due, ears);
        }
        self.header.timestamp = self.header.timestamp.wrapping_add(8 * 20 * PER_MS);
    }

    fn send(&mut self, payload_type: u8, payload: &[u8]) {
        let mut datagram = vec![0; HEADER_LEN];
        packet::encode_header(&mut datagram, Header { payload_type, ..self.header });
        datagram.extend_from_slice(payload);
        // What is lost is lost.
        let _ = self.peer.rtp.send_to(&datagram, self.remote);
        self.header.sequence = self.header.sequence.wrapping_add(1);
    }

    fn pass(&mut self, milliseconds: u32, ears: &mut Ears) {
        self.header.timestamp = self.header.timestamp.wrapping_add(milliseconds * PER_MS);
        self.due += Duration::from_millis(milliseconds.into());
        self.peer.listen_until(self.due, ears);
    }
}

impl Speaking {
    /// Milliseconds heard so far.
    pub fn heard_ms(&self) -> usize {
        self.heard.load(Ordering::Relaxed) / PER_MS as usize
    }

    /// Stops and tells what was heard.
    pub fn stop(self) -> Ears {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}
