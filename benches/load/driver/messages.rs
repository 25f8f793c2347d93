//! What comes in: requests to the phones, responses to the callers, news to the desks.

use std::{
    io::ErrorKind,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mio::Events;
use throughline::protocol::sip::{field::Method, header::HeaderId, message::Message, parse::parse};

use super::{Call, DESKS, Driver, State, sip};
use crate::desk::Told;

/// How long after a refusal nobody calls, where the next call follows the last.
const HELD_BACK: Duration = Duration::from_millis(5);

impl Driver<'_> {
    /// Reads what has come, or waits for it.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        if let Err(error) = self.poll.poll(&mut events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let mut buffer = [0; 4096];
        for event in &events {
            match event.token().0 {
                line if line < DESKS => loop {
                    match self.lines[line].socket.recv_from(&mut buffer) {
                        Ok((length, _)) => self.take(line, &buffer[..length]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(_) => {}
                    }
                },
                desk => self.look_at(desk - DESKS)?,
            }
        }
        Ok(())
    }

    fn look_at(&mut self, n: usize) -> anyhow::Result<()> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now = Instant::now();
        let mut told = Vec::new();
        self.desks[n].read(|desk, news| {
            let done = match &news {
                Told::Offer { offer, .. } => desk.acknowledge(offer),
                Told::WrapUp { interaction } => desk.finish_wrap_up(interaction),
            };
            told.push((news, done));
        })?;
        for (news, done) in told {
            done?;
            if let Told::Offer { at_ms, number, .. } = news {
                self.outcome.offer.add(wall.saturating_sub(Duration::from_millis(at_ms.unsigned_abs())));
                if let Some(call) = self.by_user.get(&number).and_then(|slot| self.calls[*slot].as_ref()) {
                    self.outcome.pop.add(now - call.began);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, line: usize, bytes: &[u8]) {
        let Ok(message) = parse(bytes) else { return };
        match message.status() {
            None => self.asked(line, &message),
            Some(status) => match message.call_id().as_bytes() {
                [b'r', ..] => self.register_answered(line, &message, status),
                [b'c', rest @ ..] => {
                    let text = std::str::from_utf8(rest).unwrap_or_default();
                    let mut parts = text.split('x').map(str::parse::<u64>);
                    let (Some(Ok(slot)), Some(Ok(serial))) = (parts.next(), parts.next()) else { return };
                    let slot = slot as usize;
                    let known = |call: &Call| call.serial == serial;
                    if self.calls.get(slot).is_some_and(|call: &Option<Call>| call.as_ref().is_some_and(known)) {
                        self.answered(slot, &message, status);
                    }
                }
                _ => {}
            },
        }
    }

    /// A phone rings and answers at once, and agrees to everything else.
    fn asked(&mut self, line: usize, request: &Message<'_>) {
        let local = self.lines[line].local;
        match request.method() {
            Method::Ack => {}
            Method::Invite => {
                if request.to_tag().is_none() {
                    let user = request.from().uri.user().map(|user| user.into_owned()).unwrap_or_default();
                    if let Some(call) = self.by_user.get(&user).and_then(|slot| self.calls[*slot].as_mut()) {
                        self.outcome.invite.add(call.began.elapsed());
                        call.ports[1] = sip::sdp_port(request.body()).unwrap_or(0);
                    }
                    sip::answer(&mut self.out, request, 180, local, "");
                    self.send(line);
                }
                let body = sip::sdp(self.media[1].0, self.media[1].1);
                sip::answer(&mut self.out, request, 200, local, &body);
                self.send(line);
            }
            _ => {
                sip::answer(&mut self.out, request, 200, local, "");
                self.send(line);
            }
        }
    }

    fn register_answered(&mut self, n: usize, response: &Message<'_>, status: u16) {
        let line = &mut self.lines[n];
        match status {
            401 if line.tries < 3 => {
                line.tries += 1;
                if line.account.as_mut().is_some_and(|account| account.challenged(response)) {
                    self.send_register(n);
                }
            }
            200 => {
                if line.registered.is_none() {
                    self.registrations.0.add(line.asked.map(|asked| asked.elapsed()).unwrap_or_default());
                }
                line.registered = Some(Instant::now());
            }
            _ => *self.registrations.1.entry(status).or_default() += 1,
        }
    }

    fn answered(&mut self, slot: usize, response: &Message<'_>, status: u16) {
        let Some(call) = &mut self.calls[slot] else { return };
        let invite = *response.method() == Method::Invite;
        match (&call.state, status) {
            (_, 100..200) => {}
            (State::Inviting, 200..300) if invite => {
                let to = response.header_lines(HeaderId::To).next();
                call.to = String::from_utf8_lossy(to.unwrap_or_default()).into_owned();
                if let Some(contact) = response.contacts().next() {
                    call.target = contact.uri.to_string();
                }
                call.ports[0] = sip::sdp_port(response.body()).unwrap_or(0);
                call.state = State::Talking;
                let over = call.over;
                self.inviting -= 1;
                self.outcome.talked += 1;
                self.ask(slot, "ACK2", "", "");
                if over {
                    self.hang_up(slot);
                }
            }
            (_, 200..300) if invite => self.ask(slot, "ACK2", "", ""),
            (State::Inviting, 401) if !call.challenged => {
                call.challenged = true;
                let line = call.line;
                let known = self.lines[line].account.as_mut().is_some_and(|account| account.challenged(response));
                self.refuse(slot, response);
                match (&mut self.calls[slot], known) {
                    (Some(call), true) => call.cseq += 1,
                    (_, _) => return self.forget(slot),
                }
                self.invite(slot);
            }
            (State::Inviting, _) => {
                self.held_back_until = Instant::now() + HELD_BACK;
                *self.outcome.refused.entry(status).or_default() += 1;
                self.refuse(slot, response);
                self.forget(slot);
            }
            (State::Ending(since), _) if *response.method() == Method::Bye => {
                let since = *since;
                if status == 200 {
                    self.outcome.completed += 1;
                    self.outcome.bye.add(since.elapsed());
                } else {
                    *self.outcome.refused.entry(status).or_default() += 1;
                }
                self.forget(slot);
            }
            (State::Talking | State::Ending(_), _) => {}
        }
    }

    /// The ACK to a refusal: To as the response has it (RFC 3261 §17.1.1.3).
    fn refuse(&mut self, slot: usize, response: &Message<'_>) {
        let to = response.header_lines(HeaderId::To).next().unwrap_or_default();
        let to = String::from_utf8_lossy(to).into_owned();
        let Some(call) = &mut self.calls[slot] else { return };
        let before = std::mem::replace(&mut call.to, to);
        self.ask(slot, "ACK", "", "");
        if let Some(call) = &mut self.calls[slot] {
            call.to = before;
        }
    }
}
