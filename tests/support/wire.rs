//! Raw datagrams at the server: what no honest phone sends, and what it answers.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use super::PATIENCE;

/// The UDP payloads of a classic pcap file of Ethernet or Linux cooked frames; other files have none.
pub fn udp_payloads(pcap: &[u8]) -> Vec<Vec<u8>> {
    const IP_AND_UDP: usize = 28;
    let word = |at: usize| pcap.get(at..at + 4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]) as usize);
    if word(0) != Some(0xa1b2_c3d4) {
        return Vec::new();
    }
    let link = if word(20) == Some(113) { 16 } else { 14 };
    let (mut at, mut all) = (24, Vec::new());
    while let Some(length) = word(at + 8) {
        let frame = pcap.get(at + 16..at + 16 + length).unwrap_or_default();
        all.extend(frame.get(link + IP_AND_UDP..).map(<[u8]>::to_vec));
        at += 16 + length;
    }
    all
}

/// Somebody at an address who sends what they like.
pub struct Stranger {
    pub socket: UdpSocket,
    server: SocketAddr,
}

impl Stranger {
    pub fn new(from: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((from, 0)).expect("a loopback address");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self { socket, server }
    }

    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    pub fn send(&self, bytes: &[u8]) {
        // What is too long for a datagram is not sent; the server hears nothing of it.
        let _ = self.socket.send_to(bytes, self.server);
    }

    /// Everything that has come so far.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.socket.set_nonblocking(true).expect("non-blocking");
        let mut buffer = [0; 65_535];
        let mut all = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            all.push(buffer[..length].to_vec());
        }
        self.socket.set_nonblocking(false).expect("blocking");
        all
    }

    /// Sends a request and returns the status of its first final answer.
    #[track_caller]
    pub fn ask(&self, request: &str) -> u16 {
        self.send(request.as_bytes());
        self.final_status(request)
    }

    /// The first final answer that comes.
    #[track_caller]
    pub fn wait_final(&self) -> String {
        let mut buffer = [0; 65_535];
        loop {
            let length = self.socket.recv(&mut buffer).expect("a final answer");
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !answer.starts_with("SIP/2.0 1") {
                return answer;
            }
        }
    }

    #[track_caller]
    fn final_status(&self, request: &str) -> u16 {
        let mut buffer = [0; 65_535];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no answer ({e}) to\n{request}"));
            let answer = String::from_utf8_lossy(&buffer[..length]);
            let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            if status >= 200 {
                return status;
            }
        }
    }

    /// Returns when the server has worked off everything that was sent to it before, by whomever: it takes datagrams in order.
    #[track_caller]
    pub fn barrier(&self, n: usize) {
        assert_eq!(self.ask(&self.request("OPTIONS", "", &format!("barrier-{n}"), "")), 200);
    }

    /// A request as it should be.
    pub fn request(&self, method: &str, user: &str, call_id: &str, body: &str) -> String {
        let (local, server) = (self.local(), self.server);
        let target = if user.is_empty() { format!("sip:{server}") } else { format!("sip:{user}@{server}") };
        let body_type = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{call_id}\r\nMax-Forwards: 70\r\n\
             From: \"A caller\" <sip:+442079460101@{local}>;tag={call_id}\r\nTo: <{target}>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:caller@{local}>\r\n{body_type}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// An INVITE with an offer of G.711.
    pub fn invite(&self, user: &str, call_id: &str) -> String {
        let ip = self.local().ip();
        let sdp = format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0\r\n");
        self.request("INVITE", user, call_id, &sdp)
    }
}

/// Resident memory of a process, octets.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Sends from a socket as fast as the receiver can take it: a short rest after each burst.
pub fn paced(n: usize) {
    const BURST: usize = 64;
    if n % BURST == BURST - 1 {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
