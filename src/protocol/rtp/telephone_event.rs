//! Key presses as named events (RFC 4733 §2.3): one event is several packets with the same timestamp and a growing
//! duration; its end is sent three times.

/// Octets of an event's payload.
pub const EVENT_LEN: usize = 4;

/// The payload of one telephone-event packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// Event code; 0–15 are keys (RFC 4733 §3.2).
    pub event: u8,
    /// Whether this is the end of the event.
    pub end: bool,
    /// Power below 0 dBm0, 0–63.
    pub volume: u8,
    /// Length so far, timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload; redundant further events in it are left out. `None` when it is too short.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk::<EVENT_LEN>()?;
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration: u16::from_be_bytes([high, low]) })
    }

    /// The payload's octets.
    pub fn to_bytes(self) -> [u8; EVENT_LEN] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }

    /// The key, `0`–`9`, `*`, `#`, `A`–`D`; `None` for other events such as hook flash.
    pub fn key(self) -> Option<char> {
        const KEYS: &[u8; 16] = b"0123456789*#ABCD";
        KEYS.get(usize::from(self.event)).map(|&key| char::from(key))
    }
}

/// Turns the packets of one source into key presses, one for each event whichever of its packets are lost.
#[derive(Clone, Debug, Default)]
pub struct KeyDetector {
    newest: Option<u32>,
}

impl KeyDetector {
    /// Takes one event packet; a key is returned once, with the first packet of its event that comes.
    pub fn push(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let event = TelephoneEvent::parse(payload)?;
        if self.newest.is_some_and(|newest| timestamp.wrapping_sub(newest) as i32 <= 0) {
            return None;
        }
        self.newest = Some(timestamp);
        event.key()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_told_once_though_its_packets_are_many() {
        let mut keys = KeyDetector::default();
        let packet = |end, duration| TelephoneEvent { event: 11, end, volume: 10, duration }.to_bytes();
        let heard: String = [packet(false, 160), packet(false, 320), packet(true, 480), packet(true, 480), packet(true, 480)]
            .iter()
            .filter_map(|bytes| keys.push(1000, bytes))
            .collect();
        assert_eq!(heard, "#");
        assert_eq!(keys.push(3000, &packet(true, 480)), Some('#'), "the next press, its beginning lost");
        assert_eq!(keys.push(1000, &packet(true, 480)), None, "a straggler");
    }

    proptest! {
        #[test]
        fn any_payload_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..12), timestamp: u32) {
            let read = TelephoneEvent::parse(&bytes);
            prop_assert_eq!(read.is_some(), bytes.len() >= EVENT_LEN);
            let _ = KeyDetector::default().push(timestamp, &bytes);
        }
    }
}
