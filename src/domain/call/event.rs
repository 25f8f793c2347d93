//! What a call hears from its legs. Nothing of SIP passes this line but a final status.

/// One thing that happened on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// The phone answered the INVITE with something: it is there.
    Alive,
    /// The phone rings.
    Ringing,
    /// The peer sends audio already: a trunk's is heard, a phone's is not before the answer.
    Early,
    /// The phone was answered; its media is known.
    Answered,
    /// Our answer was acknowledged; with a late offer the media is known only now.
    Confirmed,
    /// The peer offered again and was answered: address, codec or direction may differ.
    ReOffered,
    /// The peer answered an offer of ours in the dialog: its codec or address may differ.
    Renewed,
    /// The peer answered our question whether it is still there.
    StillThere,
    /// The leg is over.
    Ended(LegEnd),
}

/// How a leg ended, as its peer or the network made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegEnd {
    /// The peer refused our INVITE with this status.
    Refused(u16),
    /// The caller cancelled.
    Cancelled,
    /// The peer sent BYE.
    HungUp,
    /// Our INVITE found nobody: time-out, or the address cannot be reached.
    Unreachable,
    /// Our 200 was never acknowledged.
    NotAcknowledged,
    /// A request in the dialog failed, or its session was not refreshed in time.
    DialogLost,
    /// The peer's answer does not fit our offer.
    NotAcceptable,
}
