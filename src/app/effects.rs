//! Where the control thread's outputs go, and what flows back to it. Nothing here makes the control thread wait.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};

use super::people;
use crate::{
    config::Config,
    domain::{
        customer::brief::Matched,
        fact::{CustomerChoice, Fact},
        live::{Change, LiveFact},
        routing::Queue,
        switch::LookUp,
    },
    service::{
        clock,
        control_thread::{ControlHandle, ControlMessage, Effects},
        live::LiveHub,
        media_threads::MediaThreads,
        recorder::RecorderEvent,
        spool::SpoolHandle,
        store::Store,
    },
};

/// Look-ups at once; more wait, and a call that waited too long goes on without.
const LOOK_UPS: usize = 16;
/// How often changes of people by another process (`throughline user`) are looked for.
const PEOPLE_INTERVAL: Duration = Duration::from_secs(2);
/// Events read at once.
const EVENTS: u32 = 500;
/// Desks hear of changes at most this often: each goes to each desk, and a call makes half a dozen.
const GATHER: Duration = Duration::from_millis(50);

/// The ends of all channels that lead away from control.
pub(super) fn effects(media: &Arc<MediaThreads>, spool: &SpoolHandle, live: &LiveHub, store: &Store, handle: &ControlHandle) -> Effects {
    let (media, spool, live) = (Arc::downgrade(media), spool.clone(), live.clone());
    let (store, handle, runtime) = (store.clone(), handle.clone(), Handle::current());
    let permits = Arc::new(Semaphore::new(LOOK_UPS));
    Effects {
        media: Box::new(move |thread, command| {
            let sent = media.upgrade().map(|media| media.send(thread, command));
            if let Some(Err(error)) = sent {
                tracing::warn!(%error, "a media thread took no command");
            }
        }),
        look_up: Box::new(move |asked| {
            runtime.spawn(look_up(asked, store.clone(), handle.clone(), permits.clone()));
        }),
        fact: Box::new(move |fact| {
            spool.push(fact);
        }),
        live: Box::new(move |fact| live.publish(fact)),
    }
}

async fn look_up(asked: LookUp, store: Store, handle: ControlHandle, permits: Arc<Semaphore>) {
    let Ok(_permit) = permits.acquire().await else { return };
    let found = store.brief_for_call(asked.number.as_ref(), asked.display_name.as_deref(), Some(&asked.queue), clock::now().wall).await;
    match found {
        Ok(brief) => {
            let choice = if brief.matched == Matched::Known { CustomerChoice::Sole } else { CustomerChoice::Unknown };
            handle.send(ControlMessage::Brief { interaction: asked.interaction, brief: Box::new(brief), choice });
        }
        Err(error) => tracing::warn!(%error, "a caller could not be looked up; the call goes on without"),
    }
}

/// The recorder's events become facts and alarms.
pub(super) fn on_recorder_event(
    spool: SpoolHandle,
    alarm: impl Fn(Option<String>) + Send + 'static,
) -> impl Fn(RecorderEvent) + Send + 'static {
    move |event| match event {
        RecorderEvent::Closed { recording, to_ms, lost_ms, paused_ms, trouble, interaction: _, leg: _ } => {
            spool.push(Fact::RecordingClosed { recording, to_ms, lost_ms, paused_ms, trouble });
        }
        RecorderEvent::Trouble { sentence } => alarm(Some(sentence)),
        RecorderEvent::Recovered => alarm(None),
    }
}

/// Tells the switch when people, phones or queues have changed.
pub(super) async fn watch_people(store: Store, handle: ControlHandle, config: Config, queues: Vec<Queue>) {
    let mut ticks = interval(PEOPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        ticks.tick().await;
        match store.people(clock::now().wall).await {
            Ok(people) => {
                let snapshot = people::snapshot(&people, &config, &queues);
                if last.as_ref() != Some(&snapshot) {
                    handle.send(ControlMessage::People(Box::new(snapshot.clone())));
                    last = Some(snapshot);
                }
            }
            Err(error) => tracing::debug!(%error, "people could not be read"),
        }
    }
}

/// Tells the desks which interactions changed in the record.
pub(super) async fn tell_changes(store: Store, live: LiveHub) {
    let mut committed = store.watch_events();
    let mut cursor = *committed.borrow_and_update();
    // After a rest the first change goes out at once; what follows closely goes together.
    let mut passes = interval(GATHER);
    passes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while committed.changed().await.is_ok() {
        passes.tick().await;
        loop {
            let Ok(events) = store.events_since(cursor, EVENTS).await else { break };
            let Some(last) = events.last() else { break };
            cursor = last.seq;
            let mut told = HashSet::new();
            let changed = events.iter().filter_map(|event| Some((event.interaction?, event.customer)));
            let changes: Vec<Change> = changed
                .filter(|(interaction, _)| told.insert(*interaction))
                .map(|(interaction, customer)| Change { interaction, customer })
                .collect();
            if !changes.is_empty() {
                live.publish(LiveFact::Changed { changes });
            }
        }
    }
}
