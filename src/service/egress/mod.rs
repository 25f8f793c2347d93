//! The one way out: HTTP/1.1 questions to a service that the configuration names, bounded in time and size.
//!
//! Blocking, a connection per question, for threads of their own. Only the configured address is spoken to: no redirect is
//! followed, no proxy is looked for. `https` trusts what the machine trusts, or the file that `SSL_CERT_FILE` names.

mod address;
mod connection;
mod response;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
mod tests;

use std::{io::Read, time::Duration};

pub use address::Address;
use connection::Connection;
pub use response::Response;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Nobody is there.
    #[error("{0} cannot be reached ({1})")]
    Unreachable(String, String),
    /// It took too long.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// It is not who it says, or speaks no TLS.
    #[error("{0}: no secure connection ({1})")]
    Tls(String, String),
    /// It leads into a private network, where nobody configured it.
    #[error("{0} is an address of a private network; that is not followed")]
    Inner(String),
    /// It sends us elsewhere.
    #[error("{0} answers {1} and points to {2}; that is not followed")]
    Redirected(String, u16, String),
    /// It speaks something else, or stopped in the middle.
    #[error("{0} does not speak HTTP as it should ({1})")]
    Nonsense(String, String),
    /// More than was asked for.
    #[error("{0} answers with more than {1} octets")]
    TooLarge(String, usize),
}

/// How long a question may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the first octet to the last, connecting included; `None` for a download of any length.
    pub total: Option<Duration>,
    /// Between two octets, and to connect.
    pub idle: Duration,
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All: the configuration names it.
    Everywhere,
    /// None of this machine or of a private network: a stranger named it.
    OuterOnly,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Appended to the address's path, with its slash.
    pub path: &'a str,
    /// Besides `Host`, `Content-Length` and `Connection`.
    pub headers: &'a [(&'a str, &'a str)],
    /// Sent whole.
    pub body: &'a [u8],
}

/// Asks and reads the whole answer, at most `most` octets of body. Any status but a redirect is an answer.
pub fn ask(to: &Address, question: &Question<'_>, patience: Patience, most: usize) -> Result<(u16, Vec<u8>), EgressError> {
    let mut response = open(to, question, patience, Reach::Everywhere)?;
    if let Some(location) = response.location() {
        return Err(EgressError::Redirected(to.to_string(), response.status(), location.to_owned()));
    }
    let mut body = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    (&mut response).take(limit).read_to_end(&mut body).map_err(|e| connection::error(to, &e))?;
    if body.len() > most {
        return Err(EgressError::TooLarge(to.to_string(), most));
    }
    Ok((response.status(), body))
}

/// Asks and gives the answer to be read piece by piece; what a redirect means is the caller's to say.
pub fn open(to: &Address, question: &Question<'_>, patience: Patience, reach: Reach) -> Result<Response, EgressError> {
    exchange(Connection::open(to, patience, reach)?, to, question)
}

fn exchange(mut connection: Connection, to: &Address, question: &Question<'_>) -> Result<Response, EgressError> {
    connection.send(&head(to, question), question.body).map_err(|e| connection::error(to, &e))?;
    Response::read(connection).map_err(|e| connection::error(to, &e))
}

fn head(to: &Address, question: &Question<'_>) -> Vec<u8> {
    let mut head = format!("{} {}{} HTTP/1.1\r\nHost: {}\r\n", question.method, to.path(), question.path, to.host_header());
    for (name, value) in question.headers {
        // A line break in a configured value must not become a header of its own.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !question.body.is_empty() || question.method != "GET" {
        head.push_str(&format!("Content-Length: {}\r\n", question.body.len()));
    }
    head.push_str("Accept-Encoding: identity\r\nConnection: close\r\n\r\n");
    head.into_bytes()
}
