//! The sections of each file: keys, units, defaults, ranges; then what must hold between files.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{
    Config, Http, Insight, LanguageModel, Limits, Listener, ListenerTransport, Media, Node, Queue, RecordPolicy, Recording, Sip,
    SoundChoice,
    reader::{Mistakes, Section},
    redaction, speech, trunks,
};

use crate::{
    domain::routing::Answer,
    protocol::sip::digest::{Algorithm, ChallengeOffer},
};

/// Descriptors kept for everything but media: database, logs, desks.
pub(crate) const OTHER_DESCRIPTORS: u64 = 512;

pub(super) fn read<'a>(file: impl Fn(&'static str) -> Section<'a>) -> Config {
    let mut main = file("throughline.toml");
    let node = main.table("node", node);
    let http = main.table("http", http);
    main.finish();
    let mut sip_file = file("sip.toml");
    let sip = sip(&mut sip_file);
    sip_file.finish();
    let mut trunks_file = file("trunks.toml");
    let (trunks, destinations) = trunks::read(&mut trunks_file, &sip.country);
    trunks_file.finish();
    let mut queues_file = file("queues.toml");
    let queues = queues_file.tables("queue", queue);
    queues_file.finish();
    let mut media_file = file("media.toml");
    let media = media_file.table("media", media);
    let recording = media_file.table("recording", |s| recording(s, &node));
    media_file.finish();
    let mut speech_file = file("speech.toml");
    let redaction = speech_file.table("redaction", redaction::read);
    let speech = speech_file.table("speech", |s| speech::read(s, redaction));
    let insight = Insight { language_model: speech_file.table("language_model", language_model), ..speech_file.table("insight", insight) };
    speech_file.finish();
    Config { node, http, sip, trunks, destinations, queues, media, recording, speech, insight }
}

fn node(s: &mut Section<'_>) -> Node {
    let name = s.text("name", "tl1");
    if name.is_empty() || name.len() > 16 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        s.mistake("name", format!("\"{name}\" cannot be part of a Call-ID"), "Use 1 to 16 letters and digits");
    }
    Node { name, data: PathBuf::from(s.text("data", "data")) }
}

fn http(s: &mut Section<'_>) -> Http {
    let listen = s.parsed("listen", "127.0.0.1:8080", false).unwrap_or_else(|| ([127, 0, 0, 1], 8080).into());
    let origins = s.list("origins", "https://desk.example.com");
    Http { listen, origins, secure_cookies: s.flag("secure_cookies", false) }
}

fn sip(s: &mut Section<'_>) -> Sip {
    let mut listeners = s.tables("listener", listener);
    if listeners.is_empty() {
        listeners.push(Listener {
            name: "local".to_owned(),
            bind: ([127, 0, 0, 1], 5060).into(),
            transport: ListenerTransport::Both,
            external_address: None,
            local_networks: Vec::new(),
            digest: None,
        });
    }
    let limits = s.table("limits", limits);
    let mut md5 = true;
    let sip = s.table("sip", |s| {
        let country = s.text("country", "GB");
        if country.parse::<phonenumber::country::Id>().is_err() {
            s.mistake("country", format!("\"{country}\" is no country"), "Use two capital letters, such as \"GB\"");
        }
        md5 = s.flag("md5", true);
        let digest = digest(s);
        refuse_md5(s, "digest", md5, digest);
        let default = if md5 { ChallengeOffer::Both } else { ChallengeOffer::Sha256Only };
        Sip {
            realm: s.text("realm", "throughline"),
            country,
            digest: digest.unwrap_or(default),
            name_servers: s.list("name_servers", "192.0.2.53:53"),
            listeners: listeners.clone(),
            limits: limits.clone(),
        }
    });
    for (at, listener) in sip.listeners.iter().enumerate() {
        refuse_md5(s, &format!("listener[{at}].digest"), md5, listener.digest);
    }
    sip
}

fn listener(s: &mut Section<'_>) -> Listener {
    let name = s.required_text("name", "lan");
    let bind = s.parsed("bind", "127.0.0.1:5060", true).unwrap_or_else(|| ([127, 0, 0, 1], 5060).into());
    let external = s.text("external_address", "");
    let external_address = if external.is_empty() { None } else { external.parse().ok() };
    if !external.is_empty() && external_address.is_none() {
        s.mistake(
            "external_address",
            format!("\"{external}\" is no IP address"),
            "Write an address without a port, such as \"203.0.113.5\"",
        );
    }
    let transport =
        s.choice("transport", &[("both", ListenerTransport::Both), ("udp", ListenerTransport::Udp), ("tcp", ListenerTransport::Tcp)]);
    let local_networks = s.list("local_networks", "192.168.0.0/16");
    Listener { name, bind, transport, external_address, local_networks, digest: digest(s) }
}

/// What `md5 = false` refuses may not be offered elsewhere.
fn refuse_md5(s: &Section<'_>, key: &str, md5: bool, digest: Option<ChallengeOffer>) {
    if !md5 && digest.is_some_and(|digest| digest.has(Algorithm::Md5)) {
        s.mistake(key, "MD5 is in the list, and [sip] md5 is false", "Take MD5 out, or remove md5 = false");
    }
}

/// Algorithms of the digest in their order; `None` where the key is not there.
fn digest(s: &mut Section<'_>) -> Option<ChallengeOffer> {
    if !s.has("digest") {
        let _: Vec<Algorithm> = s.list("digest", "SHA-256");
        return None;
    }
    let algorithms: Vec<Algorithm> = s.list("digest", "SHA-256");
    let offer = ChallengeOffer::of(&algorithms);
    if offer.is_none() && s.is_list_of("digest", algorithms.len()) {
        s.mistake("digest", "it is no list of different algorithms", "Write digest = [\"SHA-256\", \"MD5\"], or one of the two alone");
    }
    offer
}

fn limits(s: &mut Section<'_>) -> Limits {
    let seconds = |n: i64| Duration::from_secs(n.unsigned_abs());
    Limits {
        max_calls: usize::try_from(s.number("max_calls", 100, 1..=20_000)).unwrap_or(1),
        ring: seconds(s.number("ring_seconds", 20, 5..=170)),
        max_call: seconds(s.number("max_call_minutes", 240, 1..=1_440) * 60),
        max_hold: seconds(s.number("max_hold_minutes", 30, 1..=240) * 60),
        look_up: Duration::from_millis(s.number("look_up_ms", 300, 10..=2_000).unsigned_abs()),
        drain: seconds(s.number("drain_seconds", 300, 0..=7_200)),
        pop: Duration::from_millis(s.number("pop_wait_ms", 150, 0..=2_000).unsigned_abs()),
    }
}

fn queue(s: &mut Section<'_>) -> Queue {
    Queue {
        name: s.required_text("name", "support"),
        priority: u8::try_from(s.number("priority", 5, 0..=9)).unwrap_or(5),
        wrap_up: Duration::from_secs(s.number("wrap_up_seconds", 120, 5..=3_600).unsigned_abs()),
        missed_due: Duration::from_secs(60 * s.number("missed_due_minutes", 60, 1..=10_080).unsigned_abs()),
        answer: s.choice("answer", &[("agent", Answer::Agent), ("queue", Answer::Queue)]),
        max_wait: Duration::from_secs(s.number("max_wait_seconds", 900, 10..=14_400).unsigned_abs()),
        max_waiting: usize::try_from(s.number("max_waiting", 50, 0..=20_000)).unwrap_or(50),
        answer_within: Duration::from_secs(s.number("service_level_seconds", 20, 1..=3_600).unsigned_abs()),
        target_percent: u8::try_from(s.number("service_level_percent", 80, 1..=100)).unwrap_or(80),
        short_abandon: Duration::from_secs(s.number("short_abandon_seconds", 5, 0..=60).unsigned_abs()),
        announcement: sound(s, "announcement"),
        music: sound(s, "music"),
        closing: sound(s, "closing"),
        place: sound(s, "place"),
        place_every: Duration::from_secs(s.number("place_every_seconds", 60, 0..=3_600).unsigned_abs()),
    }
}

/// A file, "none", or what comes with the program.
fn sound(s: &mut Section<'_>, key: &'static str) -> SoundChoice {
    match s.optional_text(key).as_deref() {
        None | Some("") => SoundChoice::BuiltIn,
        Some("none") => SoundChoice::None,
        Some(path) => SoundChoice::File(PathBuf::from(path)),
    }
}

fn media(s: &mut Section<'_>) -> Media {
    let mut bind: Vec<IpAddr> = s.one_or_list("bind", "127.0.0.1");
    if bind.iter().filter(|address| address.is_ipv4()).count() > 1 || bind.iter().filter(|address| address.is_ipv6()).count() > 1 {
        let remedy = "Keep one of each, or use \"0.0.0.0\" and \"::\": then peers are told the address of the listener they came to";
        s.mistake("bind", "there are two addresses of one IP version", remedy);
    }
    if bind.is_empty() {
        bind.push([127, 0, 0, 1].into());
    }
    let text = s.text("ports", "20000-20399");
    let ports = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    let usable = ports.filter(|(first, last): &(u16, u16)| first % 2 == 0 && last > first && *first >= 1024);
    if usable.is_none() {
        s.mistake("ports", format!("\"{text}\" is no range of UDP ports"), "Begin even and end higher, such as \"20000-20399\"");
    }
    Media {
        bind,
        ports: usable.unwrap_or((20_000, 20_399)),
        threads: u16::try_from(s.number("threads", 1, 1..=64)).unwrap_or(1),
        silent: Duration::from_secs(s.number("silent_seconds", 30, 5..=600).unsigned_abs()),
    }
}

fn recording(s: &mut Section<'_>, node: &Node) -> Recording {
    use RecordPolicy::{All, External, None};
    let policy = s.choice("record", &[("external", External), ("all", All), ("none", None)]);
    let folder = s.optional_text("folder").map_or_else(|| node.data.join("recordings"), PathBuf::from);
    let reserve_mb = s.number("reserve_mb", 256, 0..=1_000_000).unsigned_abs();
    Recording { policy, on_hold: s.flag("record_on_hold", false), folder, reserve_mb }
}

/// Largest compiled pattern of references, octets: patterns of numbers are small.
const PATTERN_SIZE_MAX: usize = 64 * 1024;

fn insight(s: &mut Section<'_>) -> Insight {
    let reference_patterns: Vec<String> = s.list("reference_patterns", "NW-[0-9]{4}");
    for pattern in &reference_patterns {
        if let Err(error) = regex::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build() {
            let why = error.to_string().lines().last().unwrap_or_default().to_owned();
            s.mistake("reference_patterns", format!("\"{pattern}\" is no regular expression ({why})"), "Correct it, as in \"NW-[0-9]{4}\"");
        }
    }
    Insight { products: s.list("products", "headset"), reference_patterns, language_model: None }
}

fn language_model(s: &mut Section<'_>) -> Option<LanguageModel> {
    let (model, key_file) = (s.text("model", ""), s.text("key_file", ""));
    let patience = Duration::from_secs(s.number("patience_s", 60, 1..=600).unsigned_abs());
    if s.text("base", "").is_empty() {
        return None;
    }
    let base = speech::address(s, "base", "");
    if model.is_empty() {
        s.mistake("model", "it is missing", "Name the model as the service calls it");
    }
    Some(LanguageModel { base: base?, model, key_file: (!key_file.is_empty()).then(|| PathBuf::from(key_file)), patience })
}

/// What must hold between keys and files.
pub(super) fn cross_check(config: &Config, mistakes: &Mistakes) {
    trunks::cross_check(config, mistakes);
    for (at, trunk) in config.trunks.iter().enumerate() {
        for (n, number) in trunk.numbers.iter().enumerate() {
            if !config.queues.iter().any(|q| q.name == number.queue) {
                let key = format!("trunk[{at}].number[{n}].queue");
                let problem = format!("there is no queue \"{}\"", number.queue);
                mistakes.add("trunks.toml", &key, problem, "Add it to queues.toml, or name one that is there");
            }
        }
    }
    for (at, listener) in config.sip.listeners.iter().enumerate() {
        if config.sip.listeners[..at].iter().any(|l| l.name == listener.name || l.bind == listener.bind) {
            let remedy = "Give each listener its own name and address";
            mistakes.add("sip.toml", &format!("listener[{at}]"), format!("\"{}\" is there twice", listener.name), remedy);
        }
        if listener.bind.ip().is_unspecified() && listener.external_address.is_none() {
            let remedy = "Bind to the address that phones use, or set external_address";
            mistakes.add("sip.toml", &format!("listener[{at}].bind"), "phones cannot be told to send to 0.0.0.0", remedy);
        }
    }
    let has_media = |listener: &Listener| config.media.bind.iter().any(|address| address.is_ipv6() == listener.bind.is_ipv6());
    if let Some(listener) = config.sip.listeners.iter().find(|listener| !has_media(listener)) {
        let version = if listener.bind.is_ipv6() { "IPv6" } else { "IPv4" };
        let problem = format!("phones that come to listener \"{}\" have no {version} address to send audio to", listener.name);
        mistakes.add("media.toml", "media.bind", problem, "Add one, such as bind = [\"192.0.2.5\", \"2001:db8::5\"]");
    }
    let pairs = usize::from((config.media.ports.1 - config.media.ports.0).div_ceil(2));
    let needed = config.sip.limits.max_calls * 2;
    if needed > pairs {
        let problem = format!("{} calls need {needed} pairs of ports, ports holds {pairs}", config.sip.limits.max_calls);
        mistakes.add("sip.toml", "limits.max_calls", problem, "Lower it, or widen [media] ports in media.toml");
    }
    let descriptors = (pairs * config.media.bind.len()) as u64 * 2 + OTHER_DESCRIPTORS;
    if let Some(limit) = descriptor_limit().filter(|limit| *limit < descriptors) {
        let problem = format!("{pairs} pairs of ports need {descriptors} descriptors, this user may open {limit}");
        mistakes.add("media.toml", "media.ports", problem, "Raise the limit (ulimit -Hn), or choose a smaller range");
    }
}

/// The hard limit of open files, which a starting server raises itself to.
pub(crate) fn descriptor_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|l| l.starts_with("Max open files"))?;
    line.split_whitespace().nth(4)?.parse().ok()
}
