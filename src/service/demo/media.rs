//! The audio of a simulated phone: plays samples as G.711 in real time, keeps what it hears.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    protocol::{
        audio::g711,
        rtp::packet::{self, HEADER_LEN, Header},
        sdp::{AudioCodec, Negotiated},
    },
    service::clock,
};

/// One packet: 20 ms at 8 kHz.
const SAMPLES: usize = 160;
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Longest that is heard and kept: ten minutes.
const HEARD_MAX: usize = 8_000 * 600;

/// A pair of bound sockets, and what will be said.
pub struct Player {
    rtp: UdpSocket,
    _rtcp: UdpSocket,
    samples: Vec<i16>,
    speaks: Arc<AtomicBool>,
}

/// Audio that runs.
pub struct Playing {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<i16>>,
}

impl Player {
    /// Binds an even port and the next one on this address.
    pub fn bind(address: std::net::IpAddr, samples: Vec<i16>) -> io::Result<Self> {
        /// Tries before giving up: on a busy machine a random neighbour may be taken.
        const TRIES: usize = 100;
        let mut last = io::Error::other("no pair of ports is free");
        for _ in 0..TRIES {
            let rtp = UdpSocket::bind((address, 0))?;
            let port = rtp.local_addr()?.port();
            if port % 2 == 1 {
                continue;
            }
            match UdpSocket::bind((address, port + 1)) {
                Ok(rtcp) => return Ok(Self { rtp, _rtcp: rtcp, samples, speaks: Arc::new(AtomicBool::new(true)) }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Says nothing until this is true.
    pub fn silent_until(self, speaks: Arc<AtomicBool>) -> Self {
        Self { speaks, ..self }
    }

    /// The RTP port.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.rtp.local_addr()?.port())
    }

    /// Starts; silence follows the samples until it is stopped.
    pub fn start(self, negotiated: &Negotiated, ssrc: u32) -> io::Result<Playing> {
        let remote = negotiated.remote.ok_or_else(|| io::Error::other("the server named no address for audio"))?.rtp;
        let (codec, payload_type) = (negotiated.codec, negotiated.payload_type);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || self.run(remote, codec, payload_type, ssrc, &stopped);
        Ok(Playing { stop, thread: thread::Builder::new().name("demo-audio".to_owned()).spawn(run)? })
    }

    fn run(self, remote: SocketAddr, codec: AudioCodec, payload_type: u8, ssrc: u32, stop: &AtomicBool) -> Vec<i16> {
        let mut heard = Vec::new();
        let mut datagram = [0u8; HEADER_LEN + SAMPLES];
        let start = clock::now().mono;
        let mut at = 0_usize;
        for n in 0u32.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let said = if self.speaks.load(Ordering::Relaxed) { self.samples.get(at..).unwrap_or(&[]) } else { &[] };
            for (place, octet) in datagram[HEADER_LEN..].iter_mut().enumerate() {
                *octet = encode(codec, said.get(place).copied().unwrap_or(0));
            }
            at += said.len().min(SAMPLES);
            let sequence = (n & 0xffff) as u16;
            let header = Header { marker: n == 0, payload_type, sequence, timestamp: n.wrapping_mul(SAMPLES as u32), ssrc };
            packet::encode_header(&mut datagram, header);
            // A lost packet is a lost packet; the next one follows in 20 ms.
            let _ = self.rtp.send_to(&datagram, remote);
            self.listen_until(start + PACKET_TIME * (n + 1), codec, &mut heard);
        }
        heard
    }

    /// Receives until the next packet is due: the wait for packets is the clock of the sender.
    fn listen_until(&self, due: std::time::Instant, codec: AudioCodec, heard: &mut Vec<i16>) {
        let mut buffer = [0u8; 2_048];
        loop {
            let left = due.saturating_duration_since(clock::now().mono);
            if left.is_zero() || self.rtp.set_read_timeout(Some(left)).is_err() {
                return;
            }
            let Ok((length, _)) = self.rtp.recv_from(&mut buffer) else { continue };
            let Ok(found) = packet::parse(&buffer[..length]) else { continue };
            if heard.len() < HEARD_MAX {
                heard.extend(found.payload(&buffer[..length]).iter().map(|octet| decode(codec, *octet)));
            }
        }
    }
}

impl Playing {
    /// Stops and returns what was heard, 8 kHz.
    pub fn stop(self) -> Vec<i16> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn encode(codec: AudioCodec, sample: i16) -> u8 {
    match codec {
        AudioCodec::Pcmu => g711::linear_to_ulaw(sample),
        AudioCodec::Pcma => g711::linear_to_alaw(sample),
    }
}

fn decode(codec: AudioCodec, octet: u8) -> i16 {
    match codec {
        AudioCodec::Pcmu => g711::ulaw_to_linear(octet),
        AudioCodec::Pcma => g711::alaw_to_linear(octet),
    }
}
