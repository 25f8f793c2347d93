//! The people that the switch knows: accounts with their hashes, extensions, queues.

use std::collections::BTreeMap;

use super::io::PhoneAccount;
use crate::{domain::routing::Queue, ids::PhoneId, protocol::sip::digest::Ha1};

/// One account with its hashes read.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    pub account: PhoneAccount,
    pub ha1: Ha1,
}

/// Accounts and queues, by what is asked for.
#[derive(Debug, Default)]
pub(super) struct People {
    phones: BTreeMap<PhoneId, Phone>,
    by_user: BTreeMap<String, PhoneId>,
    by_extension: BTreeMap<String, PhoneId>,
    queues: BTreeMap<String, Queue>,
}

impl People {
    /// Takes over a snapshot. Accounts whose hashes cannot be read are left out and counted by the caller: the second value.
    pub fn new(accounts: Vec<PhoneAccount>, queues: Vec<Queue>) -> (Self, usize) {
        let mut people = Self::default();
        let mut unreadable = 0;
        for account in accounts {
            let Some(ha1) = Ha1::from_hex(account.ha1_md5.as_deref(), Some(&account.ha1_sha256)) else {
                unreadable += 1;
                continue;
            };
            people.by_user.insert(account.user.clone(), account.id);
            people.by_extension.insert(account.extension.clone(), account.id);
            people.phones.insert(account.id, Phone { account, ha1 });
        }
        people.queues = queues.into_iter().map(|queue| (queue.name.clone(), queue)).collect();
        (people, unreadable)
    }

    pub fn phone(&self, id: PhoneId) -> Option<&Phone> {
        self.phones.get(&id)
    }

    pub fn phones(&self) -> impl Iterator<Item = &Phone> {
        self.phones.values()
    }

    pub fn by_user(&self, user: &str) -> Option<&Phone> {
        self.by_user.get(user).and_then(|id| self.phones.get(id))
    }

    /// The phone that is dialled by this: its extension, or its user name.
    pub fn dialled(&self, dialled: &str) -> Option<&Phone> {
        self.by_extension.get(dialled).and_then(|id| self.phones.get(id)).or_else(|| self.by_user(dialled))
    }

    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.values()
    }

    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.get(name)
    }
}
