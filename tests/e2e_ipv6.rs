//! Phones over IPv6: they register, call and are called over UDP and TCP, and talk with a phone on IPv4.

mod support;

use std::net::{Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use support::{
    PATIENCE, installed,
    phone::{Account, Phone, TCP, talk_until_heard},
    server::{PHONES, Server},
    sound::{self, PAIRS},
    wait_for,
};

/// A port of `::1` for signalling; `None` where this machine has no IPv6.
fn free_port() -> Option<u16> {
    let first = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).ok()?;
    let port = first.local_addr().expect("bound").port();
    drop(first);
    TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok().map(|_| port)
}

/// A server on IPv4 and on `::1`, and its address there.
fn server() -> Option<(Server, SocketAddr)> {
    let port = free_port()?;
    let server = Server::start(|name, text| match name {
        "sip.toml" => text.replace("[limits]", &format!("[[listener]]\nname = \"six\"\nbind = \"[::1]:{port}\"\n[limits]")),
        "media.toml" => text.replace("bind = \"", "bind = [\"::1\", \"").replace("\"\nports", "\"]\nports"),
        _ => text,
    });
    Some((server, (Ipv6Addr::LOCALHOST, port).into()))
}

/// The `n`th demo phone, with a folder of its own, registered at this address.
fn phone(server: &Server, name: &str, n: usize, registrar: SocketAddr, transport: &str) -> Phone {
    let folder = server.folder.path().join(name);
    std::fs::create_dir_all(&folder).expect("phone folder");
    let microphone = folder.join("microphone.wav");
    sound::write_tone(&microphone, PAIRS[n], 60);
    let (user, password) = PHONES[n];
    let parameters = format!("{transport};audio_codecs=PCMA/8000/1");
    Phone::start(&folder, &Account { user, password, registrar, parameters: &parameters }, &microphone)
}

/// One calls the other by the address that it is registered at; both talk until both have heard so much, then the caller hangs up.
fn talk(at: SocketAddr, caller: &mut Phone, called: &mut Phone, seconds: f64) {
    caller.command("dial", &format!("sip:{}@{at}", called.user));
    called.wait_ringing();
    called.command("accept", "");
    caller.wait_established();
    called.wait_established();
    talk_until_heard([caller, called], seconds);
    caller.command("hangup", "");
    called.wait_closed();
    caller.wait_closed();
}

#[test]
fn a_phone_on_ipv6_and_one_on_ipv4_call_each_other_over_udp_and_tcp() {
    if !installed("baresip") {
        return;
    }
    let Some((server, six)) = server() else {
        println!("skipped: this machine has no IPv6 on its loopback interface");
        return;
    };
    for (round, transport) in [("udp", ""), ("tcp", TCP)] {
        let mut ann = phone(&server, &format!("six-{round}"), 0, six, transport);
        let mut bob = phone(&server, &format!("four-{round}"), 1, server.sip(), "");
        talk(six, &mut ann, &mut bob, 1.5);
        // The longest recording counts: that of the second call has to outgrow that of the first.
        talk(server.sip(), &mut bob, &mut ann, 2.5);
        ann.quit();
        bob.quit();
        let (of_ann, of_bob) = (ann.heard(), bob.heard());
        assert_eq!((of_ann.len(), of_bob.len()), (2, 2));
        of_ann.iter().for_each(|heard| sound::assert_only(heard, PAIRS[1], 0.5, "what the phone on IPv6 heard"));
        of_bob.iter().for_each(|heard| sound::assert_only(heard, PAIRS[0], 0.5, "what the phone on IPv4 heard"));
    }
    wait_for("no call left", PATIENCE, || (server.metric("throughline_calls_talking")? == 0.0).then_some(()));
}
