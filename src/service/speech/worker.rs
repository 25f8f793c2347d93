//! `throughline speech-worker`: a child process that holds one model and answers one utterance at a time.
//!
//! It talks over file descriptor 0, a socket to its parent. It dies with its parent, exits when the socket closes, and
//! asks the kernel to be last in line for the processor and first in line when memory runs out.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use super::{
    decode::{Engine, Limits},
    protocol::{self, Message, VERSION},
    sound::Sound,
};

/// Address space beyond the model: code, one state and its compute buffers of a small model, the C library's arenas.
const MEMORY_BASE: u64 = 2 << 30;
/// Address space per octet of model file: weights, state and buffers grow with it.
const MEMORY_PER_MODEL: u64 = 4;

/// Runs the worker until its parent closes the socket; the exit status.
pub fn main() -> u8 {
    match humble().and_then(|()| parent()).and_then(|socket| serve(&socket)) {
        Ok(()) => 0,
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => 0,
        Err(e) => {
            tracing::error!(error = %e, "the speech worker stops");
            1
        }
    }
}

fn serve(mut socket: &UnixStream) -> io::Result<()> {
    let (Message::Start { version, model }, _) = protocol::read(&mut socket)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first message is not start"));
    };
    if version != VERSION {
        let why = format!("the worker speaks version {VERSION}, its parent {version}: restart the server");
        return protocol::write(&mut socket, &Message::Refused { why }, &[]);
    }
    limit_memory(std::fs::metadata(&model).map_or(0, |m| m.len()))?;
    let mut engine = match Engine::load(Path::new(&model)) {
        Ok(engine) => engine,
        Err(why) => return protocol::write(&mut socket, &Message::Refused { why }, &[]),
    };
    protocol::write(&mut socket, &Message::Ready { version: VERSION, audio_ctx: engine.audio_ctx() }, &[])?;
    loop {
        let (Message::Decode { key, form, language, audio_ctx, max_tokens, deadline_ms }, blob) = protocol::read(&mut socket)? else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "expected decode"));
        };
        let deadline = Duration::from_millis(u64::from(deadline_ms));
        let limits = Limits { language: &language, audio_ctx, max_tokens, deadline };
        let answer = match engine.decode(&Sound::from_blob(form, &blob).samples(), limits) {
            Ok(heard) => Message::Heard { key, heard },
            Err(why) => Message::Failed { key, why },
        };
        protocol::write(&mut socket, &answer, &[])?;
    }
}

/// Our end of the socket.
fn parent() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    Ok(UnixStream::from(stdin.as_fd().try_clone_to_owned()?))
}

/// Dies with the parent, yields to everything, goes first when memory is short.
fn humble() -> io::Result<()> {
    let idle = libc::sched_param { sched_priority: 0 };
    #[expect(unsafe_code, reason = "plain numbers and one struct on our stack; being less humble than wished is harmless")]
    let died = unsafe {
        libc::nice(19);
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const idle);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    };
    if died != 0 {
        return Err(io::Error::last_os_error());
    }
    // Raising one's own score needs no right; where /proc is hidden the limit on memory still holds.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn limit_memory(model: u64) -> io::Result<()> {
    let most = MEMORY_BASE + model.saturating_mul(MEMORY_PER_MODEL);
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    #[expect(unsafe_code, reason = "setrlimit reads one struct on our stack")]
    let set = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
