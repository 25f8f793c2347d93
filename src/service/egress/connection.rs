//! One TCP connection, plain or TLS, of which every wait is bounded.

use std::{
    env,
    io::{self, Read, Write},
    net::{IpAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::{Address, EgressError, Patience, Reach};

/// Where systems keep the certificates that they trust: Debian, Red Hat, Alpine.
const TRUSTED: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A connection to a service.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    to: String,
    is_inner: bool,
}

#[derive(Debug)]
enum Stream {
    Plain(Bounded),
    Secure(Box<StreamOwned<ClientConnection, Bounded>>),
}

impl Connection {
    /// Connects to the first of the host's addresses that answers. Resolving a name is the system's affair and as slow as it.
    pub fn open(to: &Address, patience: Patience, reach: Reach) -> Result<Self, EgressError> {
        Self::trusting(to, patience, reach, trust)
    }

    /// The same, trusting what the caller trusts.
    pub(super) fn trusting(
        to: &Address,
        patience: Patience,
        reach: Reach,
        trust: impl FnOnce() -> Result<Arc<ClientConfig>, String>,
    ) -> Result<Self, EgressError> {
        let until = patience.total.map(|total| clock() + total);
        let unreachable = |e: &io::Error| EgressError::Unreachable(to.to_string(), e.to_string());
        let addresses = (to.host(), to.port()).to_socket_addrs().map_err(|e| unreachable(&e))?;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            // The very address that is connected to is looked at: the name may lead elsewhere when it is asked again.
            if reach == Reach::OuterOnly && is_inner(address.ip()) {
                return Err(EgressError::Inner(to.to_string()));
            }
            let mut bounded = Bounded { socket: None, until, idle: patience.idle };
            let connected = bounded.left().and_then(|left| TcpStream::connect_timeout(&address, left));
            match connected {
                Ok(socket) => {
                    // A question is one write; waiting for more of it only costs time.
                    let _ = socket.set_nodelay(true);
                    bounded.socket = Some(socket);
                    return Ok(Self { stream: Stream::of(to, bounded, trust)?, to: to.to_string(), is_inner: is_inner(address.ip()) });
                }
                Err(e) => last = e,
            }
        }
        Err(if is_late(&last) { EgressError::TimedOut(to.to_string()) } else { unreachable(&last) })
    }

    /// Whom it leads to.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Whether it leads to this machine or a private network.
    pub fn is_inner(&self) -> bool {
        self.is_inner
    }

    /// Sends a question.
    pub fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let to: &mut dyn Write = match &mut self.stream {
            Stream::Plain(plain) => plain,
            Stream::Secure(secure) => secure.as_mut(),
        };
        let sent = to.write_all(head).and_then(|()| to.write_all(body)).and_then(|()| to.flush());
        match sent {
            // It has answered before it has read everything: the answer says why.
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            other => other,
        }
    }
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(plain) => plain.read(into),
            Stream::Secure(secure) => secure.read(into),
        }
    }
}

impl Stream {
    fn of(to: &Address, socket: Bounded, trust: impl FnOnce() -> Result<Arc<ClientConfig>, String>) -> Result<Self, EgressError> {
        if !to.is_secure() {
            return Ok(Self::Plain(socket));
        }
        let failed = |why: String| EgressError::Tls(to.to_string(), why);
        let config = trust().map_err(failed)?;
        let name = ServerName::try_from(to.host().to_owned()).map_err(|e| failed(e.to_string()))?;
        let client = ClientConnection::new(config, name).map_err(|e| failed(e.to_string()))?;
        Ok(Self::Secure(Box::new(StreamOwned::new(client, socket))))
    }
}

/// What the machine trusts, or the file that `SSL_CERT_FILE` names; read once.
fn trust() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let read = || {
        let named = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let path = named.or_else(|| TRUSTED.iter().map(PathBuf::from).find(|path| path.is_file()));
        trust_in(&path.ok_or("this machine has no list of trusted certificates; install the package ca-certificates")?)
    };
    CONFIG.get_or_init(read).clone()
}

/// Trusts the authorities of one file.
pub(super) fn trust_in(path: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| format!("{}: {e}", path.display()))?;
    roots.add_parsable_certificates(certificates.flatten());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Whether an address is of this machine or of a private network (RFC 6890): what a stranger must not make us ask.
fn is_inner(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            a == 0 || shared || v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast()
        }
    }
}

/// A socket that is waited for only so long, however slowly the octets drip.
#[derive(Debug)]
struct Bounded {
    socket: Option<TcpStream>,
    until: Option<Instant>,
    idle: Duration,
}

impl Bounded {
    /// How long the next wait may be.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.map_or(self.idle, |until| until.saturating_duration_since(clock()).min(self.idle));
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    fn socket(&self) -> io::Result<&TcpStream> {
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Read for Bounded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket()?;
        socket.set_read_timeout(Some(self.left()?))?;
        socket.read(into)
    }
}

impl Write for Bounded {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket()?;
        socket.set_write_timeout(Some(self.left()?))?;
        socket.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket()?.flush()
    }
}

fn is_late(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// What an error of the connection means.
pub(super) fn error(to: &Address, e: &io::Error) -> EgressError {
    let to_text = to.to_string();
    match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => EgressError::TimedOut(to_text),
        io::ErrorKind::InvalidData if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            EgressError::Tls(to_text, e.to_string())
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => EgressError::Unreachable(to_text, "it hung up".into()),
        _ => EgressError::Nonsense(to_text, e.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "egress owns this clock: it bounds the wait for another machine")]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_told_from_outer_ones_in_every_spelling() {
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_inner(inner.parse().expect("an address")), "{inner}");
        }
        for outer in ["203.0.113.1", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:203.0.113.1"] {
            assert!(!is_inner(outer.parse().expect("an address")), "{outer}");
        }
    }
}
