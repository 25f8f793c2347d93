//! The server under load: the real binary on a loopback address and a processor core of its own, with people seeded beforehand.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use throughline::service::{
    clock,
    store::{NewAgent, NewPhone, Role, Store},
};

use super::machine;

/// Where the trunk calls from.
pub const TRUNK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The number that leads to the queue.
pub const CALLED: &str = "+442079460000";
const REALM: &str = "throughline";
/// Descriptors of the server that are not media: database, desks, log.
const OTHER_DESCRIPTORS: usize = 1_600;

/// What is to be there before the first call.
#[derive(Clone, Default)]
pub struct Plan {
    /// Agents of the queue, each with a phone; their users are `a0`, `a1`, …
    pub agents: usize,
    /// Phones that belong to nobody; their users are `p0`, `p1`, …
    pub phones: usize,
    /// `external`, `all` or `none`.
    pub record: &'static str,
    /// Words while they are spoken, of recorded calls, by the demo model.
    pub live: bool,
    /// Calls at once.
    pub max_calls: usize,
    /// A database that is there already.
    pub database: Option<PathBuf>,
}

/// A running server.
pub struct Server {
    address: Ipv4Addr,
    child: Child,
    folder: TempDir,
    /// Session tokens of the agents.
    pub tokens: Vec<String>,
}

impl Server {
    /// Seeds and starts one on core 0.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("throughline-load-").tempdir()?;
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 200, high, low.max(1));
        let (config, data) = (folder.path().join("config"), folder.path().join("data"));
        fs::create_dir_all(&config)?;
        fs::create_dir_all(&data)?;
        configure(&config, &data, address, plan)?;
        if let Some(database) = &plan.database {
            fs::rename(database, data.join("throughline.db"))?;
        }
        let tokens = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(seed(&data, plan))?;
        let log = File::create(folder.path().join("server.log"))?;
        let child = machine::on_core_0(env!("CARGO_BIN_EXE_throughline"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the server does not start")?;
        let server = Self { address, child, folder, tokens };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if Instant::now() > deadline {
                bail!("the server is not ready: {}", self.log());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where SIP arrives.
    pub fn sip(&self) -> SocketAddr {
        (self.address, 5060).into()
    }

    /// Where desks connect.
    pub fn http(&self) -> SocketAddr {
        (self.address, 8080).into()
    }

    /// The folder of the database, the journal and the recordings.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.http())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Sum of the metrics that begin so.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").unwrap_or_default();
        let value = |line: &str| line.strip_prefix(name).and_then(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        page.lines().filter_map(value).sum()
    }

    /// The counters that have counted something, but those of ordinary work.
    pub fn troubles(&self) -> String {
        let page = self.get("/metrics").unwrap_or_default();
        let bad =
            ["refused", "no_room", "dropped", "late", "poisoned", "stray", "malformed", "missed", "panicked", "orphan", "failures", "lost"];
        let counted = |line: &&str| bad.iter().any(|word| line.contains(word)) && !line.ends_with(" 0") && !line.starts_with('#');
        page.lines().filter(counted).collect::<Vec<_>>().join(", ")
    }

    /// What was refused for lack of time, and datagrams that the kernel dropped.
    pub fn sheds(&self) -> String {
        let page = self.get("/metrics").unwrap_or_default();
        let counted = page.lines().filter(|line| {
            ["_shed_", "overrun", "_evicted_", "_refused_", "sip_503"].iter().any(|word| line.contains(word)) && !line.ends_with(" 0")
        });
        let drops = machine::socket_drops(self.address.into());
        counted.map(str::to_owned).chain([format!("dropped by the kernel {drops}")]).collect::<Vec<_>>().join(", ")
    }

    /// Waits until every fact is in the database, and says how long that took; `None` where it takes longer.
    pub fn settled_within(&self, patience: Duration) -> Option<Duration> {
        let begin = Instant::now();
        while self.metric("throughline_spool_backlog") > 0.0 {
            if begin.elapsed() > patience {
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        Some(begin.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if !log.is_empty() {
            let tail: Vec<_> = log.lines().rev().take(5).collect();
            eprintln!("the server logged: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

fn configure(config: &Path, data: &Path, address: Ipv4Addr, plan: &Plan) -> anyhow::Result<()> {
    let room = (machine::descriptor_limit().saturating_sub(OTHER_DESCRIPTORS) / 4 * 4).min(40_000);
    let last = 20_000 + room - 1;
    let max_calls = plan.max_calls.min(room / 4);
    let files = [
        ("throughline.toml", format!("[node]\nname = \"load\"\ndata = \"{}\"\n[http]\nlisten = \"{address}:8080\"\n", data.display())),
        (
            "sip.toml",
            format!("[[listener]]\nname = \"lan\"\nbind = \"{address}:5060\"\n[limits]\nmax_calls = {max_calls}\nlook_up_ms = 2000\n"),
        ),
        (
            "trunks.toml",
            format!(
                "[[trunk]]\nname = \"carrier\"\naddresses = [\"{TRUNK}\"]\n[[trunk.number]]\ncalled = \"{CALLED}\"\nqueue = \"support\"\n"
            ),
        ),
        ("queues.toml", "[[queue]]\nname = \"support\"\nwrap_up_seconds = 60\n".to_owned()),
        ("media.toml", format!("[media]\nbind = \"{address}\"\nports = \"20000-{last}\"\n[recording]\nrecord = \"{}\"\n", plan.record)),
        ("speech.toml", format!("[speech]\nenabled = {}\n", plan.live)),
    ];
    for (name, text) in files {
        fs::write(config.join(name), text)?;
    }
    Ok(())
}

/// The password of a seeded phone.
pub fn password(user: &str) -> String {
    format!("secret-{user}")
}

async fn seed(data: &Path, plan: &Plan) -> anyhow::Result<Vec<String>> {
    let store = Store::open(&data.join("throughline.db")).await?;
    let now = clock::now().wall;
    store.put_queues(&["support".to_owned()], now).await?;
    let mut tokens = Vec::new();
    for n in 0..plan.agents {
        let user = format!("a{n}");
        let new = NewAgent { username: &user, name: &user, role: Role::Agent, password_hash: None, demo: false };
        let agent = store.put_agent(&new, now).await?;
        store.serve_queues(agent, &["support"]).await?;
        let secret = password(&user);
        store
            .put_phone(&NewPhone { username: &user, extension: &user, realm: REALM, secret: &secret, agent: Some(agent), demo: false }, now)
            .await?;
        let token = format!("{n:064x}");
        let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        store.create_session(&hash, agent, now, now.plus_ms(36_000_000)).await?;
        tokens.push(token);
    }
    for n in 0..plan.phones {
        let user = format!("p{n}");
        let secret = password(&user);
        store
            .put_phone(&NewPhone { username: &user, extension: &user, realm: REALM, secret: &secret, agent: None, demo: false }, now)
            .await?;
    }
    store.close().await;
    Ok(tokens)
}
