//! Demo data: people, phones and customers with a history on every channel, told relative to now.
//!
//! Numbers are from the ranges reserved for fiction (Ofcom +44 20 7946 0xxx and +44 7700 900xxx, NANP 555-01xx).

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    Role, Store, StoreError, hash_password,
    people_admin::{NewAgent, NewPhone, put_agent, put_phone, put_queue},
    seed_rows::{self, Seeder},
};
use crate::{ids::AgentId, time::UnixMs};

/// The data itself.
const DEMO: &str = include_str!("../../../seeds/demo.json");

/// What a newcomer needs to try it.
#[derive(Clone, Debug)]
pub struct DemoSeed {
    /// Desk log-ins.
    pub logins: Vec<DemoLogin>,
    /// Phone accounts.
    pub phones: Vec<DemoPhone>,
}

/// A desk log-in of the demo.
#[derive(Clone, Debug)]
pub struct DemoLogin {
    /// Their name.
    pub name: String,
    /// User name.
    pub username: String,
    /// Password: well known, for the demo only.
    pub password: String,
    /// Rights.
    pub role: Role,
}

/// A phone account of the demo.
#[derive(Clone, Debug)]
pub struct DemoPhone {
    /// Digest user name.
    pub username: String,
    /// What is dialled to reach it.
    pub extension: String,
    /// Password: well known, for the demo only.
    pub password: String,
    /// User name of the agent whose phone it is.
    pub agent: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Demo {
    pub agents: Vec<DemoAgent>,
    pub queues: Vec<DemoQueue>,
    pub dispositions: Vec<DemoDisposition>,
    pub organisations: Vec<String>,
    pub customers: Vec<seed_rows::DemoCustomer>,
    pub tickets: Vec<seed_rows::DemoTicket>,
    pub contacts: Vec<seed_rows::DemoContact>,
    pub promises: Vec<seed_rows::DemoPromise>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoAgent {
    name: String,
    username: String,
    password: String,
    role: Role,
    phone: Option<DemoAgentPhone>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DemoAgentPhone {
    extension: String,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoQueue {
    name: String,
    label: String,
    agents: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoDisposition {
    id: String,
    label: String,
    cues: String,
    #[serde(default = "yes")]
    contact: bool,
}

fn yes() -> bool {
    true
}

/// Puts the demo in, once: a second call changes people's passwords and phones back, and adds nothing.
pub async fn seed_demo(store: &Store, realm: &str, now: UnixMs) -> Result<DemoSeed, StoreError> {
    let demo: Demo = serde_json::from_str(DEMO)?;
    let hashes = hashes(&demo).await?;
    let mut tx = store.write().await?;
    let mut agents: HashMap<String, AgentId> = HashMap::new();
    for (person, hash) in demo.agents.iter().zip(&hashes) {
        let new = NewAgent { name: &person.name, username: &person.username, password_hash: Some(hash), role: person.role, demo: true };
        let agent = put_agent(&mut tx, &new, now).await?;
        agents.insert(person.username.clone(), agent);
        if let Some(phone) = &person.phone {
            let (username, secret) = (phone.extension.as_str(), phone.secret.as_str());
            let new = NewPhone { username, extension: &phone.extension, realm, secret, agent: Some(agent), demo: true };
            put_phone(&mut tx, &new, now).await?;
        }
    }
    for queue in &demo.queues {
        let members: Vec<AgentId> = queue.agents.iter().filter_map(|name| agents.get(name).copied()).collect();
        put_queue(&mut tx, &queue.name, &queue.label, &members, now).await?;
    }
    for (place, disposition) in (0_i64..).zip(&demo.dispositions) {
        sqlx::query(
            "INSERT INTO disposition (disposition, label, contact, cues, place) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (disposition) DO NOTHING",
        )
        .bind(&disposition.id)
        .bind(&disposition.label)
        .bind(i64::from(disposition.contact))
        .bind(&disposition.cues)
        .bind(place)
        .execute(&mut *tx)
        .await?;
    }
    let first =
        sqlx::query("INSERT INTO sequencer (name, last) VALUES ('demo', 1) ON CONFLICT (name) DO NOTHING").execute(&mut *tx).await?;
    if first.rows_affected() > 0 {
        Seeder::new(&mut tx, now, agents).run(&demo).await?;
    }
    store.commit(tx).await?;
    Ok(welcome(&demo))
}

async fn hashes(demo: &Demo) -> Result<Vec<String>, StoreError> {
    let passwords: Vec<String> = demo.agents.iter().map(|agent| agent.password.clone()).collect();
    let hashed = tokio::task::spawn_blocking(move || passwords.iter().map(|p| hash_password(p)).collect::<Result<Vec<_>, _>>());
    hashed.await.map_err(|_| StoreError::Invalid("the passwords could not be hashed; start again"))?
}

fn welcome(demo: &Demo) -> DemoSeed {
    let login = |agent: &DemoAgent| DemoLogin {
        name: agent.name.clone(),
        username: agent.username.clone(),
        password: agent.password.clone(),
        role: agent.role,
    };
    let phone = |agent: &DemoAgent| {
        agent.phone.as_ref().map(|phone| DemoPhone {
            username: phone.extension.clone(),
            extension: phone.extension.clone(),
            password: phone.secret.clone(),
            agent: agent.username.clone(),
        })
    };
    DemoSeed { logins: demo.agents.iter().map(login).collect(), phones: demo.agents.iter().filter_map(phone).collect() }
}
