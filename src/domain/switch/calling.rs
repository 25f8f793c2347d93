//! Who may call out how often: caps per phone, and a stop for one whose calls are refused again and again.
//!
//! Stolen credentials show as many calls, or as many tries at numbers that are not allowed. Both end here, before the trunk, and
//! stand on the board as an alarm. Help can be called all the same.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::{Counter, Switch};
use crate::{
    domain::routing::destination::{CallingGroup, Denied},
    ids::PhoneId,
};

/// What the caps are counted over.
const HOUR: Duration = Duration::from_secs(3_600);
/// Refused calls within an hour that a phone without a group may make before it stands on the board.
const REFUSED_WITHOUT_GROUP: usize = 10;

/// Why a call goes nowhere, as its phone hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoCall {
    pub status: u16,
    /// Text of a Warning header (RFC 3261 §20.43).
    pub warning: Option<String>,
}

impl From<u16> for NoCall {
    fn from(status: u16) -> Self {
        Self { status, warning: None }
    }
}

impl NoCall {
    fn because(status: u16, warning: impl ToString) -> Self {
        Self { status, warning: Some(warning.to_string()) }
    }
}

/// What one phone has done within the hour. Bounded by the caps that are checked against it.
#[derive(Debug, Default)]
struct Account {
    extension: String,
    begun: VecDeque<Instant>,
    refused: VecDeque<Instant>,
    /// May not call out until then.
    stopped_until: Option<Instant>,
    /// Was at its cap; the board says so until then.
    capped_until: Option<Instant>,
}

impl Account {
    fn forget(&mut self, now: Instant) {
        for times in [&mut self.begun, &mut self.refused] {
            while times.front().is_some_and(|at| now.saturating_duration_since(*at) >= HOUR) {
                times.pop_front();
            }
        }
        for until in [&mut self.stopped_until, &mut self.capped_until] {
            *until = until.filter(|until| *until > now);
        }
    }

    fn is_idle(&self) -> bool {
        self.begun.is_empty() && self.refused.is_empty() && self.stopped_until.is_none() && self.capped_until.is_none()
    }
}

/// All phones that called out within the hour.
#[derive(Debug, Default)]
pub(super) struct Calling {
    accounts: BTreeMap<PhoneId, Account>,
}

impl Calling {
    fn account(&mut self, now: Instant, phone: PhoneId, extension: &str) -> &mut Account {
        let account = self.accounts.entry(phone).or_default();
        extension.clone_into(&mut account.extension);
        account.forget(now);
        account
    }

    /// Whether the phone may begin one more call; it then counts as begun.
    fn begin(&mut self, now: Instant, phone: PhoneId, extension: &str, group: &CallingGroup, live: usize) -> Result<(), NoCall> {
        let account = self.account(now, phone, extension);
        if account.stopped_until.is_some() {
            return Err(NoCall::because(403, "too many refused calls; ask the administrator"));
        }
        if live >= group.max_calls {
            return Err(NoCall::because(503, "as many calls as this phone may make at once"));
        }
        if account.begun.len() >= group.max_calls_per_hour {
            account.capped_until = account.begun.front().map(|first| *first + HOUR);
            return Err(NoCall::because(503, "as many calls as this phone may make within an hour"));
        }
        account.begun.push_back(now);
        Ok(())
    }

    /// One call of the phone was refused.
    fn refused(&mut self, now: Instant, phone: PhoneId, extension: &str, limit: usize) {
        let account = self.account(now, phone, extension);
        if account.refused.len() < limit {
            account.refused.push_back(now);
        }
        if account.refused.len() >= limit && account.stopped_until.is_none() {
            account.stopped_until = Some(now + HOUR);
        }
    }

    /// One sentence for the board, with the remedy.
    fn alarm(&self) -> Option<String> {
        let named = |has: fn(&Account) -> bool| {
            let names: Vec<&str> =
                self.accounts.values().filter(|account| has(account)).map(|account| account.extension.as_str()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let stopped = named(|account| account.stopped_until.is_some());
        let capped = named(|account| account.capped_until.is_some() && account.stopped_until.is_none());
        let stopped = stopped.map(|names| {
            format!(
                "Phone {names} tried many calls that are not allowed and is stopped for an hour. Change its password if nobody knows why."
            )
        });
        let capped = capped.map(|names| {
            format!("Phone {names} has made as many calls within an hour as its group may. Raise max_calls_per_hour in trunks.toml, or change its password.")
        });
        stopped.into_iter().chain(capped).reduce(|all, one| format!("{all} {one}"))
    }
}

impl Switch {
    /// Checks the caps of a phone that calls a number outside; the call then counts.
    pub(super) fn within_caps(&mut self, phone: PhoneId, extension: &str) -> Result<(), NoCall> {
        let live = self.calls.values().filter(|call| !call.has_ended() && call.dialled_by() == Some(phone)).count();
        let now = self.now.mono;
        let Some(group) = self.config.destinations.group_of(extension) else { return Err(self.denied(phone, extension, Denied::NoRight)) };
        let limit = group.max_refused_per_hour;
        let begun = self.calling.begin(now, phone, extension, group, live);
        if begun.is_err() {
            self.counters.count(Counter::CallerCapped);
            self.calling.refused(now, phone, extension, limit);
        }
        self.tell_calling();
        begun
    }

    /// A phone may not call there.
    pub(super) fn denied(&mut self, phone: PhoneId, extension: &str, denied: Denied) -> NoCall {
        match denied {
            // Somebody mistyped: that is no attack.
            Denied::NoRoute => return NoCall::because(404, denied),
            Denied::NoRight | Denied::International | Denied::Premium => {}
        }
        self.counters.count(Counter::DestinationDenied);
        let limit = self.config.destinations.group_of(extension).map_or(REFUSED_WITHOUT_GROUP, |group| group.max_refused_per_hour);
        self.calling.refused(self.now.mono, phone, extension, limit);
        self.tell_calling();
        NoCall::because(403, denied)
    }

    /// Forgets what is an hour old.
    pub(super) fn sweep_calling(&mut self) {
        let now = self.now.mono;
        self.calling.accounts.retain(|_, account| {
            account.forget(now);
            !account.is_idle()
        });
        self.tell_calling();
    }

    fn tell_calling(&mut self) {
        let sentence = self.calling.alarm();
        if self.alarms.get("calling") != sentence.as_ref() {
            if sentence.is_some() {
                self.counters.count(Counter::CallerStopped);
            }
            self.alarm("calling", sentence);
        }
    }
}
