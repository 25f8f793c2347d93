//! The dialogs that one INVITE of ours makes when it is forked on its way (RFC 3261 §13.2.2.4).

use super::{
    super::{build::Request, field::Address, message::Message},
    Dialog, DialogError, DialogId,
};

/// How many forks of one INVITE are followed; a carrier or a hunt group makes a handful.
pub const MAX_FORKS: usize = 16;

/// All dialogs of one INVITE of ours.
#[derive(Clone, Debug)]
pub struct DialogSet {
    invite: Request,
    contact: Address,
    dialogs: Vec<Dialog>,
    made: usize,
    /// Also those that were taken out.
    answered: Vec<DialogId>,
}

/// What a response to the INVITE did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ForkOutcome {
    /// It belongs to no dialog: 100, a provisional response without tag, or a rejection.
    NoDialog,
    /// A provisional response made a new early dialog.
    NewEarly(DialogId),
    /// A provisional response in an early dialog.
    Early(DialogId),
    /// The first 2xx of this dialog: send its ACK. Where another dialog was confirmed before (`first` is false), BYE follows.
    Answered {
        /// The dialog.
        id: DialogId,
        /// Whether it is the first answer of the whole INVITE.
        first: bool,
    },
    /// A 2xx again: send the same ACK again.
    AnsweredAgain(DialogId),
    /// More forks than are followed: nothing was kept.
    TooMany,
}

impl DialogSet {
    /// The set of an INVITE that is about to be sent; `contact` is the address that it gives to the peers.
    pub fn new(invite: Request, contact: Address) -> Self {
        Self { invite, contact, dialogs: Vec::new(), made: 0, answered: Vec::new() }
    }

    /// The INVITE.
    pub fn invite(&self) -> &Request {
        &self.invite
    }

    /// A response to the INVITE came.
    pub fn receive(&mut self, response: &Message<'_>) -> ForkOutcome {
        let is_success = match response.status() {
            Some(101..=199) => false,
            Some(200..=299) => true,
            Some(_) | None => return ForkOutcome::NoDialog,
        };
        let Some(id) = DialogId::of_response(response) else { return ForkOutcome::NoDialog };
        if self.answered.contains(&id) {
            return if is_success { ForkOutcome::AnsweredAgain(id) } else { ForkOutcome::NoDialog };
        }
        let is_full = self.made >= MAX_FORKS;
        let new = match self.dialog(&id) {
            Some(dialog) => {
                if is_success {
                    dialog.confirm(Some(response));
                }
                false
            }
            None if is_full => return ForkOutcome::TooMany,
            None => match Dialog::calling(&self.invite, self.contact.clone(), response) {
                Ok(dialog) => {
                    self.dialogs.push(dialog);
                    self.made += 1;
                    true
                }
                Err(DialogError::NoContact | DialogError::NoDialog) => return ForkOutcome::NoDialog,
            },
        };
        match (is_success, new) {
            (true, _) => {
                let first = self.answered.is_empty();
                self.answered.push(id.clone());
                ForkOutcome::Answered { id, first }
            }
            (false, true) => ForkOutcome::NewEarly(id),
            (false, false) => ForkOutcome::Early(id),
        }
    }

    /// One dialog of the set.
    pub fn dialog(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        self.dialogs.iter_mut().find(|dialog| dialog.id() == id)
    }

    /// Every dialog of the set, oldest first.
    pub fn dialogs(&self) -> impl Iterator<Item = &Dialog> {
        self.dialogs.iter()
    }

    /// The dialogs that a 2xx was received for, also those that were taken out.
    pub fn answered(&self) -> &[DialogId] {
        &self.answered
    }

    /// Takes a dialog out of the set, to live on its own.
    pub fn take(&mut self, id: &DialogId) -> Option<Dialog> {
        let at = self.dialogs.iter().position(|dialog| dialog.id() == id)?;
        Some(self.dialogs.remove(at))
    }
}
