//! The smallest HTTP client that a test needs: one request a connection.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A session with the server.
#[derive(Debug, Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub cookie: String,
}

impl Client {
    /// Logs in; panics when refused.
    pub fn login(address: SocketAddr, username: &str, password: &str) -> Self {
        let mut client = Self { address, cookie: String::new() };
        let answer = client.post("/api/login", &serde_json::json!({"username": username, "password": password}));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let cookie = answer.header("set-cookie").expect("a session cookie");
        client.cookie = cookie.split(';').next().expect("the cookie itself").to_owned();
        client
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("X-Throughline", "1"), ("Content-Type", "application/json")];
        self.request("POST", path, &headers, body.to_string().as_bytes()).unwrap_or_else(|e| panic!("POST {path}: {e}"))
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n", self.address, body.len());
        if !self.cookie.is_empty() {
            head += &format!("Cookie: {}\r\n", self.cookie);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        stream.write_all(body)?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(|| std::io::Error::other("no header end"))?;
        let headers = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = headers.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut body = all[end + 4..].to_vec();
        if headers.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = dechunk(&body);
        }
        Ok(Answer { status, headers, body })
    }
}

fn dechunk(mut chunked: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = chunked.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&chunked[..line]).trim(), 16).unwrap_or(0);
        if size == 0 || chunked.len() < line + 2 + size {
            break;
        }
        whole.extend_from_slice(&chunked[line + 2..line + 2 + size]);
        chunked = &chunked[(line + 4 + size).min(chunked.len())..];
    }
    whole
}
