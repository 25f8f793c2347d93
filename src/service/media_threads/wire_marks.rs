//! For tests: how a datagram was marked when it arrived (IP_RECVTOS, IPV6_RECVTCLASS).

use std::{mem::MaybeUninit, net::SocketAddr, net::UdpSocket};

use socket2::{MaybeUninitSlice, MsgHdrMut, SockAddr, SockRef};

/// Asks the system to tell the traffic class of what arrives.
pub fn hears_marks(socket: &UdpSocket) {
    let is_ipv6 = socket.local_addr().expect("bound").is_ipv6();
    let socket = SockRef::from(socket);
    if is_ipv6 { socket.set_recv_tclass_v6(true) } else { socket.set_recv_tos_v4(true) }.expect("an option of every Linux");
}

/// The next datagram, where it came from, and its traffic class.
pub fn heard_with_mark(socket: &UdpSocket) -> (Vec<u8>, SocketAddr, u8) {
    let (mut octets, mut control) = ([MaybeUninit::uninit(); 2048], [MaybeUninit::uninit(); 64]);
    let mut from = SockAddr::from(socket.local_addr().expect("bound"));
    let mut buffers = [MaybeUninitSlice::new(&mut octets)];
    let mut message = MsgHdrMut::new().with_addr(&mut from).with_buffers(&mut buffers).with_control(&mut control);
    let length = SockRef::from(socket).recvmsg(&mut message, 0).expect("a datagram before the deadline");
    let told = message.control_len();
    let read = |octets: &[MaybeUninit<u8>], length: usize| octets[..length].iter().map(|octet| initialised(*octet)).collect::<Vec<u8>>();
    let control = read(&control, told);
    // struct cmsghdr of 64 bits: length (8), level (4), type (4), then the value: one octet (IPv4) or an int (IPv6), in host order.
    assert!(told > 16, "the system told no traffic class");
    (read(&octets, length), from.as_socket().expect("an address"), control[16])
}

#[expect(unsafe_code, reason = "recvmsg says how much of the buffers it has written, in a type that only unsafe code reads")]
fn initialised(octet: MaybeUninit<u8>) -> u8 {
    // SAFETY: only called for octets within the lengths that the system reported as written.
    unsafe { octet.assume_init() }
}
