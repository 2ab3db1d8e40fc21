//! `doorbuster chaos proxy`: a TCP fault proxy in the foreground, controlled over HTTP by any Toxiproxy client.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use chaos::proxy::{Proxies, ProxyError, ProxyInfo, ProxySpec, api, specs_from_json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::runtime;
use crate::terminal::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: delay the responses of a server on port 9000 by 200 ms, for half a minute
  doorbuster chaos proxy --proxy 'bank=127.0.0.1:9001>127.0.0.1:9000'
  curl http://127.0.0.1:8474/proxies/bank/toxics -d \\
    '{\"type\": \"latency\", \"attributes\": {\"latency\": 200}, \"ttl_ms\": 30000}'
  curl http://127.0.0.1:9001/
Any client of Toxiproxy 2 works instead of curl.")]
pub(super) struct ProxyArgs {
    /// Address of the HTTP API; port 0 takes any free one
    #[arg(
        long,
        env = "DOORBUSTER_PROXY_LISTEN",
        default_value = "127.0.0.1:8474"
    )]
    listen: String,
    /// A file of proxies in the format of Toxiproxy: [{"name": …, "listen": …, "upstream": …, "enabled": …}]
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    /// A proxy to open at the start; may be given several times
    #[arg(long = "proxy", value_name = "NAME=LISTEN>UPSTREAM", value_parser = ProxyFlag::from_str)]
    proxies: Vec<ProxyFlag>,
    /// Seed of which connections are affected, of jitter and sizes. By default a random one, which is printed
    #[arg(long, env = "DOORBUSTER_SEED")]
    seed: Option<u64>,
    /// Allow control from other machines, with a --listen that is not on the loopback: anyone who reaches it can open ports
    /// here
    #[arg(long)]
    allow_remote: bool,
}

/// A proxy as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProxyFlag(ProxySpec);

impl FromStr for ProxyFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .and_then(|(name, addresses)| Some((name, addresses.split_once('>')?)));
        let Some((name, (listen, upstream))) = parts else {
            return Err(
                "write it as `bank=127.0.0.1:9001>127.0.0.1:9000`, in quotes because of the shell"
                    .to_owned(),
            );
        };
        let [name, listen, upstream] = [name, listen, upstream].map(|part| part.trim().to_owned());
        if name.is_empty() || upstream.is_empty() {
            return Err("a name before `=` and an address after `>` are needed".to_owned());
        }
        Ok(Self(ProxySpec {
            name,
            listen,
            upstream,
            enabled: true,
        }))
    }
}

/// Serves until Ctrl-C.
///
/// # Errors
/// A file cannot be read, or an address is not available.
pub(super) fn proxy(args: &ProxyArgs) -> Result<()> {
    let mut specs = match &args.config {
        Some(file) => read(file)?,
        None => vec![],
    };
    specs.extend(args.proxies.iter().map(|p| p.0.clone()));
    for (n, spec) in specs.iter().enumerate() {
        if specs[..n].iter().any(|s| s.name == spec.name) {
            bail!(
                "two proxies have the name `{}`: give one another name",
                spec.name
            );
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(serve(args, &specs));
    // A pending name lookup cannot be cancelled, so it is not waited for.
    runtime.shutdown_background();
    done
}

async fn serve(args: &ProxyArgs, specs: &[ProxySpec]) -> Result<()> {
    let shutdown = CancellationToken::new();
    // Registered first, so that every signal closes what is open.
    let signal = tokio::spawn(runtime::first_signal());
    let listener = TcpListener::bind(&args.listen).await.with_context(|| {
        format!(
            "the API cannot listen on {}; choose another address with --listen",
            args.listen
        )
    })?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && !args.allow_remote {
        bail!(
            "{address} can be reached from other machines, and the API has no authentication; choose a loopback address with --listen, or add --allow-remote"
        );
    }
    let seed = args.seed.unwrap_or_else(random_seed);
    let proxies = Proxies::new(seed, shutdown.clone());
    let (open, made) = proxies.populate(specs).await;
    made.map_err(|e| match specs.get(open.len()) {
        // This error is about an entry of the file or a flag, and names what is missing.
        _ if matches!(e, ProxyError::Missing(_)) => anyhow!("{e}"),
        Some(spec) => anyhow!(
            "proxy `{}`: {e}; give it another address, or stop the program that has it",
            spec.name
        ),
        None => anyhow!("{e}"),
    })?;
    show(address, seed, &open);

    let server = api::serve(listener, proxies.clone(), shutdown.clone());
    let interrupted = async {
        // If signals cannot be received, Ctrl-C ends the process, and the kernel closes the sockets.
        match signal.await? {
            Ok(()) => shutdown.cancel(),
            Err(e) => tracing::warn!(error = %e, "signals cannot be received"),
        }
        anyhow::Ok(())
    };
    let served = async { server.await.context("the API stopped serving") };
    tokio::try_join!(served, interrupted)?;
    proxies.close().await;
    Ok(())
}

fn read(file: &Path) -> Result<Vec<ProxySpec>> {
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    specs_from_json(&text).map_err(|e| {
        anyhow!(
            "{}: {e}; expected a list like [{{\"name\": \"bank\", \"listen\": \"127.0.0.1:9001\", \"upstream\": \"127.0.0.1:9000\"}}]",
            file.display()
        )
    })
}

fn show(address: std::net::SocketAddr, seed: u64, open: &[ProxyInfo]) {
    let mut text = format!("The fault proxy is open: http://{address}  (seed {seed})\n");
    for ProxyInfo { spec, .. } in open {
        let state = if spec.enabled { "" } else { "  (disabled)" };
        text += &format!(
            "  {:<8} {} > {}{state}\n",
            spec.name, spec.listen, spec.upstream
        );
    }
    text += "Ctrl-C closes it.\n";
    output::print(&text);
}

/// A random seed, small enough to type.
fn random_seed() -> u64 {
    u64::from(uuid::Uuid::new_v4().as_fields().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_name_and_two_addresses() {
        let read = ProxyFlag::from_str("bank = 127.0.0.1:9001 > h:9000")
            .unwrap()
            .0;
        assert_eq!(
            (&*read.name, &*read.listen, &*read.upstream),
            ("bank", "127.0.0.1:9001", "h:9000")
        );
        for wrong in ["bank", "bank=127.0.0.1:9001", "127.0.0.1:1>h:2"] {
            let error = ProxyFlag::from_str(wrong).unwrap_err();
            assert!(
                error.contains("bank=127.0.0.1:9001>127.0.0.1:9000"),
                "{error}"
            );
        }
        assert!(ProxyFlag::from_str("=a:1>b:2").is_err() && ProxyFlag::from_str("a=b:1>").is_err());
    }
}
