//! Datagrams by the batch: one system call receives or sends up to [`BATCH`] of them, in buffers that are made once.
//!
//! A system call costs as much as receiving a datagram; under overload there are three datagrams for each call that is refused.

use std::{io, mem, net::SocketAddr, os::fd::AsRawFd, ptr};

use socket2::{SockAddr, SockAddrStorage};

/// Datagrams in one system call: beyond some dozens nothing is saved, and what is sent waits for the others.
pub const BATCH: usize = 32;
/// Largest UDP payload.
pub const DATAGRAM: usize = 65_535;
/// From one datagram's room to the next: a little more than the largest, because the beginnings of all would share the same few lines of the
/// processor's caches if they lay at multiples of a power of two.
const ROOM: usize = DATAGRAM + 1 + 13 * 64;
/// Octets that wait to be sent; a batch of ordinary messages is a tenth of it.
const OUTBOX: usize = 256 << 10;

/// Room for what is received. Memory is only used as far as datagrams ever reached into it.
pub struct Inbox {
    octets: Vec<u8>,
    addresses: [SockAddrStorage; BATCH],
    lengths: [(usize, libc::socklen_t); BATCH],
}

impl Default for Inbox {
    fn default() -> Self {
        Self { octets: vec![0; BATCH * ROOM], addresses: std::array::from_fn(|_| SockAddrStorage::zeroed()), lengths: [(0, 0); BATCH] }
    }
}

impl Inbox {
    /// Receives what is there, without waiting: how many datagrams, zero where there is none.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        let mut headers = [EMPTY; BATCH];
        let mut places = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        let rooms = self.octets.chunks_exact_mut(ROOM).zip(&mut self.addresses);
        for (((room, address), header), place) in rooms.zip(&mut headers).zip(&mut places) {
            *place = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: DATAGRAM };
            header.msg_hdr.msg_name = ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = address.size_of();
            header.msg_hdr.msg_iov = place;
            header.msg_hdr.msg_iovlen = 1;
        }
        #[expect(
            unsafe_code,
            reason = "recvmmsg has no safe form; each header points at its own iovec, address and DATAGRAM of the ROOM octets of self"
        )]
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), BATCH as libc::c_uint, libc::MSG_DONTWAIT, ptr::null_mut()) };
        let received = count(received)?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..received]) {
            *length = (header.msg_len as usize, header.msg_hdr.msg_namelen);
        }
        Ok(received)
    }

    /// The datagrams of the last [`Inbox::receive`] that said so many.
    pub fn datagrams(&self, received: usize) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let rooms = self.octets.chunks_exact(ROOM).zip(&self.addresses).zip(&self.lengths);
        rooms.take(received).filter_map(|((room, address), (length, name))| {
            #[expect(unsafe_code, reason = "a copy of plain octets, into which the kernel wrote an address of this length")]
            let address = unsafe { SockAddr::new(ptr::read(address), *name) };
            Some((address.as_socket()?, room.get(..*length)?))
        })
    }
}

/// What waits to be sent from one socket.
#[derive(Default)]
pub struct Outbox {
    octets: Vec<u8>,
    /// Where each goes, and where it ends in `octets`.
    ends: Vec<(SockAddr, usize)>,
}

impl Outbox {
    /// Whether it has to be sent before more is put into it.
    pub fn is_full(&self, length: usize) -> bool {
        self.ends.len() >= BATCH || (!self.ends.is_empty() && self.octets.len() + length > OUTBOX)
    }

    /// One more; there must be room.
    pub fn push(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.octets.extend_from_slice(bytes);
        self.ends.push((to.into(), self.octets.len()));
    }

    /// Sends all, in order. What the kernel does not take is dropped; how many those were.
    pub fn flush(&mut self, socket: &impl AsRawFd) -> u64 {
        let (mut failures, mut sent) = (0, 0);
        while sent < self.ends.len().min(BATCH) {
            match self.send_from(sent, socket) {
                Ok(more) => sent += more.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    failures += 1;
                    sent += 1;
                }
            }
        }
        self.octets.clear();
        self.ends.clear();
        failures
    }

    /// Drops all; how many those were.
    pub fn discard(&mut self) -> u64 {
        self.octets.clear();
        self.ends.drain(..).count() as u64
    }

    fn send_from(&mut self, first: usize, socket: &impl AsRawFd) -> io::Result<usize> {
        let mut headers = [EMPTY; BATCH];
        let mut places = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut start = first.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let mut messages = 0;
        for (((to, end), header), place) in self.ends.iter().skip(first).zip(&mut headers).zip(&mut places) {
            let octets = &mut self.octets[start..*end];
            *place = libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() };
            header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = to.len();
            header.msg_hdr.msg_iov = place;
            header.msg_hdr.msg_iovlen = 1;
            (start, messages) = (*end, messages + 1);
        }
        #[expect(
            unsafe_code,
            reason = "sendmmsg has no safe form; each of the headers points at its own iovec, and address and octets of self"
        )]
        count(unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), messages, libc::MSG_DONTWAIT) })
    }
}

#[expect(unsafe_code, reason = "a header of null pointers and zeros is a valid value, and has no other constructor")]
const EMPTY: libc::mmsghdr = unsafe { mem::zeroed() };

/// What a call that returns a count or -1 means.
fn count(returned: libc::c_int) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let ours = UdpSocket::bind(address).expect("a socket");
        ours.set_nonblocking(true).expect("not blocking");
        (ours, UdpSocket::bind(address).expect("a socket"))
    }

    /// Everything that is there, waiting for the first.
    fn received(inbox: &mut Inbox, socket: &UdpSocket, expected: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut all = Vec::new();
        while all.len() < expected {
            match inbox.receive(socket) {
                Ok(n) => all.extend(inbox.datagrams(n).map(|(from, bytes)| (from, bytes.to_vec()))),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        all
    }

    #[test]
    fn what_is_sent_in_batches_arrives_whole_in_order_and_with_its_sender() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(_) = UdpSocket::bind(address) else { continue };
            let (ours, theirs) = pair(address);
            let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
            let messages: Vec<Vec<u8>> = (0..2 * BATCH + 5).map(|n| vec![b'a' + (n % 26) as u8; n * 7]).collect();
            for message in &messages {
                if outbox.is_full(message.len()) {
                    assert_eq!(outbox.flush(&theirs), 0);
                }
                outbox.push(ours.local_addr().expect("bound"), message);
            }
            assert_eq!(outbox.flush(&theirs), 0);
            let from = theirs.local_addr().expect("bound");
            let expected: Vec<_> = messages.into_iter().map(|message| (from, message)).collect();
            assert_eq!(received(&mut inbox, &ours, expected.len()), expected);
            assert!(matches!(inbox.receive(&ours), Err(error) if error.kind() == io::ErrorKind::WouldBlock));
        }
    }

    #[test]
    fn one_that_cannot_be_sent_keeps_none_of_the_others_back() {
        let (ours, theirs) = pair("127.0.0.1:0");
        let mut outbox = Outbox::default();
        let (here, elsewhere) = (ours.local_addr().expect("bound"), SocketAddr::from(([0; 16], 5060)));
        for (to, message) in [(here, "one"), (elsewhere, "no such family here"), (here, "two")] {
            outbox.push(to, message.as_bytes());
        }
        outbox.push(here, &[0; DATAGRAM]);
        outbox.push(here, b"three");
        assert_eq!(outbox.flush(&theirs), 2, "another family, and more than a datagram holds");
        let all = received(&mut Inbox::default(), &ours, 3);
        assert_eq!(all.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [&b"one"[..], b"two", b"three"]);
        assert_eq!(outbox.flush(&theirs), 0, "and nothing is left");
    }

    #[test]
    fn the_largest_datagrams_fit_and_a_few_of_them_fill_an_outbox() {
        let (ours, theirs) = pair("127.0.0.1:0");
        let largest = vec![b'x'; 65_507];
        let mut outbox = Outbox::default();
        assert!(!outbox.is_full(DATAGRAM), "whatever comes first has room");
        outbox.push(ours.local_addr().expect("bound"), &largest);
        assert_eq!(outbox.flush(&theirs), 0);
        assert_eq!(received(&mut Inbox::default(), &ours, 1)[0].1, largest);
        for _ in 0..4 {
            outbox.push(ours.local_addr().expect("bound"), &largest);
        }
        assert!(outbox.is_full(largest.len()));
    }
}
