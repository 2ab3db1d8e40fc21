//! `doorbuster chaos proxy`: the TCP fault proxy in the foreground, steered over HTTP by any client of Toxiproxy.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use chaos::proxy::{Proxies, ProxyError, ProxyInfo, ProxySpec, api, specs_from_json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the proxy is started with.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: put 200 ms for half a minute on the way back from a server on port 9000
  doorbuster chaos proxy --proxy 'bank=127.0.0.1:9001>127.0.0.1:9000'
  curl http://127.0.0.1:8474/proxies/bank/toxics -d \\
    '{\"type\": \"latency\", \"attributes\": {\"latency\": 200}, \"ttl_ms\": 30000}'
  curl http://127.0.0.1:9001/
Any client of Toxiproxy 2 will do instead of curl.")]
pub(crate) struct ProxyArgs {
    /// Where the HTTP API listens; port 0 takes any free one
    #[arg(
        long,
        env = "DOORBUSTER_PROXY_LISTEN",
        default_value = "127.0.0.1:8474"
    )]
    listen: String,
    /// A file of proxies in the format of Toxiproxy: [{"name": …, "listen": …, "upstream": …, "enabled": …}]
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    /// A proxy to begin with; may be given several times
    #[arg(long = "proxy", value_name = "NAME=LISTEN>UPSTREAM", value_parser = Way::from_str)]
    proxies: Vec<Way>,
    /// Decides which connections are touched, jitter and sizes; drawn and told when it is not given
    #[arg(long, env = "DOORBUSTER_SEED")]
    seed: Option<u64>,
    /// Let other machines steer it, where --listen is not a loopback address: whoever reaches it can open ports here
    #[arg(long)]
    allow_remote: bool,
}

/// A proxy as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way(ProxySpec);

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .and_then(|(name, way)| Some((name, way.split_once('>')?)));
        let Some((name, (listen, upstream))) = parts else {
            return Err(
                "write it as `bank=127.0.0.1:9001>127.0.0.1:9000`, in quotes for the shell's sake"
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
/// A file that cannot be read, an address that cannot be had.
pub(crate) fn proxy(args: &ProxyArgs) -> Result<()> {
    let mut specs = match &args.config {
        Some(file) => read(file)?,
        None => vec![],
    };
    specs.extend(args.proxies.iter().map(|p| p.0.clone()));
    for (n, spec) in specs.iter().enumerate() {
        if specs[..n].iter().any(|s| s.name == spec.name) {
            bail!(
                "two proxies are called `{}`: give one another name",
                spec.name
            );
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(serve(args, &specs));
    // A lookup of a name cannot be broken off, and nobody waits for it any more.
    runtime.shutdown_background();
    done
}

async fn serve(args: &ProxyArgs, specs: &[ProxySpec]) -> Result<()> {
    let shutdown = CancellationToken::new();
    // Before anything is open, so that no signal comes too early to close it.
    let signal = tokio::spawn(crate::signals::first());
    let listener = TcpListener::bind(&args.listen).await.with_context(|| {
        format!(
            "the API cannot listen on {}; choose another address with --listen",
            args.listen
        )
    })?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && !args.allow_remote {
        bail!(
            "{address} can be reached from other machines, and the API knows no passwords; choose a loopback address with --listen, or say --allow-remote"
        );
    }
    let seed = args.seed.unwrap_or_else(drawn_seed);
    let proxies = Proxies::new(seed, shutdown.clone());
    let (open, made) = proxies.populate(specs).await;
    made.map_err(|e| match specs.get(open.len()) {
        // These came from the file or an argument, and say themselves what is missing.
        _ if matches!(e, ProxyError::Missing(_)) => anyhow!("{e}"),
        Some(spec) => anyhow!(
            "proxy `{}`: {e}; give it another address, or end what is there",
            spec.name
        ),
        None => anyhow!("{e}"),
    })?;
    tell(address, seed, &open);

    let server = api::serve(listener, proxies.clone(), shutdown.clone());
    let told_to_end = async {
        // Signals that cannot be received leave Ctrl-C to end the process by itself, which the kernel cleans up after.
        match signal.await? {
            Ok(()) => shutdown.cancel(),
            Err(e) => tracing::warn!(error = %e, "signals cannot be received"),
        }
        anyhow::Ok(())
    };
    let served = async { server.await.context("the API stopped serving") };
    tokio::try_join!(served, told_to_end)?;
    proxies.close().await;
    Ok(())
}

fn read(file: &Path) -> Result<Vec<ProxySpec>> {
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    specs_from_json(&text).map_err(|e| {
        anyhow!(
            "{}: {e}; it is to be a list like [{{\"name\": \"bank\", \"listen\": \"127.0.0.1:9001\", \"upstream\": \"127.0.0.1:9000\"}}]",
            file.display()
        )
    })
}

fn tell(address: std::net::SocketAddr, seed: u64, open: &[ProxyInfo]) {
    let mut told = format!("The fault proxy is open: http://{address}  (seed {seed})\n");
    for ProxyInfo { spec, .. } in open {
        let state = if spec.enabled { "" } else { "  (disabled)" };
        told += &format!(
            "  {:<8} {} > {}{state}\n",
            spec.name, spec.listen, spec.upstream
        );
    }
    told += "Ctrl-C closes it.\n";
    // A closed pipe is no reason to close the proxy.
    let mut out = std::io::stdout();
    let _ = out.write_all(told.as_bytes()).and_then(|()| out.flush());
}

/// Small enough to be typed again.
fn drawn_seed() -> u64 {
    u64::from(uuid::Uuid::new_v4().as_fields().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_name_and_a_way() {
        let read = Way::from_str("bank = 127.0.0.1:9001 > h:9000").unwrap().0;
        assert_eq!(
            (&*read.name, &*read.listen, &*read.upstream),
            ("bank", "127.0.0.1:9001", "h:9000")
        );
        for wrong in ["bank", "bank=127.0.0.1:9001", "127.0.0.1:1>h:2"] {
            let told = Way::from_str(wrong).unwrap_err();
            assert!(
                told.contains("bank=127.0.0.1:9001>127.0.0.1:9000"),
                "{told}"
            );
        }
        assert!(Way::from_str("=a:1>b:2").is_err() && Way::from_str("a=b:1>").is_err());
    }
}
