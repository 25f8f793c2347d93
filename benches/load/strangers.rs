//! What strangers can learn and what they get: answers to known and unknown users, octets out for octets in.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use super::{
    report::Report,
    server::{Plan, Server},
    sip::{Ask, Place},
    stats::Samples,
};

/// Where a stranger asks from: each try has a network of its own, so that no limit for one source ends the measurement.
fn elsewhere(n: u32) -> Ipv4Addr {
    let [_, _, high, low] = n.to_be_bytes();
    Ipv4Addr::new(127, 16 + high, low, 9)
}

/// Asks `tries` times for each kind of user, in turn, with a password that is wrong for a challenge that is right.
pub fn run(tries: u32, report: &mut Report) -> anyhow::Result<()> {
    let server = Server::start(&Plan { phones: 1, record: "none", max_calls: 10, ..Plan::default() })?;
    let (mut known, mut unknown) = (Samples::default(), Samples::default());
    let (mut differing, mut unanswered) = (0, 0);
    // The first tries warm both ways up, and are not counted.
    let warm = 20.min(tries / 10);
    for n in 0..tries + warm {
        let mut lengths = [0; 2];
        // Who is first changes, so that neither always finds the cache that the other left.
        for place in if n % 2 == 0 { [0_u32, 1] } else { [1, 0] } {
            let (user, samples) = if place == 0 { ("p0", &mut known) } else { ("x0", &mut unknown) };
            let socket = UdpSocket::bind((elsewhere(2 * n + place), 0))?;
            socket.connect(server.sip())?;
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            let challenge = ask(&socket, &server, "REGISTER", user, (n, None))?.map(|answer| answer.nonce);
            let begin = Instant::now();
            match ask(&socket, &server, "REGISTER", user, (n, challenge.as_deref()))? {
                Some(answer) if n >= warm => {
                    samples.add(begin.elapsed());
                    lengths[place as usize] = answer.received;
                }
                Some(_) => {}
                None => unanswered += 1,
            }
        }
        differing += u32::from(lengths[0] != lengths[1]);
    }
    let percent = |known: f64, unknown: f64| (known / unknown - 1.0) * 100.0;
    let difference = percent(known.steady_mean_us(), unknown.steady_mean_us());
    let (all, medians) = (percent(known.mean_us(), unknown.mean_us()), percent(known.at(0.5), unknown.at(0.5)));
    let measured = format!(
        "{difference:+.1} % of {:.0} µs without the slowest 1 % (with them {all:+.1} %, medians {medians:+.1} %), answers of another length \
         {differing}, unanswered {unanswered} of {}",
        unknown.steady_mean_us(),
        2 * tries
    );
    let row = format!("known and unknown users, mean time of {tries} from as many networks");
    report.row(&row, "within 5 %", &measured, difference.abs() <= 5.0 && differing == 0 && unanswered == 0);
    let mut worst = (0.0, "");
    for method in ["REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "BYE", "MESSAGE"] {
        let stranger = UdpSocket::bind("127.0.0.1:0")?;
        stranger.connect(server.sip())?;
        stranger.set_read_timeout(Some(Duration::from_millis(200)))?;
        if let Some(Answer { sent, mut received, nonce: _ }) = ask(&stranger, &server, method, "x0", (0, None))? {
            let mut buffer = [0; 4096];
            while let Ok(more) = stranger.recv(&mut buffer) {
                received += more;
            }
            let factor = received as f64 / sent as f64;
            if factor > worst.0 {
                worst = (factor, method);
            }
        }
    }
    report.row("octets out for an octet in, to a stranger", "≤ 2", &format!("{:.2} ({})", worst.0, worst.1), worst.0 <= 2.0);
    Ok(())
}

/// What came of a request: octets sent and received, and the nonce of the challenge.
struct Answer {
    sent: usize,
    received: usize,
    nonce: String,
}

/// Asks, with wrong credentials where there is a nonce for them; `None` where no answer comes.
fn ask(socket: &UdpSocket, server: &Server, method: &str, user: &str, (n, nonce): (u32, Option<&str>)) -> anyhow::Result<Option<Answer>> {
    let (local, sip) = (socket.local_addr()?, server.sip());
    let call_id = format!("s{n:08}{user}x{:05}", local.port());
    let place = Place { local, user, server: sip, call_id: &call_id };
    let target = format!("sip:{sip}");
    let with = |nonce: &str| {
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"throughline\", nonce=\"{nonce}\", uri=\"{target}\", \
             response=\"{:064}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"load\"\r\n",
            0
        )
    };
    let extra = nonce.map(with).unwrap_or_default();
    let mut out = Vec::new();
    let (to, cseq) = (format!("<sip:{user}@{sip}>"), 1 + u32::from(nonce.is_some()));
    place.request(&mut out, &Ask { method, target: &target, to: &to, cseq, extra: &extra, body: "" });
    socket.send(&out)?;
    let mut buffer = [0; 4096];
    let Ok(received) = socket.recv(&mut buffer) else { return Ok(None) };
    let text = String::from_utf8_lossy(&buffer[..received]);
    let nonce = text.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned();
    Ok(Some(Answer { sent: out.len(), received, nonce }))
}
