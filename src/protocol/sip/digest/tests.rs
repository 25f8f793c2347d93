//! The examples of RFC 7616, replays, stale nonces, and users that do not exist.

use proptest::prelude::*;

use super::*;
use crate::protocol::sip::parse::parse;

const NOW: u64 = 1_790_000_000_000;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).expect("a URI")
}

/// The example of RFC 7616 §3.9.1.
fn rfc_example(algorithm: Algorithm) -> String {
    let credentials = Credentials {
        username: "Mufasa".into(),
        realm: "http-auth@example.org".into(),
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
        uri: "/dir/index.html".into(),
        response: Text::default(),
        algorithm,
        opaque: None,
        qop_auth: Some(("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".into(), 1)),
    };
    let ha1 = Ha1::of("Mufasa", "http-auth@example.org", "Circle of Life");
    credentials.expected(&ha1.to_hex(algorithm).expect("both hashes"), "GET")
}

#[test]
fn the_examples_of_rfc_7616_come_out() {
    assert_eq!(rfc_example(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
    assert_eq!(rfc_example(Algorithm::Sha256), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

/// A server, an account, and what a phone with `password` answers to a challenge.
struct Scene {
    server: Authenticator,
    account: Ha1,
}

impl Scene {
    fn new() -> Self {
        Self { server: Authenticator::new("desk.example", [3; 32]), account: Ha1::of("anna", "desk.example", "geheim") }
    }

    fn answer(&self, offer: ChallengeOffer, password: &str, nc: u32, made_at: u64) -> Credentials {
        let challenge = self.server.challenges(offer, false, made_at, 1).remove(0);
        let ha1 = Ha1::of("anna", "desk.example", password);
        challenge.answer("anna", &ha1, &Method::Register, "sip:desk.example", "c1", nc).expect("both hashes")
    }

    fn verify(&mut self, credentials: &Credentials, known: bool, at: u64) -> Verdict {
        let account = self.account.clone();
        self.server.verify(credentials, known.then_some(&account), &Method::Register, &uri("sip:desk.example:5060"), at)
    }
}

#[test]
fn the_right_password_passes_once_per_count() {
    for offer in [ChallengeOffer::Both, ChallengeOffer::Md5Only] {
        let mut scene = Scene::new();
        let first = scene.answer(offer, "geheim", 1, NOW);
        assert_eq!(scene.verify(&first, true, NOW), Verdict::Accepted);
        assert_eq!(scene.verify(&first, true, NOW), Verdict::Stale, "a replay");
        let second = scene.answer(offer, "geheim", 2, NOW);
        assert_eq!(scene.verify(&second, true, NOW), Verdict::Accepted);
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_alike() {
    let mut scene = Scene::new();
    let wrong = scene.answer(ChallengeOffer::Both, "falsch", 1, NOW);
    assert_eq!(scene.verify(&wrong, true, NOW), Verdict::Refused);
    let unknown = scene.answer(ChallengeOffer::Both, "geheim", 1, NOW);
    assert_eq!(scene.verify(&unknown, false, NOW), Verdict::Refused);
    assert!(scene.server.window().is_empty(), "strangers take no place");
}

#[test]
fn an_old_or_foreign_nonce_with_the_right_password_is_stale() {
    let mut scene = Scene::new();
    let old = scene.answer(ChallengeOffer::Both, "geheim", 1, NOW);
    assert_eq!(scene.verify(&old, true, NOW + nonce::NONCE_LIFETIME_MS + 1), Verdict::Stale);
    let restarted = Authenticator::new("desk.example", [4; 32]);
    scene.server = restarted;
    assert_eq!(scene.verify(&old, true, NOW), Verdict::Stale);
}

#[test]
fn another_method_or_request_uri_does_not_pass() {
    let mut scene = Scene::new();
    let credentials = scene.answer(ChallengeOffer::Both, "geheim", 1, NOW);
    let account = scene.account.clone();
    let mut verify = |method, target| scene.server.verify(&credentials, Some(&account), &method, &uri(target), NOW);
    assert_eq!(verify(Method::Invite, "sip:desk.example"), Verdict::Refused);
    assert_eq!(verify(Method::Register, "sip:4711@desk.example"), Verdict::OtherUri);
    assert_eq!(verify(Method::Register, "sip:DESK.example;transport=udp"), Verdict::Accepted);
}

#[test]
fn an_old_phone_without_qop_uses_a_nonce_once() {
    let mut scene = Scene::new();
    let mut challenge = scene.server.challenges(ChallengeOffer::Md5Only, false, NOW, 1).remove(0);
    challenge.qop_auth = false;
    let old = challenge.answer("anna", &scene.account, &Method::Register, "sip:desk.example", "", 0).expect("MD5");
    assert_eq!(scene.verify(&old, true, NOW), Verdict::Accepted);
    assert_eq!(scene.verify(&old, true, NOW), Verdict::Stale);
}

#[test]
fn an_account_without_the_algorithm_is_refused() {
    let mut scene = Scene::new();
    let md5 = scene.account.to_hex(Algorithm::Md5);
    scene.account = Ha1::from_hex(md5.as_deref(), None).expect("hexadecimal");
    let sha = scene.answer(ChallengeOffer::Sha256Only, "geheim", 1, NOW);
    assert_eq!(scene.verify(&sha, true, NOW), Verdict::Refused);
    let md5 = scene.answer(ChallengeOffer::Md5Only, "geheim", 1, NOW);
    assert_eq!(scene.verify(&md5, true, NOW), Verdict::Accepted);
    assert!(Ha1::from_hex(Some("abc"), None).is_none());
    assert!(!format!("{:?}", scene.account).contains("md5"), "hashes are not shown");
}

#[test]
fn two_challenges_name_sha_256_first() {
    let scene = Scene::new();
    let both = scene.server.challenges(ChallengeOffer::Both, true, NOW, 9);
    assert_eq!(both.iter().map(|c| c.algorithm).collect::<Vec<_>>(), [Algorithm::Sha256, Algorithm::Md5]);
    assert!(both.iter().all(|c| c.stale && c.qop_auth && c.nonce == both[0].nonce));
    assert_ne!(both[0].nonce, scene.server.challenges(ChallengeOffer::Both, true, NOW, 10)[0].nonce);
}

#[test]
fn fields_are_read_with_and_without_quotes() {
    let read = Credentials::parse(
        b"Digest username=\"a\\\"b\",realm=x , nonce = \"n\", uri=\"sip:x\",response=\"r\",\r\n algorithm=md5,cnonce=c,qop=\"auth\",nc=0000000a",
    )
    .expect("well formed");
    assert_eq!((read.username.as_str(), read.realm.as_str(), read.algorithm), ("a\"b", "x", Algorithm::Md5));
    assert_eq!(read.qop_auth, Some(("c".into(), 10)));
    assert_eq!(Credentials::parse(b"NoOneKnows opaque=1"), Err(DigestError::Unsupported));
    assert_eq!(Credentials::parse(b"Digest username=\"a"), Err(DigestError::Malformed));
    assert_eq!(Credentials::parse(b"Digest"), Err(DigestError::Malformed));
    let sess = b"Digest username=a, realm=x, nonce=n, uri=u, response=r, algorithm=MD5-sess";
    assert_eq!(Credentials::parse(sess), Err(DigestError::Unsupported));
}

#[test]
fn the_credentials_for_our_realm_are_found_among_others() {
    let one = |realm: &str| format!("Authorization: Digest username=u, realm={realm}, nonce=n, uri=\"sip:d\", response=r\r\n");
    let request = |auth: &str| {
        format!(
            "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:u@d>;tag=1\r\nTo: <sip:u@d>\r\n\
             Call-ID: c\r\nCSeq: 1 REGISTER\r\n{auth}\r\n"
        )
    };
    let look = |auth: &str| {
        let text = request(auth);
        let message = parse(text.as_bytes()).expect("well formed");
        let found = Credentials::in_request(&message, CredentialsHeader::Authorization, "desk", ChallengeOffer::Both);
        found.map(|found| found.map(|c| c.realm.to_string()))
    };
    assert_eq!(look(&format!("{}{}", one("other"), one("desk"))), Ok(Some("desk".into())));
    assert_eq!(look(&one("other")), Ok(None));
    assert_eq!(look("Authorization: Basic abc\r\n"), Ok(None));
    assert_eq!(look("Authorization: Digest username=\r\n"), Err(DigestError::Malformed));
}

#[test]
fn an_answer_by_an_algorithm_that_was_not_offered_is_as_if_it_were_not_there() {
    let one = |algorithm: &str| format!("Authorization: Digest username=u, realm=desk, nonce=n, uri=\"sip:d\", response=r{algorithm}\r\n");
    let (plain, md5, sha) = (one(""), one(", algorithm=MD5"), one(", algorithm=SHA-256"));
    let look = |lines: &str, offered| {
        let text = format!(
            "REGISTER sip:d SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:u@d>;tag=1\r\nTo: <sip:u@d>\r\n\
             Call-ID: c\r\nCSeq: 1 REGISTER\r\n{lines}\r\n"
        );
        let message = parse(text.as_bytes()).expect("well formed");
        Credentials::in_request(&message, CredentialsHeader::Authorization, "desk", offered).expect("readable").map(|c| c.algorithm)
    };
    for md5 in [&plain, &md5] {
        assert_eq!(look(md5, ChallengeOffer::Sha256Only), None);
        assert_eq!(look(md5, ChallengeOffer::BothMd5First), Some(Algorithm::Md5));
        assert_eq!(look(&format!("{md5}{sha}"), ChallengeOffer::Sha256Only), Some(Algorithm::Sha256), "the one that was asked for");
    }
    assert_eq!(look(&sha, ChallengeOffer::Md5Only), None);
}

#[test]
fn every_list_of_algorithms_without_repetition_is_an_offer() {
    use Algorithm::{Md5, Sha256};
    for list in [&[Sha256, Md5][..], &[Md5, Sha256], &[Sha256], &[Md5]] {
        let offer = ChallengeOffer::of(list).expect("a list");
        assert_eq!(offer.algorithms(), list);
        assert_eq!(offer.first().algorithms(), &list[..1]);
    }
    assert_eq!((ChallengeOffer::of(&[]), ChallengeOffer::of(&[Md5, Md5])), (None, None));
}

/// Digest fields, more or less.
fn nearly_digest() -> impl Strategy<Value = Vec<u8>> {
    let name =
        prop::sample::select(vec!["username", "realm", "nonce", "uri", "response", "algorithm", "opaque", "qop", "nc", "cnonce", "stale"]);
    let value = prop_oneof![
        Just("\"a\"".to_owned()),
        Just("auth".to_owned()),
        Just("MD5".to_owned()),
        Just("00000001".to_owned()),
        "\"[ -~]{0,40}\\\\?",
        "[ -~]{0,20}",
    ];
    let fields = prop::collection::vec((name, value), 0..14);
    fields.prop_map(|fields| {
        let list: Vec<_> = fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Digest {}", list.join(", ")).into_bytes()
    })
}

proptest! {
    #[test]
    fn any_fields_are_read_or_refused_and_what_is_read_is_no_longer_than_it_came(
        bytes in prop_oneof![nearly_digest(), prop::collection::vec(any::<u8>(), 0..300)],
    ) {
        if let Ok(found) = Credentials::parse(&bytes) {
            let fields = [&found.username, &found.realm, &found.nonce, &found.uri, &found.response];
            prop_assert!(fields.iter().map(|field| field.as_str().len()).sum::<usize>() <= bytes.len());
        }
        if let Ok(challenge) = Challenge::parse(&bytes) {
            let ha1 = Ha1::of("user", challenge.realm.as_str(), "secret");
            let _ = challenge.answer("user", &ha1, &Method::Register, "sip:a", "cnonce", 1);
        }
    }

    #[test]
    fn no_text_but_our_own_is_a_fresh_nonce(text in "([0-9a-f]{0,80})|(\\PC{0,60})", now_ms: u64) {
        let stale = super::super::nonce::check(&[7; 32], "desk", &text, now_ms);
        prop_assert_eq!(stale, super::super::nonce::NonceCheck::Stale);
    }
}
