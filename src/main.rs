//! The command line: `throughline serve`, and the tools around it.

use std::{
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use throughline::{
    app,
    config::{Config, ConfigError},
    ids::{InteractionId, PhoneNumber},
    service::{
        demo, eval,
        recorder::{paths, render::Rendering},
        sounds, speech,
    },
};

/// A telephony-first softswitch for customer service.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server.
    Serve {
        /// Folder of the configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
        /// Seed demo customers, people and phones, and print their logins.
        #[arg(long)]
        demo: bool,
    },
    /// Check the configuration; every mistake is listed with its remedy.
    Check {
        /// Folder of the configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
    },
    /// Show what it does.
    Demo {
        #[command(subcommand)]
        what: Demo,
    },
    /// Add or change somebody who works here; asks for the password on standard input.
    User {
        #[command(subcommand)]
        what: User,
    },
    /// Transcribe a WAV file (8 or 16 kHz, mono or stereo) with the local model.
    Transcribe {
        /// The file.
        file: PathBuf,
        /// A ggml model file; the demo model when left out.
        #[arg(long)]
        model: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a call's recording to a stereo WAV file, customer left, agent right.
    Export {
        /// The interaction.
        interaction: InteractionId,
        /// The file to write.
        file: PathBuf,
        /// Folder of the configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
    },
    /// Measure card, sentiment and words on labelled dialogues and samples; prints the tables of docs/quality.md.
    Eval {
        /// Folder of labelled dialogues.
        #[arg(long, default_value = "tests/dialogues")]
        dialogues: PathBuf,
        /// Measure words too: the carried samples through the speech path (a minute or more).
        #[arg(long)]
        words: bool,
        /// Show labels and card of each dialogue instead: for those that rules are tuned on, never for those that measure.
        #[arg(long)]
        show: bool,
        /// Count instead how people judged the card lines in the record of the server that this folder configures.
        #[arg(long, value_name = "CONFIG")]
        record: Option<PathBuf>,
        /// What the tables say that was measured.
        #[arg(long, default_value = "this build")]
        of: String,
    },
    /// A child process that turns audio into words; started by the server.
    #[command(hide = true)]
    SpeechWorker,
}

#[derive(Subcommand)]
enum Demo {
    /// Place a call with real voices: a carrier calls in, a simulated desk phone answers.
    Call {
        /// Folder of the server's configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
        /// The caller's number.
        #[arg(long, default_value = "+442079460101", value_parser = PhoneNumber::parse_e164)]
        from: PhoneNumber,
        /// The name that comes with it.
        #[arg(long, default_value = "L BENNETT")]
        name: String,
        /// The address that the carrier calls from.
        #[arg(long, default_value = "127.0.0.2")]
        trunk: IpAddr,
        /// Stereo WAV at 8 kHz, caller left, agent right.
        #[arg(long)]
        voices: Option<PathBuf>,
        /// Seconds that the simulated phone rings.
        #[arg(long, default_value_t = 4)]
        ring: u64,
        /// Account of the simulated desk phone.
        #[arg(long, default_value = "101")]
        phone: String,
        /// Its password.
        #[arg(long, default_value = "demo-phone-101")]
        phone_password: String,
        /// Don't simulate the agent's phone: a real one has registered and will answer.
        #[arg(long)]
        no_phone: bool,
        /// Call at once, though nobody may be ready: the caller waits in the queue.
        #[arg(long, conflicts_with = "no_phone")]
        queue: bool,
    },
}

#[derive(Subcommand)]
enum User {
    /// Add somebody, or change name, role and password.
    Add {
        /// Log-in.
        username: String,
        /// Name, as colleagues see it.
        #[arg(long)]
        name: String,
        /// agent, supervisor or admin.
        #[arg(long, default_value = "agent")]
        role: String,
        /// Extension of their phone; its account has the same name and gets a password of its own, which is printed.
        #[arg(long)]
        extension: Option<String>,
        /// A queue that they serve; may be given again.
        #[arg(long)]
        queue: Vec<String>,
        /// Folder of the configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { config, demo } => {
            log();
            app::serve(Config::read(&config)?, demo)?;
        }
        Command::Check { config } => {
            let checked = Config::read(&config)?;
            sounds::load(&checked.queues).map_err(ConfigError::Mistakes)?;
            let calls = checked.sip.limits.max_calls;
            writeln!(io::stdout(), "{}: no mistakes; {} trunk(s), {calls} calls at once", config.display(), checked.trunks.len())?;
        }
        Command::Demo { what } => demo_call(what)?,
        Command::User { what: User::Add { username, name, role, extension, queue, config } } => {
            let mut password = String::new();
            write!(io::stderr(), "Password for {username} (8 characters or more): ")?;
            io::stdin().read_line(&mut password)?;
            let person = app::NewPerson { username, name, role, extension, queues: queue, password: password.trim_end().to_owned() };
            writeln!(io::stdout(), "{}", app::add_person(&Config::read(&config)?, &person)?)?;
        }
        Command::Transcribe { file, model, json } => {
            let pool = speech::Pool::start(speech::PoolConfig { model, ..speech::PoolConfig::default() })?;
            speech::transcribe_file(&pool, &file, json, &mut io::stdout().lock())?;
        }
        Command::Export { interaction, file, config } => {
            let tracks = paths::tracks_of(&Config::read(&config)?.recording.folder, interaction)?;
            if tracks.is_empty() {
                bail!("{interaction} has no recording. The supervisor's list of calls shows which have one");
            }
            Rendering::open(&tracks)?.export(&file)?;
            writeln!(io::stdout(), "{}", file.display())?;
        }
        Command::Eval { record: Some(config), .. } => {
            for judged in app::judged_lines(&Config::read(&config)?)? {
                writeln!(
                    io::stdout(),
                    "{}",
                    eval::judged(&judged.method, judged.lines, [judged.confirmed, judged.edited, judged.rejected])
                )?;
            }
        }
        Command::Eval { dialogues, words, show, of, record: None } => {
            let dialogues = eval::dialogues::read(&dialogues)?;
            if show {
                eval::show(&dialogues, &mut io::stdout().lock())?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut found = eval::measure(&dialogues);
            if words {
                let samples = speech::samples().context("models/samples is not found beside the program")?;
                let pool = speech::Pool::start(speech::PoolConfig::default())?;
                found.words = Some(eval::words::measure(&pool, &samples)?);
            }
            eval::write(&found, &of, &mut io::stdout().lock())?;
        }
        Command::SpeechWorker => return Ok(ExitCode::from(speech::worker::main())),
    }
    Ok(ExitCode::SUCCESS)
}

fn demo_call(what: Demo) -> anyhow::Result<()> {
    let Demo::Call { config, from, name, trunk, voices, ring, phone, phone_password, no_phone, queue } = what;
    let config = Config::read(&config)?;
    let Some(number) = config.trunks.iter().flat_map(|trunk| &trunk.numbers).next() else {
        bail!("trunks.toml has no [[trunk.number]]: nobody can be called. Add one");
    };
    let call = demo::DemoCall {
        sip: config.sip.listeners[0].bind,
        http: config.http.listen,
        trunk,
        caller: from,
        caller_name: name,
        called: number.called.clone(),
        phone: (!no_phone).then_some((phone, phone_password)),
        voices: voices.map_or_else(demo_voices, Ok)?,
        ring: Duration::from_secs(ring),
        queue,
    };
    demo::run(&call, |line| {
        let _ = writeln!(io::stdout(), "{line}");
    })?;
    Ok(())
}

/// The call that comes with the demo model.
fn demo_voices() -> anyhow::Result<PathBuf> {
    let folder = speech::samples().context("models/samples is not found beside the program; give a stereo WAV with --voices")?;
    Ok(folder.join("call.wav"))
}

/// Logs to standard error; `RUST_LOG` chooses what.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).init();
}
