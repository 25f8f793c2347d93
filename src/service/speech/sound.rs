//! The sound of one utterance on its way to a worker: as it was received where it came by telephone, an octet a sample.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use super::front_end::SHORTEST;
use crate::{domain::media::plan::Codec, protocol::audio::g711};

/// 8 kHz mono, at most 30 s. Cheap to clone: whoever may have to ask again shares it with the one that waits.
#[derive(Clone, Debug, PartialEq)]
pub enum Sound {
    /// Samples of a file or a recording.
    Linear(Arc<[i16]>),
    /// G.711 as received.
    Received(Codec, Arc<[u8]>),
}

/// How the octets beside a `decode` message are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// 16-bit samples, little endian; an odd octet at the end is ignored.
    Linear,
    /// G.711, µ-law.
    Pcmu,
    /// G.711, A-law.
    Pcma,
}

impl Sound {
    /// Samples that a model gets: models misread less than [`SHORTEST`], so that silence follows what is shorter.
    pub fn len(&self) -> usize {
        self.kept().max(SHORTEST)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.kept() == 0
    }

    /// The samples, [`Self::len`] of them.
    pub fn samples(&self) -> Vec<i16> {
        let mut samples = Vec::with_capacity(self.len());
        match self {
            Self::Linear(linear) => samples.extend_from_slice(linear),
            Self::Received(codec, octets) => samples.extend(octets.iter().map(|octet| linear(*codec, *octet))),
        }
        samples.resize(self.len(), 0);
        samples
    }

    /// As octets, and how to read them.
    pub fn blob(&self) -> (Form, Cow<'_, [u8]>) {
        match self {
            Self::Linear(samples) => (Form::Linear, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()),
            Self::Received(Codec::Pcmu, octets) => (Form::Pcmu, Cow::Borrowed(octets)),
            Self::Received(Codec::Pcma, octets) => (Form::Pcma, Cow::Borrowed(octets)),
        }
    }

    /// What [`Self::blob`] made octets of.
    pub fn from_blob(form: Form, blob: &[u8]) -> Self {
        match form {
            Form::Linear => Self::Linear(blob.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()),
            Form::Pcmu => Self::Received(Codec::Pcmu, blob.into()),
            Form::Pcma => Self::Received(Codec::Pcma, blob.into()),
        }
    }

    fn kept(&self) -> usize {
        match self {
            Self::Linear(samples) => samples.len(),
            Self::Received(_, octets) => octets.len(),
        }
    }
}

impl Default for Sound {
    fn default() -> Self {
        Self::Linear(Arc::default())
    }
}

impl From<&[i16]> for Sound {
    fn from(samples: &[i16]) -> Self {
        Self::Linear(samples.into())
    }
}

/// The sample that an octet stands for.
pub(super) fn linear(codec: Codec, octet: u8) -> i16 {
    match codec {
        Codec::Pcmu => g711::ulaw_to_linear(octet),
        Codec::Pcma => g711::alaw_to_linear(octet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_worker_hears_exactly_what_was_received(octets in prop::collection::vec(any::<u8>(), 0..20_000), a_law in any::<bool>()) {
            let codec = if a_law { Codec::Pcma } else { Codec::Pcmu };
            let sound = Sound::Received(codec, octets.as_slice().into());
            let (form, blob) = sound.blob();
            prop_assert_eq!(blob.len(), octets.len(), "an octet a sample");
            let there = Sound::from_blob(form, &blob);
            prop_assert_eq!(&there, &sound);
            let mut samples: Vec<i16> = octets.iter().map(|octet| linear(codec, *octet)).collect();
            samples.resize(samples.len().max(SHORTEST), 0);
            prop_assert_eq!((there.len(), there.samples()), (samples.len(), samples));
        }

        #[test]
        fn samples_of_a_file_come_out_as_they_went_in(samples in prop::collection::vec(any::<i16>(), 0..20_000)) {
            let sound = Sound::from(samples.as_slice());
            let (form, blob) = sound.blob();
            prop_assert_eq!(&Sound::from_blob(form, &blob), &sound);
            prop_assert_eq!(&sound.samples()[..samples.len()], &samples[..]);
        }
    }
}
