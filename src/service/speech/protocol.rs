//! What the parent and a `speech-worker` say to each other over one socketpair.
//!
//! ```text
//! parent ── start {version, model} ──▶ worker        frame: u32 length of the rest (LE)
//!        ◀─ ready {version, context} ─                     u32 length of the JSON head
//!        ── decode {key, form, …} + sound ─▶               head, then the blob (the sound's octets)
//!        ◀─ heard {key, …} | failed ──
//! ```

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::{
    sound::Form,
    transcribe::{Heard, Key},
};

/// Both sides are the same binary; a mismatch means that it was replaced while running.
pub const VERSION: u16 = 2;
/// Largest frame: 30 s of 8 kHz PCM and a head, rounded up.
pub const FRAME_MAX: usize = 1 << 20;

/// The head of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// Load this model; the first message.
    Start {
        /// [`VERSION`].
        version: u16,
        /// Path of the ggml file.
        model: String,
    },
    /// The model is loaded.
    Ready {
        /// [`VERSION`].
        version: u16,
        /// Encoder positions of the model.
        audio_ctx: u32,
    },
    /// The model cannot be loaded; the worker exits.
    Refused {
        /// Why.
        why: String,
    },
    /// Turn the blob into words.
    Decode {
        /// Which utterance.
        key: Key,
        /// What its octets are.
        form: Form,
        /// BCP 47.
        language: String,
        /// Encoder positions to look at.
        audio_ctx: u32,
        /// Most tokens.
        max_tokens: u32,
        /// Give up after so long.
        deadline_ms: u32,
    },
    /// The words.
    Heard {
        /// Which utterance.
        key: Key,
        /// What was heard.
        heard: Heard,
    },
    /// No words because of an error.
    Failed {
        /// Which utterance.
        key: Key,
        /// Why.
        why: String,
    },
}

/// Writes one frame.
pub fn write(to: &mut impl Write, message: &Message, blob: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(message).map_err(io::Error::other)?;
    let length = 4 + head.len() + blob.len();
    if length > FRAME_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "frame too long"));
    }
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&number(length));
    frame.extend_from_slice(&number(head.len()));
    frame.extend_from_slice(&head);
    frame.extend_from_slice(blob);
    to.write_all(&frame)
}

/// Reads one frame; `UnexpectedEof` at its start means that the other side is gone.
pub fn read(from: &mut impl Read) -> io::Result<(Message, Vec<u8>)> {
    let mut word = [0; 4];
    from.read_exact(&mut word)?;
    let length = u32::from_le_bytes(word) as usize;
    if !(4..=FRAME_MAX).contains(&length) {
        return Err(nonsense("length out of bounds"));
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    parse(&frame)
}

fn parse(frame: &[u8]) -> io::Result<(Message, Vec<u8>)> {
    let (word, rest) = frame.split_first_chunk::<4>().ok_or_else(|| nonsense("no head"))?;
    let (head, blob) = rest.split_at_checked(u32::from_le_bytes(*word) as usize).ok_or_else(|| nonsense("head longer than frame"))?;
    let message = serde_json::from_slice(head).map_err(|e| nonsense(&e.to_string()))?;
    Ok((message, blob.to_vec()))
}

fn nonsense(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a frame: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_comes_out_as_it_went_in() {
        let message = Message::Ready { version: VERSION, audio_ctx: 1_500 };
        let mut wire = Vec::new();
        write(&mut wire, &message, &[1, 254, 30]).expect("fits");
        let (back, blob) = read(&mut wire.as_slice()).expect("is a frame");
        assert_eq!((back, blob), (message, vec![1, 254, 30]));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_frame_or_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&mut bytes.as_slice());
            let _ = parse(&bytes);
        }
    }
}
