//! Host names of trunks, looked up on a thread of their own: the control thread never waits for a name server.
//!
//! Where no port is configured SRV is asked first (RFC 3263 §4.2): which hosts serve, in which order, for how long that holds. NAPTR
//! is not asked, as the transport is configured. Hosts are found by the system's resolver, which knows hosts files and search
//! domains and tells no time to live. A failed look-up leaves the addresses before in use.

mod srv;

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    ops::RangeInclusive,
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use super::clock;

/// SRV answers are believed for as long as they say within these bounds, in seconds: neither a storm of questions nor a day of a wrong
/// answer.
const BELIEVED: RangeInclusive<u32> = 10..=3_600;
/// Hosts of an SRV answer that are looked up: more than a call is ever sent to.
const MAX_HOSTS: usize = 8;
/// The port of SIP where nothing is said.
const DEFAULT_PORT: u16 = 5060;
/// How often a name is looked up: what carriers give as time to live when they move a trunk.
const INTERVAL: Duration = Duration::from_secs(60);
/// How soon a name that was never found is looked up again.
const RETRY: Duration = Duration::from_secs(5);
/// Failures in a row after which there is an alarm: one lost question is none.
const FAILURES_BEFORE_ALARM: u32 = 2;

/// A name to look up.
#[derive(Debug, Clone)]
pub struct TrunkName {
    /// The trunk's place in the configuration.
    pub trunk: usize,
    /// Its host.
    pub host: String,
    /// Its port; `None` asks for SRV.
    pub port: Option<u16>,
    /// Whether it is reached by TCP.
    pub tcp: bool,
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct TrunkNames {
    _stop: SyncSender<()>,
}

/// What is known of one name.
#[derive(Debug, Default)]
struct Known {
    addresses: Vec<SocketAddr>,
    failures: u32,
    /// Whether they came by SRV: then a name server that is away does not lead to the host itself.
    by_srv: bool,
    /// When it is looked up again.
    due: Option<Instant>,
}

/// Where a name leads.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// In the order in which they are to be tried.
    addresses: Vec<SocketAddr>,
    by_srv: bool,
    holds: Duration,
}

/// Starts the thread. `servers` are asked for SRV; where there are none, those of the system. `found` is told each new list of
/// addresses, `alarm` one sentence or that it is over.
pub fn start(
    names: Vec<TrunkName>,
    servers: Vec<SocketAddr>,
    found: impl Fn(usize, Vec<SocketAddr>) + Send + 'static,
    alarm: impl Fn(Option<String>) + Send + 'static,
) -> io::Result<TrunkNames> {
    let (stop, stopped) = sync_channel(0);
    let mut known: Vec<(TrunkName, Known)> = names.into_iter().map(|name| (name, Known::default())).collect();
    thread::Builder::new().name("trunk-names".to_owned()).spawn(move || {
        loop {
            look_up(clock::now().mono, &mut known, |name, by_srv| locate(name, by_srv, &servers), &found);
            alarm(trouble(&known));
            let now = clock::now().mono;
            let pause = known.iter().filter_map(|(_, known)| known.due).map(|due| due.saturating_duration_since(now)).min();
            if stopped.recv_timeout(pause.unwrap_or(INTERVAL)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(TrunkNames { _stop: stop })
}

/// Looks up what is due.
fn look_up(
    now: Instant,
    known: &mut [(TrunkName, Known)],
    locate: impl Fn(&TrunkName, bool) -> io::Result<Found>,
    tell: &impl Fn(usize, Vec<SocketAddr>),
) {
    for (name, known) in known.iter_mut().filter(|(_, known)| known.due.is_none_or(|due| due <= now)) {
        let holds = match locate(name, known.by_srv) {
            Ok(Found { addresses, by_srv, holds }) if !addresses.is_empty() => {
                (known.failures, known.by_srv) = (0, by_srv);
                // Name servers turn their answers round with each question: the same hosts in another order are no news. The order of
                // SRV was drawn anew, and does matter.
                let same = addresses.len() == known.addresses.len() && addresses.iter().all(|address| known.addresses.contains(address));
                if !same || (by_srv && addresses != known.addresses) {
                    known.addresses.clone_from(&addresses);
                    tell(name.trunk, addresses);
                }
                holds
            }
            Ok(_) | Err(_) => {
                known.failures = known.failures.saturating_add(1);
                if known.addresses.is_empty() { RETRY } else { INTERVAL }
            }
        };
        known.due = Some(now + holds);
    }
}

/// Where a name is served: by SRV where it has no port; else, or where there is no SRV, at the addresses of the host itself. So too
/// where no name server answers, unless it was found by SRV before: a closed network may have a hosts file alone.
fn locate(name: &TrunkName, by_srv: bool, servers: &[SocketAddr]) -> io::Result<Found> {
    let host = name.host.trim_end_matches('.');
    if let Some(port) = name.port {
        return itself(host, port);
    }
    let services = match srv::ask(&format!("_sip._{}.{host}", if name.tcp { "tcp" } else { "udp" }), servers) {
        Ok(services) if services.is_empty() => return itself(host, DEFAULT_PORT),
        Err(_) if !by_srv => return itself(host, DEFAULT_PORT),
        answered => answered?,
    };
    let seconds = services.iter().map(|service| service.ttl_seconds).min().unwrap_or(0).clamp(*BELIEVED.start(), *BELIEVED.end());
    let ordered = srv::in_order(services, |below| getrandom::u32().map_or(0, |drawn| drawn % below.max(1)));
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for service in ordered.iter().filter(|service| !service.target.is_empty()).take(MAX_HOSTS) {
        // One host that is not found leaves the others.
        let Ok(hosts) = (service.target.as_str(), service.port).to_socket_addrs() else { continue };
        for host in hosts {
            if !addresses.contains(&host) {
                addresses.push(host);
            }
        }
    }
    Ok(Found { addresses, by_srv: true, holds: Duration::from_secs(seconds.into()) })
}

fn itself(host: &str, port: u16) -> io::Result<Found> {
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.dedup();
    Ok(Found { addresses, by_srv: false, holds: INTERVAL })
}

fn trouble(known: &[(TrunkName, Known)]) -> Option<String> {
    let failing: Vec<&str> =
        known.iter().filter(|(_, known)| known.failures >= FAILURES_BEFORE_ALARM).map(|(name, _)| name.host.as_str()).collect();
    (!failing.is_empty()).then(|| {
        let names = failing.join(", ");
        format!("The name {names} cannot be looked up; addresses found before stay in use. Check the name server, or host in trunks.toml.")
    })
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        net::{Ipv4Addr, UdpSocket},
    };

    use super::{
        srv::tests::{answered, name_server},
        *,
    };

    fn name() -> TrunkName {
        TrunkName { trunk: 3, host: "sip.example.net".to_owned(), port: Some(5060), tcp: false }
    }

    /// Looks up again and again, each time with the next answer; returns what was told.
    fn told(answers: Vec<io::Result<Found>>, mut after_each: impl FnMut(usize, Option<String>)) -> Vec<(usize, Vec<SocketAddr>)> {
        let told = RefCell::new(Vec::new());
        let mut known = vec![(name(), Known::default())];
        for (n, answer) in answers.into_iter().enumerate() {
            let answer = RefCell::new(Some(answer));
            let now = known[0].1.due.unwrap_or_else(|| clock::now().mono);
            let locate = |_: &TrunkName, _: bool| answer.borrow_mut().take().expect("asked once");
            look_up(now, &mut known, locate, &|trunk, addresses| told.borrow_mut().push((trunk, addresses)));
            look_up(now, &mut known, |_, _| panic!("not due yet"), &|_, _| {});
            after_each(n, trouble(&known));
        }
        told.into_inner()
    }

    #[test]
    fn addresses_are_told_once_and_kept_when_the_name_server_is_away() {
        let (a, b): (SocketAddr, SocketAddr) = ("192.0.2.1:5060".parse().expect("address"), "[2001:db8::1]:5060".parse().expect("address"));
        let found = |addresses: &[SocketAddr], by_srv| Ok(Found { addresses: addresses.to_vec(), by_srv, holds: INTERVAL });
        let away = || Err(io::Error::other("away"));
        let answers = vec![found(&[a, b], false), found(&[b, a], false), away(), found(&[], false), found(&[b], false)];
        let heard = told(answers, |n, alarm| match n {
            3 => assert!(alarm.is_some_and(|sentence| sentence.contains("sip.example.net"))),
            // One lost question is no alarm.
            _ => assert_eq!(alarm, None, "{n}"),
        });
        assert_eq!(heard, [(3, vec![a, b]), (3, vec![b])]);
        let turned = told(vec![found(&[a, b], true), found(&[b, a], true), found(&[b, a], true)], |_, _| {});
        assert_eq!(turned, [(3, vec![a, b]), (3, vec![b, a])], "the order of SRV matters");
    }

    #[test]
    fn a_name_of_this_machine_is_found_and_the_thread_ends_when_nobody_holds_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let local = TrunkName { host: "localhost".to_owned(), ..name() };
        let found = move |trunk, addresses| drop(sender.send((trunk, addresses)));
        let names = start(vec![local], Vec::new(), found, |_| {}).expect("a thread");
        let (trunk, addresses) = receiver.recv_timeout(Duration::from_secs(30)).expect("found");
        assert!(trunk == 3 && addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 5060));
        drop(names);
        assert!(receiver.recv_timeout(Duration::from_secs(30)).is_err(), "its end of the channel is gone");
    }

    fn by_srv(tcp: bool) -> TrunkName {
        TrunkName { host: "carrier.example".to_owned(), port: None, tcp, ..name() }
    }

    fn at(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    #[test]
    fn a_name_without_a_port_is_found_by_srv_in_its_order_and_for_its_time() {
        let server = name_server(|_, question| {
            let is_tcp = question.windows(5).any(|octets| octets == b"\x04_tcp");
            answered(
                question,
                match is_tcp {
                    true => &[(1, 0, 5070, 5, "127.0.0.1")],
                    false => &[(20, 0, 5062, 300, "127.0.0.1"), (10, 0, 5061, 120, "127.0.0.1")],
                },
            )
        });
        let found = locate(&by_srv(false), false, &[server]).expect("found");
        assert_eq!(found, Found { addresses: vec![at(5061), at(5062)], by_srv: true, holds: Duration::from_secs(120) });
        let found = locate(&by_srv(true), false, &[server]).expect("found");
        assert_eq!(found, Found { addresses: vec![at(5070)], by_srv: true, holds: Duration::from_secs(10) }, "not asked all the time");
        let fixed = TrunkName { port: Some(5099), host: "127.0.0.1".to_owned(), ..by_srv(false) };
        assert_eq!(locate(&fixed, false, &[server]).expect("found").addresses, [at(5099)], "a configured port goes before SRV");
    }

    #[test]
    fn without_srv_it_is_the_host_itself_and_what_was_found_by_srv_waits_for_the_name_server() {
        let none = name_server(|_, question| answered(question, &[]));
        let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("bound");
        let host = TrunkName { host: "127.0.0.1".to_owned(), ..by_srv(false) };
        for server in [none, closed] {
            let found = locate(&host, false, &[server]).expect("found");
            assert_eq!(found, Found { addresses: vec![at(DEFAULT_PORT)], by_srv: false, holds: INTERVAL });
        }
        assert!(locate(&host, true, &[closed]).is_err(), "its addresses stay in use");
        let refused = name_server(|_, question| answered(question, &[(0, 0, 0, 300, "")]));
        assert_eq!(locate(&host, false, &[refused]).expect("an answer").addresses, [], "the domain says that it serves no SIP");
    }
}
