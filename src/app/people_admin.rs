//! `throughline user`, and what a demonstration prints to begin with.

use std::io::Write;

use super::{AppError, io_error, wiring};
use crate::{
    config::Config,
    service::{
        clock,
        store::{DemoSeed, Judged, NewAgent, NewPhone, Role, Store, hash_password},
    },
};

/// Shortest password.
const PASSWORD_MIN: usize = 8;

/// Somebody to be added or changed.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// Log-in.
    pub username: String,
    /// Name.
    pub name: String,
    /// `agent`, `supervisor` or `admin`.
    pub role: String,
    /// Extension of their phone.
    pub extension: Option<String>,
    /// Queues that they serve.
    pub queues: Vec<String>,
    /// Password of the desk.
    pub password: String,
}

/// Adds or changes somebody; a running server sees it within seconds. Returns what to tell them.
pub fn add_person(config: &Config, person: &NewPerson) -> Result<String, AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_error("the runtime cannot start"))?;
    runtime.block_on(add(config, person))
}

async fn add(config: &Config, person: &NewPerson) -> Result<String, AppError> {
    let role = match person.role.as_str() {
        "agent" => Role::Agent,
        "supervisor" => Role::Supervisor,
        "admin" => Role::Admin,
        other => return Err(AppError::Refused(format!("\"{other}\" is no role. Choose agent, supervisor or admin"))),
    };
    if person.password.chars().count() < PASSWORD_MIN {
        return Err(AppError::Refused(format!("The password is too short. Choose one of {PASSWORD_MIN} characters or more")));
    }
    if let Some(unknown) = person.queues.iter().find(|name| !config.queues.iter().any(|queue| queue.name == **name)) {
        return Err(AppError::Refused(format!("There is no queue \"{unknown}\". Add it to queues.toml, or name one that is there")));
    }
    std::fs::create_dir_all(&config.node.data).map_err(io_error("the data folder cannot be made"))?;
    let store = Store::open(&wiring::Folders::of(config).database).await?;
    let now = clock::now().wall;
    let hash = hash_password(&person.password)?;
    let queues: Vec<&str> = person.queues.iter().map(String::as_str).collect();
    let new = NewAgent { username: &person.username, name: &person.name, role, password_hash: Some(&hash), demo: false };
    store.put_queues(&config.queues.iter().map(|queue| queue.name.clone()).collect::<Vec<_>>(), now).await?;
    let agent = store.put_agent(&new, now).await?;
    store.serve_queues(agent, &queues).await?;
    let mut told = format!("{} may log in as {}.", person.name, person.username);
    if let Some(extension) = &person.extension {
        let secret = secret()?;
        let realm = &config.sip.realm;
        let phone = NewPhone { username: extension, extension, realm, secret: &secret, agent: Some(agent), demo: false };
        store.put_phone(&phone, now).await?;
        told += &format!("\nTheir phone: server {}, user {extension}, password {secret} (shown this once).", config.sip.listeners[0].bind);
    }
    store.close().await;
    Ok(told)
}

/// Sixteen letters and digits.
fn secret() -> Result<String, AppError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

/// Where to look, who to be, what to type next.
pub(super) fn print_welcome(config: &Config, seed: &DemoSeed) {
    let mut text = format!("\n  The desk      http://{}\n", config.http.listen);
    for login in &seed.logins {
        text += &format!("  {:<13} {} / {}   ({})\n", format!("{:?}", login.role), login.username, login.password, login.name);
    }
    for phone in &seed.phones {
        text += &format!(
            "  Phone {:<7} sip:{}@{}, password {}\n",
            phone.extension, phone.username, config.sip.listeners[0].bind, phone.password
        );
    }
    let program = std::env::args().next().unwrap_or_else(|| "throughline".to_owned());
    text += &format!("\n  Log in as the agent, press Ready, and type in another terminal:\n\n      {program} demo call\n\n");
    // Nobody may be listening; then nobody needs to be told.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// How people judged the card lines in the record, by method and version.
pub fn judged_lines(config: &Config) -> Result<Vec<Judged>, AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_error("the runtime cannot start"))?;
    runtime.block_on(async { Ok(Store::open(&wiring::Folders::of(config).database).await?.judged_lines().await?) })
}
