//! baresip as a desk phone: its microphone is a WAV file, what it hears is another.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    PATIENCE,
    server::{PHONES, Server},
    sound::{self, Pair},
    wait_for,
};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A running baresip.
pub struct Phone {
    pub user: String,
    pub folder: PathBuf,
    pub sip: SocketAddr,
    child: Child,
    control: TcpStream,
    unread: Vec<u8>,
    events: Vec<Value>,
    account: String,
}

fn free_udp(here: IpAddr) -> u16 {
    // baresip takes the next port for TLS.
    wait_for("a free port", PATIENCE, || {
        let port = UdpSocket::bind((here, 0)).ok()?.local_addr().ok()?.port();
        (port % 2 == 0 && UdpSocket::bind((here, port + 1)).is_ok()).then_some(port)
    })
}

fn free_tcp() -> u16 {
    TcpListener::bind((HERE, 0)).expect("a port").local_addr().expect("its number").port()
}

/// An account parameter: the phone speaks TCP.
pub const TCP: &str = ";transport=tcp";

/// How a phone is set up.
pub struct Account<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub registrar: SocketAddr,
    /// More account parameters, such as `;answermode=auto`; [`TCP`] before them chooses the transport.
    pub parameters: &'a str,
}

impl Phone {
    /// Starts it and waits until it has registered.
    pub fn start(folder: &Path, account: &Account<'_>, microphone: &Path) -> Self {
        let mut phone = Self::start_unregistered(folder, account, microphone);
        phone.register_again();
        phone.wait_event("registration", |event| event["type"] == "REGISTER_OK");
        phone
    }

    /// baresip 1.0 stops at the first challenge, which offers SHA-256 beside MD5, and would come back within a minute: this hurries it.
    pub fn register_again(&mut self) {
        let first = self.wait_event("first registration", |event| event["type"] == "REGISTER_OK" || event["type"] == "REGISTER_FAIL");
        if first["type"] == "REGISTER_FAIL" {
            let aor = self.account.trim_start_matches('<').split(';').next().unwrap_or_default().to_owned();
            self.command("uadel", &aor);
            let account = self.account.clone();
            self.command("uanew", &account);
        } else {
            self.events.push(first);
        }
    }

    pub fn start_unregistered(folder: &Path, account: &Account<'_>, microphone: &Path) -> Self {
        // It speaks the IP version of its registrar.
        let here: IpAddr = if account.registrar.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { HERE.into() };
        let (sip, control_port) = (SocketAddr::new(here, free_udp(here)), free_tcp());
        fs::create_dir_all(folder.join("rec")).expect("phone folder");
        fs::write(folder.join("accounts"), "").expect("accounts");
        fs::write(folder.join("contacts"), "").expect("contacts");
        fs::write(folder.join("config"), config(folder, account.user, sip, control_port, microphone)).expect("config");
        let log = File::create(folder.join("log")).expect("log");
        let child = Command::new("baresip")
            .arg("-f")
            .arg(folder)
            .arg("-v")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("baresip starts");
        let control = wait_for("baresip's control port", PATIENCE, || TcpStream::connect((HERE, control_port)).ok());
        control.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let mut phone = Self {
            user: account.user.to_owned(),
            folder: folder.to_owned(),
            sip,
            child,
            control,
            unread: Vec::new(),
            events: Vec::new(),
            account: account_line(account),
        };
        // Only now: its events before would have been heard by nobody.
        phone.command("uanew", &account_line(account));
        phone
    }

    /// Sends a command: `dial`, `accept`, `hangup`, `hold`, `resume`.
    pub fn command(&mut self, command: &str, parameters: &str) {
        let text = json!({"command": command, "params": parameters, "token": "t"}).to_string();
        self.control.write_all(format!("{}:{text},", text.len()).as_bytes()).expect("baresip takes commands");
    }

    /// Waits for an event; those before it stay for later questions.
    #[track_caller]
    pub fn wait_event(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.events.iter().position(&wanted) {
                return self.events.remove(found);
            }
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{}: no {what}; events {:?}; its log:\n{log}", self.user, self.events);
            self.read();
        }
    }

    /// Whether such an event has come.
    pub fn has_event(&mut self, wanted: impl Fn(&Value) -> bool) -> bool {
        self.read();
        self.events.iter().any(wanted)
    }

    fn read(&mut self) {
        let mut buffer = [0; 4_096];
        if let Ok(length) = self.control.read(&mut buffer) {
            self.unread.extend_from_slice(&buffer[..length]);
        }
        while let Some(colon) = self.unread.iter().position(|b| *b == b':') {
            let Ok(length) = String::from_utf8_lossy(&self.unread[..colon]).trim().parse::<usize>() else {
                self.unread.clear();
                return;
            };
            if self.unread.len() < colon + length + 2 {
                return;
            }
            let message: Vec<u8> = self.unread.drain(..colon + length + 2).skip(colon + 1).take(length).collect();
            if let Ok(event) = serde_json::from_slice(&message) {
                self.events.push(event);
            }
        }
    }

    pub fn wait_ringing(&mut self) {
        self.wait_event("incoming call", |event| event["type"] == "CALL_INCOMING");
    }

    pub fn wait_established(&mut self) {
        self.wait_event("established call", |event| event["type"] == "CALL_ESTABLISHED");
    }

    pub fn wait_closed(&mut self) -> String {
        let event = self.wait_event("end of the call", |event| event["type"] == "CALL_CLOSED");
        event["param"].as_str().unwrap_or_default().to_owned()
    }

    /// Seconds of audio in the longest recording of what it hears, also while it is being written.
    pub fn heard_seconds(&self) -> f64 {
        let files = fs::read_dir(self.folder.join("rec")).into_iter().flatten().flatten();
        let heard = files.filter(|file| file.path().to_string_lossy().ends_with("-dec.wav"));
        heard.filter_map(|file| file.metadata().ok()).map(|file| file.len()).max().unwrap_or(0) as f64 / 16_000.0
    }

    /// What it heard in its calls, one recording each, oldest first.
    pub fn heard(&self) -> Vec<Vec<i16>> {
        let mut files: Vec<_> = fs::read_dir(self.folder.join("rec"))
            .expect("rec")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        files.iter().map(|path| sound::read_wav(path).remove(0)).collect()
    }

    /// Ends it as a power cut would, but for its kernel, which closes its connections.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("its end");
    }

    /// Ends it; what it heard is complete afterwards.
    pub fn quit(&mut self) {
        self.command("quit", "");
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && self.child.try_wait().ok().flatten().is_none() {
            self.read();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn account_line(account: &Account<'_>) -> String {
    let Account { user, password, registrar, parameters } = account;
    let (transport, parameters) = match parameters.strip_prefix(TCP) {
        Some(rest) => (TCP, rest),
        None => (";transport=udp", *parameters),
    };
    format!("<sip:{user}@{registrar}{transport}>;auth_user={user};auth_pass={password};regint=60{parameters}")
}

fn config(folder: &Path, user: &str, sip: SocketAddr, control: u16, microphone: &Path) -> String {
    let (folder, microphone) = (folder.display(), microphone.display());
    let first = 30_000 + sip.port() % 10_000;
    let here = sip.ip();
    format!(
        "poll_method epoll\nsip_listen {sip}\nnet_interface {here}\ncall_local_timeout 120\ncall_max_calls 4\n\
         audio_path /usr/share/baresip\naudio_source aufile,{microphone}\naudio_player aubridge,{user}\naudio_alert aubridge,alert-{user}\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\naudio_txmode thread\naudio_level no\n\
         ausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\nrtp_ports {first}-{}\nrtp_stats yes\n\
         jitter_buffer_delay 5-10\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule sndfile.so\nmodule aufile.so\n\
         module aubridge.so\nmodule_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app debug_cmd.so\nmodule_app ctrl_tcp.so\n\
         ctrl_tcp_listen {HERE}:{control}\nsnd_path {folder}/rec\nmenu_bell no\nstatmode_default off\n",
        first + 100
    )
}

/// The `n`th demo phone, registered; its microphone hums `pair` for a minute.
pub fn demo_phone(server: &Server, n: usize, pair: Pair, parameters: &str) -> Phone {
    let folder = server.folder.path().join(format!("phone-{n}"));
    fs::create_dir_all(&folder).expect("phone folder");
    let microphone = folder.join("microphone.wav");
    sound::write_tone(&microphone, pair, 60);
    let (user, password) = PHONES[n];
    Phone::start(&folder, &Account { user, password, registrar: server.sip(), parameters }, &microphone)
}

/// Waits until both hear that much in the call that they are in.
#[track_caller]
pub fn talk_until_heard(phones: [&Phone; 2], seconds: f64) {
    for phone in phones {
        wait_for(&format!("{seconds} s of sound at {}", phone.user), PATIENCE, || (phone.heard_seconds() >= seconds).then_some(()));
    }
}
