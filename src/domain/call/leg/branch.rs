//! The INVITEs of one leg of ours: one for each place where the phone is registered, with one Call-ID, tag and number, as a forking
//! proxy sends them (RFC 3261 §16.6, §16.7). The first 2xx wins, the others are cancelled; the best refusal counts when all refused.

use super::{Leg, State};
use crate::{
    domain::call::{Action, turn::Turn},
    protocol::sdp::Session,
    protocol::sip::{
        dialog::{Dialog, DialogSet},
        field::Address,
        flow::Flow,
        message::Message,
    },
};

/// Most places that one phone is rung at: what a registrar keeps for an account, and a few more.
pub const MAX_BRANCHES: usize = 8;

/// How a branch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BranchEnd {
    /// By a 2xx.
    Answered,
    /// By this status.
    Refused(u16),
    /// By nothing at all.
    Silent,
}

/// One INVITE and the dialogs that it made.
#[derive(Debug)]
pub(super) struct Branch {
    pub flow: Flow,
    /// Our Contact as this place reaches us.
    pub contact: Address,
    /// Our side of the session as this place was told.
    pub session: Session,
    pub forks: DialogSet,
    pub ended: Option<BranchEnd>,
}

impl Leg {
    /// Whether an INVITE of ours still waits for its final response.
    pub(super) fn is_awaited(&self) -> bool {
        self.branches.iter().any(|branch| branch.ended.is_none())
    }

    /// Whether this one does.
    pub(super) fn waits_for(&self, branch: u8) -> bool {
        self.branches.get(usize::from(branch)).is_some_and(|branch| branch.ended.is_none())
    }

    /// Notes how a branch ended. False where that was known.
    pub(super) fn branch_ended(&mut self, turn: &mut Turn<'_>, branch: u8, end: BranchEnd) -> bool {
        let Some(branch) = self.branches.get_mut(usize::from(branch)).filter(|branch| branch.ended.is_none()) else { return false };
        branch.ended = Some(end);
        if !self.is_awaited() && matches!(self.state, State::Gone) {
            turn.act(Action::LegGone(self.id));
        }
        true
    }

    /// Cancels every INVITE that still waits.
    pub(super) fn cancel_branches(&self, turn: &mut Turn<'_>, reason: &'static str) {
        for (branch, _) in (0u8..).zip(&self.branches).filter(|(_, branch)| branch.ended.is_none()) {
            turn.act(Action::Cancel { leg: self.id, branch, reason });
        }
    }

    /// The status that counts when every branch was refused; `None` when no place answered with anything (RFC 3261 §16.7 step 6).
    pub(super) fn best_refusal(&self) -> Option<u16> {
        let refusals = self.branches.iter().filter_map(|branch| match branch.ended {
            Some(BranchEnd::Refused(status)) => Some(status),
            Some(BranchEnd::Answered | BranchEnd::Silent) | None => None,
        });
        refusals.min_by_key(|status| rank(*status))
    }

    /// The early dialog of ours that a request belongs to.
    pub(super) fn early_dialog(&mut self, request: &Message<'_>) -> Option<&mut Dialog> {
        let tag = request.from_tag().unwrap_or_default();
        let forks = self.branches.iter_mut().map(|branch| &mut branch.forks);
        forks
            .filter_map(|forks| {
                let id = forks.dialogs().map(Dialog::id).find(|id| &*id.remote_tag == tag)?.clone();
                forks.dialog(&id)
            })
            .next()
    }
}

/// What a person did goes before what a device or the network did; a place that answers no more goes last.
fn rank(status: u16) -> u16 {
    match status {
        600..=699 => 0,
        486 => 1,
        480 | 487 => 2,
        400..=407 | 409..=499 => 3,
        300..=399 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_refusal_goes_before_a_devices_and_silence_goes_last() {
        let mut statuses = [408, 503, 302, 404, 480, 486, 603];
        statuses.sort_by_key(|status| rank(*status));
        assert_eq!(statuses, [603, 486, 480, 404, 302, 408, 503]);
    }
}
