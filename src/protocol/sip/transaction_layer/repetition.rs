//! Whether a request is a repetition, at a glance: for overload, where nothing is parsed before it is refused.

use super::{
    super::{field::Method, header::Via, transaction_key::ServerKey},
    TransactionLayer,
};

impl TransactionLayer {
    /// Whether an INVITE with this topmost Via repeats one that has a transaction; only peers that write unique branches are recognised.
    pub fn has_invite(&self, via: &Via<'_>) -> bool {
        ServerKey::by_via(via, &Method::Invite).is_some_and(|key| self.server_by_key.contains_key(&key))
    }
}
