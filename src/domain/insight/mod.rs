//! What is read out of an interaction: words, card, sentiment, promises, each with its evidence.

pub mod utterance;
