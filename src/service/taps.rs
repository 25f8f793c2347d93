//! From the media threads to the recorder: taps gather in bundles, and a bundle at a time changes hands.
//!
//! ```text
//! media thread ─ TapSender: bundle of ≤ 64 packets, ≤ 10 ms ─▶ bounded channel ─▶ TapReceiver ─▶ recorder
//!                   ▲───────────── empty bundles, to be filled again ─────────────────┘
//! ```
//! A packet takes the room of its payload, and few bundles go round, so that what is written is still in the cache. All that is
//! in a bundle has its place in the channel: only a new bundle may find none, and whoever wants to fill it is refused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{
    domain::media::{
        plan::Codec,
        tap::{TAP_PAYLOAD_MAX, Tap, TapFrame},
    },
    ids::LegId,
};

/// Packets of one bundle.
const FRAMES: usize = 64;
/// Octets of their payloads: 20 ms of G.711 each. Longer packets fill a bundle sooner.
const SOUND: usize = FRAMES * 160;
/// How long a bundle gathers before it changes hands half empty.
const GATHER: Duration = Duration::from_millis(10);
/// Bundles beside those that the limit asks for, because time sends them off half empty: four threads, for two seconds.
const SPARE: usize = 800;
/// Empty bundles that are kept to be filled again; more are left from a burst and go back to the system.
const KEPT: usize = 256;

/// Taps of one media thread, in the order in which they came.
#[derive(Debug)]
pub struct Bundle {
    heads: Vec<Head>,
    /// The payloads, one after the other.
    sound: Vec<u8>,
    /// What is no packet, and how many packets came before it.
    others: Vec<(usize, Tap)>,
}

/// A packet without its payload.
#[derive(Clone, Copy, Debug)]
struct Head {
    leg: LegId,
    source: u32,
    arrival_us: u64,
    ext_seq: u64,
    ext_ts: u64,
    codec: Codec,
    len: u16,
}

/// One tap of a bundle.
#[derive(Debug)]
pub enum Tapped<'a> {
    /// A packet.
    Frame(&'a TapFrame),
    /// Anything else.
    Other(Tap),
}

impl Bundle {
    fn new() -> Self {
        Self { heads: Vec::with_capacity(FRAMES), sound: Vec::with_capacity(SOUND.max(TAP_PAYLOAD_MAX)), others: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.others.is_empty()
    }

    /// Whether there is room for this without allocating; other taps are few, but bounded too.
    fn has_room(&self, payload: usize) -> bool {
        self.heads.len() < FRAMES && self.sound.len() + payload <= self.sound.capacity() && self.others.len() < FRAMES
    }

    fn push(&mut self, frame: &TapFrame) {
        let TapFrame { leg, source, arrival_us, ext_seq, ext_ts, codec, .. } = *frame;
        let payload = frame.payload();
        self.heads.push(Head { leg, source, arrival_us, ext_seq, ext_ts, codec, len: payload.len() as u16 });
        self.sound.extend_from_slice(payload);
    }

    /// Empties it: every tap in its order. `room` is written over with each packet.
    pub fn empty(&mut self, room: &mut TapFrame, mut each: impl FnMut(Tapped<'_>)) {
        let mut others = self.others.drain(..).peekable();
        let mut rest = self.sound.as_slice();
        for (n, head) in self.heads.drain(..).enumerate() {
            while let Some((_, other)) = others.next_if(|(before, _)| *before <= n) {
                each(Tapped::Other(other));
            }
            let (payload, after) = rest.split_at(usize::from(head.len).min(rest.len()));
            rest = after;
            let Head { leg, source, arrival_us, ext_seq, ext_ts, codec, len } = head;
            (room.leg, room.source, room.arrival_us, room.ext_seq, room.ext_ts) = (leg, source, arrival_us, ext_seq, ext_ts);
            (room.codec, room.len) = (codec, len);
            room.payload[..payload.len()].copy_from_slice(payload);
            each(Tapped::Frame(room));
        }
        others.for_each(|(_, other)| each(Tapped::Other(other)));
        self.sound.clear();
    }
}

#[derive(Debug)]
struct Shared {
    /// Bundles that there are, wherever they are.
    made: AtomicUsize,
    most: usize,
}

/// A media thread's end; each clone gathers by itself. What it holds goes on its way when it is dropped.
#[derive(Debug)]
pub struct TapSender {
    shared: Arc<Shared>,
    filled: Sender<Bundle>,
    empty: Receiver<Bundle>,
    bundle: Option<Bundle>,
    /// When the bundle has to go; set by the first look at the clock after it was begun.
    due_at: Option<Instant>,
    /// Nobody listens any more.
    gone: bool,
}

/// The recorder's end.
#[derive(Debug)]
pub struct TapReceiver {
    shared: Arc<Shared>,
    filled: Receiver<Bundle>,
    empty: Sender<Bundle>,
}

/// A channel with room for so many packets of 20 ms.
pub fn channel(frames: usize) -> (TapSender, TapReceiver) {
    let most = frames.div_ceil(FRAMES) + SPARE;
    let shared = Arc::new(Shared { made: AtomicUsize::new(0), most });
    let ((to_filled, filled), (to_empty, empty)) = (bounded(most), bounded(KEPT));
    let sender = TapSender { shared: shared.clone(), filled: to_filled, empty, bundle: None, due_at: None, gone: false };
    (sender, TapReceiver { shared, filled, empty: to_empty })
}

impl TapSender {
    /// Takes a tap, or gives it back when there is no room; never waits. After the other end has gone all are taken and forgotten.
    pub fn offer(&mut self, tap: Tap) -> Option<Tap> {
        if let Tap::Frame(frame) = &tap {
            return (!self.offer_frame(frame)).then_some(tap);
        }
        self.make_room(0);
        match &mut self.bundle {
            Some(bundle) => bundle.others.push((bundle.heads.len(), tap)),
            None if self.gone => {}
            None => return Some(tap),
        }
        None
    }

    /// Takes a packet; false when there is no room. Never waits.
    pub fn offer_frame(&mut self, frame: &TapFrame) -> bool {
        self.make_room(frame.payload().len());
        match &mut self.bundle {
            Some(bundle) => {
                bundle.push(frame);
                true
            }
            None => self.gone,
        }
    }

    /// Takes a tap, waiting for room until then.
    pub fn offer_until(&mut self, tap: Tap, until: Instant) -> Option<Tap> {
        let refused = self.offer(tap)?;
        self.bundle = self.empty.recv_deadline(until).ok();
        self.offer(refused)
    }

    /// Hands on what has gathered long enough; `now` is the clock's.
    pub fn tick(&mut self, now: Instant) {
        match self.due_at {
            Some(at) if at <= now => self.flush(),
            Some(_) => {}
            None => self.due_at = self.bundle.as_ref().filter(|bundle| !bundle.is_empty()).map(|_| now + GATHER),
        }
    }

    /// When [`Self::tick`] wants to be called.
    pub fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Hands on what has gathered.
    pub fn flush(&mut self) {
        self.due_at = None;
        let Some(bundle) = self.bundle.take_if(|bundle| !bundle.is_empty()) else { return };
        // There is room for every bundle that was ever made: it fails only where nobody listens.
        self.gone |= self.filled.try_send(bundle).is_err();
    }

    /// Sees to it that there is a bundle with room for such a payload, if there can be one.
    fn make_room(&mut self, payload: usize) {
        if self.bundle.as_ref().is_some_and(|bundle| !bundle.has_room(payload)) {
            self.flush();
        }
        if self.bundle.is_none() && !self.gone {
            self.bundle = self.empty.try_recv().ok().or_else(|| self.shared.make());
        }
    }
}

impl Clone for TapSender {
    fn clone(&self) -> Self {
        let Self { shared, filled, empty, gone, .. } = self;
        Self { shared: shared.clone(), filled: filled.clone(), empty: empty.clone(), bundle: None, due_at: None, gone: *gone }
    }
}

impl Drop for TapSender {
    fn drop(&mut self) {
        self.flush();
        if self.bundle.take().is_some() {
            self.shared.made.fetch_sub(1, Relaxed);
        }
    }
}

impl Shared {
    fn make(&self) -> Option<Bundle> {
        self.made.fetch_update(Relaxed, Relaxed, |made| (made < self.most).then_some(made + 1)).ok().map(|_| Bundle::new())
    }
}

impl TapReceiver {
    /// The next bundle, if one comes before the time is over.
    ///
    /// # Errors
    /// None came, or none will come any more.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Bundle, RecvTimeoutError> {
        self.filled.recv_timeout(timeout)
    }

    /// The next bundle, if one waits.
    pub fn try_recv(&self) -> Option<Bundle> {
        self.filled.try_recv().ok()
    }

    /// Bundles that wait.
    pub fn len(&self) -> usize {
        self.filled.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Gives an emptied bundle back to be filled again.
    pub fn give_back(&self, bundle: Bundle) {
        if !bundle.is_empty() || self.empty.try_send(bundle).is_err() {
            self.shared.made.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::LegId, time::UnixMs};

    fn frame(n: u64, len: u16) -> TapFrame {
        TapFrame { ext_seq: n, len, payload: [n as u8; TAP_PAYLOAD_MAX], ..TapFrame::empty(LegId::new(UnixMs(1), [7; 10])) }
    }

    fn close(n: u64) -> Tap {
        Tap::Close { leg: LegId::new(UnixMs(1), [7; 10]), axis_us: n, dropped: 0 }
    }

    /// All that waits, as numbers; those of other taps negative.
    fn read(receiver: &TapReceiver) -> Vec<i64> {
        let (mut read, mut room) = (Vec::new(), TapFrame::empty(LegId::new(UnixMs(2), [0; 10])));
        while let Some(mut bundle) = receiver.try_recv() {
            bundle.empty(&mut room, |tapped| match tapped {
                Tapped::Frame(frame) => {
                    assert!(frame.payload().iter().all(|octet| u64::from(*octet) == frame.ext_seq % 256), "its own payload");
                    read.push(frame.ext_seq as i64);
                }
                Tapped::Other(Tap::Close { axis_us, .. }) => read.push(-(axis_us as i64)),
                Tapped::Other(other) => panic!("{other:?}"),
            });
            receiver.give_back(bundle);
        }
        read
    }

    #[test]
    fn taps_of_any_length_come_out_as_and_in_the_order_in_which_they_went_in() {
        let (mut sender, receiver) = channel(1_000);
        let mut expected = Vec::new();
        for n in 1..900u64 {
            if n % 7 == 0 {
                assert_eq!(sender.offer(close(n)), None);
                expected.push(-(n as i64));
            } else {
                assert!(sender.offer_frame(&frame(n, [0, 80, 160, 640][n as usize % 4])));
                expected.push(n as i64);
            }
        }
        drop(sender);
        assert_eq!(read(&receiver), expected);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn a_half_empty_bundle_goes_after_its_time_and_an_empty_one_never() {
        let (mut sender, receiver) = channel(10);
        let now = Instant::now();
        sender.tick(now);
        assert_eq!((sender.due_at(), receiver.len()), (None, 0));
        assert!(sender.offer_frame(&frame(1, 160)));
        sender.tick(now);
        assert_eq!((sender.due_at(), receiver.len()), (Some(now + GATHER), 0));
        sender.tick(now + GATHER);
        assert_eq!((sender.due_at(), receiver.len()), (None, 1));
        sender.flush();
        assert_eq!(read(&receiver), [1]);
    }

    #[test]
    fn a_full_channel_refuses_without_waiting_and_takes_again_what_is_given_back() {
        let (mut sender, receiver) = channel(1);
        let mut other = sender.clone();
        let mut taken = 0u64;
        while sender.offer_frame(&frame(taken, 160)) {
            taken += 1;
        }
        assert_eq!(taken as usize, (1 + SPARE) * FRAMES);
        assert!(!other.offer_frame(&frame(0, 160)), "the limit is one for all threads");
        assert_eq!(other.offer(close(3)), Some(close(3)), "and for all taps");
        assert_eq!(read(&receiver).len(), taken as usize, "nothing that was taken is lost");
        assert!(other.offer_frame(&frame(0, 160)));
        assert_eq!(sender.offer(close(3)), None);
    }

    #[test]
    fn memory_of_a_burst_goes_back() {
        let (mut sender, receiver) = channel(100_000);
        while sender.offer_frame(&frame(0, 160)) {}
        let made = || sender.shared.made.load(Relaxed);
        assert!(made() > 2 * KEPT);
        read(&receiver);
        assert!(made() <= KEPT + 1);
    }

    #[test]
    fn nobody_waits_for_a_receiver_that_is_gone() {
        let (mut sender, receiver) = channel(1);
        drop(receiver);
        for n in 0..1_000_000u64 {
            assert!(sender.offer_frame(&frame(n, 160)));
        }
        assert_eq!(sender.offer(close(3)), None);
    }
}
