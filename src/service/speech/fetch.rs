//! `throughline model fetch`: brings a model, takes up where it was cut off, and puts it in place once its hash is right.
//!
//! ```text
//! GET base/ggml-NAME.bin (Range) ─▶ ggml-NAME.bin.part ─ size, SHA-256 ─▶ ggml-NAME.bin
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::catalogue::{self, Official};
use crate::service::egress::{self, Address, EgressError, Patience, Question, Reach, Response};

/// Between two octets; models come from far away.
const IDLE: Duration = Duration::from_secs(60);
/// Times a transfer that was cut off goes on by itself.
const TRIES: u32 = 5;
/// Redirects of one request: repositories keep large files elsewhere. The hash, not the place, says that a file is right.
const REDIRECTS: usize = 5;
/// Octets read at once.
const PIECE: usize = 256 << 10;
/// Kept free on the disk: a model must not stop recordings.
const RESERVE: u64 = 256 << 20;

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not in the list.
    #[error("there is no official model \"{0}\"; `throughline model list` shows the names")]
    NoSuchModel(String),
    /// The network, or the other side.
    #[error("{error}.\nWithout a network: fetch {url} elsewhere, put it into {folder} and run `throughline model verify`")]
    Away {
        /// What went wrong.
        error: String,
        /// The file's address.
        url: String,
        /// Where it belongs.
        folder: String,
    },
    /// The answer was no file.
    #[error("{url} answers {status}; look at --from, or models_from in speech.toml")]
    Refused {
        /// The file's address.
        url: String,
        /// Status code.
        status: u16,
    },
    /// Size or hash is not what the publisher states.
    #[error("what came from {url} is not the official file ({why}); it was removed. Look at --from")]
    Wrong {
        /// The file's address.
        url: String,
        /// What differs.
        why: String,
    },
    /// The disk.
    #[error("{path}: {why}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what would be right.
        why: String,
    },
}

/// What to fetch, from where, to where.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The model.
    pub official: Official,
    /// Base address; the file's name is appended.
    pub from: Address,
    /// Folder.
    pub into: PathBuf,
}

impl Fetch {
    /// Looks the name up.
    pub fn new(name: &str, from: Address, into: PathBuf) -> Result<Self, FetchError> {
        let official = *Official::named(name).ok_or_else(|| FetchError::NoSuchModel(name.to_owned()))?;
        Ok(Self { official, from, into })
    }

    /// Fetches, or finds that it is there; `progress` is told how many octets of how many there are.
    pub fn run(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<PathBuf, FetchError> {
        let place = self.into.join(self.official.file());
        if place.is_file() && self.hash_of(&place)? == self.official.sha256 {
            return Ok(place);
        }
        fs::create_dir_all(&self.into).map_err(|e| disk(&self.into, &e))?;
        let part = self.into.join(format!("{}.part", self.official.file()));
        self.room(&part)?;
        let mut tries = 0;
        while let Err(error) = self.transfer(&part, progress) {
            tries += 1;
            let cut_off = matches!(error, FetchError::Away { .. }) && octets(&part) > 0;
            if !cut_off || tries >= TRIES {
                return Err(error);
            }
        }
        self.judge(&part)?;
        fs::rename(&part, &place).map_err(|e| disk(&place, &e))?;
        Ok(place)
    }

    fn url(&self) -> String {
        format!("{}/{}", self.from, self.official.file())
    }

    fn away(&self, error: &dyn std::fmt::Display) -> FetchError {
        FetchError::Away { error: error.to_string(), url: self.url(), folder: self.into.display().to_string() }
    }

    fn wrong(&self, why: String) -> FetchError {
        FetchError::Wrong { url: self.url(), why }
    }

    /// Whether the disk has room for what is still to come.
    fn room(&self, part: &Path) -> Result<(), FetchError> {
        let needed = self.official.octets.saturating_sub(octets(part)) + RESERVE;
        match free(&self.into) {
            Some(free) if free < needed => {
                let mb = |octets: u64| octets.div_ceil(1_000_000);
                Err(FetchError::Disk { path: self.into.clone(), why: format!("{} MB are free, {} MB are needed", mb(free), mb(needed)) })
            }
            _ => Ok(()),
        }
    }

    /// One request, from where the file ends.
    fn transfer(&self, part: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), FetchError> {
        let whole = self.official.octets;
        let have = octets(part);
        if have >= whole {
            return Ok(());
        }
        let mut response = self.open(have)?;
        let mut have = match response.status() {
            206 if starts_at(&response) == Some(have) => have,
            // It sends everything: what is there is written anew.
            200 => 0,
            status => return Err(FetchError::Refused { url: self.url(), status }),
        };
        if response.length().is_some_and(|length| have + length > whole) {
            return Err(self.wrong(format!("{} octets instead of {whole}", have + response.length().unwrap_or(0))));
        }
        let mut file =
            OpenOptions::new().create(true).append(have > 0).write(true).truncate(have == 0).open(part).map_err(|e| disk(part, &e))?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = response.read(&mut piece).map_err(|e| self.away(&e))?;
            if read == 0 {
                break;
            }
            have += read as u64;
            if have > whole {
                let _ = fs::remove_file(part);
                return Err(self.wrong(format!("more than {whole} octets")));
            }
            file.write_all(&piece[..read]).map_err(|e| disk(part, &e))?;
            progress(have, whole);
        }
        file.sync_all().map_err(|e| disk(part, &e))?;
        if have < whole { Err(self.away(&format!("{} ended after {have} of {whole} octets", self.from))) } else { Ok(()) }
    }

    /// Asks for the file from an octet on; follows redirects, but never from TLS to plain text, nor from outside into a private network.
    fn open(&self, have: u64) -> Result<Response, FetchError> {
        let range = format!("bytes={have}-");
        let headers: &[(&str, &str)] = if have > 0 { &[("Range", &range)] } else { &[] };
        let patience = Patience { total: None, idle: IDLE };
        let mut reach = Reach::Everywhere;
        let (mut to, mut path) = (self.from.clone(), format!("/{}", self.official.file()));
        for _ in 0..=REDIRECTS {
            let question = Question { method: "GET", path: &path, headers, body: b"" };
            let response = egress::open(&to, &question, patience, reach).map_err(|e| self.away(&e))?;
            let Some(location) = response.location() else { return Ok(response) };
            if !response.is_inner() {
                reach = Reach::OuterOnly;
            }
            let next = resolve(&to, location).filter(|next| next.is_secure() || !to.is_secure());
            let unusable = || self.away(&EgressError::Redirected(to.to_string(), response.status(), location.to_owned()));
            (to, path) = (next.ok_or_else(unusable)?, String::new());
        }
        Err(self.away(&"it sends us round in circles"))
    }

    fn hash_of(&self, path: &Path) -> Result<String, FetchError> {
        File::open(path).and_then(|mut file| catalogue::sha256(&mut file)).map_err(|e| disk(path, &e))
    }

    /// A wrong file is removed: it would be taken up again for ever.
    fn judge(&self, part: &Path) -> Result<(), FetchError> {
        let found = self.hash_of(part)?;
        if found == self.official.sha256 {
            return Ok(());
        }
        fs::remove_file(part).map_err(|e| disk(part, &e))?;
        Err(self.wrong(format!("SHA-256 is {found}, {} is stated", self.official.sha256)))
    }
}

/// Where a redirect leads: an address, or a path at the same host.
fn resolve(from: &Address, location: &str) -> Option<Address> {
    match location.strip_prefix('/').filter(|rest| !rest.starts_with('/')) {
        Some(_) => {
            let scheme = if from.is_secure() { "https" } else { "http" };
            format!("{scheme}://{}{location}", from.host_header()).parse().ok()
        }
        None => location.parse().ok(),
    }
}

/// The first octet of a partial answer: `bytes 100-199/200`.
fn starts_at(response: &Response) -> Option<u64> {
    response.header("content-range")?.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn octets(path: &Path) -> u64 {
    path.metadata().map_or(0, |m| m.len())
}

fn disk(path: &Path, error: &io::Error) -> FetchError {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull => "; make room and run it again: it goes on where it was",
        io::ErrorKind::PermissionDenied => "; --into takes another folder",
        _ => "",
    };
    FetchError::Disk { path: path.to_owned(), why: format!("{error}{advice}") }
}

/// Octets that a folder's disk has left for us.
fn free(folder: &Path) -> Option<u64> {
    let path = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()).ok()?;
    #[expect(unsafe_code, reason = "statvfs has no safe form in std; it fills a struct of integers on our stack")]
    let answer = unsafe {
        let mut answer: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut answer) == 0).then_some(answer)
    };
    answer.map(|a| a.f_bavail.saturating_mul(a.f_frsize))
}

#[cfg(test)]
mod tests;
