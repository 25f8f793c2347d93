//! `throughline demo call --queue`: the caller waits, hears what callers hear, and speaks once an agent is there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{DemoCall, DemoError, DemoOutcome, DeskPhone, OVER, TrunkCaller};
use crate::service::clock;

/// How long the caller waits: less than the phone stays registered.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at the other side.
const LOOK: Duration = Duration::from_millis(100);

/// Who takes part, and what they say.
pub(super) struct Parties {
    pub caller: TrunkCaller,
    pub phone: DeskPhone,
    pub caller_voice: Vec<i16>,
    pub agent_voice: Vec<i16>,
}

/// Places the call; `tell` gets one line per step.
pub(super) fn run(call: &DemoCall, parties: Parties, tell: &(impl Fn(&str) + Send + Sync)) -> Result<DemoOutcome, DemoError> {
    let Parties { caller, mut phone, caller_voice, agent_voice } = parties;
    let length = Duration::from_millis(caller_voice.len() as u64 / 8);
    let (talks, over) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    thread::scope(|scope| {
        let answering = scope.spawn(|| -> Result<Vec<i16>, DemoError> {
            while !phone.is_called_within(LOOK) {
                if over.load(Ordering::Relaxed) {
                    return Ok(Vec::new());
                }
            }
            let playing = phone.take(call.ring, agent_voice)?;
            talks.store(true, Ordering::Relaxed);
            phone.wait_for_end();
            Ok(playing.stop())
        });
        tell(&format!("{} calls {} …", call.caller_name, call.called));
        let heard = (|| {
            let mut talk = caller.silent_until(talks.clone()).call(call, caller_voice)?;
            tell(&format!("The caller is in line. See the header and the board at http://{}, then press Ready.", call.http));
            let deadline = clock::now().mono + PATIENCE;
            while !talks.load(Ordering::Relaxed) {
                if talk.hung_up_within(LOOK) {
                    talk.break_off();
                    return Err(DemoError::Refused("the queue let the caller go before anybody answered".to_owned()));
                }
                if clock::now().mono > deadline {
                    talk.finish_after(Duration::ZERO);
                    return Err(DemoError::Refused("nobody took the call in four minutes; the caller hung up".to_owned()));
                }
            }
            tell(&format!("An agent is there. They talk for {} seconds; watch the desk.", length.as_secs()));
            Ok(talk.finish_after(length + Duration::from_secs(1)))
        })();
        over.store(true, Ordering::Relaxed);
        let phone_heard = answering.join().map_err(|_| DemoError::Refused("the phone failed".to_owned()))?;
        let caller_heard = heard?;
        tell(OVER);
        Ok(DemoOutcome { caller_heard, phone_heard: phone_heard? })
    })
}
