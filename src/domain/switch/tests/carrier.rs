//! A carrier's side in simulated time: asks for credentials, registers us, and remembers what it was told.

use std::net::SocketAddr;

use super::world::{World, config};
use crate::{
    domain::switch::{CallingGroup, Destinations, EmergencyNumbers, OutboundTrunk, Route, SwitchConfig, TrunkConfig},
    ids::PhoneNumber,
    protocol::sip::{
        build::{AddressHeader, ChallengeHeader, CredentialsHeader, Header, NumberHeader, Response},
        client_digest::ClientAccount,
        digest::{Authenticator, ChallengeOffer, Credentials, Ha1, Verdict},
        field::{Method, Text, Token},
        flow::Transport,
        message::Message,
    },
};

use std::sync::Arc;

pub const REALM: &str = "carrier.example";
pub const NUMBER: &str = "+442079460018";

/// What a carrier asks for.
pub struct Carrier {
    pub authenticator: Authenticator,
    /// The realm of what it sends; another than the account's is an attacker's.
    pub offer: ChallengeOffer,
    pub header: ChallengeHeader,
    /// Asks again whatever it is told.
    pub never_content: bool,
    /// Methods that it asks credentials for.
    pub methods: Vec<Method>,
    /// Methods whose credentials it accepted, in order.
    pub accepted: Vec<Method>,
    /// Requests that carried any credentials.
    pub told: usize,
    /// What a REGISTER gets beside a challenge.
    pub register: u16,
    pub granted: u32,
    pub now_ms: u64,
}

impl Carrier {
    pub fn new(realm: &str, header: ChallengeHeader) -> Self {
        Self {
            authenticator: Authenticator::new(realm, [9; 32]),
            offer: ChallengeOffer::Both,
            header,
            never_content: false,
            methods: vec![Method::Invite, Method::Bye, Method::Register, Method::Options],
            accepted: Vec::new(),
            told: 0,
            register: 200,
            granted: 100,
            now_ms: 1_000,
        }
    }

    fn answer_to(&self) -> CredentialsHeader {
        match self.header {
            ChallengeHeader::WwwAuthenticate => CredentialsHeader::Authorization,
            ChallengeHeader::ProxyAuthenticate => CredentialsHeader::ProxyAuthorization,
        }
    }

    /// The response that settles a request at once; `None` where the peer serves it.
    pub fn judge(&mut self, request: &Message<'_>, source: SocketAddr) -> Option<Response> {
        let method = request.method().clone();
        let realm = self.authenticator.realm().to_owned();
        let sent = Credentials::in_request(request, self.answer_to(), &realm, ChallengeOffer::Both).expect("readable");
        let any = [CredentialsHeader::Authorization, CredentialsHeader::ProxyAuthorization];
        self.told += usize::from(any.iter().any(|header| request.header(header.id()).is_some()));
        if self.methods.contains(&method) {
            let ha1 = Ha1::of("acme", &realm, "secret");
            let uri = request.request_uri().expect("a request");
            let verdict = sent.map(|sent| self.authenticator.verify(&sent, Some(&ha1), &method, &uri, self.now_ms));
            if self.never_content || verdict != Some(Verdict::Accepted) {
                self.now_ms += 1;
                let status = if self.header == ChallengeHeader::WwwAuthenticate { 401 } else { 407 };
                let stale = verdict == Some(Verdict::Stale);
                let mut response = Response::to(request, status, "c", source);
                let challenges = self.authenticator.challenges(self.offer, stale, self.now_ms, 5);
                response.headers.extend(challenges.into_iter().map(|challenge| Header::Challenge(self.header, challenge)));
                return Some(response);
            }
            self.accepted.push(method.clone());
        }
        (method == Method::Register).then(|| {
            let mut response = Response::to(request, self.register, "r", source);
            if self.register == 423 {
                response.headers.push(Header::Number(NumberHeader::MinExpires, 1_200));
                self.register = 200;
            }
            let contact = request.contacts().next().expect("a contact").to_owned();
            let expires = contact.with_param(&Token::new("expires").expect("token"), Some(Text::new(&self.granted.to_string())));
            response.with(Header::Address(AddressHeader::Contact, expires))
        })
    }
}

pub fn trunk_at(name: &str, host: &str, networks: &[&str]) -> TrunkConfig {
    TrunkConfig {
        name: name.to_owned(),
        networks: networks.iter().map(|network| network.parse().expect("network")).collect(),
        country: "GB".to_owned(),
        numbers: vec![(PhoneNumber::parse_e164(super::world::CALLED).expect("number"), "support".to_owned())],
        max_calls: Some(30),
        early_media: None,
        outbound: Some(OutboundTrunk {
            host: host.to_owned(),
            port: 5060,
            transport: Transport::Udp,
            listener: None,
            account: Some(Arc::new(ClientAccount::new("acme", REALM, "secret"))),
            register_seconds: None,
            caller_number: PhoneNumber::parse_e164(super::world::CALLED).ok(),
            callers: vec![("201".to_owned(), PhoneNumber::parse_e164("+442079460001").expect("number"))],
            max_calls_per_second: 1000,
        }),
    }
}

/// Two trunks, one route for home and one for everything, help by the second trunk, phones that may call home.
pub fn outbound_config() -> SwitchConfig {
    let mut config = config(40);
    config.trunks = vec![trunk_at("carrier", "203.0.113.9", &["203.0.113.0/24"]), trunk_at("backup", "198.18.0.9", &[])];
    let route = |prefix: &str, trunks: &[usize]| Route { prefix: prefix.to_owned(), trunks: trunks.to_vec(), strip: 0, add: String::new() };
    config.destinations = Destinations {
        country: "GB".to_owned(),
        emergency: EmergencyNumbers::of_country("GB"),
        emergency_route: Some(route("", &[1, 0])),
        routes: vec![route("+", &[0, 1])],
        groups: vec![CallingGroup {
            name: "agents".to_owned(),
            phones: vec!["*".to_owned()],
            international: vec!["+49".to_owned()],
            premium: Vec::new(),
            max_calls: 2,
            max_calls_per_hour: 60,
            max_refused_per_hour: 10,
        }],
    };
    config
}

impl World {
    /// A house whose two trunks are peers `n` and `n + 1`, after the phones.
    pub fn outside(agents: u8, seed: u64, change: impl FnOnce(&mut SwitchConfig)) -> (Self, usize) {
        println!("seed {seed}");
        let mut config = outbound_config();
        change(&mut config);
        let mut world = Self::with(agents, seed, config);
        let first = world.peers.len();
        for (n, host) in [(0u8, [203, 0, 113, 9]), (1, [198, 18, 0, 9])] {
            let address = SocketAddr::from((host, 5060));
            world.peers.push(super::peer::Peer::new(address, super::world::server(), "trunk", 200 + n));
        }
        (world, first)
    }

    /// A phone dials.
    pub fn dial(&mut self, phone: usize, called: &str) {
        let now = self.now.mono;
        self.peers[phone].call(now, called, |_| {});
    }
}
