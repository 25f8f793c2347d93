//! Which address of ours a peer is told.

use std::net::SocketAddr;

use super::world::config;
use crate::{
    domain::switch::ListenerConfig,
    protocol::sip::{digest::ChallengeOffer, flow::ListenerId},
};

fn listener(bind: &str, external: Option<&str>, local: &[&str]) -> ListenerConfig {
    let bind: SocketAddr = bind.parse().expect("address");
    ListenerConfig {
        name: bind.to_string(),
        bind,
        address: bind.ip(),
        external_address: external.map(|address| address.parse().expect("address")),
        local_networks: local.iter().map(|network| network.parse().expect("network")).collect(),
        digest: ChallengeOffer::Both,
    }
}

/// Addresses of media, the listener, where the peer is, whether it is asked for IPv6, and what it is told.
type Row<'a> = (&'a [&'a str], u16, &'a str, bool, Option<&'a str>);

#[test]
fn media_goes_to_the_address_that_fits_the_peers_listener_network_and_ip_version() {
    let lan = listener("192.168.0.5:5060", Some("203.0.113.5"), &["192.168.0.0/16"]);
    let listeners = vec![lan, listener("[2001:db8::5]:5060", None, &[]), listener("10.0.0.5:5060", None, &[])];
    let bound = |media: &[&str], at: u16, remote: &str, ipv6: bool| {
        let mut policy = config(2).policy;
        policy.listeners.clone_from(&listeners);
        policy.media_addresses = media.iter().map(|address| address.parse().expect("address")).collect();
        policy.media_address(ListenerId(at), remote.parse().expect("address"), ipv6).map(|address| address.to_string())
    };
    let rows: [Row<'_>; 9] = [
        (&["192.168.0.6", "2001:db8::6"], 0, "192.168.7.7", false, Some("192.168.0.6")),
        (&["192.168.0.6", "2001:db8::6"], 0, "198.51.100.7", false, Some("203.0.113.5")),
        (&["192.168.0.6", "2001:db8::6"], 1, "2001:db8::77", true, Some("2001:db8::6")),
        (&["192.168.0.6"], 1, "2001:db8::77", true, None),
        (&["0.0.0.0", "::"], 0, "192.168.7.7", false, Some("192.168.0.5")),
        (&["0.0.0.0", "::"], 0, "198.51.100.7", false, Some("203.0.113.5")),
        (&["0.0.0.0", "::"], 2, "10.0.0.77", false, Some("10.0.0.5")),
        (&["0.0.0.0", "::"], 1, "2001:db8::77", true, Some("2001:db8::5")),
        (&["0.0.0.0", "::"], 0, "192.168.7.7", true, Some("2001:db8::5")),
    ];
    for (media, at, remote, ipv6, expected) in rows {
        assert_eq!(bound(media, at, remote, ipv6).as_deref(), expected, "{media:?} listener {at} {remote} {ipv6}");
    }
}
