//! `trunks.toml`: carriers, the numbers that come in by them, the routes that lead out, and who may call out.

use std::{fmt, fs, io, path::Path, path::PathBuf, time::Duration};

use ipnet::IpNet;

use super::{
    Config,
    reader::{Mistakes, Section},
};
use crate::{
    domain::routing::destination::{CallingGroup, Destinations, EmergencyNumbers, Route},
    ids::PhoneNumber,
};

/// Calls at once for which ports are kept beside `max_calls`, so that help can be called when everything is taken.
pub const EMERGENCY_CALLS: usize = 2;
/// Calls at once of a trunk that calls go out by, where nothing is said: what a stolen password can cost at most.
const DEFAULT_MAX_CALLS: i64 = 30;
/// Largest file that is read as a password, octets.
const MAX_PASSWORD_FILE: u64 = 4096;

/// `[[trunk]]` of `trunks.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Where its requests come from.
    pub addresses: Vec<IpNet>,
    /// Country of numbers that come without a country code.
    pub country: String,
    /// Where called numbers go.
    pub numbers: Vec<TrunkNumber>,
    /// Calls at once, both directions together; `None`: as many as the server takes.
    pub max_calls: Option<usize>,
    /// How long a caller of it who waits hears us before the answer; `None`: answered first.
    pub early_media: Option<Duration>,
    /// How calls go out by it; `None` where it only brings calls.
    pub outbound: Option<TrunkOutbound>,
}

/// `[[trunk.number]]` of `trunks.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkNumber {
    /// The called number.
    pub called: PhoneNumber,
    /// The queue that it goes to.
    pub queue: String,
}

/// The half of `[[trunk]]` that is about calls to the carrier.
#[derive(Debug, Clone, PartialEq)]
pub struct TrunkOutbound {
    /// Its address, or a name that is looked up while the server runs.
    pub host: String,
    /// Its port; `None` asks for SRV where the host is a name, and means 5060 else.
    pub port: Option<u16>,
    /// Whether it is reached by TCP.
    pub tcp: bool,
    /// Name of our listener towards it; `None`: the first of the same address family.
    pub listener: Option<String>,
    /// Who we are to it; `None` where it knows us by our address.
    pub account: Option<TrunkAccount>,
    /// How long a registration at the carrier is asked for, seconds; `None`: we do not register.
    pub register_seconds: Option<u32>,
    /// The number that called parties see.
    pub caller_number: Option<PhoneNumber>,
    /// Other numbers for some extensions.
    pub callers: Vec<(String, PhoneNumber)>,
    /// Calls begun per second; more are not sent to it.
    pub max_calls_per_second: usize,
}

/// The account at a carrier.
#[derive(Debug, Clone, PartialEq)]
pub struct TrunkAccount {
    /// User name of the digest, and user part of the registered address.
    pub username: String,
    /// The password, or where it is.
    pub password: Secret,
    /// The only realm whose challenges are answered.
    pub realm: String,
}

/// A password, or where to find it. `Debug` never shows one.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Itself.
    Text(String),
    /// The first line of this file.
    File(PathBuf),
    /// The value of this environment variable.
    Environment(String),
}

impl Secret {
    /// The password, once [`read_secrets`] has found it.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::File(_) | Self::Environment(_) => "",
        }
    }

    pub(super) fn read(&self, folder: &Path) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Environment(name) => std::env::var(name).map_err(|_| format!("there is no environment variable {name}")),
            Self::File(path) => {
                let path = folder.join(path);
                first_line(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Environment(name) => f.debug_tuple("Environment").field(name).finish(),
        }
    }
}

/// A file that others may read is refused: it would be no secret.
fn first_line(path: &Path) -> Result<String, io::Error> {
    use std::os::unix::fs::PermissionsExt;
    let found = fs::metadata(path)?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others may read it; set its mode to 0600"));
    }
    if !found.is_file() || found.len() > MAX_PASSWORD_FILE {
        return Err(io::Error::other("it is no file with one line"));
    }
    Ok(fs::read_to_string(path)?.lines().next().unwrap_or_default().to_owned())
}

/// Fetches passwords from their files and variables; paths are relative to the configuration's folder.
pub(super) fn read_secrets(config: &mut Config, folder: &Path, mistakes: &Mistakes) {
    for (at, trunk) in config.trunks.iter_mut().enumerate() {
        let Some(account) = trunk.outbound.as_mut().and_then(|outbound| outbound.account.as_mut()) else { continue };
        match account.password.read(folder) {
            Ok(text) if !text.is_empty() => account.password = Secret::Text(text),
            Ok(_) => mistakes.add("trunks.toml", &format!("trunk[{at}].password"), "the password is empty", "Write it there"),
            Err(problem) => {
                let remedy = "Write the carrier's password there, readable by this user alone";
                mistakes.add("trunks.toml", &format!("trunk[{at}].password"), problem, remedy);
            }
        }
    }
}

/// Names of trunks, as routes say them.
type Named = Vec<String>;

/// Reads the file: carriers, and where dialled numbers go.
pub(super) fn read(file: &mut Section<'_>, country: &str) -> (Vec<Trunk>, Destinations) {
    let trunks = file.tables("trunk", |s| trunk(s, country));
    let emergency = match file.has("emergency") {
        true => EmergencyNumbers::new(file.list::<Digits>("emergency", "112").into_iter().map(|digits| digits.0)),
        false => EmergencyNumbers::of_country(country),
    };
    let read: Vec<(bool, Route)> = file.tables("route", |s| route(s, &trunks));
    let groups = file.tables("group", group);
    let emergency_route = read.iter().find(|(is_emergency, _)| *is_emergency).map(|(_, route)| route.clone());
    let routes = read.into_iter().filter(|(is_emergency, _)| !is_emergency).map(|(_, route)| route).collect();
    (trunks, Destinations { country: country.to_owned(), emergency, emergency_route, routes, groups })
}

fn trunk(s: &mut Section<'_>, country: &str) -> Trunk {
    let name = s.required_text("name", "carrier");
    let addresses: Vec<_> = s.list::<AddressOrNetwork>("addresses", "203.0.113.10").into_iter().map(|a| a.0).collect();
    let country = s.text("country", country);
    let outbound = outbound(s, &country);
    let most = s.number("max_calls", DEFAULT_MAX_CALLS, 1..=20_000);
    let max_calls = usize::try_from(most).ok().filter(|_| outbound.is_some() || s.has("max_calls"));
    if addresses.is_empty() && outbound.is_none() {
        s.mistake(
            "addresses",
            "nobody may call by this trunk",
            "List the carrier's addresses, such as [\"203.0.113.10\"], or give its host for calls that go out",
        );
    }
    let numbers = s.tables("number", |s| {
        let called = number(s, "called", &country, "+442079460000");
        let queue = s.required_text("queue", "support");
        called.map(|called| TrunkNumber { called, queue })
    });
    let early_media = early_media(s);
    Trunk { name, addresses, country, numbers: numbers.into_iter().flatten().collect(), max_calls, early_media, outbound }
}

/// Words and music before the answer.
fn early_media(s: &mut Section<'_>) -> Option<Duration> {
    let wanted = s.flag("early_media", false);
    let seconds = s.number("early_media_seconds", 120, 10..=170).unsigned_abs();
    if !wanted && s.has("early_media_seconds") {
        s.mistake("early_media_seconds", "there is no early media by this trunk", "Add early_media = true, or remove this key");
    }
    wanted.then(|| Duration::from_secs(seconds))
}

fn number(s: &mut Section<'_>, key: &'static str, country: &str, example: &str) -> Option<PhoneNumber> {
    let text = s.required_text(key, example);
    let parsed = PhoneNumber::parse_in(&text, country);
    if let Err(error) = &parsed {
        s.mistake(key, format!("\"{text}\": {error}"), format!("Write the number with its country code, such as \"{example}\""));
    }
    parsed.ok()
}

fn outbound(s: &mut Section<'_>, country: &str) -> Option<TrunkOutbound> {
    let host = s.text("host", "");
    let port = u16::try_from(s.number("port", 5060, 1..=65_535)).ok().filter(|_| s.has("port"));
    let tcp = s.choice("transport", &[("udp", false), ("tcp", true)]);
    let listener = Some(s.text("listener", "")).filter(|name| !name.is_empty());
    let account = account(s, &host);
    let register = s.flag("register", false);
    let seconds = u32::try_from(s.number("register_seconds", 600, 60..=86_400)).unwrap_or(600);
    let caller_number = s.has("caller_number").then(|| number(s, "caller_number", country, "+442079460000")).flatten();
    let callers = s.tables("caller", |s| {
        let phone = s.required_text("phone", "200");
        number(s, "number", country, "+442079460018").map(|number| (phone, number))
    });
    let max_calls_per_second = usize::try_from(s.number("max_calls_per_second", 5, 1..=1_000)).unwrap_or(1);
    if host.is_empty() {
        for key in ["username", "register", "caller_number", "caller"].into_iter().filter(|key| s.has(key)) {
            s.mistake(key, "there is no host to send calls to", "Add host, or remove this key");
        }
        return None;
    }
    if crate::protocol::sip::field::HostBuf::new(&host).is_none() {
        s.mistake("host", format!("\"{host}\" is no address and no name"), "Write it without a port, such as \"sip.example.net\"");
    }
    if register && account.is_none() {
        s.mistake("register", "there is no account to register", "Add username and password, or remove register");
    }
    Some(TrunkOutbound {
        host,
        port,
        tcp,
        listener,
        account,
        register_seconds: register.then_some(seconds),
        caller_number,
        callers: callers.into_iter().flatten().collect(),
        max_calls_per_second,
    })
}

fn account(s: &mut Section<'_>, host: &str) -> Option<TrunkAccount> {
    let username = s.optional_text("username").filter(|name| !name.is_empty());
    let given = [
        s.optional_text("password").map(Secret::Text),
        s.optional_text("password_file").map(|path| Secret::File(PathBuf::from(path))),
        s.optional_text("password_env").map(Secret::Environment),
    ];
    let realm = s.text("realm", host);
    let mut given = given.into_iter().flatten();
    match (username, given.next(), given.next()) {
        (None, None, _) => None,
        (Some(username), Some(password), None) => Some(TrunkAccount { username, password, realm }),
        (Some(_), Some(_), Some(_)) => {
            s.mistake("password", "the password is given twice", "Keep one of password, password_file and password_env");
            None
        }
        (Some(_), None, _) => {
            s.mistake("password", "the account has no password", "Add password_file = \"carrier.password\", a file of mode 0600");
            None
        }
        (None, Some(_), _) => {
            s.mistake("username", "there is a password for nobody", "Add username, or remove the password");
            None
        }
    }
}

fn route(s: &mut Section<'_>, trunks: &[Trunk]) -> (bool, Route) {
    let is_emergency = s.flag("emergency", false);
    let prefix = if is_emergency { String::new() } else { s.required_text("prefix", "+44") };
    let rest = prefix.strip_prefix('+').unwrap_or(&prefix);
    if !is_emergency && (prefix.is_empty() || !rest.bytes().all(|b| b.is_ascii_digit())) {
        s.mistake("prefix", format!("\"{prefix}\" begins no number"), "Write + and digits, such as \"+44\" or \"+\", or digits as dialled");
    }
    let names: Named = s.list("trunks", "carrier");
    let mut places = Vec::new();
    for name in &names {
        match trunks.iter().position(|trunk| trunk.name == *name && trunk.outbound.is_some()) {
            Some(place) => places.push(place),
            None => {
                s.mistake("trunks", format!("there is no trunk \"{name}\" with a host"), "Name a [[trunk]] of this file that has a host");
            }
        }
    }
    if names.is_empty() {
        s.mistake("trunks", "the route leads nowhere", "Name one or more trunks, such as [\"carrier\"]");
    }
    let add = s.text("add", "");
    if !add.bytes().all(|b| b.is_ascii_digit() || b == b'+' || b == b'*' || b == b'#') {
        s.mistake("add", format!("\"{add}\" cannot stand in front of a number"), "Use digits, +, * and #");
    }
    let strip = usize::try_from(s.number("strip", 0, 0..=15)).unwrap_or(0);
    (is_emergency, Route { prefix, trunks: places, strip, add })
}

fn group(s: &mut Section<'_>) -> CallingGroup {
    let name = s.required_text("name", "agents");
    let phones: Vec<String> = s.list("phones", "200");
    if phones.is_empty() {
        s.mistake("phones", "the group has no phones", "List extensions, or [\"*\"] for every phone that no other group names");
    }
    let mut prefixes = |key: &'static str| s.list::<Prefix>(key, "+49").into_iter().map(|prefix| prefix.0).collect::<Vec<_>>();
    let (international, premium) = (prefixes("international"), prefixes("premium"));
    let mut limit = |key: &'static str, default: i64| usize::try_from(s.number(key, default, 1..=100_000)).unwrap_or(1);
    CallingGroup {
        name,
        phones,
        international,
        premium,
        max_calls: limit("max_calls", 2),
        max_calls_per_hour: limit("max_calls_per_hour", 60),
        max_refused_per_hour: limit("max_refused_per_hour", 10),
    }
}

/// What must hold between trunks, routes and the other files.
pub(super) fn cross_check(config: &Config, mistakes: &Mistakes) {
    let outbound: Vec<_> = config.trunks.iter().enumerate().filter_map(|(at, trunk)| Some((at, trunk.outbound.as_ref()?))).collect();
    for (at, outbound) in &outbound {
        let known = |name: &String| config.sip.listeners.iter().any(|listener| listener.name == *name);
        if let Some(name) = outbound.listener.as_ref().filter(|name| !known(name)) {
            let remedy = "Name a [[listener]] of sip.toml";
            mistakes.add("trunks.toml", &format!("trunk[{at}].listener"), format!("there is no listener \"{name}\""), remedy);
        }
    }
    for (at, trunk) in config.trunks.iter().enumerate() {
        if config.trunks[..at].iter().any(|other| other.name == trunk.name) {
            let problem = format!("\"{}\" is there twice", trunk.name);
            mistakes.add("trunks.toml", &format!("trunk[{at}].name"), problem, "Give each trunk its own name");
        }
    }
    if outbound.is_empty() {
        return;
    }
    let destinations = &config.destinations;
    if destinations.emergency.iter().next().is_some() && destinations.emergency_route.is_none() {
        let numbers = destinations.emergency.iter().collect::<Vec<_>>().join(", ");
        let remedy = "Add a [[route]] with emergency = true and its trunks; set emergency = [] only where help is called by another line";
        mistakes.add("trunks.toml", "route", format!("calls to {numbers} lead nowhere"), remedy);
    }
    let pairs = usize::from((config.media.ports.1 - config.media.ports.0).div_ceil(2));
    let needed = (config.sip.limits.max_calls + EMERGENCY_CALLS) * 2;
    if needed > pairs && config.sip.limits.max_calls * 2 <= pairs {
        let problem = format!("{EMERGENCY_CALLS} emergency calls beside max_calls need {needed} pairs of ports, ports holds {pairs}");
        mistakes.add("sip.toml", "limits.max_calls", problem, "Lower it, or widen [media] ports in media.toml");
    }
}

/// An IP address, taken as a network of one, or a network.
struct AddressOrNetwork(IpNet);

impl std::str::FromStr for AddressOrNetwork {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let network = text.parse::<IpNet>().ok();
        network.or_else(|| text.parse::<std::net::IpAddr>().ok().map(Into::into)).map(Self).ok_or(())
    }
}

/// 2 to 8 digits.
struct Digits(String);

impl std::str::FromStr for Digits {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(text.to_owned())).ok_or(())
    }
}

/// `+` and digits.
struct Prefix(String);

impl std::str::FromStr for Prefix {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix('+').ok_or(())?;
        rest.bytes().all(|b| b.is_ascii_digit()).then(|| Self(text.to_owned())).ok_or(())
    }
}
