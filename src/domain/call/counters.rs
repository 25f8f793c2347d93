//! Everything that is dropped, refused or missed is counted, by reason.

use std::collections::BTreeMap;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $label:literal),+ $(,)?) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Counter { $($(#[$doc])* $name),+ }

        impl Counter {
            /// Its name in the metrics: lower case, underscores.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }
        }
    };
}

counters! {
    /// A datagram that is no SIP message.
    Malformed = "sip_malformed_dropped",
    /// A malformed request that could be answered.
    MalformedAnswered = "sip_malformed_answered",
    /// An empty keep-alive.
    KeepAlive = "sip_keep_alive",
    /// A response that belongs to nothing of ours.
    StrayResponse = "sip_stray_response",
    /// An ACK that belongs to nothing of ours.
    StrayAck = "sip_stray_ack",
    /// A request of ours that was too large for a datagram and went over a connection.
    LargeByStream = "sip_large_by_tcp",
    /// One whose connection could not be made: it went as a datagram after all.
    LargeByDatagram = "sip_large_by_udp",
    /// A refusal that would have been more than twice as large as the request.
    Amplification = "sip_answer_too_large",
    /// A challenge was sent.
    Challenged = "digest_challenged",
    /// A phone was offered MD5 alone.
    ChallengedMd5 = "digest_challenged_md5",
    /// Credentials by an algorithm that the listener does not offer: not looked at.
    DigestNotOffered = "digest_not_offered",
    /// Credentials were wrong, or their user unknown.
    WrongCredentials = "digest_refused",
    /// A request in a dialog came from elsewhere than the dialog's peer.
    WrongFlow = "sip_wrong_flow",
    /// A method that we do not serve.
    MethodRefused = "sip_405",
    /// An extension that we do not know.
    ExtensionRefused = "sip_420",
    /// No more hops.
    TooManyHops = "sip_483",
    /// The same request by two ways.
    Merged = "sip_482",
    /// A dialog that we do not know.
    UnknownDialog = "sip_481",
    /// A body that we do not understand.
    BodyRefused = "sip_415",
    /// A number that leads nowhere.
    UnknownNumber = "sip_404",
    /// No ports or no room for another call.
    NoRoom = "sip_503",
    /// A CANCEL for nothing.
    StrayCancel = "sip_stray_cancel",
    /// Offer and answer had nothing in common.
    NotAcceptable = "sip_488",
    /// Two offers crossed: the peer's was refused.
    Glare = "sip_491",
    /// Two offers crossed: the peer refused ours, which comes again.
    GlareRetried = "sip_491_retried",
    /// A re-INVITE of ours so that both sides speak the same codec.
    CodecAsked = "codec_asked",
    /// A key that was sent as INFO: answered, but not evaluated.
    InfoDtmf = "info_dtmf_ignored",
    /// A caller was answered who had heard us unanswered for as long as their trunk allows.
    EarlyMediaLimit = "early_media_limit",
    /// The look-up was slower than its limit.
    LateBrief = "brief_late",
    /// The desk did not acknowledge in time: the phone rang without.
    PopMissed = "pop_missed",
    /// The pop was on the screen before the phone rang.
    PopShown = "pop_shown",
    /// A stale acknowledgement or command of a desk.
    StaleDesk = "desk_stale",
    /// A media event of an older plan, or of a call that is gone.
    StaleMedia = "media_stale",
    /// A second 2xx of a forked INVITE.
    SecondAnswer = "sip_fork_ended",
    /// A call ended by a mistake of ours.
    CallPanicked = "call_panicked",
    /// A parse or a message outside of calls panicked.
    InputPanicked = "input_panicked",
    /// The reaper found something without an owner.
    Orphan = "orphan_found",
    /// A call whose media thread never reported its totals.
    MediaNotClosed = "media_not_closed",
    /// The wall clock was set while we ran.
    ClockSet = "clock_set",
    /// A live fact was dropped because nobody drained outputs.
    LiveDropped = "live_dropped",
    /// A new call that was shed because more came than can be done.
    ShedCall = "shed_calls",
    /// A registration that was.
    ShedRegistration = "shed_registrations",
    /// Something of a stranger that was.
    ShedOther = "shed_others",
    /// The ACK of a call that was shed.
    ShedAck = "shed_acks",
    /// A message of a running call for which there was no room.
    Overrun = "sip_overrun",
    /// A request of a stranger whose network asks too often.
    StrangerLimited = "stranger_limited",
    /// A request of an address that is answered no more for now.
    StrangerSilenced = "stranger_unanswered",
    /// An address guessed too often.
    Silenced = "stranger_silenced",
    /// A call to a number that its phone may not call.
    DestinationDenied = "outbound_denied",
    /// A call above what its phone may make.
    CallerCapped = "outbound_phone_capped",
    /// A phone was stopped, or is at its cap: an alarm was written.
    CallerStopped = "outbound_phone_alarm",
    /// A call that found every trunk of its route full or without an address.
    TrunkFull = "outbound_trunk_full",
    /// A call from a trunk that brought as many as it may.
    TrunkFullInbound = "inbound_trunk_full",
    /// A call to a trunk.
    TrunkTried = "outbound_tried",
    /// A trunk failed, and the next one was tried.
    TrunkFailedOver = "outbound_failed_over",
    /// A call for help.
    Emergency = "outbound_emergency",
    /// A trunk's challenge was answered.
    ChallengeAnswered = "trunk_challenge_answered",
    /// A challenge of another realm, or one round too many.
    ChallengeNotAnswered = "trunk_challenge_not_answered",
    /// A registration at a carrier failed.
    RegistrationFailed = "trunk_registration_failed",
    /// A request that was refused because we are stopping.
    Stopping = "sip_503_stopping",
}

/// The totals since start.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    totals: BTreeMap<Counter, u64>,
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        *self.totals.entry(counter).or_default() += 1;
    }

    /// How often it was counted.
    pub fn get(&self, counter: Counter) -> u64 {
        self.totals.get(&counter).copied().unwrap_or(0)
    }

    /// All that are not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        self.totals.iter().map(|(counter, total)| (*counter, *total))
    }
}
