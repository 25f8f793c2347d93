//! What only real sockets show: both IP versions in one call, strangers at a connected socket, marks on what is sent.

use std::net::Ipv6Addr;

use super::*;
use crate::service::media_threads::wire_marks::{heard_with_mark, hears_marks};

fn phone_on_six() -> Option<UdpSocket> {
    let Ok(socket) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        println!("skipped: this machine has no IPv6 on its loopback interface");
        return None;
    };
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    Some(socket)
}

fn start_on_both(ports: RangeInclusive<u16>) -> House {
    let (tap_in, taps) = Tapped::channel();
    let (event_in, events) = bounded(1000);
    let bind = vec![LOCALHOST, Ipv6Addr::LOCALHOST.into()];
    let config = MediaThreadsConfig { bind, raise_priority: false, ..MediaThreadsConfig::new(LOCALHOST, ports) };
    let threads = MediaThreads::start(config, tap_in, move |event| {
        let _ = event_in.try_send(event);
    });
    House { threads: threads.expect("the ports are free"), events, taps }
}

fn speak_to(from: &UdpSocket, to: SocketAddr, sequence: u16, octet: u8) {
    let mut datagram = [octet; HEADER_LEN + 160];
    encode_header(&mut datagram, Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc: 7 });
    from.send_to(&datagram, to).unwrap();
}

#[test]
fn a_phone_on_ipv6_and_one_on_ipv4_hear_each_other_and_every_packet_is_marked_as_speech() {
    let Some(six) = phone_on_six() else { return };
    let four = phone();
    let house = start_on_both(21_100..=21_107);
    let ports = house.threads.ports();
    house.threads.send(0, MediaCommand::Plan(plan(1, [leg(1, ports[0], &six), leg(2, ports[1], &four)]))).unwrap();
    settle(&house);
    hears_marks(&six);
    hears_marks(&four);
    for n in 0..20 {
        speak_to(&six, (Ipv6Addr::LOCALHOST, ports[0].rtp_port).into(), n, 0x11);
        let (octets, from, mark) = heard_with_mark(&four);
        assert_eq!((octets[HEADER_LEN], from, mark), (0x11, (Ipv4Addr::LOCALHOST, ports[1].rtp_port).into(), 46 << 2), "DSCP EF");
        speak_to(&four, (Ipv4Addr::LOCALHOST, ports[1].rtp_port).into(), n, 0x22);
        let (octets, from, mark) = heard_with_mark(&six);
        assert_eq!((octets[HEADER_LEN], from, mark), (0x22, (Ipv6Addr::LOCALHOST, ports[0].rtp_port).into(), 46 << 2), "DSCP EF");
    }
    let sockets = house.threads.counters().sockets;
    assert_eq!((sockets.send_failed, sockets.connect_failed), (0, 0));
}

#[test]
fn the_system_itself_refuses_a_stranger_once_the_source_is_known_and_the_phone_may_come_from_elsewhere_later() {
    let house = start(21_110..=21_117, 1);
    let ports = house.threads.ports();
    let (caller, agent, stranger) = (phone(), phone(), phone());
    let mut plan = plan(1, [leg(1, ports[0], &caller), leg(2, ports[1], &agent)]);
    house.threads.send(0, MediaCommand::Plan(plan.clone())).unwrap();
    settle(&house);
    let stranger_drops = || house.threads.counters().engine.dropped_for(DropReason::WrongSource);
    for n in 0..10 {
        speak(&caller, ports[0], n, 0x11);
        assert_eq!(hear(&agent).0, 0x11);
    }
    wait_for(&house.events, |kind| matches!(kind, MediaEventKind::SourceLocked { .. }));
    let before = stranger_drops();
    for n in 0..200 {
        speak(&stranger, ports[0], n, 0x66);
    }
    // The phone's next packets come after all of them.
    for n in 10..20 {
        speak(&caller, ports[0], n, 0x11);
        assert_eq!(hear(&agent).0, 0x11, "nothing of the stranger is passed on");
    }
    assert_eq!(stranger_drops(), before, "none of them reached the engine: the socket is connected to the phone");
    // A new description lets the phone come from another address: the socket takes packets from everybody again.
    let moved = phone();
    let rtp = moved.local_addr().unwrap();
    plan.generation = 2;
    plan.legs[0].remote = Some(RemoteMedia { rtp, rtcp: SocketAddr::new(rtp.ip(), 9), epoch: 2 });
    house.threads.send(0, MediaCommand::Plan(plan)).unwrap();
    let heard = (0..2_000).any(|n| {
        speak(&moved, ports[0], n, 0x33);
        agent.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 2048];
        agent.recv_from(&mut buffer).is_ok() && buffer[HEADER_LEN] == 0x33
    });
    assert!(heard, "the phone is heard from its new address");
}

#[test]
fn a_media_thread_runs_before_all_other_work_where_the_system_permits_it() {
    let (policy, nice) = std::thread::spawn(|| {
        priority::raise();
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("its state");
        // After the name in brackets: state is field 3, nice 19, policy 41 (proc(5)).
        let fields: Vec<i64> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        (fields[37], fields[15])
    })
    .join()
    .expect("no panic");
    match (i32::try_from(policy), nice) {
        (Ok(libc::SCHED_RR), _) => println!("SCHED_RR"),
        (_, ..=-10) => println!("nice {nice}: SCHED_RR is not permitted here"),
        _ => println!("as all others: neither SCHED_RR nor a lower nice is permitted here"),
    }
    let is_root = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("CapEff:\t000001ffffffffff"));
    assert!(!is_root || i32::try_from(policy) == Ok(libc::SCHED_RR), "with every capability: policy {policy}");
}
