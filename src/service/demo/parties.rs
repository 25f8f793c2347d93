//! The two sides of the demonstration: a carrier that calls in, a desk phone that registers and answers.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use super::{
    DemoCall, DemoError,
    media::{Player, Playing},
    user_agent::{Event, UserAgent, uri},
};
use crate::{
    protocol::{
        sdp::{AudioCodec, Direction, LocalMedia, Negotiated, Sdp, Session},
        sip::{
            build::{AddressHeader, Body, CredentialsHeader, Header, NumberHeader, Response},
            dialog::Dialog,
            digest::{Challenge, Ha1},
            field::{Address, Method, UriBuf},
            header::HeaderId,
            message::Message,
            parse::parse,
            transaction_layer::ServerId,
        },
    },
    service::clock,
};

/// How long the server may take for an answer.
const ANSWER: Duration = Duration::from_secs(32);
/// How long a caller lets it ring.
const RINGING: Duration = Duration::from_secs(170);
const EXPIRES: u32 = 300;

fn within(time: Duration) -> Instant {
    clock::now().mono + time
}

fn refused(what: &str, status: Option<u16>) -> DemoError {
    match status {
        Some(status) => DemoError::Refused(format!("{what}: the server answered {status}")),
        None => DemoError::Refused(format!("{what}: the server does not answer on SIP. Is it running?")),
    }
}

fn local_media(agent: &UserAgent, player: &Player) -> Result<LocalMedia, DemoError> {
    let (address, rtp_port) = (agent.local().ip(), player.port()?);
    Ok(LocalMedia {
        address,
        other_address: None,
        rtp_port,
        codecs: AudioCodec::ALL.to_vec(),
        comfort_noise: false,
        direction: Direction::SendRecv,
    })
}

/// An answered call.
pub struct Talk {
    agent: UserAgent,
    dialog: Dialog,
    playing: Playing,
}

impl Talk {
    /// Talks on for this long, or until the other side hangs up, then hangs up; returns what was heard.
    pub fn finish_after(mut self, length: Duration) -> Vec<i16> {
        if !self.wait_for_bye(within(length)) {
            let bye = self.dialog.request(Method::Bye);
            if let Ok(client) = self.agent.send(bye) {
                self.agent.response(client, within(ANSWER), false);
            }
        }
        self.playing.stop()
    }

    /// Talks on until the other side hangs up; false when it has not within this time.
    pub fn hung_up_within(&mut self, time: Duration) -> bool {
        self.wait_for_bye(within(time))
    }

    /// The line breaks: no goodbye; returns what was heard.
    pub fn break_off(self) -> Vec<i16> {
        self.playing.stop()
    }

    /// Answers requests until a BYE comes; false at the deadline.
    fn wait_for_bye(&mut self, deadline: Instant) -> bool {
        while let Some(event) = self.agent.next(deadline) {
            let Event::Request(bytes, transaction) = event else { continue };
            let is_bye = parse(&bytes).is_ok_and(|message| *message.method() == Method::Bye);
            self.agent.refuse(&bytes, transaction);
            if is_bye {
                return true;
            }
        }
        false
    }
}

/// A carrier's side of a call from outside.
pub struct TrunkCaller {
    agent: UserAgent,
    speaks: Arc<AtomicBool>,
}

impl TrunkCaller {
    /// Calls by this user agent.
    pub fn new(agent: UserAgent) -> Self {
        Self { agent, speaks: Arc::new(AtomicBool::new(true)) }
    }

    /// Says nothing until this is true.
    pub fn silent_until(self, speaks: Arc<AtomicBool>) -> Self {
        Self { speaks, ..self }
    }

    /// Calls and waits until it is answered.
    pub fn call(mut self, call: &DemoCall, voice: Vec<i16>) -> Result<Talk, DemoError> {
        let player = Player::bind(self.agent.local().ip(), voice)?.silent_until(self.speaks.clone());
        let mut session = Session::new(u64::from(self.agent.number()));
        let target = uri(Some(call.called.as_str()), call.sip);
        let from = Address::new(uri(Some(call.caller.as_str()), self.agent.local())).with_display(&call.caller_name);
        let mut invite = self.agent.request(Method::Invite, target.clone(), from, Address::new(target));
        let contact = self.agent.contact("trunk");
        invite.headers.push(Header::Address(AddressHeader::Contact, contact.clone()));
        invite.body = Some(Body::sdp(session.offer(&local_media(&self.agent, &player)?)));
        let client = self.agent.send(invite.clone())?;
        let Some((status, bytes)) = self.agent.response(client, within(RINGING), false) else {
            self.agent.cancel(client);
            return Err(refused("the call", None));
        };
        if status != 200 {
            return Err(refused("the call", Some(status)));
        }
        let answer = parse(&bytes).map_err(|_| refused("the call", Some(status)))?;
        let dialog = Dialog::calling(&invite, contact, &answer).map_err(|error| DemoError::Refused(error.to_string()))?;
        self.agent.acknowledge(&dialog, invite.cseq);
        let negotiated = read_sdp(&answer, |sdp| session.read_answer(sdp))?;
        let ssrc = self.agent.number();
        Ok(Talk { playing: player.start(&negotiated, ssrc)?, agent: self.agent, dialog })
    }
}

fn read_sdp<E: std::fmt::Display>(
    message: &Message<'_>,
    read: impl FnOnce(&Sdp<'_>) -> Result<Negotiated, E>,
) -> Result<Negotiated, DemoError> {
    let sdp = Sdp::parse(message.body()).map_err(|error| DemoError::Refused(error.to_string()))?;
    read(&sdp).map_err(|error| DemoError::Refused(error.to_string()))
}

/// A desk phone with an account.
pub struct DeskPhone {
    agent: UserAgent,
    user: String,
    incoming: Option<(Vec<u8>, ServerId)>,
}

impl DeskPhone {
    /// A phone of this account.
    pub fn new(agent: UserAgent, user: &str) -> Self {
        Self { agent, user: user.to_owned(), incoming: None }
    }

    /// Registers, answering the server's challenge.
    pub fn register(&mut self, password: &str) -> Result<(), DemoError> {
        let server = self.agent.server();
        let registrar = uri(None, server);
        let own = Address::new(uri(Some(&self.user), server));
        let mut request = self.agent.request(Method::Register, registrar.clone(), own.clone(), own);
        request.headers.push(Header::Address(AddressHeader::Contact, self.agent.contact(&self.user)));
        request.headers.push(Header::Number(NumberHeader::Expires, EXPIRES));
        let first = self.agent.send(request.clone())?;
        let Some((401, bytes)) = self.agent.response(first, within(ANSWER), false) else {
            return Err(refused("the registration", None));
        };
        let credentials = self.answer_challenge(&bytes, &registrar, password)?;
        request.cseq += 1;
        request.headers.push(credentials);
        let second = self.agent.send(request)?;
        match self.agent.response(second, within(ANSWER), false) {
            Some((200, _)) => Ok(()),
            other => Err(refused("the registration", other.map(|(status, _)| status))),
        }
    }

    fn answer_challenge(&mut self, response: &[u8], registrar: &UriBuf, password: &str) -> Result<Header, DemoError> {
        let message = parse(response).map_err(|_| refused("the registration", Some(401)))?;
        let mut challenges = message.header_lines(HeaderId::WwwAuthenticate).filter_map(|line| Challenge::parse(line).ok());
        let challenge = challenges.next().ok_or_else(|| refused("the registration", Some(401)))?;
        let ha1 = Ha1::of(&self.user, challenge.realm.as_str(), password);
        let cnonce = self.agent.token();
        let credentials = challenge.answer(&self.user, &ha1, &Method::Register, registrar.as_str(), &cnonce, 1);
        let credentials = credentials.ok_or_else(|| refused("the registration", Some(401)))?;
        Ok(Header::Credentials(CredentialsHeader::Authorization, credentials))
    }

    /// Waits for a call, lets it ring, answers it and talks until the other side hangs up; returns what was heard.
    pub fn answer(&mut self, ring: Duration, voice: Vec<i16>) -> Result<Vec<i16>, DemoError> {
        let playing = self.take(ring, voice)?;
        self.wait_for_end();
        Ok(playing.stop())
    }

    /// Whether a call comes within this time; it is there for [`DeskPhone::take`] then.
    pub fn is_called_within(&mut self, time: Duration) -> bool {
        let deadline = within(time);
        while self.incoming.is_none() {
            let Some(event) = self.agent.next(deadline) else { return false };
            let Event::Request(bytes, Some(transaction)) = event else { continue };
            if parse(&bytes).is_ok_and(|message| *message.method() == Method::Invite) {
                self.incoming = Some((bytes, transaction));
            } else {
                self.agent.refuse(&bytes, Some(transaction));
            }
        }
        true
    }

    /// Waits for a call, lets it ring and answers it; the audio runs until it is stopped.
    pub fn take(&mut self, ring: Duration, voice: Vec<i16>) -> Result<Playing, DemoError> {
        self.is_called_within(RINGING);
        let Some((bytes, transaction)) = self.incoming.take() else {
            return Err(DemoError::Refused("no call came to the phone. Is its agent ready?".to_owned()));
        };
        let invite = parse(&bytes).map_err(|_| refused("the phone's call", None))?;
        let tag = self.agent.token();
        let server = self.agent.server();
        let contact = self.agent.contact(&self.user);
        self.agent.respond(transaction, &Response::to(&invite, 180, &tag, server));
        if let Some(cancel) = self.wait_while_ringing(within(ring)) {
            self.agent.respond(transaction, &Response::to(&invite, 487, &tag, server));
            return Err(DemoError::Refused(format!("the caller hung up while the phone rang ({cancel})")));
        }
        let player = Player::bind(self.agent.local().ip(), voice)?;
        let mut session = Session::new(u64::from(self.agent.number()));
        let media = local_media(&self.agent, &player)?;
        let offer = Sdp::parse(invite.body()).map_err(|error| DemoError::Refused(error.to_string()))?;
        let answer = session.answer(&offer, &media).map_err(|error| DemoError::Refused(error.to_string()))?;
        let ok = Response::to(&invite, 200, &tag, server)
            .with(Header::Address(AddressHeader::Contact, contact))
            .with_body(Body::sdp(answer.sdp));
        self.agent.respond(transaction, &ok);
        Ok(player.start(&answer.negotiated, self.agent.number())?)
    }

    /// Rings until the deadline; the method's name when a CANCEL came.
    fn wait_while_ringing(&mut self, deadline: Instant) -> Option<&'static str> {
        while let Some(event) = self.agent.next(deadline) {
            let Event::Request(bytes, transaction) = event else { continue };
            let cancelled = parse(&bytes).is_ok_and(|message| *message.method() == Method::Cancel);
            self.agent.refuse(&bytes, transaction);
            if cancelled {
                return Some("CANCEL");
            }
        }
        None
    }

    /// Waits until the other side of a call hangs up.
    pub fn wait_for_end(&mut self) {
        /// Longest demonstration.
        const LONGEST: Duration = Duration::from_secs(600);
        let deadline = within(LONGEST);
        while let Some(event) = self.agent.next(deadline) {
            let Event::Request(bytes, transaction) = event else { continue };
            let is_bye = parse(&bytes).is_ok_and(|message| *message.method() == Method::Bye);
            self.agent.refuse(&bytes, transaction);
            if is_bye {
                return;
            }
        }
    }
}
