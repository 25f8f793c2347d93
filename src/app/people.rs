//! People, phones and queues: from the record and the configuration to what the switch knows of them.

use crate::{
    config::Config,
    domain::{
        fact::AgentState,
        live::DeskCommand,
        routing::{AgentProfile, Queue},
        switch::{PeopleSnapshot, PhoneAccount},
    },
    protocol::sip::digest::Algorithm,
    service::store::People,
};

/// The switch's view of who works here.
pub(super) fn snapshot(people: &People, config: &Config, queues: &[Queue]) -> PeopleSnapshot {
    let agents = people.agents.iter().map(|person| AgentProfile {
        id: person.agent,
        name: person.name.clone(),
        queues: people.queues.iter().filter(|queue| queue.agents.contains(&person.agent)).map(|queue| queue.name.clone()).collect(),
        phone: people.phones.iter().find(|phone| phone.agent == Some(person.agent)).map(|phone| phone.phone),
    });
    let md5 = config.sip.listeners.iter().any(|listener| config.sip.digest_at(listener).has(Algorithm::Md5));
    let phones = people.phones.iter().filter(|phone| phone.realm == config.sip.realm).map(|phone| PhoneAccount {
        id: phone.phone,
        user: phone.username.clone(),
        extension: phone.extension.clone(),
        display_name: owner(people, phone.agent).unwrap_or_else(|| phone.extension.clone()),
        ha1_md5: md5.then(|| phone.ha1_md5.clone()),
        ha1_sha256: phone.ha1_sha256.clone(),
    });
    PeopleSnapshot { agents: agents.collect(), phones: phones.collect(), queues: queues.to_vec() }
}

fn owner(people: &People, agent: Option<crate::ids::AgentId>) -> Option<String> {
    people.agents.iter().find(|person| Some(person.agent) == agent).map(|person| person.name.clone())
}

/// What the agents were before the process ended: those who were at work are ready again, the others keep their pause.
pub(super) fn resumed(people: &People) -> Vec<DeskCommand> {
    let resume = |person: &crate::service::store::PersonRow| {
        let (state, reason, _) = person.state.clone()?;
        let state = match state {
            AgentState::Ready | AgentState::Offered | AgentState::Busy | AgentState::WrapUp => AgentState::Ready,
            AgentState::NotReady => AgentState::NotReady,
            AgentState::Offline => return None,
        };
        Some(DeskCommand::SetState { agent: person.agent, state, reason })
    };
    people.agents.iter().filter_map(resume).collect()
}
