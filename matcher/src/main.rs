//! `matcher`: the center's one program.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{CommandFactory, Parser};
use matcher::{
    audit::{self, AuditCommand},
    backup::{self, BackupArgs},
    batch_command, cases,
    center::{self, Center, OpenError},
    cli::{self, Cli, Command, DeviceCommand},
    config::{Config, ConfigError, LogConfig, LogFormat},
    coverage,
    data_dir::{DataDir, DataDirError},
    device, identify,
    import::{self, EnrolArgs},
    index_command, init,
    keyring::{self, KeysCommand},
    law::{self, LawCommand},
    listing::{self, ListingArgs},
    networks, out, plan,
    policy::{self, command::PolicyCommand},
    proxies,
    receipt_command::{self, ReceiptCommand},
    reconcile::{self, ReconcileArgs},
    references, retention,
    seeds_command::{self, SeedsCommand},
    serve::{self, ServeError},
    statistics_command, store_command, subject,
    surroundings::{self, Surroundings, System},
    user_command, webhook_command,
};
use models::manifest::ManifestError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Many small things are made and dropped by two threads for each verification; this allocator takes half the time for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_USAGE` of sysexits.h: the configuration is not in order.
const BAD_CONFIGURATION: u8 = 64;

fn main() -> ExitCode {
    let cli = Cli::parse();
    surroundings::set_command(cli::command_words(std::env::args_os()));
    match run(&cli).and_then(|code| seal(&cli).map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("matcher: {error:#}");
            if is_configuration(&error) { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Init(args) => block_on(initialise(&DataDir::new(cli.data()), args))?,
        Command::Device(command) => block_on(devices(&load(cli)?, command))?,
        Command::Enrol(args) => return block_on(enrol(&load(cli)?, args)),
        Command::Flags(args) => block_on(listing(&load(cli)?, args, Records::Flags))?,
        Command::Verifications(args) => block_on(listing(&load(cli)?, args, Records::Verifications))?,
        Command::Batch(command) => {
            return block_on(async {
                let (dir, config) = load(cli)?;
                Ok(batch_command::run(command, &dir, &config).await?)
            });
        }
        Command::Cases(command) => block_on(async { Ok(cases::run(&load(cli)?, command).await?) })?,
        Command::Operators(args) => block_on(async { Ok(cases::operators(&load(cli)?, args).await?) })?,
        Command::Statistics(command) => block_on(async { Ok(statistics_command::run(&load(cli)?, command).await?) })?,
        Command::Keys(command) => block_on(keys(cli, command))?,
        Command::Store(command) => {
            return block_on(async {
                let (dir, config) = load(cli)?;
                Ok(store_command::run(&dir, &config, command, System.now_ms()).await?)
            });
        }
        Command::Backup(args) => block_on(copy(&load(cli)?, args))?,
        Command::Restore(args) => {
            let note = backup::restore(&DataDir::new(cli.data()), &args.from)?;
            out::line(&format!("{} bytes are in place; put the keys back with `matcher keys restore`", note.store_bytes))?;
        }
        Command::Audit(command) => return block_on(async { Ok(audit::run(&load(cli)?, command).await?) }),
        Command::Policy(command) => return block_on(policies(&load(cli)?, command)),
        Command::Law(command) => return block_on(law(&load(cli)?, command)),
        Command::Subject(command) => return block_on(async { Ok(subject::run(command, &load(cli)?.0).await?) }),
        Command::Proxies(command) => block_on(async { Ok(proxies::run(command, &load(cli)?.0).await?) })?,
        Command::User(command) => block_on(async { Ok(user_command::run(&load(cli)?, command).await?) })?,
        Command::Seeds(command) => block_on(seeds(&load(cli)?, command))?,
        Command::Webhook(command) => block_on(async { Ok(webhook_command::run(&load(cli)?, command).await?) })?,
        Command::Index(command) => {
            let loaded = load(cli)?;
            identify::threads::apply(loaded.1.identification.threads)?;
            return block_on(async { Ok(index_command::run(&loaded, command).await?) });
        }
        Command::Coverage(args) => block_on(async { Ok(coverage::run(args, &load(cli)?.0).await?) })?,
        Command::References(command) => {
            return block_on(async {
                let (dir, config) = load(cli)?;
                Ok(references::run(command, &dir, &config).await?)
            });
        }
        Command::Retention(command) => block_on(async {
            let (dir, config) = load(cli)?;
            Ok(retention::run(command, &dir, &config).await?)
        })?,
        Command::Serve => {
            let loaded = load(cli)?;
            if loaded.1.identification.here {
                identify::threads::apply(loaded.1.identification.threads)?;
            }
            block_on(serve(&loaded))?;
        }
        Command::Receipt(command) => return receipt(cli, command),
        Command::Reconcile(args) => return block_on(reconcile(&load(cli)?, args)),
        Command::Plan(args) => plan::run(args)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "matcher", &mut script);
            out::line(String::from_utf8_lossy(&script).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Signs what a command added to the audit log. A data folder that cannot be opened has said so already.
fn seal(cli: &Cli) -> anyhow::Result<()> {
    // Checking leaves no trace, least of all of what it found changed.
    if matches!(cli.command, Command::Audit(AuditCommand::Verify(_))) {
        return Ok(());
    }
    let Some(dir) = cli.data.as_ref().and_then(|data| DataDir::initialised(data).ok()) else { return Ok(()) };
    let config = Config::load(&dir)?;
    block_on(async { Ok(audit::seal_after(&dir, &config).await?) }).context("the command is done, but the audit log is not signed")
}

async fn keys(cli: &Cli, command: &KeysCommand) -> anyhow::Result<()> {
    // These two work on a folder that is no center's yet.
    match command {
        KeysCommand::Restore(args) => {
            let files = backup::keys::restore(&DataDir::new(cli.data()), &args.from, &backup::keys::passphrase()?)?;
            Ok(out::line(&format!("{files} files of keys and certificates are in place"))?)
        }
        KeysCommand::Backup(_) | KeysCommand::Status { .. } | KeysCommand::Rotate(_) | KeysCommand::Renew(_) => {
            let (dir, config) = load(cli)?;
            Ok(keyring::run(&dir, &config, command, System.now_ms()).await?)
        }
    }
}

async fn copy((dir, config): &(DataDir, Config), args: &BackupArgs) -> anyhow::Result<()> {
    let store = center::open_store(dir, &config.store)?;
    let note = backup::backup(dir, &config.store, &store, &args.out, System.now_ms()).await?;
    Ok(out::line(&format!("{} bytes are in {}; keep the keys elsewhere", note.store_bytes, args.out.display()))?)
}

async fn initialise(dir: &DataDir, args: &init::InitArgs) -> anyhow::Result<()> {
    let now = System.now_ms();
    init::init(dir, args, now).await?;
    Ok(out::line(&init::summary(dir, args, now))?)
}

async fn devices((dir, config): &(DataDir, Config), command: &DeviceCommand) -> anyhow::Result<()> {
    let store = Center::open(dir).await?.store;
    match command {
        DeviceCommand::Issue(args) => {
            let days = config.devices.certificate_days;
            let device = device::issue(dir, store.as_ref(), args, days, System.now_ms()).await?;
            Ok(out::line(&format!("Device {} may call; its bundle is in {}", device.id, args.out.display()))?)
        }
        DeviceCommand::List { json } => {
            let rows = device::health::rows(store.as_ref(), System.now_ms()).await?;
            let text = if *json { device::health::json(&rows)? } else { device::health::list(&rows) };
            Ok(out::line(&text)?)
        }
        DeviceCommand::Invite(args) => {
            let invited = device::invite(dir, store.as_ref(), args, System.now_ms()).await?;
            Ok(out::line(&if args.json { serde_json::to_string(&invited)? } else { invited.text() })?)
        }
        DeviceCommand::Show { device: id, json } => {
            Ok(out::line(&device::health::show(store.as_ref(), id, *json, System.now_ms()).await?)?)
        }
        DeviceCommand::Revoke { device: id } => {
            device::revoke(store.as_ref(), id, System.now_ms()).await?;
            Ok(out::line(&format!("Device {id} is revoked; its next call is refused"))?)
        }
    }
}

/// With a key set alone, receipts are checked where there is no center.
fn receipt(cli: &Cli, command: &ReceiptCommand) -> anyhow::Result<ExitCode> {
    match command {
        ReceiptCommand::Verify(args) if args.keys.is_some() => {
            Ok(receipt_command::verify_offline(args, &Config::shipped()?.receipts, System.now_ms())?)
        }
        ReceiptCommand::Verify(_) | ReceiptCommand::Show(_) | ReceiptCommand::Find(_) => block_on(receipt_of_store(&load(cli)?, command)),
    }
}

async fn receipt_of_store((dir, config): &(DataDir, Config), command: &ReceiptCommand) -> anyhow::Result<ExitCode> {
    let store = Center::open(dir).await?.store;
    Ok(match command {
        ReceiptCommand::Verify(args) => receipt_command::verify(args, dir, &config.receipts, store.as_ref(), System.now_ms()).await?,
        ReceiptCommand::Show(args) => receipt_command::show(args, store.as_ref()).await?,
        ReceiptCommand::Find(args) => receipt_command::find(args, store.as_ref(), System.now_ms()).await?,
    })
}

async fn reconcile((dir, config): &(DataDir, Config), args: &ReconcileArgs) -> anyhow::Result<ExitCode> {
    Ok(reconcile::run(args, dir, config, &Center::open(dir).await?, System.now_ms()).await?)
}

async fn policies((dir, config): &(DataDir, Config), command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    Ok(policy::command::run(dir, config, command).await?)
}

async fn law((dir, config): &(DataDir, Config), command: &LawCommand) -> anyhow::Result<ExitCode> {
    Ok(law::run(&Center::open(dir).await?, config, command).await?)
}

async fn enrol((dir, config): &(DataDir, Config), args: &EnrolArgs) -> anyhow::Result<ExitCode> {
    let manifest = config.models.manifest()?;
    let networks =
        networks::load(&manifest, &config.models.cache_dir()).context("no networks to enrol with (`models fetch` brings them)")?;
    Ok(import::run(args, &Center::open(dir).await?, &networks).await?)
}

async fn seeds((dir, config): &(DataDir, Config), command: &SeedsCommand) -> anyhow::Result<()> {
    let networks = || {
        let manifest = config.models.manifest()?;
        networks::load(&manifest, &config.models.cache_dir()).context("no networks to compare with (`models fetch` brings them)")
    };
    seeds_command::run(command, &Center::open(dir).await?, networks).await
}

enum Records {
    Flags,
    Verifications,
}

async fn listing((dir, _): &(DataDir, Config), args: &ListingArgs, records: Records) -> anyhow::Result<()> {
    let store = Center::open(dir).await?.store;
    match records {
        Records::Flags => listing::flags(args, store.as_ref()).await?,
        Records::Verifications => listing::verifications(args, store.as_ref()).await?,
    }
    Ok(())
}

async fn serve((dir, config): &(DataDir, Config)) -> anyhow::Result<()> {
    let stop = StopSignals::listen()?;
    let bound = serve::bind(dir, config).await?;
    out::line(&format!("listening on https://{}", bound.address()))?;
    Ok(bound.run(stop.first()).await?)
}

/// SIGTERM (a service manager) and SIGINT (Ctrl-C).
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("could not listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn first(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn load(cli: &Cli) -> anyhow::Result<(DataDir, Config)> {
    let dir = DataDir::initialised(cli.data())?;
    let config = Config::load(&dir)?;
    log(&config.log)?;
    Ok((dir, config))
}

fn log(config: &LogConfig) -> anyhow::Result<()> {
    // A log that cannot be written (a full disk) would otherwise be complained about on the same stream, which ends the thread.
    let builder = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_new(&config.filter)?);
    let started = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow!("could not start the log: {error}"))
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("could not start the runtime")?.block_on(work)
}

fn is_configuration(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<ConfigError>()
            || cause.is::<ManifestError>()
            || cause.is::<DataDirError>()
            || cause.downcast_ref::<OpenError>().is_some_and(OpenError::is_configuration)
            || cause.downcast_ref::<ServeError>().is_some_and(ServeError::is_configuration)
    })
}
