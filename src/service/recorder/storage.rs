//! Where tracks are kept: the file system, behind the few operations that the writer needs.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use super::{paths, peaks};
use crate::{domain::media::tap::TapOpen, fault};

/// What the writer needs of a place for tracks.
pub trait Storage: Send + Sync {
    /// Opens a track for appending and marks it as unclosed; it may exist already.
    ///
    /// # Errors
    /// The place cannot take it now.
    fn open(&self, head: &TapOpen) -> io::Result<Box<dyn Write + Send>>;
    /// The closing block is written: makes the peaks, takes the mark away.
    ///
    /// # Errors
    /// The mark stays; the next start takes it away.
    fn closed(&self, head: &TapOpen) -> io::Result<()>;
    /// Octets that are free.
    ///
    /// # Errors
    /// The place cannot be asked.
    fn free_octets(&self) -> io::Result<u64>;
    /// Makes everything written so far survive a loss of power.
    ///
    /// # Errors
    /// Something may not survive.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    handle: File,
}

impl Folder {
    /// Opens the folder, making it when it is missing.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        make_folder(&paths::unclosed(root))?;
        Ok(Self { root: root.to_owned(), handle: File::open(root)? })
    }
}

impl Storage for Folder {
    fn open(&self, head: &TapOpen) -> io::Result<Box<dyn Write + Send>> {
        wait_for_disk();
        make_folder(&paths::folder(&self.root, head.interaction))?;
        append(&paths::mark(&self.root, head.interaction, head.recording))?;
        Ok(Box::new(Track(append(&paths::track(&self.root, head.interaction, head.recording))?)))
    }

    fn closed(&self, head: &TapOpen) -> io::Result<()> {
        let track = paths::track(&self.root, head.interaction, head.recording);
        // Peaks are made anew when they are missing.
        if let Err(error) = peaks::write(&track) {
            tracing::debug!(%error, recording = %head.recording, "peaks were not written");
        }
        fs::remove_file(paths::mark(&self.root, head.interaction, head.recording))
    }

    fn free_octets(&self) -> io::Result<u64> {
        wait_for_disk();
        free_octets(&self.handle)
    }

    fn sync(&self) -> io::Result<()> {
        wait_for_disk();
        sync_file_system(&self.handle)
    }
}

/// A track's file.
struct Track(File);

impl Write for Track {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        wait_for_disk();
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A disk that does not answer, where a test wants one.
fn wait_for_disk() {
    while fault::disk_is_stalled() {
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Recordings are private to the account that we run as.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(super) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[expect(unsafe_code, reason = "fstatvfs has no safe form in std; the structure is plain data that the call fills in")]
fn free_octets(file: &File) -> io::Result<u64> {
    // SAFETY: statvfs is made of integers, for which zeroes are valid; the descriptor is open and the pointer is to a live value.
    let (status, answer) = unsafe {
        let mut answer: libc::statvfs = std::mem::zeroed();
        (libc::fstatvfs(file.as_raw_fd(), &raw mut answer), answer)
    };
    if status == 0 { Ok(answer.f_bavail * answer.f_frsize) } else { Err(io::Error::last_os_error()) }
}

/// One call for all tracks, instead of one per file.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "syncfs has no safe form in std")]
fn sync_file_system(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` lives.
    let status = unsafe { libc::syncfs(file.as_raw_fd()) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(file: &File) -> io::Result<()> {
    file.sync_all()
}
