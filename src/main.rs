//! The command line: `throughline serve`, and the tools around it.

use std::{
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use throughline::{
    app,
    config::{Config, ConfigError, Speech},
    ids::{InteractionId, PhoneNumber},
    service::{
        demo,
        egress::Address,
        eval,
        log_writer::{self, LogWriter},
        recorder::{paths, render::Rendering},
        sounds, speech,
    },
};

/// A call makes and frees hundreds of small blocks, on the control thread and on those of its rows.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Transcribe a WAV file (8 or 16 kHz, mono or stereo) with the local model, without the numbers that calls are kept without.
    Transcribe {
        /// The file.
        file: PathBuf,
        /// Folder of the configuration files, whose redaction applies; where there is none, the usual numbers are taken out.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
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
        /// Speak the dialogues too: with espeak-ng, through the speech path, then card and mood of what was recognised (minutes).
        #[arg(long)]
        spoken: bool,
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
    /// Speech models: what there is, fetch one, verify and measure what is here.
    Model {
        #[command(subcommand)]
        what: Model,
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

#[derive(Subcommand)]
enum Model {
    /// The official models, which are installed, which are used.
    List {
        /// Folder of the configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
    },
    /// Fetch an official model; goes on where it was cut off, and puts it in place once its hash is right.
    Fetch {
        /// As `list` shows it, such as base.en.
        name: String,
        /// Base address of a mirror; default: models_from in speech.toml.
        #[arg(long)]
        from: Option<Address>,
        /// Folder; default: the nearest models/.
        #[arg(long)]
        into: Option<PathBuf>,
        /// Folder of the configuration files.
        #[arg(long, default_value = "sip-config")]
        config: PathBuf,
    },
    /// Compare what is here with the hashes that its publisher states.
    Verify {
        /// A name or a file; default: everything installed.
        model: Option<PathBuf>,
    },
    /// Measure speed, context and thresholds on this machine, and propose models/NAME.toml.
    Check {
        /// A name or a file; default: the demo model.
        model: Option<PathBuf>,
        /// Folder of spoken samples: 8 or 16 kHz WAV files and transcripts.tsv; default: models/samples.
        #[arg(long)]
        samples: Option<PathBuf>,
        /// Workers that decode at once; default: cores - 1.
        #[arg(long)]
        workers: Option<usize>,
        /// Write the proposal beside the model instead of printing it; an older file is kept as NAME.toml.old.
        #[arg(long)]
        write: bool,
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
            let _last_lines = log()?;
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
        Command::Transcribe { file, config, model, json } => {
            // Only a configuration that can be read may say that numbers stay.
            let rules = if config.exists() { Config::read(&config)?.speech.redaction.rules } else { Arc::default() };
            let pool = speech::Pool::start(speech::PoolConfig { model, ..speech::PoolConfig::default() })?;
            speech::transcribe_file(&pool, &file, json, &rules, &mut io::stdout().lock())?;
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
        Command::Eval { dialogues, words, spoken, show, of, record: None } => {
            let dialogues = eval::dialogues::read(&dialogues)?;
            if show {
                eval::show(&dialogues, &mut io::stdout().lock())?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut found = eval::measure(&dialogues);
            if words || spoken {
                recognised(&mut found, &dialogues, words, spoken)?;
            }
            eval::write(&found, &of, &mut io::stdout().lock())?;
        }
        Command::Model { what } => return model(what),
        Command::SpeechWorker => return Ok(ExitCode::from(speech::worker::main())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds what goes through the recogniser to what was measured on text.
fn recognised(found: &mut eval::Evaluation, dialogues: &[eval::dialogues::Dialogue], words: bool, spoken: bool) -> anyhow::Result<()> {
    let pool = speech::Pool::start(speech::PoolConfig::default())?;
    if spoken {
        let mut say = |what: &str| drop(write!(io::stderr(), "\r\x1b[K{what}"));
        found.spoken = Some(eval::spoken::measure(&pool, dialogues, &mut say)?);
        writeln!(io::stderr())?;
    }
    if words {
        let samples = speech::samples().context("models/samples is not found beside the program")?;
        found.words = Some(eval::words::measure(&pool, &samples)?);
    }
    Ok(())
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

fn model(what: Model) -> anyhow::Result<ExitCode> {
    match what {
        Model::List { config } => {
            let speech = speech_config(&config)?;
            let used = [("live", speech.live_model.as_deref()), ("after the call", speech.after_call_model.as_deref())];
            write!(io::stdout(), "{}", speech::catalogue::list(&used))?;
        }
        Model::Fetch { name, from, into, config } => {
            let from = from.map_or_else(|| speech_config(&config).map(|speech| speech.models_from), Ok)?;
            let fetch = speech::fetch::Fetch::new(&name, from, into.unwrap_or_else(speech::catalogue::folder))?;
            let mut told = 0;
            let path = fetch.run(&mut |have, whole| {
                let percent = have * 100 / whole.max(1);
                if percent != told {
                    told = percent;
                    let _ = write!(io::stderr(), "\r{name}: {percent:>3} % of {} MB", whole / 1_000_000);
                }
            })?;
            writeln!(io::stderr())?;
            writeln!(io::stdout(), "{}: verified. `throughline model check {name}` measures it here", path.display())?;
        }
        Model::Verify { model } => return verify(model.as_deref()),
        Model::Check { model, samples, workers, write } => check(model.as_deref(), samples, workers, write)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Speech as configured; the defaults where there is no configuration.
fn speech_config(folder: &Path) -> anyhow::Result<Speech> {
    let config = if folder.is_dir() { Config::read(folder)? } else { Config::parse(&[]).map_err(ConfigError::Mistakes)? };
    Ok(config.speech)
}

fn verify(model: Option<&Path>) -> anyhow::Result<ExitCode> {
    use speech::{catalogue::Verdict, model::Model};
    let models = model.map_or_else(|| Ok(Model::installed()), |m| Model::find(Some(m)).map(|m| vec![m]))?;
    if models.is_empty() {
        bail!("no model is installed; `throughline model list` shows what can be fetched");
    }
    let mut all_good = true;
    for model in models {
        let said = match speech::catalogue::verify(&model.path)? {
            Verdict::Good => "as its publisher states".to_owned(),
            Verdict::Wrong(found) => {
                all_good = false;
                format!("WRONG: SHA-256 is {found}; remove it and fetch it again")
            }
            Verdict::Unknown(found) => format!("no hash is stated for it; SHA-256 is {found}"),
        };
        writeln!(io::stdout(), "{}: {said}", model.path.display())?;
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(model: Option<&Path>, samples: Option<PathBuf>, workers: Option<usize>, write: bool) -> anyhow::Result<()> {
    use speech::{check, model};
    let model = model::Model::find(model)?;
    let samples =
        samples.or_else(speech::samples).context("models/samples is not found beside the program; give a folder with --samples")?;
    let workers = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1)));
    let measured = check::measure(&model, &check::samples(&samples)?, &mut |what| {
        let _ = writeln!(io::stderr(), "measuring: {what}");
    })?;
    writeln!(io::stdout(), "{}", measured.report(&model, workers))?;
    let proposal = measured.thresholds(&model);
    let path = model.path.with_file_name(format!("{}.toml", model::stem(&model.path)));
    if write {
        if path.exists() {
            std::fs::rename(&path, path.with_extension("toml.old"))?;
        }
        std::fs::write(&path, proposal)?;
        writeln!(io::stdout(), "written: {}", path.display())?;
    } else {
        writeln!(io::stdout(), "proposed {} (--write writes it):\n\n{proposal}", path.display())?;
    }
    Ok(())
}

/// The call that comes with the demo model.
fn demo_voices() -> anyhow::Result<PathBuf> {
    let folder = speech::samples().context("models/samples is not found beside the program; give a stereo WAV with --voices")?;
    Ok(folder.join("call.wav"))
}

/// Logs to standard error, by a thread of its own; `RUST_LOG` chooses what.
fn log() -> io::Result<log_writer::Flush> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn".into());
    let (writer, last_lines) = LogWriter::start(io::stderr(), &log_writer::LEFT_OUT)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone()).with_target(false).init();
    Ok(last_lines)
}
