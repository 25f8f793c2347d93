//! One HTTP/1.1 exchange with one configured service: no redirects, no proxies, a limit on time, head and body.
//!
//! Plain `http://` only: such a service runs on this machine or in the same closed room; TLS to elsewhere is a local proxy's.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest head of an answer, octets.
const HEAD_MAX: usize = 16 * 1024;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseAddress {
    /// `host:port`, as in the `Host` header.
    authority: String,
    /// Before every path; without a slash at the end.
    prefix: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody there, or the line broke.
    #[error("{0} cannot be reached ({1})")]
    Unreachable(String, std::io::Error),
    /// Too slow.
    #[error("{0} did not answer within {1} s")]
    TimeOut(String, u64),
    /// Anything but 200.
    #[error("{0} answered {1}")]
    Status(String, u16),
    /// More than was allowed for.
    #[error("{0} answered with more than {1} octets")]
    TooLong(String, usize),
    /// Not HTTP.
    #[error("{0} answered something that is not HTTP")]
    NotHttp(String),
}

impl BaseAddress {
    /// "http://127.0.0.1:8080/v1"; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let (authority, prefix) = rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
        let plain = |c: char| c.is_ascii_graphic() && !"@?#\\\"<>".contains(c);
        let port = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let authority = if port.is_some() { authority.to_owned() } else { format!("{authority}:80") };
        let named = authority.len() > 3 && !authority.starts_with(':');
        (named && text.chars().all(plain)).then(|| Self { authority, prefix: prefix.trim_end_matches('/').to_owned() })
    }

    /// Posts JSON and gives the body of a 200.
    pub async fn post_json(
        &self,
        path: &str,
        key: Option<&str>,
        body: &[u8],
        answer_max: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, HttpError> {
        let work = self.exchange(path, key, body, answer_max);
        match tokio::time::timeout(patience, work).await {
            Ok(done) => done,
            Err(_) => Err(HttpError::TimeOut(self.authority.clone(), patience.as_secs())),
        }
    }

    async fn exchange(&self, path: &str, key: Option<&str>, body: &[u8], answer_max: usize) -> Result<Vec<u8>, HttpError> {
        let broken = |error| HttpError::Unreachable(self.authority.clone(), error);
        let mut stream = TcpStream::connect(&self.authority).await.map_err(broken)?;
        let authorization = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        let head = format!(
            "POST {}{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json\r\n{authorization}\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.prefix,
            self.authority,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.map_err(broken)?;
        stream.write_all(body).await.map_err(broken)?;
        let most = HEAD_MAX + answer_max;
        let mut answer = Vec::new();
        loop {
            if answer.len() > most {
                return Err(HttpError::TooLong(self.authority.clone(), answer_max));
            }
            if complete(&answer) || stream.read_buf(&mut answer).await.map_err(broken)? == 0 {
                break;
            }
        }
        let (status, body) = parse(&answer).ok_or_else(|| HttpError::NotHttp(self.authority.clone()))?;
        match status {
            200 if body.len() > answer_max => Err(HttpError::TooLong(self.authority.clone(), answer_max)),
            200 => Ok(body),
            // A redirect is an answer like any other that is not the one asked for.
            other => Err(HttpError::Status(self.authority.clone(), other)),
        }
    }
}

struct Head<'a> {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    body: &'a [u8],
}

fn head(answer: &[u8]) -> Option<Head<'_>> {
    let end = memchr::memmem::find(answer.get(..answer.len().min(HEAD_MAX))?, b"\r\n\r\n")?;
    let text = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut head = Head { status, length: None, chunked: false, body: &answer[end + 4..] };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = Some(value.trim().parse().ok()?),
            "transfer-encoding" => head.chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    Some(head)
}

/// Whether all of the answer is there, as far as it says how long it is.
fn complete(answer: &[u8]) -> bool {
    head(answer).is_some_and(|head| match (head.chunked, head.length) {
        (true, _) => head.body.ends_with(b"0\r\n\r\n"),
        (false, Some(length)) => head.body.len() >= length,
        (false, None) => false,
    })
}

fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let head = head(answer)?;
    let body = match (head.chunked, head.length) {
        (true, _) => unchunked(head.body)?,
        (false, Some(length)) => head.body.get(..length)?.to_vec(),
        (false, None) => head.body.to_vec(),
    };
    Some((head.status, body))
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memmem::find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_http_with_nothing_hidden_in_it() {
        let parsed = BaseAddress::parse("http://127.0.0.1:8080/v1/").expect("an address");
        assert_eq!((parsed.authority.as_str(), parsed.prefix.as_str()), ("127.0.0.1:8080", "/v1"));
        assert_eq!(BaseAddress::parse("http://llm.local").expect("an address").authority, "llm.local:80");
        for bad in ["https://x/", "x:80", "http://", "http://a@b/", "http://a b/", "http://a/\r\nX: y", "http://a/?q=1", "http://:80/"] {
            assert_eq!(BaseAddress::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn answers_come_by_length_in_chunks_or_until_the_end() {
        let all = |text: &str| parse(text.as_bytes());
        assert_eq!(all("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi, more"), Some((200, b"hi".to_vec())));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\n, y\r\n0\r\n\r\n";
        assert_eq!(all(chunked), Some((200, b"hi, y".to_vec())));
        assert!(complete(chunked.as_bytes()) && !complete(&chunked.as_bytes()[..60]));
        assert_eq!(all("HTTP/1.0 500 No\r\n\r\nwhy"), Some((500, b"why".to_vec())));
        for bad in ["", "hello", "HTTP/1.1 x\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"] {
            assert_eq!(all(bad), None, "{bad}");
        }
        let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        assert_eq!(all(endless), None);
    }
}
