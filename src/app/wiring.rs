//! From configuration values to what each part is started with.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    config::{self, Config},
    domain::{
        media::{
            clip::ClipStore,
            plan::{Codec, PortPair},
        },
        switch::{Limits, ListenerConfig, OutboundTrunk, Policy, RecordPolicy, SwitchConfig, Timing, TrunkConfig},
    },
    protocol::sip::{client_digest::ClientAccount, connections::ConnectionLimits, flow::Transport, timers::Timers},
    service::{
        connectors::language_model::{LanguageModel, LanguageModelConfig},
        jobs::Insight,
        media_threads::MediaThreadsConfig,
        sip_sockets::{BindError, Listen, SipSockets},
        speech,
        trunk_names::TrunkName,
    },
};

/// The switch's configuration.
pub(super) fn switch(config: &Config, ports: Vec<PortPair>) -> SwitchConfig {
    let limits = &config.sip.limits;
    let timing = Timing {
        look_up_limit: limits.look_up,
        pop_limit: limits.pop,
        agent_ring: limits.ring,
        max_call: limits.max_call,
        max_hold: limits.max_hold,
        shutdown_limit: limits.drain,
        ..Timing::default()
    };
    let listeners = config.sip.listeners.iter().map(|listener| ListenerConfig {
        name: listener.name.clone(),
        bind: listener.bind,
        address: listener.bind.ip(),
        external_address: listener.external_address,
        local_networks: listener.local_networks.clone(),
        digest: config.sip.digest_at(listener),
    });
    let policy = Policy {
        domain: config.sip.realm.clone(),
        product: concat!("Throughline/", env!("CARGO_PKG_VERSION")).to_owned(),
        listeners: listeners.collect(),
        media_addresses: config.media.bind.clone(),
        record: match config.recording.policy {
            config::RecordPolicy::External => RecordPolicy::External,
            config::RecordPolicy::All => RecordPolicy::All,
            config::RecordPolicy::None => RecordPolicy::None,
        },
        record_on_hold: config.recording.on_hold,
        codecs: vec![Codec::Pcma, Codec::Pcmu],
        max_offers_per_call: 20,
        timers: Timers::default(),
        timing,
    };
    let trunks = config.trunks.iter().map(|trunk| TrunkConfig {
        name: trunk.name.clone(),
        networks: trunk.addresses.clone(),
        country: trunk.country.clone(),
        numbers: trunk.numbers.iter().map(|number| (number.called.clone(), number.queue.clone())).collect(),
        max_calls: trunk.max_calls,
        early_media: trunk.early_media,
        outbound: trunk.outbound.as_ref().map(outbound),
    });
    SwitchConfig {
        node: config.node.name.clone(),
        policy,
        trunks: trunks.collect(),
        destinations: config.destinations.clone(),
        ports,
        limits: Limits { max_calls: limits.max_calls, ..Limits::default() },
    }
}

fn outbound(trunk: &config::TrunkOutbound) -> OutboundTrunk {
    let account = trunk.account.as_ref();
    OutboundTrunk {
        host: trunk.host.clone(),
        port: trunk.port.unwrap_or(5060),
        transport: if trunk.tcp { Transport::Tcp } else { Transport::Udp },
        listener: trunk.listener.clone(),
        account: account.map(|account| Arc::new(ClientAccount::new(&account.username, &account.realm, account.password.text()))),
        register_seconds: trunk.register_seconds,
        caller_number: trunk.caller_number.clone(),
        callers: trunk.callers.clone(),
        max_calls_per_second: trunk.max_calls_per_second,
    }
}

/// Where phones and trunks reach us.
pub(super) fn addresses(config: &Config) -> Vec<std::net::SocketAddr> {
    config.sip.listeners.iter().map(|listener| listener.bind).collect()
}

/// The SIP sockets; connections from trunks need no further proof.
pub(super) fn sockets(config: &Config) -> Result<SipSockets, BindError> {
    let listen =
        |listener: &config::Listener| Listen { address: listener.bind, udp: listener.transport.udp(), tcp: listener.transport.tcp() };
    let listeners: Vec<Listen> = config.sip.listeners.iter().map(listen).collect();
    let trusted = config.trunks.iter().flat_map(|trunk| trunk.addresses.clone()).collect();
    SipSockets::bind(&listeners, trusted, connections(config))
}

/// Descriptors that media and everything else leave.
fn left(config: &Config) -> usize {
    let media = (u64::from(config.media.ports.1 - config.media.ports.0) + 1) * config.media.bind.len() as u64;
    let left = config::descriptor_limit().map_or(u64::MAX, |limit| limit.saturating_sub(media + config::OTHER_DESCRIPTORS));
    usize::try_from(left).unwrap_or(usize::MAX)
}

/// Connections of desks and of the API: a share of what is left, so that whoever opens many takes no phone's or trunk's.
pub(super) fn desk_connections(config: &Config) -> usize {
    (FEWEST_DESKS + left(config) / 4).min(MOST_DESKS)
}

/// Connections of desks that are among [`config::OTHER_DESCRIPTORS`].
const FEWEST_DESKS: usize = 256;
/// A desk has one connection for good and six while its page loads.
const MOST_DESKS: usize = 2_048;

/// How many connections of phones and trunks there may be: what is left.
fn connections(config: &Config) -> ConnectionLimits {
    let limits = ConnectionLimits::default();
    let left = left(config).saturating_add(FEWEST_DESKS).saturating_sub(desk_connections(config));
    ConnectionLimits { total: limits.total.min(left).max(FEWEST_CONNECTIONS), ..limits }
}

/// Connections that are tried for even where descriptors are few: accepting fails with a counter, nothing else does.
const FEWEST_CONNECTIONS: usize = 64;

/// Trunks whose host is a name.
pub(super) fn trunk_names(config: &Config) -> Vec<TrunkName> {
    let outbound = config.trunks.iter().enumerate().filter_map(|(trunk, config)| Some((trunk, config.outbound.as_ref()?)));
    let named = outbound.filter(|(_, outbound)| outbound.host.parse::<std::net::IpAddr>().is_err());
    named.map(|(trunk, outbound)| TrunkName { trunk, host: outbound.host.clone(), port: outbound.port, tcp: outbound.tcp }).collect()
}

/// Media threads' configuration.
pub(super) fn media(config: &Config, clips: ClipStore) -> MediaThreadsConfig {
    let (first, last) = config.media.ports;
    MediaThreadsConfig {
        threads: config.media.threads,
        silence_limit: config.media.silent,
        clips,
        bind: config.media.bind.clone(),
        ..MediaThreadsConfig::new(std::net::Ipv4Addr::LOCALHOST.into(), first..=last)
    }
}

/// The speech pool's configuration.
pub(super) fn speech(config: &config::Speech) -> speech::PoolConfig {
    let endpoint = config.endpoint.as_ref().map(|e| {
        let endpoint = speech::Endpoint {
            address: e.url.clone(),
            model: e.model.clone(),
            language: e.language.clone(),
            key: e.key.as_ref().map(|key| key.text().to_owned()),
            timeout: e.timeout,
        };
        (endpoint, e.serves, usize::from(e.parallel))
    });
    speech::PoolConfig {
        model: config.after_call_model.clone(),
        live_model: config.live_model.clone(),
        workers: usize::from(config.workers),
        endpoint,
        ..speech::PoolConfig::default()
    }
}

/// Folders inside the data folder.
pub(super) struct Folders {
    pub database: PathBuf,
    pub spool: PathBuf,
}

impl Folders {
    pub fn of(config: &Config) -> Self {
        Self { database: config.node.data.join("throughline.db"), spool: config.node.data.join("spool") }
    }
}

/// Obeys a file that a test writes while the server runs, a line each: `clock 86400000` sets the wall clock by so many milliseconds,
/// `disk stalled` lets the disk of the recordings hang, `database away` refuses every write to the record, until the line is gone.
#[cfg(feature = "fault-injection")]
pub(super) fn obey_test() {
    let Some(path) = std::env::var_os("THROUGHLINE_OBEY").map(PathBuf::from) else { return };
    let obey = move || {
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let clock = text.lines().find_map(|line| line.strip_prefix("clock ")?.parse().ok());
            crate::service::clock::set_by(clock.unwrap_or(0));
            crate::fault::stall_disk(text.lines().any(|line| line == "disk stalled"));
            crate::fault::take_database_away(text.lines().any(|line| line == "database away"));
            std::thread::park_timeout(Duration::from_millis(20));
        }
    };
    // Without it the test fails; the thread ends with the process.
    let _ = std::thread::Builder::new().name("obey".to_owned()).spawn(obey);
}

/// Reads from the environment which mistake this process is to make.
#[cfg(feature = "fault-injection")]
pub(super) fn choose_fault() -> Result<(), super::AppError> {
    let Ok(name) = std::env::var("THROUGHLINE_FAULT") else { return Ok(()) };
    if crate::fault::choose(&name) {
        tracing::warn!(fault = name, "this server makes a mistake on purpose");
        return Ok(());
    }
    let known: Vec<_> = crate::fault::NAMES.iter().map(|(name, _)| *name).collect();
    Err(super::AppError::Refused(format!("THROUGHLINE_FAULT=\"{name}\" is no fault. Choose one of {}", known.join(", "))))
}

/// The signals that ask the server to stop.
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How long a stopping server waits for its calls to say goodbye.
pub(super) const GOODBYE: Duration = Duration::from_secs(8);

/// Raises the limit of open files to what this user may have; media sockets need many.
#[expect(unsafe_code, reason = "setrlimit has no safe form in the standard library")]
pub(super) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a local of the right type and keep nothing of it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// What cards are read with. Patterns and address were checked with the configuration.
pub(super) fn insight(config: &config::Insight) -> Insight {
    let model = config.language_model.as_ref().map(|model| {
        LanguageModel::new(LanguageModelConfig {
            base: model.base.clone(),
            model: model.model.clone(),
            key_file: model.key_file.clone(),
            patience: model.patience,
        })
    });
    Insight {
        products: config.products.clone(),
        patterns: config.reference_patterns.iter().filter_map(|pattern| regex::Regex::new(pattern).ok()).collect(),
        language_model: model,
    }
}
