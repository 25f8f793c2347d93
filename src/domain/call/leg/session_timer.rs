//! Session timers (RFC 4028): who refreshes, how often, and when a session that nobody refreshed is over.

use std::time::{Duration, Instant};

use super::Leg;
use crate::{
    domain::call::turn::Turn,
    protocol::sip::{
        build::{Header, Refresher, TokensHeader},
        header::HeaderId,
        message::Message,
    },
};

use super::wire;

/// The smallest session interval that we take, seconds (RFC 4028 §5).
pub const MIN_SESSION_SECONDS: u32 = 90;
/// The largest that we ask for when a peer wants more: a day.
pub(super) const MAX_SESSION_SECONDS: u32 = 86_400;
/// The least time before the end at which the refresher gives up (RFC 4028 §10).
const GIVE_UP_BEFORE: Duration = Duration::from_secs(32);

/// What an INVITE or UPDATE says about refreshing (RFC 4028 §9, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTimer {
    /// Nothing: there is no timer.
    None,
    /// The peer refreshes within so many seconds.
    Peer(u32),
    /// We refresh within so many seconds; a peer that does not know timers at all (a proxy asked for one) is told of none.
    Us {
        /// The interval, seconds.
        seconds: u32,
        /// Whether the peer knows timers.
        peer_knows: bool,
    },
    /// Too short: 422.
    TooShort,
}

impl SessionTimer {
    /// Reads it from a request.
    pub fn of(request: &Message<'_>) -> Self {
        let peer_knows = request.lists(HeaderId::Supported, "timer");
        match request.session_expires() {
            None => Self::None,
            // Only a peer that knows timers understands 422 (RFC 4028 §9); without, an interval as short is not kept up.
            Some((seconds, _)) if seconds < MIN_SESSION_SECONDS && peer_knows => Self::TooShort,
            Some((seconds, _)) if seconds < MIN_SESSION_SECONDS => Self::None,
            Some((seconds, Some(Refresher::Uas))) => Self::Us { seconds, peer_knows },
            Some((seconds, Some(Refresher::Uac) | None)) if peer_knows => Self::Peer(seconds),
            Some((seconds, Some(Refresher::Uac) | None)) => Self::Us { seconds, peer_knows },
        }
    }

    /// Reads it from a 2xx to a request of ours: there the refresher's roles are the other way round.
    pub(super) fn agreed(response: &Message<'_>) -> Self {
        match response.session_expires() {
            None => Self::None,
            Some((seconds, Some(Refresher::Uas))) => Self::Peer(seconds.max(MIN_SESSION_SECONDS)),
            Some((seconds, Some(Refresher::Uac) | None)) => Self::Us { seconds: seconds.max(MIN_SESSION_SECONDS), peer_knows: true },
        }
    }

    /// What our 2xx says.
    pub(super) fn headers(self) -> Vec<Header> {
        let require = || Header::Tokens(TokensHeader::Require, wire::tokens(&["timer"]));
        match self {
            Self::Peer(seconds) => vec![require(), Header::SessionExpires(seconds, Some(Refresher::Uac))],
            Self::Us { seconds, peer_knows: true } => vec![require(), Header::SessionExpires(seconds, Some(Refresher::Uas))],
            Self::Us { seconds, peer_knows: false } => vec![Header::SessionExpires(seconds, Some(Refresher::Uas))],
            Self::None | Self::TooShort => Vec::new(),
        }
    }
}

/// A session timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// The peer must have refreshed by then.
    ByPeer {
        /// The end.
        end: Instant,
    },
    /// We refresh.
    ByUs {
        /// When the next refresh is due.
        at: Instant,
        /// When the session ends without one.
        end: Instant,
        /// The interval, seconds.
        seconds: u32,
    },
}

impl Refresh {
    /// When a session that was not refreshed ends.
    pub fn end(self) -> Instant {
        match self {
            Self::ByPeer { end } | Self::ByUs { end, .. } => end,
        }
    }
}

impl Leg {
    /// The session is fresh: its timer starts again.
    pub(super) fn restart_refresh(&mut self, turn: &Turn<'_>, timer: SessionTimer) {
        let now = turn.now.mono;
        self.refresh = match timer {
            SessionTimer::Peer(seconds) => Some(Refresh::ByPeer { end: now + Duration::from_secs(seconds.into()) }),
            SessionTimer::Us { seconds, .. } => {
                let interval = Duration::from_secs(seconds.into());
                Some(Refresh::ByUs { at: now + interval / 2, end: now + interval - GIVE_UP_BEFORE.min(interval / 3), seconds })
            }
            SessionTimer::None | SessionTimer::TooShort => None,
        };
    }

    /// The 2xx to our INVITE: what the peer serves, and who refreshes.
    pub(super) fn learn(&mut self, turn: &Turn<'_>, answer: &Message<'_>) {
        self.serves_update = answer.lists(HeaderId::Allow, "UPDATE");
        self.restart_refresh(turn, SessionTimer::agreed(answer));
    }
}
