//! Utterances from audio, words from a supervised worker.
