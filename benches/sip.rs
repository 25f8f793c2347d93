//! What a datagram costs: parse, parse with the typed headers that routing reads, a response to it, a digest check.

use divan::{Bencher, black_box};
use throughline::{
    ids::PhoneNumber,
    protocol::sip::{
        build::Response,
        digest::{Authenticator, ChallengeOffer, Ha1},
        field::Method,
        message::Message,
        parse::parse,
        peek::Peek,
        refusal::Refusal,
        uri::Uri,
    },
};

/// 1.1 kB, as a desk phone sends it.
const INVITE: &[u8] = b"INVITE sip:4711@desk.example:5060;transport=udp SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.168.178.45:5062;branch=z9hG4bK-524287-1---7d3f1a2b9c8e4d5f;rport\r\n\
Max-Forwards: 70\r\n\
Contact: <sip:anna@192.168.178.45:5062;transport=UDP;line=8f3a>\r\n\
To: \"4711\" <sip:4711@desk.example>\r\n\
From: \"Anna Weber\" <sip:anna@desk.example;user=phone>;tag=a73kszlfl\r\n\
Call-ID: Y2NkMzg1NmU4ZjQ5ODc2NTQzMjE.192.168.178.45\r\n\
CSeq: 2 INVITE\r\n\
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE, UPDATE\r\n\
Content-Type: application/sdp\r\n\
Supported: replaces, norefersub, extended-refer, timer, outbound, path\r\n\
Session-Expires: 1800;refresher=uac\r\n\
User-Agent: Deskphone 7.3 rev 42\r\n\
Allow-Events: presence, kpml, talk, hold, refer\r\n\
Content-Length: 336\r\n\r\n\
v=0\r\no=- 3847261 3847261 IN IP4 192.168.178.45\r\ns=Deskphone\r\nc=IN IP4 192.168.178.45\r\nt=0 0\r\n\
m=audio 16384 RTP/AVP 8 0 9 18 96 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n\
a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\na=rtcp:16385\r\n";

/// Counts allocations: parsing must show none.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn message() -> Message<'static> {
    parse(INVITE).unwrap_or_else(|e| unreachable!("the bench's own message: {e}"))
}

#[divan::bench]
fn parse_invite() -> usize {
    parse(black_box(INVITE)).map_or(0, |m| m.body().len())
}

#[divan::bench]
fn parse_and_read_what_routing_needs() -> usize {
    let Ok(m) = parse(black_box(INVITE)) else { return 0 };
    let user = m.request_uri().and_then(|u| u.user()).map_or(0, |u| u.len());
    let tags = m.from_tag().map_or(0, str::len) + m.to_tag().map_or(0, str::len);
    let via = m.via().rfc3261_branch().map_or(0, str::len) + usize::from(m.via().port.unwrap_or(0));
    let contact = m.contacts().next().and_then(|c| c.uri.port()).map_or(0, usize::from);
    user + tags + via + contact + m.call_id().len() + m.cseq().seq as usize + m.routes().count()
}

#[divan::bench(args = ["+447911123456", "02079460101"])]
fn read_a_telephone_number(number: &str) -> bool {
    PhoneNumber::parse_in(black_box(number), "GB").is_ok()
}

#[divan::bench]
fn build_a_180(bencher: Bencher<'_, '_>) {
    let request = message();
    bencher.bench_local(|| Response::to(black_box(&request), 180, "b81c2", ([192, 168, 178, 45], 5062).into()).to_bytes());
}

#[divan::bench]
fn glance_at_an_invite() -> bool {
    Peek::at(black_box(INVITE)).has_credentials
}

/// What overload costs for each call that is refused, sockets aside: a glance, and the answer from the octets.
#[divan::bench]
fn glance_and_refuse(bencher: Bencher<'_, '_>) {
    let refusal = Refusal { to_tag: "ax1-0", server: "Throughline", retry_after: Some(7) };
    let (source, mut out) = (([192, 168, 178, 45], 5062).into(), Vec::with_capacity(4_096));
    bencher.bench_local(|| {
        out.clear();
        let method = Peek::at(black_box(INVITE)).method?;
        refusal.write(&mut out, black_box(INVITE), &method, source)
    });
}

/// The same through the parser and typed fields.
#[divan::bench]
fn parse_and_refuse(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let request = parse(black_box(INVITE)).ok()?;
        Some(Response::to(&request, 503, "ax1-0", ([192, 168, 178, 45], 5062).into()).to_bytes())
    });
}

#[divan::bench(args = [ChallengeOffer::Sha256Only, ChallengeOffer::Md5Only])]
fn verify_digest(bencher: Bencher<'_, '_>, offer: &ChallengeOffer) {
    let mut server = Authenticator::new("desk.example", [1; 32]);
    let account = Ha1::of("anna", "desk.example", "geheim");
    let challenge = server.challenges(*offer, false, 1000, 1).remove(0);
    let answer = challenge.answer("anna", &account, &Method::Register, "sip:desk.example", "c", 1);
    let (Some(answer), Some(uri)) = (answer, Uri::parse(b"sip:desk.example")) else { return };
    bencher.bench_local(|| server.verify(black_box(&answer), Some(&account), &Method::Register, &uri, 1000));
}
