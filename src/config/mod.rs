//! `sip-config/*.toml` → validated values; all mistakes are reported together, each with file, key and remedy.
//!
//! TOML holds what belongs to the machine (listeners, trunks, ports, folders); people, phones and dispositions live in
//! the database.

pub mod reader;
mod redaction;
mod sections;
mod speech;
pub mod trunks;

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use reader::{Mistake, Mistakes, Section};
use toml::Table;

pub use redaction::Redaction;
pub(crate) use sections::{OTHER_DESCRIPTORS, descriptor_limit};
pub use speech::{EndpointFor, OFFICIAL_MODELS, Speech, SpeechEndpoint};
pub use trunks::{Secret, Trunk, TrunkAccount, TrunkNumber, TrunkOutbound};

use crate::{
    domain::routing::{Answer, destination::Destinations},
    protocol::sip::digest::ChallengeOffer,
    service::egress::Address,
};

/// Everything that a server needs to know before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The process.
    pub node: Node,
    /// The desk's server.
    pub http: Http,
    /// Signalling.
    pub sip: Sip,
    /// Carriers.
    pub trunks: Vec<Trunk>,
    /// Where dialled numbers go, and who may dial them.
    pub destinations: Destinations,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Audio.
    pub media: Media,
    /// Recording.
    pub recording: Recording,
    /// Speech to text.
    pub speech: Speech,
    /// What is read out of words.
    pub insight: Insight,
}

/// `[insight]` and `[language_model]` of `speech.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Insight {
    /// The company's products: named on cards.
    pub products: Vec<String>,
    /// Regular expressions of numbers that are references without a word that says so; valid.
    pub reference_patterns: Vec<String>,
    /// A language model that makes the card; `None` where the rules do.
    pub language_model: Option<LanguageModel>,
}

/// `[language_model]` of `speech.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageModel {
    /// Base address of an OpenAI-compatible service, such as "http://127.0.0.1:8080/v1".
    pub base: Address,
    /// As the service calls it.
    pub model: String,
    /// File with the key.
    pub key_file: Option<PathBuf>,
    /// Longest wait for an answer.
    pub patience: Duration,
}

/// `[node]` of `throughline.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name of this process in every Call-ID, branch and tag.
    pub name: String,
    /// Folder of the database, spool and recordings.
    pub data: PathBuf,
}

/// `[http]` of `throughline.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Address of the desk.
    pub listen: SocketAddr,
    /// Origins besides the server's own that may use the API.
    pub origins: Vec<String>,
    /// Whether cookies are marked Secure; on behind a TLS proxy.
    pub secure_cookies: bool,
}

/// `sip.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sip {
    /// Realm of the digest challenges.
    pub realm: String,
    /// Home country of numbers without a country code, ISO 3166 alpha-2.
    pub country: String,
    /// Algorithms of the digest, at listeners that name none of their own.
    pub digest: ChallengeOffer,
    /// Asked for the SRV records of trunks; none: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Sockets.
    pub listeners: Vec<Listener>,
    /// Limits and waiting times.
    pub limits: Limits,
}

impl Sip {
    /// The algorithms that a listener offers.
    pub fn digest_at(&self, listener: &Listener) -> ChallengeOffer {
        listener.digest.unwrap_or(self.digest)
    }
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerTransport {
    /// Datagrams and connections, at the same address.
    Both,
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl ListenerTransport {
    /// Whether datagrams are taken.
    pub fn udp(self) -> bool {
        matches!(self, Self::Both | Self::Udp)
    }

    /// Whether connections are taken.
    pub fn tcp(self) -> bool {
        matches!(self, Self::Both | Self::Tcp)
    }
}

/// `[[listener]]` of `sip.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its name in logs and bindings.
    pub name: String,
    /// Its address.
    pub bind: SocketAddr,
    /// What it serves there.
    pub transport: ListenerTransport,
    /// The address that peers outside `local_networks` see.
    pub external_address: Option<IpAddr>,
    /// Networks that are reached without address translation.
    pub local_networks: Vec<IpNet>,
    /// Algorithms of the digest here; `None`: those of `[sip]`.
    pub digest: Option<ChallengeOffer>,
}

/// `[limits]` of `sip.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once; more are answered 503.
    pub max_calls: usize,
    /// How long one agent's phone rings.
    pub ring: Duration,
    /// Longest call.
    pub max_call: Duration,
    /// Longest hold.
    pub max_hold: Duration,
    /// How long a call waits for the look-up.
    pub look_up: Duration,
    /// How long the phone waits for the desk.
    pub pop: Duration,
    /// How long running calls may go on when the server is told to stop.
    pub drain: Duration,
}

/// `[[queue]]` of `queues.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// 0 (lowest) to 9.
    pub priority: u8,
    /// How long an agent may wrap up.
    pub wrap_up: Duration,
    /// When a missed call is due.
    pub missed_due: Duration,
    /// When its callers are answered.
    pub answer: Answer,
    /// Longest wait.
    pub max_wait: Duration,
    /// Callers who may wait at once.
    pub max_waiting: usize,
    /// Answered within this long counts for the service level.
    pub answer_within: Duration,
    /// The share of calls that should be, percent.
    pub target_percent: u8,
    /// A caller who gives up sooner is counted apart.
    pub short_abandon: Duration,
    /// What is said first.
    pub announcement: SoundChoice,
    /// What plays then.
    pub music: SoundChoice,
    /// What is said before a caller is let go.
    pub closing: SoundChoice,
    /// How places are told: here a file is a folder of them.
    pub place: SoundChoice,
    /// How often the place is told again; zero tells it once.
    pub place_every: Duration,
}

/// A sound of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoundChoice {
    /// The one that comes with the program.
    BuiltIn,
    /// Silence.
    None,
    /// A recording.
    File(PathBuf),
}

/// `[media]` of `media.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Addresses of the RTP sockets, one of each IP version at most; an unspecified one stands for the listeners' addresses.
    pub bind: Vec<IpAddr>,
    /// First and last UDP port.
    pub ports: (u16, u16),
    /// Threads.
    pub threads: u16,
    /// Silence after which the peer is asked whether it is alive.
    pub silent: Duration,
}

/// Which calls are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPolicy {
    /// Calls with customers.
    External,
    /// All calls.
    All,
    /// None.
    None,
}

/// `[recording]` of `media.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Which calls.
    pub policy: RecordPolicy,
    /// Whether hold is recorded.
    pub on_hold: bool,
    /// Folder of the tracks.
    pub folder: PathBuf,
    /// Room kept free on the disk, megabytes.
    pub reserve_mb: u64,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The folder or a file cannot be read.
    #[error("{path}: {source}. Give the folder of the *.toml files with --config")]
    Unreadable {
        /// What.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There are mistakes, all of them listed.
    #[error("{} in the configuration:\n{}", count(.0.len()), lines(.0))]
    Mistakes(Vec<Mistake>),
}

fn count(n: usize) -> String {
    if n == 1 { "1 mistake".to_owned() } else { format!("{n} mistakes") }
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|m| format!("  {m}")).collect::<Vec<_>>().join("\n")
}

/// The files of a configuration folder.
const FILES: [&str; 6] = ["throughline.toml", "sip.toml", "trunks.toml", "queues.toml", "media.toml", "speech.toml"];

impl Config {
    /// Reads and checks a folder.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let unreadable = |path: &Path, source| ConfigError::Unreadable { path: path.display().to_string(), source };
        let mut texts = Vec::new();
        for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
            let path = entry.map_err(|e| unreadable(folder, e))?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                texts.push((name, fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?));
            }
        }
        let mut config = Self::parse(&texts).map_err(ConfigError::Mistakes)?;
        let mistakes = Mistakes::default();
        trunks::read_secrets(&mut config, folder, &mistakes);
        speech::read_secrets(&mut config.speech, folder, &mistakes);
        let found = mistakes.into_sorted();
        if found.is_empty() { Ok(config) } else { Err(ConfigError::Mistakes(found)) }
    }

    /// Checks the texts of a folder's files, given as (file name, text).
    pub fn parse(texts: &[(String, String)]) -> Result<Self, Vec<Mistake>> {
        let mistakes = Mistakes::default();
        let mut tables: Vec<(&str, Table)> = Vec::new();
        for (name, text) in texts {
            if !FILES.contains(&name.as_str()) {
                mistakes.add(name, "file", "no such file is known", format!("Rename or remove it; known are {}", FILES.join(", ")));
                continue;
            }
            match text.parse::<Table>() {
                Ok(table) => tables.push((name, table)),
                Err(error) => {
                    let line = error.span().map_or(1, |s| text[..s.start.min(text.len())].lines().count().max(1));
                    mistakes.add(name, &format!("line {line}"), error.message().to_owned(), "Mend the TOML there");
                }
            }
        }
        let empty = Table::new();
        let file = |name: &'static str| {
            let table = tables.iter().find(|(n, _)| *n == name).map_or(&empty, |(_, t)| t);
            Section::root(name, table, &mistakes)
        };
        let config = sections::read(file);
        sections::cross_check(&config, &mistakes);
        let found = mistakes.into_sorted();
        if found.is_empty() { Ok(config) } else { Err(found) }
    }
}

#[cfg(test)]
mod tests;
