//! `throughline demo call`: a trunk that calls in and a desk phone that answers, with real voices, over real SIP.
//!
//! ```text
//! caller's voice (left)  ─ trunk ─▶ server ─▶ phone ─▶ heard
//! agent's voice (right)  ─ phone ─▶ server ─▶ trunk ─▶ heard
//! ```

mod media;
mod parties;
mod queue;
mod user_agent;

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::PathBuf,
    thread,
    time::Duration,
};

pub use media::{Player, Playing};
pub use parties::{DeskPhone, Talk, TrunkCaller};
pub use user_agent::{DemoError, Event, UserAgent};

use crate::{ids::PhoneNumber, service::clock};

/// How long somebody may take to log in and press Ready.
const READY_PATIENCE: Duration = Duration::from_secs(600);
/// What is told after the call.
const OVER: &str = "The call is over. In a few seconds its words, card and sentiment are on the customer's timeline.";
/// Between two looks at whether somebody is ready.
const READY_INTERVAL: Duration = Duration::from_secs(1);

/// What the demonstration needs to know.
#[derive(Debug, Clone)]
pub struct DemoCall {
    /// The server's SIP address.
    pub sip: SocketAddr,
    /// The server's desk.
    pub http: SocketAddr,
    /// Where the trunk calls from; must be an address of `trunks.toml`.
    pub trunk: IpAddr,
    /// The caller's number.
    pub caller: PhoneNumber,
    /// The caller's name, as the network sends it.
    pub caller_name: String,
    /// The number that is dialled.
    pub called: PhoneNumber,
    /// Account of the phone that answers; `None` leaves answering to a real phone.
    pub phone: Option<(String, String)>,
    /// Stereo WAV at 8 kHz: caller left, agent right.
    pub voices: PathBuf,
    /// How long the phone rings before it answers.
    pub ring: Duration,
    /// With a phone of its own: call at once, though nobody may be ready; the caller waits in the queue.
    pub queue: bool,
}

/// How it went.
#[derive(Debug)]
pub struct DemoOutcome {
    /// What the caller heard, 8 kHz.
    pub caller_heard: Vec<i16>,
    /// What the phone heard, 8 kHz.
    pub phone_heard: Vec<i16>,
}

/// Places the call; `tell` gets one line per step.
pub fn run(call: &DemoCall, tell: impl Fn(&str) + Send + Sync) -> Result<DemoOutcome, DemoError> {
    let (caller_voice, agent_voice) = voices(call)?;
    let length = Duration::from_millis(caller_voice.len() as u64 / 8);
    let phone = match &call.phone {
        Some((user, password)) => {
            let local = SocketAddr::new(if call.sip.is_ipv4() { [127, 0, 0, 1].into() } else { IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]) }, 0);
            let mut phone = DeskPhone::new(UserAgent::bind(local, call.sip)?, user);
            phone.register(password)?;
            tell(&format!("Phone {user} is registered."));
            Some(phone)
        }
        None => None,
    };
    let caller = TrunkCaller::new(UserAgent::bind((call.trunk, 0).into(), call.sip)?);
    let phone = match phone {
        Some(phone) if call.queue => return queue::run(call, queue::Parties { caller, phone, caller_voice, agent_voice }, &tell),
        phone => phone,
    };
    wait_until_ready(call, &tell)?;
    thread::scope(|scope| {
        let answering = phone.map(|mut phone| scope.spawn(move || phone.answer(call.ring, agent_voice)));
        tell(&format!("{} calls {} …", call.caller_name, call.called));
        let talk = caller.call(call, caller_voice)?;
        tell(&format!("Answered. They talk for {} seconds; watch the desk.", length.as_secs()));
        let caller_heard = talk.finish_after(length + Duration::from_secs(1));
        let phone_heard = match answering {
            Some(answering) => answering.join().map_err(|_| DemoError::Refused("the phone failed".to_owned()))??,
            None => Vec::new(),
        };
        tell(OVER);
        Ok(DemoOutcome { caller_heard, phone_heard })
    })
}

fn voices(call: &DemoCall) -> Result<(Vec<i16>, Vec<i16>), DemoError> {
    let unusable = |error: &dyn std::fmt::Display| {
        DemoError::Refused(format!("{}: {error}. Give a stereo WAV of 16 bit at 8 kHz with --voices", call.voices.display()))
    };
    let mut reader = hound::WavReader::open(&call.voices).map_err(|error| unusable(&error))?;
    let spec = reader.spec();
    if (spec.channels, spec.sample_rate, spec.bits_per_sample) != (2, 8_000, 16) {
        return Err(unusable(&"not a stereo WAV of 16 bit at 8 kHz"));
    }
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
    let channel = |n: usize| samples.iter().skip(n).step_by(2).copied().collect::<Vec<_>>();
    Ok((channel(0), channel(1)))
}

/// How old the server's numbers may be: the phone of an agent who is ready has only just registered.
const NUMBERS_BEHIND: Duration = Duration::from_secs(2);

/// Waits until the server says that an agent could take a call, and tells what to do meanwhile.
fn wait_until_ready(call: &DemoCall, tell: &impl Fn(&str)) -> Result<(), DemoError> {
    let begin = clock::now().mono;
    let mut told = false;
    // Waiting for a datagram that nobody sends is the pause between two looks.
    let pause = std::net::UdpSocket::bind((call.trunk, 0))?;
    pause.set_read_timeout(Some(READY_INTERVAL))?;
    while agents_ready(call.http)? == 0 {
        let waited = clock::now().mono.saturating_duration_since(begin);
        if !told && waited >= NUMBERS_BEHIND {
            tell(&format!("Nobody is ready yet. Open http://{}, log in as the agent, and press Ready. Waiting …", call.http));
            told = true;
        }
        if waited > READY_PATIENCE {
            return Err(DemoError::Refused("Nobody became ready. Log in at the desk, press Ready, and try again.".to_owned()));
        }
        let _ = pause.recv(&mut [0; 1]);
    }
    Ok(())
}

/// Reads one gauge of the metrics page, which this machine may see without a session.
fn agents_ready(http: SocketAddr) -> Result<u64, DemoError> {
    let unreachable = |error| DemoError::Refused(format!("http://{http} does not answer ({error}). Start the server first: scripts/run"));
    let mut stream = TcpStream::connect_timeout(&http, Duration::from_secs(3)).map_err(unreachable)?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {http}\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let value = page.lines().find_map(|line| line.strip_prefix("throughline_agents_ready "));
    value.and_then(|v| v.trim().parse().ok()).ok_or_else(|| DemoError::Refused(format!("http://{http} is not a Throughline server")))
}
