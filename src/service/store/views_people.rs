//! People, phones and queues as others see them.

use serde::{Deserialize, Serialize};

use crate::{
    domain::fact::{AgentState, Binding},
    ids::{AgentId, PhoneId, QueueId},
    time::UnixMs,
};

/// What somebody may do; each may also do what the ones before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers contacts.
    Agent,
    /// Sees and hears those of others.
    Supervisor,
    /// Manages people and phones.
    Admin,
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Me {
    /// The agent.
    pub agent: AgentId,
    /// Their name.
    pub name: String,
    /// Their log-in.
    pub username: String,
    /// Their rights.
    pub role: Role,
    /// Extension of their phone.
    pub extension: Option<String>,
}

/// What a log-in is checked against.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who it would be.
    pub me: Me,
    /// PHC string; `None` cannot log in.
    pub password_hash: Option<String>,
}

/// How an interaction may be ended in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disposition {
    /// Stable key.
    pub id: String,
    /// As shown.
    pub label: String,
    /// False where nobody was reached: such an interaction has no ticket.
    pub contact: bool,
}

/// Everything that the switch knows of people, phones and queues.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// Agents that are not disabled, longest known first.
    pub agents: Vec<PersonRow>,
    /// Phone accounts that are not disabled.
    pub phones: Vec<PhoneRow>,
    /// Queues.
    pub queues: Vec<QueueRow>,
    /// Registrations that have not expired.
    pub bindings: Vec<Binding>,
}

/// One agent.
#[derive(Clone, Debug)]
pub struct PersonRow {
    /// The agent.
    pub agent: AgentId,
    /// Their name.
    pub name: String,
    /// Their rights.
    pub role: Role,
    /// State when it was last written, the reason, and since when.
    pub state: Option<(AgentState, Option<String>, UnixMs)>,
}

/// One phone account.
#[derive(Clone)]
pub struct PhoneRow {
    /// The account.
    pub phone: PhoneId,
    /// Digest user name.
    pub username: String,
    /// What is dialled to reach it.
    pub extension: String,
    /// Digest realm that the hashes were made for.
    pub realm: String,
    /// H(A1) with MD5, 32 hex digits (RFC 7616 §3.4.2).
    pub ha1_md5: String,
    /// H(A1) with SHA-256, 64 hex digits.
    pub ha1_sha256: String,
    /// Whose phone it is.
    pub agent: Option<AgentId>,
}

impl std::fmt::Debug for PhoneRow {
    /// Leaves the hashes out: they open the account.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneRow").field("phone", &self.phone).field("extension", &self.extension).finish_non_exhaustive()
    }
}

/// One queue.
#[derive(Clone, Debug)]
pub struct QueueRow {
    /// The queue.
    pub queue: QueueId,
    /// Key, as configuration and facts name it.
    pub name: String,
    /// As shown.
    pub label: String,
    /// 0 (lowest) to 9.
    pub priority: u8,
    /// Answer within this long, milliseconds.
    pub service_level_ms: u32,
    /// Longest wrap-up, milliseconds.
    pub wrap_up_ms: u32,
    /// Who answers it.
    pub agents: Vec<AgentId>,
}
