//! `doorbuster serve ROLE`: one service in the foreground. The supervisor, Compose and Kubernetes start this.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use shop_bank::BankConfig;
use shop_contract::Role;
use shop_gateway::{Allowance, Limits};
use shop_inventory::InventoryConfig;
use shop_kit::config::{Events, ServiceConfig};
use shop_kit::store::sqlite_url;
use shop_kit::telemetry::sampler::{SamplerCounts, Sampling};
use shop_kit::telemetry::tracing::{OtlpLogs, Telemetry, TelemetryConfig};
use shop_notification::NotificationConfig;
use shop_product::ProductConfig;
use shop_user::UserConfig;
use tokio_util::sync::CancellationToken;

use crate::environment::{ADMIN_TOKEN, SERVICE_KEY, START_LATE_MS, SUPERVISED};
use crate::patterns::PatternList;
use crate::runtime;

/// Settings of one service. Each is a flag or an environment variable. Secrets (the key, the token) are variables only,
/// because other users can read flags in the list of processes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: doorbuster serve product --listen 127.0.0.1:8081 --data /tmp/shop"
)]
pub(super) struct ServeArgs {
    /// gateway, user, product, inventory, cart, order, payment, notification or bank
    #[arg(value_parser = Role::from_str)]
    role: Role,
    /// Which replica of its role it is, from 0
    #[arg(long, env = "DOORBUSTER_REPLICA", default_value_t = 0)]
    replica: u32,
    /// Listener of the shop's API
    #[arg(long, env = "DOORBUSTER_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Admin listener: metrics, health, faults, audit
    #[arg(long, env = "DOORBUSTER_ADMIN", default_value = "127.0.0.1:9080")]
    admin: SocketAddr,
    /// Database: a sqlite: or postgres: URL; by default a SQLite file in --data
    #[arg(long, env = "DOORBUSTER_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Folder of the SQLite file
    #[arg(long, env = "DOORBUSTER_DATA", default_value = ".")]
    data: PathBuf,
    /// Addresses of the other services: `order=10.0.0.1:80,10.0.0.2:80;user=10.0.0.3:80`
    #[arg(long, env = "DOORBUSTER_PEERS", default_value = "")]
    peers: String,
    /// How events reach their subscribers: `http`, or a NATS server with JetStream such as nats://127.0.0.1:4222. A path
    /// names the stream if several shops share the server
    #[arg(
        long,
        env = "DOORBUSTER_EVENTS",
        default_value = "http",
        hide_env_values = true
    )]
    events: String,
    /// Mail server, such as smtp://127.0.0.1:1025. Without one, messages are stored and not sent
    #[arg(long, env = "DOORBUSTER_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// Patterns to switch off, separated by commas: retries, breakers, shedding, deadlines, hedging, bulkheads,
    /// budgets, balancing, caches, fallbacks
    #[arg(long, env = "DOORBUSTER_WITHOUT", default_value = "")]
    without: PatternList,
    /// Seed of catalogue and customers
    #[arg(long, env = "DOORBUSTER_SEED", default_value_t = 1)]
    seed: u64,
    /// Products in the catalogue
    #[arg(long, env = "DOORBUSTER_PRODUCTS", default_value_t = 2000)]
    products: u64,
    /// Registered customers
    #[arg(long, env = "DOORBUSTER_CUSTOMERS", default_value_t = 1000)]
    customers: u64,
    /// Pieces of each product in stock
    #[arg(long, env = "DOORBUSTER_STOCK", default_value_t = 1000)]
    stock: u32,
    /// The bank: median of its response time, in milliseconds
    #[arg(long, env = "DOORBUSTER_BANK_MEDIAN_MS", default_value_t = 40)]
    bank_median_ms: u64,
    /// The bank: the share of ordinary cards that it declines, 0 to 1
    #[arg(long, env = "DOORBUSTER_BANK_DECLINES", default_value_t = BankConfig::default().decline_ratio)]
    bank_declines: f64,
    /// The bank: the share of charges that it executes without a response, 0 to 1
    #[arg(long, env = "DOORBUSTER_BANK_SILENT", default_value_t = BankConfig::default().silent_ratio)]
    bank_silent: f64,
    #[command(flatten)]
    limits: LimitArgs,
    /// Log filter, such as `info` or `shop_order=debug,info`; `info,shop_kit::request=debug` logs each request
    #[arg(long, env = "DOORBUSTER_LOG", default_value = "info")]
    log: String,
    /// Receiver of traces: OTLP over gRPC, such as http://127.0.0.1:4317
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp: Option<String>,
    /// The share of new traces that is kept, 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0)]
    sample: f64,
    /// The most new traces that are kept per second; 0 is no limit
    #[arg(long, env = "DOORBUSTER_TRACES_PER_SECOND", default_value_t = Sampling::PER_SECOND)]
    traces_per_second: f64,
    #[command(flatten)]
    logs: LogArgs,
}

/// Export of log lines, in addition to standard error.
#[derive(Debug, clap::Args)]
struct LogArgs {
    /// `otlp` sends log lines by OTLP, each with the ids of its trace and span; `none` sends none
    #[arg(
        long = "logs-exporter",
        env = "OTEL_LOGS_EXPORTER",
        default_value = "none"
    )]
    exporter: String,
    /// Receiver of log lines: for gRPC an address such as http://127.0.0.1:4317, by default that of the traces; for HTTP
    /// the whole URL, such as http://127.0.0.1:3100/otlp/v1/logs
    #[arg(long = "otlp-logs", env = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")]
    endpoint: Option<String>,
    /// Protocol of log lines: `grpc` or `http/protobuf`
    #[arg(
        long = "otlp-logs-protocol",
        env = "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        default_value = "grpc"
    )]
    protocol: String,
}

impl LogArgs {
    /// The exporter of log lines, if any. `traces` is the receiver of traces.
    fn otlp(&self, traces: Option<&str>) -> Result<Option<OtlpLogs>> {
        match self.exporter.as_str() {
            "none" | "" => return Ok(None),
            "otlp" => {}
            other => bail!("`{other}` in --logs-exporter is neither `otlp` nor `none`"),
        }
        let http = match self.protocol.as_str() {
            "grpc" | "" => false,
            "http/protobuf" => true,
            other => {
                bail!("`{other}` in --otlp-logs-protocol is neither `grpc` nor `http/protobuf`")
            }
        };
        let own = self.endpoint.as_deref().filter(|e| !e.is_empty());
        // A gRPC receiver of traces most likely accepts logs, too. For HTTP the URL differs.
        let endpoint = own.or(traces.filter(|_| !http)).context(
            "--logs-exporter is `otlp` without a receiver; give --otlp-logs a URL such as http://127.0.0.1:3100/otlp/v1/logs",
        )?;
        if http && endpoint.starts_with("https:") {
            bail!(
                "log lines are sent by plain HTTP only, not to {endpoint}; send them to a local collector"
            );
        }
        Ok(Some(OtlpLogs {
            endpoint: endpoint.to_owned(),
            http,
        }))
    }
}

/// Rate limits of the gateway. Other roles ignore them.
#[derive(Debug, clap::Args)]
struct LimitArgs {
    /// Gateway: sustained requests per second of one shopper
    #[arg(long, env = "DOORBUSTER_SHOPPER_RATE", default_value_t = Limits::default().per_subject.per_second)]
    shopper_rate: NonZeroU32,
    /// Gateway: burst of requests of one shopper
    #[arg(long, env = "DOORBUSTER_SHOPPER_BURST", default_value_t = Limits::default().per_subject.burst)]
    shopper_burst: NonZeroU32,
    /// Gateway: sustained requests per second from one address without a valid token
    #[arg(long, env = "DOORBUSTER_ADDRESS_RATE", default_value_t = Limits::default().per_address.per_second)]
    address_rate: NonZeroU32,
    /// Gateway: burst of requests from one address without a valid token
    #[arg(long, env = "DOORBUSTER_ADDRESS_BURST", default_value_t = Limits::default().per_address.burst)]
    address_burst: NonZeroU32,
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        Limits {
            per_subject: Allowance {
                per_second: self.shopper_rate,
                burst: self.shopper_burst,
            },
            per_address: Allowance {
                per_second: self.address_rate,
                burst: self.address_burst,
            },
        }
    }
}

/// Serves until SIGTERM, SIGINT, or the end of the supervisor.
///
/// # Errors
/// Wrong settings, an address that is taken, or a database that cannot be opened.
pub(super) fn serve(args: ServeArgs) -> Result<()> {
    let supervised = std::env::var_os(SUPERVISED).is_some();
    if supervised {
        end_with_parent();
    }
    let config = config(&args)?;
    let delay = start_delay()?;
    let otlp_endpoint = args.otlp.clone().filter(|e| !e.is_empty());
    let otlp_logs = args.logs.otlp(otlp_endpoint.as_deref())?;
    // Nine services share a machine, so each has two threads only.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // Password hashes run on these threads. Each thread keeps a heap with the megabytes of its last hash, so there are
        // no more threads than processors.
        .max_blocking_threads(std::thread::available_parallelism().map_or(2, usize::from))
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let telemetry = Telemetry::start(&TelemetryConfig {
            service_name: config.role.name().to_owned(),
            instance_id: config.instance_id(),
            otlp_endpoint,
            sampling: Sampling {
                ratio: args.sample,
                per_second: args.traces_per_second,
                at_edge: config.role == Role::Gateway,
            },
            sampler_counts: config.traces.clone(),
            log_filter: args.log.clone(),
            otlp_logs,
        })?;
        let shutdown = CancellationToken::new();
        tokio::spawn(on_signal(shutdown.clone()));
        // A shutdown during the delay still starts the service, so that it ends cleanly.
        shutdown
            .run_until_cancelled(tokio::time::sleep(delay))
            .await;
        let served = start(config, &args, shutdown).await;
        telemetry.finish().await;
        served
    });
    runtime.shutdown_background();
    served
}

async fn start(config: ServiceConfig, args: &ServeArgs, shutdown: CancellationToken) -> Result<()> {
    match config.role {
        Role::Gateway => shop_gateway::serve(config, args.limits.limits(), shutdown).await,
        Role::User => {
            let own = UserConfig {
                customers: args.customers,
            };
            shop_user::serve(config, own, shutdown).await
        }
        Role::Product => {
            let own = ProductConfig {
                products: args.products,
            };
            shop_product::serve(config, own, shutdown).await
        }
        Role::Inventory => {
            let own = InventoryConfig {
                products: args.products,
                stock: args.stock,
            };
            shop_inventory::serve(config, own, shutdown).await
        }
        Role::Cart => shop_cart::serve(config, shutdown).await,
        Role::Order => shop_order::serve(config, shutdown).await,
        Role::Payment => shop_payment::serve(config, shutdown).await,
        Role::Notification => {
            let own = NotificationConfig {
                smtp_url: args.smtp_url.clone().filter(|url| !url.is_empty()),
            };
            shop_notification::serve(config, own, shutdown).await
        }
        Role::Bank => {
            let own = BankConfig {
                median: Duration::from_millis(args.bank_median_ms),
                decline_ratio: args.bank_declines,
                silent_ratio: args.bank_silent,
            };
            shop_bank::serve(config, own, shutdown).await
        }
    }?;
    Ok(())
}

fn config(args: &ServeArgs) -> Result<ServiceConfig> {
    let secret = |name| std::env::var(name).ok().filter(|s: &String| !s.is_empty());
    let service_key = secret(SERVICE_KEY).context(
        "DOORBUSTER_SERVICE_KEY is not set: services authenticate each other with it, so give all of them the same long random text",
    )?;
    let admin_token = secret(ADMIN_TOKEN);
    if !args.admin.ip().is_loopback() && admin_token.is_none() {
        bail!(
            "the admin address {} can be reached from other machines, where anyone could inject faults; set DOORBUSTER_ADMIN_TOKEN, or choose a loopback address with --admin",
            args.admin
        );
    }
    for (flag, share) in [
        ("--sample", args.sample),
        ("--bank-declines", args.bank_declines),
        ("--bank-silent", args.bank_silent),
    ] {
        if !(0.0..=1.0).contains(&share) {
            bail!("{flag} must be from 0 to 1, not {share}");
        }
    }
    if !(args.traces_per_second >= 0.0 && args.traces_per_second.is_finite()) {
        bail!(
            "--traces-per-second must be 0, for no limit, or more, not {}",
            args.traces_per_second
        );
    }
    let database_url = args
        .database_url
        .clone()
        // An empty variable counts as not set, for Compose files and unit files.
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| sqlite_url(&args.data.join(format!("{}.db", args.role))));
    Ok(ServiceConfig {
        role: args.role,
        replica: args.replica,
        listen: args.listen,
        admin: args.admin,
        admin_token,
        database_url,
        peers: peers(&args.peers)?,
        service_key,
        events: events(&args.events)?,
        resilience: args.without.switches(),
        seed: args.seed,
        traces: SamplerCounts::default(),
    })
}

/// The delay of the service's readiness, a fault.
fn start_delay() -> Result<Duration> {
    let Ok(text) = std::env::var(START_LATE_MS) else {
        return Ok(Duration::ZERO);
    };
    let ms = text.parse().with_context(|| {
        format!("{START_LATE_MS} is `{text}`, and it must be a whole number of milliseconds")
    })?;
    Ok(Duration::from_millis(ms))
}

fn peers(text: &str) -> Result<BTreeMap<Role, Vec<String>>> {
    let mut peers = BTreeMap::new();
    for part in text.split(';').filter(|p| !p.trim().is_empty()) {
        let (role, addresses) = part
            .split_once('=')
            .with_context(|| format!("`{part}` in --peers is not `role=host:port,host:port`"))?;
        let role = Role::from_str(role.trim()).map_err(|e| anyhow!("in --peers: {e}"))?;
        let addresses = addresses.split(',').map(|a| a.trim().to_owned());
        peers.insert(role, addresses.filter(|a| !a.is_empty()).collect());
    }
    Ok(peers)
}

fn events(text: &str) -> Result<Events> {
    match text {
        "http" => Ok(Events::Http),
        url if url.starts_with("nats://") || url.starts_with("tls://") => Ok(Events::Nats {
            url: url.to_owned(),
        }),
        other => bail!(
            "`{other}` in --events is neither `http` nor a NATS server such as nats://127.0.0.1:4222"
        ),
    }
}

async fn on_signal(shutdown: CancellationToken) {
    if let Err(e) = runtime::first_signal().await {
        tracing::warn!(error = %e, "signals cannot be received; only SIGKILL will end this process");
        return;
    }
    shutdown.cancel();
}

/// Ends this process when its supervisor ends, for whatever reason.
///
/// The supervisor holds the other end of the standard input and never writes to it, so the input ends with the supervisor.
/// This works on every system. On Linux the kernel also sends SIGKILL at once, even to a stopped process.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // An error is ignored, because the standard input remains.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
    std::thread::spawn(|| {
        let mut byte = [0u8; 1];
        // Bytes are ignored. The end of the input, or an error, means that the supervisor has ended.
        while matches!(
            std::io::Read::read(&mut std::io::stdin(), &mut byte),
            Ok(1..)
        ) {}
        std::process::exit(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_parsed_and_mistakes_named() {
        let read = peers("order=h:1,h:2; user=h:3").unwrap();
        assert_eq!(read[&Role::Order], ["h:1", "h:2"]);
        assert_eq!(read[&Role::User], ["h:3"]);
        assert!(peers("").unwrap().is_empty());
        let wrong = peers("oder=h:1").unwrap_err().to_string();
        assert!(wrong.contains("no role `oder`"), "{wrong}");
        assert!(
            peers("order")
                .unwrap_err()
                .to_string()
                .contains("role=host:port")
        );
    }

    #[test]
    fn events_use_http_or_a_nats_server() {
        assert_eq!(events("http").unwrap(), Events::Http);
        let url = "nats://h:4222".to_owned();
        assert_eq!(events(&url).unwrap(), Events::Nats { url });
        let wrong = events("rabbit").unwrap_err().to_string();
        assert!(
            wrong.contains("`rabbit`") && wrong.contains("nats://"),
            "{wrong}"
        );
    }

    #[test]
    fn log_lines_go_to_their_own_receiver_or_that_of_the_traces() {
        let logs = |exporter: &str, endpoint: Option<&str>, protocol: &str| LogArgs {
            exporter: exporter.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            protocol: protocol.to_owned(),
        };
        let to = |endpoint: &str, http| {
            Some(OtlpLogs {
                endpoint: endpoint.to_owned(),
                http,
            })
        };
        assert_eq!(
            logs("none", Some("u"), "grpc").otlp(Some("t")).unwrap(),
            None
        );
        assert_eq!(
            logs("otlp", None, "grpc").otlp(Some("t")).unwrap(),
            to("t", false)
        );
        let own = logs("otlp", Some("u"), "http/protobuf");
        assert_eq!(own.otlp(Some("t")).unwrap(), to("u", true));
        for wrong in [
            logs("console", Some("u"), "grpc"),
            logs("otlp", Some("u"), "http/json"),
            logs("otlp", None, "http/protobuf"),
            logs("otlp", Some("https://h"), "http/protobuf"),
        ] {
            assert!(wrong.otlp(Some("t")).is_err(), "{wrong:?}");
        }
    }
}
