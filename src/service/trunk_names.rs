//! Host names of trunks, looked up on a thread of their own: the control thread never waits for a name server.
//!
//! A and AAAA by the system's resolver, which knows hosts files and search domains; it tells no time to live, so that every name
//! is asked for again after a fixed time. SRV and NAPTR (RFC 3263) are not asked: the port is the configured one. A failed
//! look-up leaves the addresses before in use.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

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
    /// Its port.
    pub port: u16,
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
}

/// Starts the thread. `found` is told each new list of addresses, `alarm` one sentence or that it is over.
pub fn start(
    names: Vec<TrunkName>,
    found: impl Fn(usize, Vec<SocketAddr>) + Send + 'static,
    alarm: impl Fn(Option<String>) + Send + 'static,
) -> io::Result<TrunkNames> {
    let (stop, stopped) = sync_channel(0);
    let mut known: Vec<(TrunkName, Known)> = names.into_iter().map(|name| (name, Known::default())).collect();
    thread::Builder::new().name("trunk-names".to_owned()).spawn(move || {
        loop {
            look_up(&mut known, |host, port| (host, port).to_socket_addrs().map(Iterator::collect), &found);
            alarm(trouble(&known));
            let pause = if known.iter().any(|(_, known)| known.addresses.is_empty()) { RETRY } else { INTERVAL };
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(TrunkNames { _stop: stop })
}

fn look_up(
    known: &mut [(TrunkName, Known)],
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
    found: &impl Fn(usize, Vec<SocketAddr>),
) {
    for (name, known) in known {
        match resolve(&name.host, name.port) {
            Ok(mut addresses) if !addresses.is_empty() => {
                addresses.dedup();
                known.failures = 0;
                // Name servers turn their answers round with each question: the same hosts in another order are no news.
                let same = addresses.len() == known.addresses.len() && addresses.iter().all(|address| known.addresses.contains(address));
                if !same {
                    known.addresses.clone_from(&addresses);
                    found(name.trunk, addresses);
                }
            }
            Ok(_) | Err(_) => known.failures = known.failures.saturating_add(1),
        }
    }
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
    use std::cell::RefCell;

    use super::*;

    fn name() -> TrunkName {
        TrunkName { trunk: 3, host: "sip.example.net".to_owned(), port: 5060 }
    }

    #[test]
    fn addresses_are_told_once_and_kept_when_the_name_server_is_away() {
        let told = RefCell::new(Vec::new());
        let mut known = vec![(name(), Known::default())];
        let (a, b): (SocketAddr, SocketAddr) = ("192.0.2.1:5060".parse().expect("address"), "[2001:db8::1]:5060".parse().expect("address"));
        let mut ask = |answer: io::Result<Vec<SocketAddr>>| {
            let answer = RefCell::new(Some(answer));
            let resolve = |host: &str, port: u16| {
                assert_eq!((host, port), ("sip.example.net", 5060));
                answer.borrow_mut().take().expect("asked once")
            };
            look_up(&mut known, resolve, &|trunk, addresses| told.borrow_mut().push((trunk, addresses)));
            trouble(&known)
        };
        let away = || Err(io::Error::other("away"));
        assert_eq!(ask(Ok(vec![a, b])), None);
        assert_eq!(ask(Ok(vec![b, a])), None);
        assert_eq!(ask(away()), None, "one lost question is no alarm");
        assert!(ask(Ok(Vec::new())).is_some_and(|sentence| sentence.contains("sip.example.net")));
        assert_eq!(ask(Ok(vec![b])), None);
        assert_eq!(*told.borrow(), [(3, vec![a, b]), (3, vec![b])]);
    }

    #[test]
    fn a_name_of_this_machine_is_found_and_the_thread_ends_when_nobody_holds_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let local = TrunkName { host: "localhost".to_owned(), ..name() };
        let names = start(
            vec![local],
            move |trunk, addresses| {
                let _ = sender.send((trunk, addresses));
            },
            |_| {},
        )
        .expect("a thread");
        let (trunk, addresses) = receiver.recv_timeout(Duration::from_secs(20)).expect("found");
        assert!(trunk == 3 && addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 5060));
        drop(names);
        assert!(receiver.recv_timeout(Duration::from_secs(20)).is_err(), "its end of the channel is gone");
    }
}
