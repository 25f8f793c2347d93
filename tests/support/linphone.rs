//! linphonec as a desk phone: its microphone is a WAV file of 16 kHz, what it hears is another.

use std::{
    fs::{self, File},
    io::Write,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use super::{PATIENCE, wait_for};

/// A running linphonec.
pub struct Linphone {
    child: Child,
    input: ChildStdin,
    heard: PathBuf,
    log: PathBuf,
}

impl Linphone {
    /// Starts it with sound files for a sound card and waits until it has registered.
    pub fn start(folder: &Path, (user, password): (&str, &str), server: SocketAddr, microphone: &Path) -> Self {
        // Without these it fails every call.
        fs::create_dir_all(folder.join(".local/share/linphone")).expect("linphone's folder");
        fs::create_dir_all(folder.join(".config/linphone")).expect("linphone's folder");
        let [sip, rtp] =
            [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("bound").port() & !1);
        let config = format!(
            "[sip]\nsip_port={sip}\nsip_tcp_port=-1\nsip_tls_port=-1\nguess_hostname=0\ndefault_proxy=0\nuse_ipv6=0\nmedia_encryption=none\n\
             [rtp]\naudio_rtp_port={rtp}\n[sound]\nechocancellation=0\n\
             [proxy_0]\nreg_proxy=<sip:{server};transport=udp>\nreg_identity=sip:{user}@{server}\nreg_expires=120\nreg_sendregister=1\n\
             [auth_info_0]\nusername={user}\npasswd={password}\nrealm=throughline\ndomain={}\n",
            server.ip()
        );
        fs::write(folder.join("linphonerc"), config).expect("linphonerc");
        let (log, heard) = (folder.join("log"), folder.join("heard.wav"));
        let out = File::create(folder.join("out")).expect("out");
        let mut child = Command::new("linphonec")
            .arg("-c")
            .arg(folder.join("linphonerc"))
            .args(["-d", "6", "-l"])
            .arg(&log)
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("linphonec starts");
        let input = child.stdin.take().expect("its input");
        let mut phone = Self { child, input, heard, log };
        phone.command("soundcard use files");
        phone.command(&format!("play {}", microphone.display()));
        phone.command(&format!("record {}", phone.heard.display()));
        phone.wait_log("moving from state", "[LinphoneRegistrationOk]");
        phone
    }

    /// `call`, `answer`, `terminate`, `autoanswer enable`, `quit`.
    pub fn command(&mut self, command: &str) {
        writeln!(self.input, "{command}").and_then(|()| self.input.flush()).expect("linphonec takes commands");
    }

    /// Waits for a line of its log or its talk that has both texts.
    #[track_caller]
    pub fn wait_log(&self, one: &str, other: &str) {
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        wait_for(&format!("linphonec to say \"{one} … {other}\"; {}", self.log.display()), PATIENCE, || {
            let text = read(&self.log) + &read(&self.log.with_file_name("out"));
            text.lines().any(|line| line.contains(one) && line.contains(other)).then_some(())
        });
    }

    /// Ends it and reads what it heard, with its rate.
    pub fn quit(mut self) -> (Vec<i16>, u32) {
        self.command("terminate");
        self.command("quit");
        let deadline = Instant::now() + Duration::from_secs(8);
        while Instant::now() < deadline && self.child.try_wait().ok().flatten().is_none() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let octets = fs::read(&self.heard).expect("what it heard");
        // Its header may promise 40 octets more than there are.
        let rate = octets.get(24..28).and_then(|rate| rate.first_chunk::<4>()).map_or(8_000, |rate| u32::from_le_bytes(*rate));
        let samples = octets.get(44..).unwrap_or_default().chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        (samples, rate)
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
