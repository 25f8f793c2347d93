//! What the kernel costs: epoll, receive, send, over as many sockets as the calls have, and nothing else.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    process::{Child, Stdio},
};

use anyhow::Context;

use super::machine;

/// Events read at once, as in the media threads.
const EVENTS: usize = 1024;
const DATAGRAM: usize = 2048;

/// The loop itself, in a process of its own: what comes to one socket of a call leaves from the other.
#[expect(unsafe_code, reason = "epoll has no safe form here: level-triggered, one receive for each packet, is the cheapest loop there is")]
pub fn run(calls: usize, address: IpAddr, parties: [SocketAddr; 2]) -> anyhow::Result<()> {
    let sockets: Vec<UdpSocket> = (0..2 * calls).map(|_| UdpSocket::bind((address, 0))).collect::<Result<_, _>>()?;
    // SAFETY: epoll_create1 takes no pointer; the descriptor lives as long as the process.
    let epoll = unsafe { libc::epoll_create1(0) };
    for (n, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: n as u64 };
        // SAFETY: `event` is a valid event for the time of the call, both descriptors are open.
        if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) } != 0 {
            return Err(io::Error::last_os_error().into());
        }
    }
    let ports: Vec<String> = sockets.iter().map(|socket| Ok(socket.local_addr()?.port().to_string())).collect::<io::Result<_>>()?;
    println!("{}", ports.join(" "));
    io::stdout().flush()?;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    let mut datagram = [0; DATAGRAM];
    loop {
        // SAFETY: the array holds EVENTS events and outlives the call.
        let ready = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), EVENTS as i32, -1) };
        for event in events.iter().take(usize::try_from(ready).unwrap_or(0)) {
            let n = event.u64 as usize;
            if let Ok((length, _)) = sockets[n].recv_from(&mut datagram) {
                let _ = sockets[n ^ 1].send_to(&datagram[..length], parties[(n ^ 1) & 1]);
            }
        }
    }
}

/// The loop as a child on core 0.
pub struct BareLoop {
    child: Child,
    /// Ports towards caller and phone of each call.
    pub ports: Vec<[u16; 2]>,
}

impl BareLoop {
    pub fn start(calls: usize, address: IpAddr, parties: [SocketAddr; 2]) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let arguments = [calls.to_string(), address.to_string(), parties[0].to_string(), parties[1].to_string()];
        let mut child = machine::on_core_0(own).arg("bare-loop").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its ports")?).read_line(&mut line)?;
        let ports: Vec<u16> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { child, ports: ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for BareLoop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
