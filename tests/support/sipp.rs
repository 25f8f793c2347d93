//! sipp as a carrier: a call from an address of a trunk, the caller's voice as raw A-law.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use throughline::protocol::audio::g711;

use super::{PATIENCE, server::TRUNK, wait_for};

/// How the caller ends a call.
pub enum Then {
    /// Talks for this long after the answer, then hangs up.
    Talk(Duration),
    /// Hangs up as soon as it is answered.
    HangUp,
    /// Is answered, and waits until the other side hangs up.
    IsLetGo,
}

/// A call that sipp places.
pub struct Sipp {
    child: Child,
    log: std::path::PathBuf,
}

/// Who calls, as the From header has it: display name in quotes and user part.
pub struct Caller<'a> {
    pub display: &'a str,
    pub number: &'a str,
}

impl Sipp {
    /// Calls `+442079460000`; `folder` is this call's own.
    pub fn call(folder: &Path, server: SocketAddr, caller: &Caller<'_>, voice: &[i16], then: &Then) -> Self {
        Self::call_over("u1", folder, server, caller, voice, then)
    }

    /// The same over `t1` (one connection), `tn` (one for each call) or `u1`.
    pub fn call_over(transport: &str, folder: &Path, server: SocketAddr, caller: &Caller<'_>, voice: &[i16], then: &Then) -> Self {
        fs::create_dir_all(folder).expect("sipp folder");
        fs::write(folder.join("voice.al"), voice.iter().map(|sample| g711::linear_to_alaw(*sample)).collect::<Vec<_>>()).expect("voice");
        fs::write(folder.join("call.xml"), scenario(caller, then)).expect("scenario");
        Self::start((TRUNK, transport), folder, server, Path::new("call.xml"), Duration::ZERO, &[])
    }

    /// One call by a scenario of `tests/sipp` that talks this long; `keys` are what it has in square brackets.
    pub fn scenario(folder: &Path, server: SocketAddr, name: &str, talk: Duration, keys: &[(&str, String)]) -> Self {
        Self::scenario_from(TRUNK, folder, server, name, talk, keys)
    }

    /// The same from another address.
    pub fn scenario_from(from: Ipv4Addr, folder: &Path, server: SocketAddr, name: &str, talk: Duration, keys: &[(&str, String)]) -> Self {
        fs::create_dir_all(folder).expect("sipp folder");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(name);
        Self::start((from, "u1"), folder, server, &file, talk, keys)
    }

    /// Many calls by a scenario of `tests/sipp`; `more` are sipp's own arguments: rate, number.
    pub fn many(folder: &Path, server: SocketAddr, name: &str, talk: Duration, more: &[String]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(name);
        Self::run((TRUNK, "u1"), folder, server, &file, talk, more)
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// Whether a call went otherwise than the scenario says, after the end.
    pub fn failed(&mut self) -> bool {
        !self.child.wait().expect("its end").success()
    }

    fn start(
        (from, transport): (Ipv4Addr, &str),
        folder: &Path,
        server: SocketAddr,
        scenario: &Path,
        talk: Duration,
        keys: &[(&str, String)],
    ) -> Self {
        let mut more = vec!["-m".to_owned(), "1".to_owned()];
        more.extend(keys.iter().flat_map(|(name, value)| ["-key".to_owned(), (*name).to_owned(), value.clone()]));
        Self::run((from, transport), folder, server, scenario, talk, &more)
    }

    fn run(
        (from, transport): (Ipv4Addr, &str),
        folder: &Path,
        server: SocketAddr,
        scenario: &Path,
        talk: Duration,
        more: &[String],
    ) -> Self {
        let log = folder.join("log");
        let out = File::create(&log).expect("log");
        let address = from.to_string();
        let child = Command::new("sipp")
            .arg(server.to_string())
            .arg("-sf")
            .arg(scenario)
            .args(["-nostdin", "-trace_err", "-error_file", "errors", "-t", transport])
            // Of `tn`: its own limit lies above that of open files.
            .args(["-max_socket", "100"])
            .args(["-i", &address, "-mi", &address])
            .args(["-p", &free_port(from).to_string(), "-mp", &free_port(from).to_string()])
            .args(["-d", &talk.as_millis().to_string()])
            .args(more)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("sipp starts");
        Self { child, log }
    }

    /// Ends it in the middle of whatever it does.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits until the call went as the scenario says.
    #[track_caller]
    pub fn wait_success(&mut self) {
        let status: ExitStatus = wait_for("sipp to end", PATIENCE * 3, || self.child.try_wait().expect("its state"));
        let errors = fs::read_to_string(self.log.with_file_name("errors")).unwrap_or_default();
        assert!(status.success(), "sipp ended with {status}: {errors}");
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let errors = fs::read_to_string(self.log.with_file_name("errors")).unwrap_or_default();
            eprintln!("sipp in {} said: {errors}", self.log.display());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An even port at this address, free together with its neighbour.
fn free_port(at: Ipv4Addr) -> u16 {
    wait_for("a free port", PATIENCE, || {
        let port = UdpSocket::bind((at, 0)).ok()?.local_addr().ok()?.port();
        (port % 2 == 0 && UdpSocket::bind((at, port + 1)).is_ok()).then_some(port)
    })
}

fn request(method: &str, uri: &str, caller: &Caller<'_>, to: &str, cseq: u32, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
         From: \"{}\" <sip:{}@[local_ip]:[local_port]>;tag=[pid]c[call_number]\n{to}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n\
         Contact: <sip:carrier@[local_ip]:[local_port]>\n{kind}Content-Length: [len]\n\n{body}",
        caller.display, caller.number
    )
}

const CALLED: &str = "sip:+442079460000@[remote_ip]:[remote_port]";
const SDP: &str =
    "v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio [rtpstream_audio_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\n";

fn scenario(caller: &Caller<'_>, then: &Then) -> String {
    let send = |attributes: &str, message: String| format!("<send{attributes}><![CDATA[\n{message}\n]]></send>\n");
    let invite = send(" retrans=\"500\"", request("INVITE", CALLED, caller, &format!("To: <{CALLED}>"), 1, SDP));
    let provisional = "<recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n";
    let end = match then {
        Then::HangUp | Then::IsLetGo => String::new(),
        Then::Talk(length) => {
            format!("<nop><action><exec rtp_stream=\"voice.al,1,8\"/></action></nop>\n<pause milliseconds=\"{}\"/>\n", length.as_millis())
        }
    };
    let ack = send("", request("ACK", "[next_url]", caller, "[last_To:]", 1, ""));
    let bye = send(" retrans=\"500\"", request("BYE", "[next_url]", caller, "[last_To:]", 2, ""));
    let goodbye = match then {
        Then::HangUp | Then::Talk(_) => format!("{bye}<recv response=\"200\"/>\n"),
        Then::IsLetGo => {
            let ok = "SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n";
            format!("<recv request=\"BYE\"/>\n{}", send("", ok.to_owned()))
        }
    };
    let end = format!("<recv response=\"200\" rrs=\"true\"/>\n{ack}{end}{goodbye}");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"carrier\">\n{invite}{provisional}{end}</scenario>\n")
}
