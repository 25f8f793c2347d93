//! The server under test: the real binary, on a loopback address of its own.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use tempfile::TempDir;

use super::{PATIENCE, http::Client, wait_for};

/// Where trunks call from.
pub const TRUNK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A running server.
pub struct Server {
    pub address: Ipv4Addr,
    pub folder: TempDir,
    child: Child,
    environment: Vec<(String, String)>,
}

/// Edits a configuration file: its name, its text.
pub type Change<'a> = dyn Fn(&str, String) -> String + 'a;

/// What a test changes before the server starts.
#[derive(Default)]
pub struct Setup<'a> {
    /// Edits each configuration file.
    pub change: Option<&'a Change<'a>>,
    /// Works on the folder of configuration files, such as adding people.
    pub prepare: Option<&'a dyn Fn(&Path)>,
    /// Where it listens; an address of its own in 127.0.0.0/8 where nothing is said.
    pub address: Option<Ipv4Addr>,
    /// The mistake that the server is to make (`THROUGHLINE_FAULT`).
    pub fault: Option<&'a str>,
    /// Whether the server does what [`Server::obey`] writes (`THROUGHLINE_OBEY`).
    pub obeys: bool,
}

/// No two test processes share an address, so that they may run side by side.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(64);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let server = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(server < 255, "a test process starts fewer servers");
    Ipv4Addr::new(127, server, high, low)
}

impl Server {
    /// Starts a server with demo data; `change` may edit the configuration files (name, text) first.
    pub fn start(change: impl Fn(&str, String) -> String) -> Self {
        Self::set_up(&Setup { change: Some(&change), ..Setup::default() })
    }

    /// Starts a server with demo data.
    pub fn set_up(setup: &Setup<'_>) -> Self {
        let folder = tempfile::Builder::new().prefix("throughline-").tempdir().expect("a temporary folder");
        let address = setup.address.unwrap_or_else(own_address);
        let config = folder.path().join("config");
        fs::create_dir_all(&config).expect("config folder");
        for (name, text) in configuration(address, folder.path()) {
            let text = setup.change.map_or_else(|| text.clone(), |change| change(name, text.clone()));
            fs::write(config.join(name), text).expect("config file");
        }
        if let Some(prepare) = setup.prepare {
            prepare(&config);
        }
        let environment: Vec<_> = setup.fault.iter().map(|fault| ("THROUGHLINE_FAULT".to_owned(), (*fault).to_owned())).collect();
        let environment = if setup.obeys {
            [environment, vec![("THROUGHLINE_OBEY".to_owned(), folder.path().join("obey").display().to_string())]].concat()
        } else {
            environment
        };
        let child = spawn(folder.path(), &environment);
        let server = Self { address, folder, child, environment };
        server.wait_until_ready();
        server
    }

    pub fn plain() -> Self {
        Self::start(|_, text| text)
    }

    fn wait_until_ready(&self) {
        let client = self.nobody();
        let log = self.log();
        wait_for(&format!("the server to be ready; its log is {}", log.display()), PATIENCE, || {
            client.request("GET", "/readyz", &[], b"").ok().filter(|answer| answer.status == 200)
        });
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// What it logged; nothing where a test made its log a pipe.
    pub fn log_text(&self) -> String {
        if !fs::metadata(self.log()).is_ok_and(|log| log.is_file()) {
            return String::new();
        }
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn sip(&self) -> SocketAddr {
        (self.address, 5060).into()
    }

    pub fn http(&self) -> SocketAddr {
        (self.address, 8080).into()
    }

    pub fn nobody(&self) -> Client {
        Client { address: self.http(), cookie: String::new() }
    }

    pub fn login(&self, username: &str) -> Client {
        Client::login(self.http(), username, &format!("demo-{username}"))
    }

    /// One value of the metrics page.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = String::from_utf8(self.nobody().get("/metrics").body).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("its end");
    }

    /// Starts it again in the same folder and waits until it is ready.
    pub fn restart(&mut self) {
        self.child = spawn(self.folder.path(), &self.environment);
        self.wait_until_ready();
    }

    /// Tells the running server to set its clock or let its disk hang (`wiring::obey_test`).
    pub fn obey(&self, orders: &str) {
        let (path, new) = (self.folder.path().join("obey"), self.folder.path().join("obey.new"));
        fs::write(&new, orders).and_then(|()| fs::rename(&new, &path)).expect("orders");
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill -TERM");
    }

    /// Asks it to stop and waits for its end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.terminate();
        self.wait_end()
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> std::process::ExitStatus {
        wait_for("the server to stop", PATIENCE, || self.child.try_wait().expect("its state"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = self.log_text();
        if !std::thread::panicking() {
            assert!(!text.contains("ERROR"), "an error was logged:\n{text}");
        } else {
            let tail: Vec<_> = text.lines().rev().take(60).collect();
            eprintln!("the server's log ends:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The server's program: the one built with the tests, or that which `THROUGHLINE_BINARY` names, such as a release build.
pub fn binary() -> PathBuf {
    std::env::var_os("THROUGHLINE_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_throughline")), PathBuf::from)
}

fn spawn(folder: &Path, environment: &[(String, String)]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("server.log")).expect("server.log");
    Command::new(binary())
        .args(["serve", "--config"])
        .arg(folder.join("config"))
        .arg("--demo")
        .envs(environment.iter().cloned())
        .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the server starts")
}

fn configuration(address: Ipv4Addr, folder: &Path) -> Vec<(&'static str, String)> {
    let data = folder.join("data");
    let main = format!("[node]\nname = \"t1\"\ndata = \"{}\"\n[http]\nlisten = \"{address}:8080\"\n", data.display());
    let sip = format!("[[listener]]\nname = \"lan\"\nbind = \"{address}:5060\"\n[limits]\nmax_calls = 40\nring_seconds = 10\n");
    let trunks = format!(
        "[[trunk]]\nname = \"carrier\"\naddresses = [\"{TRUNK}\"]\ncountry = \"GB\"\n[[trunk.number]]\ncalled = \"+442079460000\"\nqueue = \"support\"\n"
    );
    let queues = "[[queue]]\nname = \"support\"\nwrap_up_seconds = 60\n".to_owned();
    let media = format!("[media]\nbind = \"{address}\"\nports = \"20000-20199\"\n");
    let speech = "[speech]\nenabled = true\nworkers = 1\n".to_owned();
    vec![
        ("throughline.toml", main),
        ("sip.toml", sip),
        ("trunks.toml", trunks),
        ("queues.toml", queues),
        ("media.toml", media),
        ("speech.toml", speech),
    ]
}

/// Accounts of the demo phones: user and password.
pub const PHONES: [(&str, &str); 2] = [("101", "demo-phone-101"), ("102", "demo-phone-102")];
