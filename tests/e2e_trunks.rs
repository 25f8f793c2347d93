//! Real phones (baresip) call outside by a carrier (sipp) that asks who we are: fail-over, sound both ways, the record, help.
//!
//! ```text
//! baresip ─▶ throughline ─ 503 ─ broken trunk
//!                 └─ INVITE, 407, INVITE with credentials ─▶ sipp, which sends back what it hears
//! ```

mod support;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use support::{
    PATIENCE, agent, call,
    desk::Desk,
    installed,
    phone::{Account, Phone},
    server::{PHONES, Server, TRUNK},
    sound::{self, PAIRS, Pair},
    wait_for,
};

/// Where the trunk is that always fails.
const BROKEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const PASSWORD: &str = "planted-trunk-password";

/// A trunk that answers every INVITE with 503.
struct Broken {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Broken {
    fn start() -> Self {
        let socket = UdpSocket::bind((BROKEN, 0)).expect("a loopback address");
        let address = socket.local_addr().expect("bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        thread::spawn(move || {
            let mut buffer = [0; 65_535];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if !text.starts_with("INVITE ") {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let kept = |name: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|header| name.starts_with(header));
                let lines: Vec<String> = text
                    .lines()
                    .filter(kept)
                    .map(|line| if line.starts_with("To:") { format!("{line};tag=b") } else { line.to_owned() })
                    .collect();
                let answer = format!("SIP/2.0 503 Service Unavailable\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
                let _ = socket.send_to(answer.as_bytes(), from);
            }
        });
        Self { address, asked }
    }
}

/// sipp as the carrier of so many calls.
struct Carrier {
    child: Child,
    folder: std::path::PathBuf,
    port: u16,
}

fn free_port() -> u16 {
    wait_for("a free port", PATIENCE, || {
        let port = UdpSocket::bind((TRUNK, 0)).ok()?.local_addr().ok()?.port();
        (port % 2 == 0 && UdpSocket::bind((TRUNK, port + 1)).is_ok()).then_some(port)
    })
}

impl Carrier {
    fn start(folder: &Path, calls: usize) -> Self {
        fs::create_dir_all(folder).expect("sipp folder");
        fs::write(folder.join("trunk.xml"), scenario()).expect("scenario");
        let out = File::create(folder.join("log")).expect("log");
        let (port, address) = (free_port(), TRUNK.to_string());
        let child = Command::new("sipp")
            .args(["-sf", "trunk.xml", "-nostdin", "-trace_err", "-error_file", "errors", "-t", "u1", "-rtp_echo"])
            .args(["-m", &calls.to_string(), "-i", &address, "-mi", &address, "-p", &port.to_string(), "-mp", &free_port().to_string()])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("sipp starts");
        Self { child, folder: folder.to_owned(), port }
    }

    /// Waits until every call went as the scenario says.
    #[track_caller]
    fn wait_success(&mut self) {
        let status = wait_for("sipp to end", PATIENCE * 2, || self.child.try_wait().expect("its state"));
        let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
        assert!(status.success(), "sipp ended with {status}: {errors}");
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 407 to the first INVITE, 180 and 200 to the one with credentials; BYE has them too.
fn scenario() -> String {
    let response = |status: &str, tag: &str, more: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        format!(
            "<send><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:carrier@[local_ip]:[local_port]>\n{more}{kind}Content-Length: [len]\n\n{body}]]></send>\n"
        )
    };
    let tag = ";tag=[pid]t[call_number]";
    let sdp = "v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\n";
    let challenge = "Proxy-Authenticate: Digest realm=\"carrier.example\", nonce=\"n[call_number]\", qop=\"auth\", algorithm=MD5\n";
    // That the digest is right is shown in simulated time; sipp looks whether it is there.
    let proven = |method: &str, n: u8| {
        format!(
            "<recv request=\"{method}\"><action><ereg regexp=\"Digest username=.acme.\" search_in=\"hdr\" header=\"Proxy-Authorization:\" \
             check_it=\"true\" assign_to=\"{n}\"/></action></recv>\n"
        )
    };
    let invite = format!(
        "<recv request=\"INVITE\"/>\n{}<recv request=\"ACK\"/>\n",
        response("407 Proxy Authentication Required", tag, challenge, "")
    );
    let answer = format!("{}{}<recv request=\"ACK\"/>\n", response("180 Ringing", tag, "", ""), response("200 OK", tag, "", sdp));
    let end = response("200 OK", "", "", "");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"trunk\">\n{invite}{}{answer}{}{end}<Reference variables=\"1,2\"/>\n</scenario>\n",
        proven("INVITE", 1),
        proven("BYE", 2)
    )
}

fn trunks(carrier: u16, broken: SocketAddr) -> String {
    format!(
        "[[trunk]]\nname = \"broken\"\nhost = \"{}\"\nport = {}\n\n[[trunk]]\nname = \"carrier\"\naddresses = [\"{TRUNK}\"]\ncountry = \"GB\"\n\
         host = \"{TRUNK}\"\nport = {carrier}\nusername = \"acme\"\npassword_file = \"carrier.password\"\nrealm = \"carrier.example\"\n\
         caller_number = \"+442079460000\"\nmax_calls = 1\n[[trunk.number]]\ncalled = \"+442079460000\"\nqueue = \"support\"\n\n\
         [[route]]\nemergency = true\ntrunks = [\"carrier\"]\n[[route]]\nprefix = \"+44\"\ntrunks = [\"broken\", \"carrier\"]\n\n\
         [[group]]\nname = \"agents\"\nphones = [\"*\"]\n",
        broken.ip(),
        broken.port()
    )
}

fn write_password(config: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let path = config.join("carrier.password");
    fs::write(&path, PASSWORD).expect("password");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
}

fn phone(server: &Server, n: usize, pair: Pair) -> Phone {
    let folder = server.folder.path().join(format!("phone-{n}"));
    fs::create_dir_all(&folder).expect("phone folder");
    let microphone = folder.join("microphone.wav");
    sound::write_tone(&microphone, pair, 60);
    let (user, password) = PHONES[n];
    Phone::start(&folder, &Account { user, password, registrar: server.sip(), parameters: ";audio_codecs=PCMA/8000/1" }, &microphone)
}

fn start(carrier: &Carrier, broken: &Broken) -> Server {
    let (port, broken) = (carrier.port, broken.address);
    let change = move |name: &str, text: String| if name == "trunks.toml" { trunks(port, broken) } else { text };
    Server::set_up(&support::server::Setup { change: Some(&change), prepare: Some(&write_password), ..Default::default() })
}

fn dial(phone: &mut Phone, server: &Server, number: &str) {
    phone.command("dial", &format!("sip:{number}@{}", server.sip()));
}

#[test]
fn a_phone_calls_outside_is_heard_recorded_and_wrapped_up_and_help_passes_the_cap() {
    if !(installed("baresip") && installed("sipp")) {
        return;
    }
    let sipp = tempfile::Builder::new().prefix("throughline-trunk-").tempdir().expect("a temporary folder");
    let (broken, mut carrier) = (Broken::start(), Carrier::start(sipp.path(), 2));
    let server = start(&carrier, &broken);
    let client = server.login("daniel");
    let mut desk = Desk::connect(&client);
    desk.ready();
    let (mut ann, mut bob) = (phone(&server, 0, PAIRS[0]), phone(&server, 1, PAIRS[1]));
    dial(&mut ann, &server, "02079460018");
    ann.wait_established();
    assert_eq!(broken.asked.load(Ordering::Relaxed), 1, "the first trunk of the route failed");
    desk.wait("the call at the desk", |desk| !desk.view["call"]["answered_at"].is_null());
    let shown = desk.view["call"].clone();
    assert_eq!((shown["direction"].as_str(), shown["brief"]["number"].as_str()), (Some("outbound"), Some("+442079460018")));

    // The carrier takes one call: another is refused, help is not.
    dial(&mut bob, &server, "02079460019");
    assert!(bob.wait_closed().starts_with("503"), "the trunk is full");
    dial(&mut bob, &server, "09098790000");
    assert!(bob.wait_closed().starts_with("403"), "an expensive number");
    dial(&mut bob, &server, "999");
    bob.wait_established();
    bob.command("hangup", "");
    bob.wait_closed();

    let interaction = shown["interaction"].as_str().expect("an id").to_owned();
    let seconds = |phone: &Phone| {
        let files = fs::read_dir(phone.folder.join("rec")).into_iter().flatten().flatten();
        files
            .filter(|f| f.path().to_string_lossy().ends_with("-dec.wav"))
            .filter_map(|f| f.metadata().ok())
            .map(|m| m.len())
            .max()
            .unwrap_or(0)
            / 16_000
    };
    wait_for("4 s of sound", PATIENCE, || (seconds(&ann) >= 4).then_some(()));
    ann.command("hangup", "");
    ann.wait_closed();
    carrier.wait_success();
    desk.wait("the wrap-up", |desk| !desk.view["wrap_up"].is_null());
    assert_eq!(desk.view["wrap_up"]["direction"], "outbound");
    ann.quit();
    bob.quit();
    // What the phone said went to the carrier, which sent it back.
    sound::assert_only(&ann.heard()[0], PAIRS[0], 0.6, "what the phone heard");

    let page = call::page(&client, &interaction, "the record", |page| page["recording"]["state"] == "ready" || page["ended_at"].is_i64());
    assert_eq!(page["direction"], "outbound", "{page:#}");
    let [customer, agent] = wait_for("the recording", PATIENCE, || {
        let answer = client.get(&format!("/api/interactions/{interaction}/audio.wav"));
        (answer.status == 200).then(|| agent::recording(&client, &interaction))
    });
    for (track, what) in [(customer, "the carrier's track"), (agent, "the phone's track")] {
        sound::assert_only(sound::span(&track, PAIRS[0]), PAIRS[0], 0.8, what);
    }
    assert_eq!(server.metric("throughline_outbound_emergency_total"), Some(1.0));
    assert_eq!(
        server.metric("throughline_outbound_failed_over_total"),
        Some(2.0),
        "the call that found the carrier full had been at the broken one too"
    );
    let log = server.log_text();
    assert!(!log.contains(PASSWORD) && !log.contains("2079460018"), "neither passwords nor numbers are logged");
}
