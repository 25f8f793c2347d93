//! How the call sounds now: what was measured goes into the record, trouble is said at the agent's desk while it lasts.

use super::{
    state::{Call, CallKind, Stage},
    turn::Turn,
};
use crate::{
    domain::{fact::Fact, live::SoundNow, media::plan::LegQuality},
    ids::LegId,
    time::UnixMs,
};

/// What was last measured on the two legs that talk.
#[derive(Debug, Default)]
pub(super) struct Sound {
    near: Option<LegQuality>,
    far: Option<LegQuality>,
    /// Since when the trouble that the desk shows lasts.
    since: Option<UnixMs>,
    poor: Option<SoundNow>,
}

impl Sound {
    pub fn since(&self) -> Option<UnixMs> {
        self.since
    }

    pub fn poor(&self) -> Option<SoundNow> {
        self.poor.clone()
    }
}

impl Call {
    /// A leg was measured.
    pub(super) fn on_quality(&mut self, turn: &mut Turn<'_>, leg: LegId, quality: &LegQuality) {
        turn.fact(Fact::LegQuality { leg, quality: *quality });
        let near = self.near.leg.id() == leg;
        let far = self.far.as_ref().is_some_and(|far| far.leg.id() == leg);
        match (near, far) {
            (true, _) => self.sound.near = Some(*quality),
            (false, true) => self.sound.far = Some(*quality),
            (false, false) => return,
        }
        self.judge_sound(turn);
    }

    /// A source was heard again, or for the first time.
    pub(super) fn on_source(&mut self, turn: &mut Turn<'_>, leg: LegId) {
        let last = if self.near.leg.id() == leg { &mut self.sound.near } else { &mut self.sound.far };
        if let Some(quality) = last {
            quality.silent_ms = 0;
        }
        self.judge_sound(turn);
    }

    /// Nothing came for so long that the peer was asked whether it is there.
    pub(super) fn note_silence(&mut self, turn: &mut Turn<'_>, near: bool, silent_ms: u32) {
        let last = if near { &mut self.sound.near } else { &mut self.sound.far };
        last.get_or_insert_default().silent_ms = silent_ms;
        self.judge_sound(turn);
    }

    fn judge_sound(&mut self, turn: &mut Turn<'_>) {
        // Who dialled is the customer, unless we called them.
        let (customer, agent) = match &self.kind {
            CallKind::Outbound(_) => (self.sound.far.as_ref(), self.sound.near.as_ref()),
            CallKind::Queue(_) | CallKind::Internal { .. } => (self.sound.near.as_ref(), self.sound.far.as_ref()),
        };
        let now = trouble(customer, agent);
        let poor = now.is_none().then(|| poor(customer, agent)).flatten();
        let Stage::Talking { trouble, .. } = &mut self.stage else { return };
        let changed = trouble.as_ref() != now.as_ref().map(|(text, _)| text) || poor != self.sound.poor;
        if !changed {
            return;
        }
        self.sound.since = now.as_ref().map(|(_, ms)| turn.now.wall.plus_ms(-i64::from(*ms)));
        *trouble = now.map(|(text, _)| text);
        self.sound.poor = poor;
        self.show(turn);
    }
}

/// Who is not heard or hears nothing, with what to do, and for how long already, milliseconds.
fn trouble(near: Option<&LegQuality>, far: Option<&LegQuality>) -> Option<(String, u32)> {
    let say = |text: &str, ms: u32| Some((text.to_owned(), ms));
    let deaf = |leg: Option<&LegQuality>| leg.filter(|leg| leg.reported.is_some_and(|reported| reported.deaf)).map(|leg| leg.interval_ms);
    match (near.filter(|near| near.is_silent()), far.filter(|far| far.is_silent())) {
        (Some(near), Some(far)) => say("No sound either way: the call may be dead. Call back.", near.silent_ms.min(far.silent_ms)),
        (Some(near), None) if near.peer_alive => {
            say("No sound from the customer, but they are there: perhaps muted. Ask, or call back.", near.silent_ms)
        }
        (Some(near), None) => say("No sound from the customer: nothing comes from the carrier. Call back if it stays.", near.silent_ms),
        (None, Some(far)) => say("No sound from your phone: check its mute key and headset.", far.silent_ms),
        (None, None) => match (deaf(near), deaf(far)) {
            (Some(ms), _) => say("The customer cannot hear you: our sound does not arrive. Call back.", ms),
            (None, Some(ms)) => say("Your phone gets no sound of the customer: check its network.", ms),
            (None, None) => None,
        },
    }
}

/// The worst of what both legs say of themselves, where it is poor.
fn poor(near: Option<&LegQuality>, far: Option<&LegQuality>) -> Option<SoundNow> {
    let inbound = |leg: Option<&LegQuality>, who: &str| {
        let leg = leg.filter(|leg| leg.is_poor())?;
        Some(SoundNow { mos_x100: leg.mos_x100?, text: told(who, leg.lost_permille()) })
    };
    let outbound = |leg: Option<&LegQuality>, who: &str| {
        let reported = leg.filter(|leg| leg.is_poor_there())?.reported?;
        Some(SoundNow { mos_x100: reported.mos_x100, text: told(who, reported.lost_permille) })
    };
    // What is lost on the way in is missing on the way out too: it is told where it was lost.
    let ways = [inbound(near, "Customer hard to hear"), inbound(far, "You are hard to hear")];
    let inwards = ways.into_iter().flatten().min_by_key(|way| way.mos_x100);
    let ways = [outbound(near, "Customer hears badly"), outbound(far, "Your phone hears badly")];
    inwards.or_else(|| ways.into_iter().flatten().min_by_key(|way| way.mos_x100))
}

fn told(who: &str, lost_permille: u16) -> String {
    if lost_permille >= 20 { format!("{who}: {} % lost", (lost_permille + 5) / 10) } else { who.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::plan::ReportedQuality;

    fn silent(silent_ms: u32, peer_alive: bool) -> LegQuality {
        LegQuality { silent_ms, peer_alive, ..LegQuality::default() }
    }

    fn said(near: Option<&LegQuality>, far: Option<&LegQuality>) -> String {
        trouble(near, far).expect("trouble").0
    }

    #[test]
    fn who_is_not_heard_is_named_with_what_to_do() {
        let well = LegQuality { received: 250, mos_x100: Some(438), ..LegQuality::default() };
        assert_eq!(trouble(Some(&well), Some(&well)), None);
        assert!(said(Some(&silent(6_000, true)), Some(&well)).starts_with("No sound from the customer, but they are there"));
        assert!(said(Some(&silent(6_000, false)), Some(&well)).contains("nothing comes"));
        assert!(said(Some(&well), Some(&silent(6_000, false))).contains("mute key"));
        assert_eq!(trouble(Some(&silent(9_000, true)), Some(&silent(6_000, true))).expect("both").1, 6_000);
        let deaf = LegQuality { reported: Some(ReportedQuality { deaf: true, ..ReportedQuality::default() }), ..well };
        assert!(said(Some(&deaf), Some(&well)).starts_with("The customer cannot hear you"));
    }

    #[test]
    fn poor_sound_is_told_where_it_was_lost() {
        let lossy = LegQuality { received: 220, lost: 30, mos_x100: Some(320), ..LegQuality::default() };
        let inherits = LegQuality {
            received: 250,
            mos_x100: Some(438),
            reported: Some(ReportedQuality { lost_permille: 120, mos_x100: 318, ..ReportedQuality::default() }),
            ..LegQuality::default()
        };
        let now = poor(Some(&lossy), Some(&inherits)).expect("poor");
        assert_eq!((now.mos_x100, now.text.as_str()), (320, "Customer hard to hear: 12 % lost"));
        assert_eq!(poor(None, Some(&inherits)).expect("poor").text, "Your phone hears badly: 12 % lost");
        assert_eq!(poor(None, None), None);
    }
}
