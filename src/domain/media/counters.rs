//! What the engine counts: every packet that it does not use has a reason.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Why a packet, or its use for one listener, was dropped.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum DropReason {
            $($(#[$doc])* $name,)+
        }

        impl DropReason {
            /// All reasons, in the order of [`Counters::dropped`].
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$name),+];

            /// The reason as it is named in metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

drop_reasons! {
    /// No leg uses the port.
    UnusedPort = "unused_port",
    /// The port rests after a call.
    RestingPort = "resting_port",
    /// Not an RTP packet.
    Malformed = "malformed",
    /// The payload type was not negotiated on this leg.
    PayloadType = "payload_type",
    /// The payload is longer than any that was negotiated.
    Length = "length",
    /// The peer's address is not known yet, so nobody can be told from anybody.
    BeforeAnswer = "before_answer",
    /// From an address that is not the leg's source.
    WrongSource = "wrong_source",
    /// A synchronisation source that has not proved itself yet.
    NewSsrc = "new_ssrc",
    /// A synchronisation source too soon after the last change.
    SourceRate = "source_rate",
    /// A sequence number far from the others.
    SequenceJump = "sequence_jump",
    /// Our direction does not include receiving.
    NotReceiving = "not_receiving",
    /// The leg's media was ended by a mistake of ours.
    LegFailed = "leg_failed",
    /// Older than the listener's present source.
    Late = "late",
    /// The listener did not negotiate telephone-event.
    EventNotNegotiated = "event_not_negotiated",
    /// The listener did not negotiate comfort noise.
    ComfortNoise = "comfort_noise",
    /// The listener's address is not known.
    NoDestination = "no_destination",
    /// Came too late for the bridge to play.
    BridgeLate = "bridge_late",
    /// Not a compound RTCP packet.
    RtcpMalformed = "rtcp_malformed",
    /// RTCP from somewhere that is not the peer.
    RtcpWrongSource = "rtcp_wrong_source",
    /// The tap's channel was full.
    TapFull = "tap_full",
}

/// Totals of one engine since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// RTP packets accepted.
    pub received: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Frames that the bridges encoded; listeners who hear the same share one.
    pub encoded: u64,
    /// RTCP packets accepted.
    pub rtcp_received: u64,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
    /// Sources beyond a leg's first: new SSRC, address or sequence.
    pub new_sources: u64,
    /// Plans that were older than the one in force.
    pub stale_plans: u64,
    /// Legs of a plan that could not be built: foreign thread, ports in use, too many.
    pub refused_legs: u64,
    /// Legs ended by a mistake of ours.
    pub failed_legs: u64,
    /// Drops by reason, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Drops for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// A packet that was refused is used after all.
    pub(super) fn restore(&mut self, reason: DropReason) {
        self.dropped[reason as usize] = self.dropped[reason as usize].saturating_sub(1);
    }

    pub(super) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }
}
