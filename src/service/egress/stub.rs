//! A service for tests: answers each connection as it is told, and keeps what it was asked.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// What a connection gets once its question has been read.
pub type Behave = dyn Fn(&Asked, &mut TcpStream) + Send + Sync;

/// A question as it came in.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// First line and headers.
    pub head: String,
    /// What followed.
    pub body: Vec<u8>,
}

/// A listening service; it ends with the process.
pub struct Stub {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    pub fn start(behave: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (book, behave): (_, Arc<Behave>) = (asked.clone(), Arc::new(behave));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (book, behave) = (book.clone(), behave.clone());
                std::thread::spawn(move || {
                    let Some(question) = read(&mut stream) else { return };
                    book.lock().expect("not poisoned").push(question.clone());
                    behave(&question, &mut stream);
                });
            }
        });
        Self { address, asked }
    }

    /// One that always says the same.
    pub fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, stream| {
            let _ = stream.write_all(&answer);
        })
    }

    /// Its base address, with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

/// An answer with a length.
pub fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

/// Holds the connection open until the other side goes, and no longer than a test may take.
pub fn hang(stream: &mut TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let _ = stream.read(&mut [0; 64]);
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut all = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
        all.extend_from_slice(&piece[..n]);
        let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        while all.len() < end + 4 + length.unwrap_or(0) {
            let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
            all.extend_from_slice(&piece[..n]);
        }
        return Some(Asked { head, body: all[end + 4..].to_vec() });
    }
}
