//! The registrar (RFC 3261 §10.3): which contacts a phone account can be reached at, and over which flow.
//!
//! Pure value logic: time (milliseconds of a clock that never jumps) and jitter are arguments, every change comes back as a value to
//! be written through, and what was written is loaded at start, so that a phone rings at once after a crash. The caller has
//! authenticated the request and chosen the address of record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    build::{AddressHeader, Header, NumberHeader},
    field::{Address, Text, Token, UriBuf},
    flow::Flow,
    header::HeaderId,
    message::Message,
};

#[cfg(test)]
mod tests;

/// Longest life of a binding in seconds before jitter: after a crash or a change of address a phone is back within 5 minutes.
pub const LONGEST_EXPIRES: u32 = 300;
/// Shortest life in seconds that a phone may ask for (else 423); shorter ones are load without use.
pub const SHORTEST_EXPIRES: u32 = 30;
/// The life in seconds when the phone names none (RFC 3261 §10.2.1.1).
const DEFAULT_EXPIRES: u32 = 3600;
/// Longest contact URI that is kept; real ones stay below 300 octets.
const MAX_CONTACT_LEN: usize = 512;
/// Longest User-Agent that is kept, in octets; it is shown on a screen.
const MAX_USER_AGENT_LEN: usize = 128;

/// How many bindings are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrarLimits {
    /// Contacts of one address of record: a desk phone, a soft phone, a few stale ones.
    pub max_contacts: usize,
    /// Bindings in all, at about 1 kB each.
    pub max_bindings: usize,
}

impl Default for RegistrarLimits {
    fn default() -> Self {
        Self { max_contacts: 8, max_bindings: 50_000 }
    }
}

/// One contact of one address of record, in plain values that can be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The address of record that it belongs to, as the caller names it.
    pub aor: String,
    /// The contact URI as the phone wrote it: the Request-URI of requests to the phone.
    pub contact: String,
    /// The contact's parameters as written behind the URI, without `expires`; echoed in the 200.
    pub params: Vec<(String, Option<String>)>,
    /// Preference in thousandths, 0 to 1000.
    pub q_thousandths: u16,
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// When it ends.
    pub expires_at_ms: i64,
    /// The socket and source address of the REGISTER: requests to the phone go there, whatever its contact says.
    pub flow: Flow,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
}

impl Binding {
    /// The contact as the Request-URI of a request to the phone; `None` only for a stored text that is no URI.
    pub fn target(&self) -> Option<UriBuf> {
        UriBuf::new(&self.contact)
    }

    /// The contact with the seconds that it has left, as a header of the 200.
    fn header(&self, now_ms: i64) -> Option<Header> {
        let left = (self.expires_at_ms - now_ms).max(0).unsigned_abs().div_ceil(1000);
        let mut address = Address::new(self.target()?);
        for (name, value) in &self.params {
            address = address.with_param(&Token::new(name)?, value.as_deref().map(Text::new));
        }
        let address = address.with_param(&Token::new("expires")?, Some(Text::new(&left.to_string())));
        Some(Header::Address(AddressHeader::Contact, address))
    }
}

/// One change, to be written through in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingChange {
    /// The binding is new or renewed; it replaces one of the same address of record and contact.
    Stored(Binding),
    /// The binding is gone.
    Removed {
        /// The address of record.
        aor: String,
        /// The contact URI.
        contact: String,
        /// Where it was.
        flow: Flow,
    },
}

/// A REGISTER that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// What changed; empty for a mere question.
    pub changes: Vec<BindingChange>,
    /// The headers of the 200: every current contact with its `expires` (RFC 3261 §10.3 step 8).
    pub headers: Vec<Header>,
}

/// Why a REGISTER was refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// `Contact: *` beside other contacts or with an Expires other than 0, or a contact that cannot be called.
    #[error("the contacts are malformed")]
    BadContact,
    /// Same Call-ID and an older CSeq (RFC 3261 §10.3 step 7).
    #[error("an older REGISTER of the same Call-ID")]
    OutOfOrder,
    /// Asked for a life shorter than [`SHORTEST_EXPIRES`].
    #[error("the life asked for is shorter than {SHORTEST_EXPIRES} s")]
    TooBrief,
    /// More contacts than one address of record may have.
    #[error("too many contacts for one account")]
    TooManyContacts,
    /// More bindings than are kept in all.
    #[error("too many bindings; raise the limit or find out who registers")]
    Full,
}

impl RegisterError {
    /// The status that answers it.
    pub fn status(self) -> u16 {
        match self {
            Self::BadContact => 400,
            Self::TooBrief => 423,
            Self::TooManyContacts => 403,
            Self::OutOfOrder => 500,
            Self::Full => 503,
        }
    }

    /// The header that the answer must carry, if any.
    pub fn header(self) -> Option<Header> {
        match self {
            Self::TooBrief => Some(Header::Number(NumberHeader::MinExpires, SHORTEST_EXPIRES)),
            Self::BadContact | Self::OutOfOrder | Self::TooManyContacts | Self::Full => None,
        }
    }
}

/// A life between −10 % and +10 % of the longest one, so that the phones of a site do not come back all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter(u16);

impl Jitter {
    /// Takes any random number.
    pub fn new(random: u32) -> Self {
        Self(u16::try_from(random % 201).unwrap_or(100))
    }

    /// The seconds granted: never more than `asked`, as phones that get more than they want may not renew in time.
    fn grant(self, asked: u32) -> u32 {
        let longest = LONGEST_EXPIRES * (900 + u32::from(self.0)) / 1000;
        asked.min(longest)
    }
}

/// What one contact of a REGISTER asks for.
struct Wish {
    contact: UriBuf,
    params: Vec<(String, Option<String>)>,
    q_thousandths: u16,
    /// Zero removes.
    expires: u32,
}

/// All bindings.
#[derive(Clone, Debug, Default)]
pub struct Registrar {
    limits: RegistrarLimits,
    by_aor: HashMap<String, Vec<Entry>>,
    by_expiry: BTreeMap<(i64, u64), String>,
    /// The addresses of record behind each connection: it takes them along.
    on_stream: HashMap<Flow, BTreeSet<String>>,
    last_serial: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    serial: u64,
    binding: Binding,
}

impl Registrar {
    /// An empty registrar.
    pub fn new(limits: RegistrarLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a stored binding at start; one that is over, beyond the limits or no URI is left out, and `false` is returned.
    pub fn load(&mut self, now_ms: i64, binding: Binding) -> bool {
        let known = self.by_aor.get(&binding.aor).map_or(0, Vec::len);
        let fits = known < self.limits.max_contacts && self.len() < self.limits.max_bindings;
        // A clock that was set back must not make bindings that never end.
        let longest_ms = i64::from(LONGEST_EXPIRES) * 1100;
        let lives = (1..=longest_ms).contains(&(binding.expires_at_ms - now_ms));
        let loads = fits && lives && binding.target().is_some();
        if loads {
            self.store(binding);
        }
        loads
    }

    /// Carries out a REGISTER for `aor` that came over `flow`, whole or not at all.
    pub fn register(
        &mut self,
        now_ms: i64,
        aor: &str,
        request: &Message<'_>,
        flow: Flow,
        jitter: Jitter,
    ) -> Result<Registered, RegisterError> {
        let planned = if request.contact_is_star() {
            self.plan_removal_of_all(now_ms, aor, request)?
        } else {
            self.plan(now_ms, aor, request, flow, jitter)?
        };
        let mut changes = self.expire_of(now_ms, aor);
        for change in &planned {
            match change {
                BindingChange::Stored(binding) => self.store(binding.clone()),
                BindingChange::Removed { aor, contact, .. } => self.remove(aor, contact),
            }
        }
        changes.extend(planned);
        let headers = self.bindings(now_ms, aor).iter().filter_map(|binding| binding.header(now_ms)).collect();
        Ok(Registered { changes, headers })
    }

    /// The current bindings of an address of record, most wanted first, then newest.
    pub fn bindings(&self, now_ms: i64, aor: &str) -> Vec<&Binding> {
        let entries = self.by_aor.get(aor).map_or(&[][..], Vec::as_slice);
        let mut current: Vec<&Entry> = entries.iter().filter(|entry| entry.binding.expires_at_ms > now_ms).collect();
        current.sort_by_key(|entry| (std::cmp::Reverse(entry.binding.q_thousandths), std::cmp::Reverse(entry.serial)));
        current.into_iter().map(|entry| &entry.binding).collect()
    }

    /// Every binding, for keep-alives and for the screen of phones.
    pub fn all(&self) -> impl Iterator<Item = &Binding> {
        self.by_aor.values().flatten().map(|entry| &entry.binding)
    }

    /// When the next binding ends.
    pub fn next_expiry_ms(&self) -> Option<i64> {
        self.by_expiry.keys().next().map(|(at, _)| *at)
    }

    /// Drops what has ended.
    pub fn expire(&mut self, now_ms: i64) -> Vec<BindingChange> {
        let mut changes = Vec::new();
        while self.next_expiry_ms().is_some_and(|at| at <= now_ms) {
            // Taken out first, so that every turn of the loop makes the queue shorter.
            if let Some((_, aor)) = self.by_expiry.pop_first() {
                changes.extend(self.expire_of(now_ms, &aor));
            }
        }
        changes
    }

    /// A connection is no more: whoever registered over it cannot be reached until they come again.
    pub fn flow_closed(&mut self, flow: Flow) -> Vec<BindingChange> {
        let behind = self.on_stream.get(&flow).cloned().unwrap_or_default();
        let entries = behind.iter().filter_map(|aor| self.by_aor.get(aor)).flatten().filter(|entry| entry.binding.flow == flow);
        let changes: Vec<BindingChange> = entries.map(|entry| gone(&entry.binding)).collect();
        self.take_out(&changes);
        changes
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.by_expiry.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_expiry.is_empty()
    }

    /// `Contact: *`: everything goes, or nothing (RFC 3261 §10.3 step 6).
    fn plan_removal_of_all(&self, now_ms: i64, aor: &str, request: &Message<'_>) -> Result<Vec<BindingChange>, RegisterError> {
        let alone = request.elements(HeaderId::Contact).count() == 1;
        if !alone || request.expires() != Some(0) {
            return Err(RegisterError::BadContact);
        }
        let current = self.bindings(now_ms, aor);
        current.iter().try_for_each(|binding| in_order(binding, request))?;
        Ok(current.into_iter().map(gone).collect())
    }

    fn plan(&self, now_ms: i64, aor: &str, request: &Message<'_>, flow: Flow, jitter: Jitter) -> Result<Vec<BindingChange>, RegisterError> {
        let wishes = wishes(request, self.limits.max_contacts)?;
        let current = self.bindings(now_ms, aor);
        let (mut changes, mut added, mut removed) = (Vec::with_capacity(wishes.len()), 0, 0);
        for wish in wishes {
            let old = current.iter().find(|binding| is_same_contact(&binding.contact, &wish.contact));
            if let Some(old) = old {
                in_order(old, request)?;
                // Also where the phone writes the same contact in another way: the stored row has another key.
                if wish.expires == 0 || old.contact != wish.contact.as_str() {
                    changes.push(gone(old));
                }
            }
            if wish.expires == 0 {
                removed += usize::from(old.is_some());
                continue;
            }
            added += usize::from(old.is_none());
            changes.push(BindingChange::Stored(Binding {
                aor: aor.to_owned(),
                contact: wish.contact.as_str().to_owned(),
                params: wish.params,
                q_thousandths: wish.q_thousandths,
                call_id: request.call_id().to_owned(),
                cseq: request.cseq().seq,
                expires_at_ms: now_ms + i64::from(jitter.grant(wish.expires)) * 1000,
                flow,
                user_agent: request.text(HeaderId::UserAgent).map(|text| clip(&text, MAX_USER_AGENT_LEN).to_owned()),
            }));
        }
        if added > 0 && (current.len() + added).saturating_sub(removed) > self.limits.max_contacts {
            return Err(RegisterError::TooManyContacts);
        }
        if added > 0 && self.len() + added > self.limits.max_bindings {
            return Err(RegisterError::Full);
        }
        Ok(changes)
    }

    fn expire_of(&mut self, now_ms: i64, aor: &str) -> Vec<BindingChange> {
        let entries = self.by_aor.get(aor).map_or(&[][..], Vec::as_slice);
        let over = entries.iter().filter(|entry| entry.binding.expires_at_ms <= now_ms);
        let over: Vec<BindingChange> = over.map(|entry| gone(&entry.binding)).collect();
        self.take_out(&over);
        over
    }

    fn take_out(&mut self, changes: &[BindingChange]) {
        for change in changes {
            if let BindingChange::Removed { aor, contact, .. } = change {
                self.remove(aor, contact);
            }
        }
    }

    fn store(&mut self, binding: Binding) {
        self.remove(&binding.aor, &binding.contact);
        if binding.flow.transport.is_reliable() {
            self.on_stream.entry(binding.flow).or_default().insert(binding.aor.clone());
        }
        self.last_serial += 1;
        let serial = self.last_serial;
        self.by_expiry.insert((binding.expires_at_ms, serial), binding.aor.clone());
        self.by_aor.entry(binding.aor.clone()).or_default().push(Entry { serial, binding });
    }

    fn remove(&mut self, aor: &str, contact: &str) {
        let Some(entries) = self.by_aor.get_mut(aor) else { return };
        if let Some(at) = entries.iter().position(|entry| entry.binding.contact == contact) {
            let entry = entries.swap_remove(at);
            self.by_expiry.remove(&(entry.binding.expires_at_ms, entry.serial));
            let flow = entry.binding.flow;
            let last = !entries.iter().any(|other| other.binding.flow == flow);
            if let Some(on_it) = self.on_stream.get_mut(&flow).filter(|_| last) {
                on_it.remove(aor);
                if on_it.is_empty() {
                    self.on_stream.remove(&flow);
                }
            }
        }
        if entries.is_empty() {
            self.by_aor.remove(aor);
        }
    }
}

/// Reads the contacts of a REGISTER; none is a question for the current ones.
fn wishes(request: &Message<'_>, max_contacts: usize) -> Result<Vec<Wish>, RegisterError> {
    let written = request.elements(HeaderId::Contact).count();
    // As many may go as come.
    if written > 2 * max_contacts {
        return Err(RegisterError::TooManyContacts);
    }
    let mut wishes: Vec<Wish> = Vec::with_capacity(written);
    for contact in request.contacts() {
        let uri = UriBuf::from(contact.uri);
        let expires = contact.expires().or(request.expires()).unwrap_or(DEFAULT_EXPIRES);
        if contact.uri.sip().is_none() || uri.as_str().len() > MAX_CONTACT_LEN {
            return Err(RegisterError::BadContact);
        }
        if (1..SHORTEST_EXPIRES).contains(&expires) {
            return Err(RegisterError::TooBrief);
        }
        let params = contact.params.to_owned().into_iter().filter(|param| !param.name.as_str().eq_ignore_ascii_case("expires"));
        let params = params.map(|param| (param.name.as_str().to_owned(), param.value.map(|value| value.as_str().to_owned())));
        let wish = Wish { params: params.collect(), q_thousandths: contact.q_thousandths(), contact: uri, expires };
        // The same contact twice in one request: the last word counts.
        wishes.retain(|earlier| !is_same_contact(earlier.contact.as_str(), &wish.contact));
        wishes.push(wish);
    }
    if wishes.is_empty() && written > 0 { Err(RegisterError::BadContact) } else { Ok(wishes) }
}

fn gone(binding: &Binding) -> BindingChange {
    BindingChange::Removed { aor: binding.aor.clone(), contact: binding.contact.clone(), flow: binding.flow }
}

fn in_order(old: &Binding, request: &Message<'_>) -> Result<(), RegisterError> {
    // The same number again is the request whose 200 was lost in a crash of ours: the phone must not be told that it failed.
    let is_older = old.call_id == request.call_id() && request.cseq().seq < old.cseq;
    if is_older { Err(RegisterError::OutOfOrder) } else { Ok(()) }
}

fn is_same_contact(stored: &str, contact: &UriBuf) -> bool {
    stored == contact.as_str() || UriBuf::new(stored).is_some_and(|stored| stored.uri().same_address(&contact.uri()))
}

fn clip(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
