//! What strangers can learn and what they get: answers to known and unknown users, octets out for octets in.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use super::{
    report::Report,
    server::{Plan, Server},
    sip::{Ask, Place},
    stats::Samples,
};

/// Asks `tries` times for each, in turn, with a password that is wrong.
pub fn run(tries: u32, report: &mut Report) -> anyhow::Result<()> {
    let server = Server::start(&Plan { phones: 1, record: "none", max_calls: 10, ..Plan::default() })?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server.sip())?;
    // One who guesses too often gets no answer at all any more: that is counted, not waited for.
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let (mut known, mut unknown) = (Samples::default(), Samples::default());
    let (mut differing, mut unanswered) = (0, 0);
    // The first answers teach the server what this source can do, and are not counted.
    for n in 0..=tries {
        let mut lengths = [0; 2];
        for (place, (user, samples)) in [("p0", &mut known), ("x0", &mut unknown)].into_iter().enumerate() {
            let begin = Instant::now();
            match ask(&socket, &server, "REGISTER", user, n)? {
                Some((_, received)) if n > 0 => {
                    samples.add(begin.elapsed());
                    lengths[place] = received;
                }
                Some(_) => {}
                None => unanswered += 1,
            }
        }
        differing += u32::from(lengths[0] != lengths[1]);
    }
    // The median beside the mean: one interruption of this machine weighs more than any difference.
    let difference = (known.mean_us() / unknown.mean_us() - 1.0) * 100.0;
    let medians = (known.at(0.5) / unknown.at(0.5) - 1.0) * 100.0;
    let measured = format!(
        "{difference:+.1} % (medians {medians:+.1} %), answers of another length {differing}, unanswered {unanswered} of {}",
        2 * tries
    );
    report.row(&format!("known and unknown users, mean time of {tries}"), "within 5 %", &measured, medians.abs() <= 5.0 && differing == 0);
    let mut worst = (0.0, "");
    for method in ["REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "BYE", "MESSAGE"] {
        let stranger = UdpSocket::bind("127.0.0.1:0")?;
        stranger.connect(server.sip())?;
        stranger.set_read_timeout(Some(Duration::from_millis(200)))?;
        if let Some((sent, mut received)) = ask(&stranger, &server, method, "x0", 0)? {
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

/// Octets sent and received; `None` where no answer comes.
fn ask(socket: &UdpSocket, server: &Server, method: &str, user: &str, n: u32) -> anyhow::Result<Option<(usize, usize)>> {
    let (local, sip) = (socket.local_addr()?, server.sip());
    let call_id = format!("s{n:08}{user}x{}", local.port());
    let place = Place { local, user, server: sip, call_id: &call_id };
    let target = format!("sip:{sip}");
    let extra = format!(
        "Authorization: Digest username=\"{user}\", realm=\"throughline\", nonce=\"{n:032x}\", uri=\"{target}\", \
         response=\"00000000000000000000000000000000\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"load\"\r\n"
    );
    let mut out = Vec::new();
    let extra = if method == "REGISTER" && n > 0 { extra.as_str() } else { "" };
    place.request(&mut out, &Ask { method, target: &target, to: &format!("<sip:{user}@{sip}>"), cseq: 1, extra, body: "" });
    socket.send(&out)?;
    let mut buffer = [0; 4096];
    Ok(socket.recv(&mut buffer).ok().map(|received| (out.len(), received)))
}
