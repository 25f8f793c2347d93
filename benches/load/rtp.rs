//! RTP streams of G.711 in 20 ms packets: paced by absolute deadlines, each packet carrying its stream and the time it was sent.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Context;

use super::stats::Samples;

const FRAME: Duration = Duration::from_millis(20);
/// Streams are spread over the frame in so many steps.
const STEPS: usize = 40;
const HEADER: usize = 12;
/// Samples of a packet, an octet each, and of a millisecond.
const SAMPLES: u32 = 160;
const SAMPLES_PER_MS: u32 = 8;
const PACKET: usize = HEADER + SAMPLES as usize;
/// How long the last packets may be under way.
const TAIL: Duration = Duration::from_millis(300);

/// One direction of a call: sent to one port of the server, heard from another.
#[derive(Clone, Copy, Debug)]
struct Stream {
    side: usize,
    to: SocketAddr,
    sequence: u16,
    heard: Option<u16>,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Heard {
    pub sent: u64,
    pub received: u64,
    pub reordered: u64,
    /// One way through; empty where payloads are transcoded.
    pub delay: Samples,
    /// How late packets were sent: what the measuring itself adds.
    pub late: Samples,
}

/// The two parties of all calls: one socket each.
pub struct Generator {
    sockets: [UdpSocket; 2],
    /// Bound so that reports of the server find somebody; never read.
    _reports: Vec<UdpSocket>,
    payload_types: [u8; 2],
    /// What each party says, octets of its codec; without it silence and the time of sending.
    voices: Option<[Vec<u8>; 2]>,
    streams: Vec<Stream>,
    /// The stream heard from a port of the server.
    from_port: Vec<u32>,
    base: Instant,
}

impl Generator {
    /// Two even ports.
    pub fn bind(payload_types: [u8; 2]) -> anyhow::Result<Self> {
        let (one, one_reports) = pair()?;
        let (two, two_reports) = pair()?;
        Ok(Self {
            sockets: [one, two],
            _reports: vec![one_reports, two_reports],
            payload_types,
            voices: None,
            streams: Vec::new(),
            from_port: vec![u32::MAX; 1 << 16],
            base: Instant::now(),
        })
    }

    /// Has the parties say this, over and over, each call at another place of it.
    pub fn say(&mut self, voices: [Vec<u8>; 2]) {
        self.voices = Some(voices);
    }

    /// Where each party wants its packets, and in which codec.
    pub fn media(&self) -> anyhow::Result<[(SocketAddr, u8); 2]> {
        Ok([(self.sockets[0].local_addr()?, self.payload_types[0]), (self.sockets[1].local_addr()?, self.payload_types[1])])
    }

    /// Talks in these calls from now on: the server's ports towards caller and phone.
    pub fn talk(&mut self, server: IpAddr, calls: &[[u16; 2]]) {
        self.streams.clear();
        self.from_port.fill(u32::MAX);
        for ports in calls {
            for side in 0..2 {
                // What is sent to this party's port is heard from the other's.
                self.from_port[usize::from(ports[1 - side])] = self.streams.len() as u32;
                self.streams.push(Stream { side, to: SocketAddr::new(server, ports[side]), sequence: 0, heard: None });
            }
        }
    }

    /// Sends and listens for this long; `timed` says that payloads come through as they are.
    pub fn run(&mut self, time: Duration, timed: bool) -> Heard {
        let mut heard = Heard::default();
        let begin = Instant::now();
        let timestamp = self.timestamp();
        let frames = (time.as_micros() / FRAME.as_micros()) as u32;
        for frame in 0..frames {
            for step in 0..STEPS {
                let due = begin + FRAME * frame + FRAME * step as u32 / STEPS as u32;
                while Instant::now() < due {
                    self.listen(timed, &mut heard);
                }
                self.send(step, timestamp.wrapping_add(frame * SAMPLES), due, &mut heard);
            }
        }
        let over = Instant::now() + TAIL;
        while Instant::now() < over {
            self.listen(timed, &mut heard);
        }
        heard
    }

    /// As in a phone, the clock of the samples goes on where nothing is sent.
    fn timestamp(&self) -> u32 {
        (self.base.elapsed().as_millis() * u128::from(SAMPLES_PER_MS)) as u32
    }

    /// Talks until told to stop: all streams at once, and whoever else is on this core has it until the next frame.
    fn talk_until(&mut self, stop: &AtomicBool) -> Heard {
        let mut heard = Heard::default();
        let (begin, timestamp) = (Instant::now(), self.timestamp());
        let mut frame = 0;
        while !stop.load(Ordering::Relaxed) {
            let due = begin + FRAME * frame;
            rest_until(due);
            (0..STEPS).for_each(|step| self.send(step, timestamp.wrapping_add(frame * SAMPLES), due, &mut heard));
            self.listen_to_all(&mut heard);
            frame += 1;
        }
        rest_until(Instant::now() + TAIL);
        self.listen_to_all(&mut heard);
        heard
    }

    fn listen_to_all(&mut self, heard: &mut Heard) {
        let mut before = u64::MAX;
        while heard.received != before {
            before = heard.received;
            self.listen(false, heard);
        }
    }

    fn send(&mut self, step: usize, timestamp: u32, due: Instant, heard: &mut Heard) {
        let mut packet = [0xd5; PACKET];
        for n in (step..self.streams.len()).step_by(STEPS) {
            let stream = &mut self.streams[n];
            stream.sequence = stream.sequence.wrapping_add(1);
            packet[0] = 0x80;
            packet[1] = self.payload_types[stream.side];
            packet[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
            packet[8..12].copy_from_slice(&(n as u32 + 1).to_be_bytes());
            match &self.voices {
                Some(voices) => {
                    // Both sides of a call are at the same place of it; calls are seven seconds apart.
                    let (frames, _) = voices[stream.side].as_chunks::<{ PACKET - HEADER }>();
                    packet[HEADER..].copy_from_slice(&frames[(usize::from(stream.sequence) + n / 2 * 350) % frames.len()]);
                }
                None => packet[HEADER..HEADER + 8].copy_from_slice(&(self.base.elapsed().as_nanos() as u64).to_be_bytes()),
            }
            heard.sent += u64::from(self.sockets[stream.side].send_to(&packet, stream.to).is_ok());
        }
        heard.late.add(due.elapsed());
    }

    fn listen(&mut self, timed: bool, heard: &mut Heard) {
        /// Packets read from one party before the clock is looked at again.
        const BUDGET: usize = 32;
        let mut packet = [0; 2048];
        for side in 0..2 {
            for _ in 0..BUDGET {
                match self.sockets[side].recv_from(&mut packet) {
                    Ok((length, from)) if length >= PACKET && packet[1] & 0x7f < 64 => {
                        let Some(stream) = self.streams.get_mut(self.from_port[usize::from(from.port())] as usize) else { continue };
                        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
                        heard.received += 1;
                        let behind = stream.heard.is_some_and(|last| sequence.wrapping_sub(last) > 0x8000);
                        heard.reordered += u64::from(behind);
                        stream.heard = Some(sequence);
                        if timed {
                            let mut sent = [0; 8];
                            sent.copy_from_slice(&packet[HEADER..HEADER + 8]);
                            heard.delay.add(self.base.elapsed().saturating_sub(Duration::from_nanos(u64::from_be_bytes(sent))));
                        }
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // An ICMP answer to an earlier packet.
                    Err(_) => {}
                }
            }
        }
    }
}

fn rest_until(due: Instant) {
    while let Some(rest) = due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        std::thread::park_timeout(rest);
    }
}

/// Sound of calls in progress, from a thread of its own, while something else is measured.
pub struct Sound {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Heard>>,
}

impl Sound {
    /// Begins to talk in the calls that the generator was given.
    pub fn begin(mut generator: Generator) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        Self { stop, thread: Some(std::thread::spawn(move || generator.talk_until(&told))) }
    }

    /// Ends it, and says what came through.
    pub fn end(mut self) -> anyhow::Result<Heard> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).context("the sound of the calls in progress broke off")
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// An even port and the next.
fn pair() -> anyhow::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..100 {
        let rtp = UdpSocket::bind(("127.0.0.1", 0))?;
        let port = rtp.local_addr()?.port();
        if port % 2 != 0 || port == u16::MAX {
            continue;
        }
        let Ok(reports) = UdpSocket::bind(("127.0.0.1", port + 1)) else { continue };
        rtp.set_nonblocking(true)?;
        let rtp = socket2::Socket::from(rtp);
        let _ = rtp.set_recv_buffer_size(8 << 20);
        return Ok((rtp.into(), reports));
    }
    anyhow::bail!("no two ports in a row are free")
}
