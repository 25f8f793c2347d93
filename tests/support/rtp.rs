//! A carrier whose sound can be spoiled while the call runs: packets lost, or nothing but RTCP. Reports as RFC 3550 wants it.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use throughline::protocol::rtp::{
    packet::{self, HEADER_LEN, Header},
    rtcp::{COMPOUND_MAX, Compound, SenderInfo, parse_compound, write_compound},
    session::Reception,
};

use super::{PATIENCE, wire::Stranger};

const SSRC: u32 = 0x5eed_0001;
const PACKET: Duration = Duration::from_millis(20);
/// A-law of a quiet constant.
const SOUND: u8 = 0x9a;
/// NTP seconds at the beginning of a sender: any will do.
const NTP_START: u64 = 4_000_000_000 << 32;

/// What the carrier's network does to the caller's sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Way {
    /// Everything arrives.
    Clean,
    /// One packet of eight is lost, by chance.
    Lossy,
    /// No sound is sent, reports are.
    Mute,
}

/// A caller in a call.
pub struct SpoiledCaller {
    sip: Stranger,
    bye: String,
    way: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

fn pair(address: Ipv4Addr) -> (UdpSocket, UdpSocket) {
    super::wait_for("a pair of ports", PATIENCE, || {
        let rtp = UdpSocket::bind((address, 0)).ok()?;
        let port = rtp.local_addr().ok()?.port();
        (port % 2 == 0).then(|| Some((rtp, UdpSocket::bind((address, port + 1)).ok()?)))?
    })
}

impl SpoiledCaller {
    /// Calls the support queue and waits for the answer.
    pub fn call(from: Ipv4Addr, server: SocketAddr) -> Self {
        let sip = Stranger::new(from, server);
        let (rtp, rtcp) = pair(from);
        let port = rtp.local_addr().expect("bound").port();
        let sdp = format!("v=0\r\no=- 1 1 IN IP4 {from}\r\ns=-\r\nc=IN IP4 {from}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n");
        let invite = sip.request("INVITE", "+442079460000", "spoiled", &sdp);
        sip.send(invite.as_bytes());
        let answer = sip.wait_final();
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        let line = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {answer}"));
        let target = line("Contact: <").split('>').next().expect("a URI").to_owned();
        let media = line("m=audio ").split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        let (to, plain) = (line("To: ").to_owned(), sip.request("BYE", "+442079460000", "spoiled", ""));
        let request = |method: &str, cseq: u32, branch: &str| {
            let text = plain.replace("branch=z9hG4bKspoiled", &format!("branch=z9hG4bK{branch}"));
            let lines = text.lines().map(|line| match line.split(' ').next().unwrap_or_default() {
                "BYE" => format!("{method} {target} SIP/2.0"),
                "To:" => format!("To: {to}"),
                "CSeq:" => format!("CSeq: {cseq} {method}"),
                _ => line.to_owned(),
            });
            lines.map(|line| line + "\r\n").collect::<String>()
        };
        sip.send(request("ACK", 1, "ack").as_bytes());
        let (way, stop) = (Arc::new(AtomicU8::new(Way::Clean as u8)), Arc::new(AtomicBool::new(false)));
        let sender = Sender { rtp, rtcp, remote: (server.ip(), media).into(), way: way.clone(), stop: stop.clone() };
        let thread = thread::spawn(move || sender.run());
        Self { bye: request("BYE", 2, "bye"), sip, way, stop, thread: Some(thread) }
    }

    /// From now on the way is like this.
    pub fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::Relaxed);
    }

    /// Hangs up.
    pub fn hang_up(mut self) {
        assert_eq!(self.sip.ask(&self.bye), 200);
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("once").join().expect("the sender");
    }
}

impl Drop for SpoiledCaller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Sender {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    remote: SocketAddr,
    way: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
}

impl Sender {
    #[expect(clippy::disallowed_methods, reason = "packets leave in real time")]
    fn run(self) {
        let start = Instant::now();
        let mut heard: Option<(u32, Reception)> = None;
        let mut last_sr: Option<(u32, Instant)> = None;
        let mut random = 1u32;
        self.rtcp.set_nonblocking(true).expect("non-blocking");
        for n in 0u32.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let way = self.way.load(Ordering::Relaxed);
            let lost = way == Way::Mute as u8 || way == Way::Lossy as u8 && random >> 29 == 0;
            if !lost {
                let mut datagram = [SOUND; HEADER_LEN + 160];
                let header = Header { marker: n == 0, payload_type: 8, sequence: n as u16, timestamp: n.wrapping_mul(160), ssrc: SSRC };
                packet::encode_header(&mut datagram, header);
                let _ = self.rtp.send_to(&datagram, self.remote);
            }
            let mut buffer = [0; 2_048];
            if let Ok((length, _)) = self.rtcp.recv_from(&mut buffer)
                && let Some(info) = parse_compound(&buffer[..length], SSRC).expect("the server's report").sender
            {
                last_sr = Some(((info.ntp >> 16) as u32, Instant::now()));
            }
            if n % 100 == 50 {
                self.report(start.elapsed(), n, &mut heard, last_sr);
            }
            self.listen_until(start + PACKET * (n + 1), start, &mut heard);
        }
    }

    fn report(&self, elapsed: Duration, n: u32, heard: &mut Option<(u32, Reception)>, last_sr: Option<(u32, Instant)>) {
        let ntp = NTP_START + ((elapsed.as_micros() as u64) << 32) / 1_000_000;
        let sender = Some(SenderInfo { ntp, rtp_timestamp: n.wrapping_mul(160), packets: n, octets: n.wrapping_mul(160) });
        let (middle, delay) = last_sr.map_or((0, 0), |(middle, at)| (middle, (at.elapsed().as_micros() * 65_536 / 1_000_000) as u32));
        let report = heard.as_mut().map(|(ssrc, reception)| reception.report(*ssrc, middle, delay));
        let mut out = [0; COMPOUND_MAX];
        let length = write_compound(&mut out, Compound { ssrc: SSRC, sender, report, cname: b"carrier", bye: false });
        let _ = self.rtcp.send_to(&out[..length], (self.remote.ip(), self.remote.port() + 1));
    }

    /// Receives until the next packet is due.
    #[expect(clippy::disallowed_methods, reason = "packets leave in real time")]
    fn listen_until(&self, due: Instant, start: Instant, heard: &mut Option<(u32, Reception)>) {
        let mut buffer = [0; 2_048];
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.rtp.set_read_timeout(Some(left)).is_err() {
                return;
            }
            let Ok((length, _)) = self.rtp.recv_from(&mut buffer) else { continue };
            let Ok(packet) = packet::parse(&buffer[..length]) else { continue };
            let Header { sequence, timestamp, ssrc, .. } = packet.header;
            let (_, reception) = heard.get_or_insert_with(|| (ssrc, Reception::new(sequence, timestamp)));
            reception.receive(sequence, timestamp, start.elapsed().as_micros() as u64 * 8 / 1_000);
        }
    }
}
