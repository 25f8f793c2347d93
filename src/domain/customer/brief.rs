//! The brief: what the agent sees at the pop, before the phone rings.
//!
//! Everything in it is text from outside or derived from it, and is shown as text. Serialised it stays ≤ 16 kB.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Channel, CustomerId, IdentityId, InteractionId, PhoneNumber, TicketId},
    time::UnixMs,
};

/// Who is calling and what we know, in reading order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The caller's number; `None` when withheld.
    pub number: Option<PhoneNumber>,
    /// The number's country, ISO 3166 alpha-2, when it can be told.
    pub country: Option<String>,
    /// The name that the caller's network or phone sent.
    pub display_name: Option<String>,
    /// The identity in the record, when there is one.
    pub identity: Option<IdentityId>,
    /// How the caller was matched.
    pub matched: Matched,
    /// The customer; only with [`Matched::Known`].
    pub customer: Option<Who>,
    /// Ranked customers of a shared number, at most 3; only with [`Matched::Several`].
    pub candidates: Vec<Candidate>,
    /// Why they probably call: one, two when close, none when nothing is likely.
    pub reasons: Vec<ProbableReason>,
    /// What we owe, at most 3.
    pub chips: Vec<Chip>,
    /// The last three contacts, newest first.
    pub last_contacts: Vec<LastContact>,
    /// Contacts in the last 30 days.
    pub contacts_30_days: u32,
    /// Sentiment of the last five contacts that have one, −100…100, oldest first.
    pub sentiment: Vec<i16>,
}

/// How the caller was matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matched {
    /// Exactly one customer has this identity.
    Known,
    /// Several customers share it: a choice, never a guess.
    Several,
    /// Nobody has it.
    Unknown,
    /// The caller withheld their number: nothing is matched or created.
    Withheld,
    /// The look-up has not answered yet; another brief follows.
    Late,
}

/// A customer in the brief.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Who {
    /// The customer.
    pub customer: CustomerId,
    /// Their name.
    pub name: String,
    /// Their organisation.
    pub organisation: Option<String>,
    /// Treated with priority.
    pub vip: bool,
    /// BCP 47 language, when known.
    pub language: Option<String>,
    /// First contact.
    pub since: Option<UnixMs>,
}

/// One of several customers of a shared number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Who.
    pub who: Who,
    /// Their last contact.
    pub last_contact_at: Option<UnixMs>,
    /// Their most probable reason to call.
    pub reason: Option<ProbableReason>,
}

/// A guess at the reason for the call, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbableReason {
    /// What it is about.
    pub text: String,
    /// The evidence in words: "e-mail 2 h ago, not answered".
    pub because: String,
    /// 0…135, by the rules of the desk sheet.
    pub score: u16,
    /// The interaction that it came from.
    pub interaction: Option<InteractionId>,
    /// The ticket that it came from.
    pub ticket: Option<TicketId>,
}

/// Something we owe, short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chip {
    /// What kind.
    pub kind: ChipKind,
    /// A few words.
    pub text: String,
}

/// What a chip says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChipKind {
    /// A promise of ours is past its due date: the one red item.
    OverduePromise,
    /// Tickets are open.
    OpenTickets,
    /// A message waits for an answer.
    UnansweredMessage,
}

/// One earlier contact in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastContact {
    /// The interaction.
    pub interaction: InteractionId,
    /// Its channel.
    pub channel: Channel,
    /// When it began.
    pub at: UnixMs,
    /// What it was about, ≤ 80 characters.
    pub title: String,
    /// How it ended: "solved", "not answered", "callback promised".
    pub outcome: Option<String>,
}

impl Brief {
    /// The brief of a caller about whom nothing is known yet.
    pub fn late(number: Option<PhoneNumber>, display_name: Option<String>) -> Self {
        Self {
            matched: if number.is_some() { Matched::Late } else { Matched::Withheld },
            number,
            country: None,
            display_name,
            identity: None,
            customer: None,
            candidates: Vec::new(),
            reasons: Vec::new(),
            chips: Vec::new(),
            last_contacts: Vec::new(),
            contacts_30_days: 0,
            sentiment: Vec::new(),
        }
    }

    /// Name and one line, for the display of a phone whose agent has no desk; ≤ 60 characters, no control characters.
    pub fn display_line(&self) -> String {
        let name = match (&self.customer, &self.display_name, &self.number) {
            (Some(who), _, _) => who.name.clone(),
            (None, Some(name), _) => name.clone(),
            (None, None, Some(number)) => number.to_string(),
            (None, None, None) => "Number withheld".to_owned(),
        };
        let line = match self.reasons.first() {
            Some(reason) => format!("{name}: {}", reason.text),
            None => name,
        };
        line.chars().filter(|c| !c.is_control()).take(60).collect()
    }
}
