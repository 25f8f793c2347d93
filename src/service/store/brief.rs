//! The brief of a caller, from the record: a handful of indexed reads.

use super::{
    Store, StoreError,
    brief_signals::{Gathered, Subject, gather},
    customers::who,
    db::Conn,
    identities,
    text::{NAME_MAX, opt_line},
};
use crate::{
    domain::customer::{
        brief::{Brief, Candidate, Matched, Who},
        identity::{Address, country_of},
        reason::rank,
    },
    ids::{CustomerId, IdentityId, PhoneNumber},
    time::UnixMs,
};

/// Candidates of a shared number that are shown.
const CANDIDATES_MAX: usize = 3;

impl Store {
    /// The brief of a caller; `number` is `None` when withheld.
    pub async fn brief_for_number(
        &self,
        number: Option<&PhoneNumber>,
        display_name: Option<&str>,
        now: UnixMs,
    ) -> Result<Brief, StoreError> {
        self.brief_for_call(number, display_name, None, now).await
    }

    /// The same for a call to a queue: reasons that the queue handles weigh more.
    pub async fn brief_for_call(
        &self,
        number: Option<&PhoneNumber>,
        display_name: Option<&str>,
        queue: Option<&str>,
        now: UnixMs,
    ) -> Result<Brief, StoreError> {
        let mut brief = Brief::late(number.cloned(), opt_line(display_name, NAME_MAX));
        let Some(number) = number else { return Ok(brief) };
        brief.country = country_of(number);
        let mut conn = self.read().await?;
        let (identity, owners) = identities::find_with_owners(&mut conn, &Address::phone(number, None)).await?;
        brief.identity = identity;
        match <[Who; 1]>::try_from(owners) {
            Ok([sole]) => {
                let found = gather(&mut conn, Subject::Customer(sole.customer), None, now).await?;
                fill(&mut brief, Matched::Known, found, queue, now);
                brief.customer = Some(sole);
            }
            Err(owners) if owners.is_empty() => unknown(&mut conn, &mut brief, queue, now).await?,
            Err(owners) => {
                brief.matched = Matched::Several;
                brief.candidates = candidates(&mut conn, owners, queue, now).await?;
            }
        }
        Ok(brief)
    }

    /// The brief after somebody said who it is.
    pub async fn brief_for_customer(
        &self,
        customer: CustomerId,
        number: Option<&PhoneNumber>,
        display_name: Option<&str>,
        now: UnixMs,
    ) -> Result<Brief, StoreError> {
        let mut brief = Brief::late(number.cloned(), opt_line(display_name, NAME_MAX));
        let mut conn = self.read().await?;
        let who = who(&mut conn, customer).await?.ok_or(StoreError::NotFound("customer"))?;
        if let Some(number) = number {
            brief.country = country_of(number);
            brief.identity = identities::find(&mut conn, &Address::phone(number, None)).await?;
        }
        let found = gather(&mut conn, Subject::Customer(customer), None, now).await?;
        fill(&mut brief, Matched::Known, found, None, now);
        brief.customer = Some(who);
        Ok(brief)
    }
}

fn fill(brief: &mut Brief, matched: Matched, found: Gathered, queue: Option<&str>, now: UnixMs) {
    brief.matched = matched;
    brief.reasons = rank(&found.signals, now, queue);
    brief.chips = found.chips;
    brief.last_contacts = found.last_contacts;
    brief.contacts_30_days = found.contacts_30_days;
    brief.sentiment = found.sentiment;
}

async fn unknown(conn: &mut Conn, brief: &mut Brief, queue: Option<&str>, now: UnixMs) -> Result<(), StoreError> {
    let found = match brief.identity {
        Some(identity) => gather(conn, Subject::Identity(identity), None, now).await?,
        None => Gathered::default(),
    };
    fill(brief, Matched::Unknown, found, queue, now);
    Ok(())
}

/// Customers of a shared number, likeliest first: by the strength of their reason, then by their last contact.
async fn candidates(conn: &mut Conn, owners: Vec<Who>, queue: Option<&str>, now: UnixMs) -> Result<Vec<Candidate>, StoreError> {
    let mut all = Vec::with_capacity(owners.len());
    for who in owners {
        let found = gather(conn, Subject::Customer(who.customer), None, now).await?;
        let reason = rank(&found.signals, now, queue).into_iter().next();
        all.push(Candidate { who, last_contact_at: found.last_contact_at, reason });
    }
    all.sort_by_key(|c| std::cmp::Reverse((c.reason.as_ref().map_or(0, |r| r.score), c.last_contact_at)));
    all.truncate(CANDIDATES_MAX);
    Ok(all)
}

/// The strongest score of each open ticket as a reason for a contact, for choosing the ticket that it joins.
pub(super) async fn reason_scores(
    conn: &mut Conn,
    (customer, identity): (Option<CustomerId>, Option<IdentityId>),
    except: crate::ids::InteractionId,
    queue: Option<&str>,
    now: UnixMs,
) -> Result<Vec<(crate::ids::TicketId, u16)>, StoreError> {
    let subject = match (customer, identity) {
        (Some(customer), _) => Subject::Customer(customer),
        (None, Some(identity)) => Subject::Identity(identity),
        (None, None) => return Ok(Vec::new()),
    };
    let found = gather(conn, subject, Some(except), now).await?;
    Ok(found.signals.iter().filter_map(|signal| Some((signal.ticket?, signal.score(now, queue)))).collect())
}
