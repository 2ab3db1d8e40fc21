//! Path faults in real proxies and sockets: they affect open and new connections, count hits, and leave nothing behind.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use chaos::proxy::{NewToxic, Proxies, ToxicKind};
use chaos::spec::{self, Shop};
use chaos::{Begin, Fault, FaultKind, KINDS, PathEffect, PathFault, Paths, Schedule, Target};
use results::record::FaultEventKind::{Asked, Ended, InForce, Refused};
use shop_contract::Role;
use syntax::Document;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::shop::{FakeShop, Run, SEED};
use crate::target::PATIENCE;

/// Far longer than any test takes.
const LONG: Duration = Duration::from_secs(600);

/// Each proxy has the name of its path.
impl Paths for FakeShop {
    fn on_edge(&self, edge: &Target) -> Vec<String> {
        let list = self.proxies.iter().flat_map(|proxies| proxies.list());
        let names = list.map(|p| p.spec.name);
        names.filter(|n| n.starts_with(&edge.to_string())).collect()
    }

    fn proxies(&self) -> &Proxies {
        self.proxies.as_ref().unwrap()
    }
}

/// An echo server, and a proxy in front of it for each path.
struct ProxiedEcho {
    shop: Arc<FakeShop>,
    addresses: Vec<SocketAddr>,
}

impl ProxiedEcho {
    async fn open(paths: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                });
            }
        });
        let proxies = Proxies::new(SEED, CancellationToken::new());
        let mut addresses = Vec::new();
        for path in paths {
            let opened = proxies.open(path, "127.0.0.1:0", &upstream).await;
            addresses.push(opened.unwrap());
        }
        let shop = Arc::new(FakeShop {
            proxies: Some(proxies),
            ..FakeShop::default()
        });
        Self { shop, addresses }
    }

    /// A client with an established connection.
    async fn client(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.addresses[0]).await.unwrap();
        exchange(&mut client).await.unwrap();
        client
    }

    fn toxics(&self) -> usize {
        let list = self.shop.proxies().list();
        list.iter().map(|p| p.toxics.len()).sum()
    }
}

async fn exchange(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(b"hello").await?;
    let mut back = [0; 5];
    let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut back)).await;
    read.expect("an answer, or the end")?;
    assert_eq!(&back, b"hello");
    Ok(())
}

fn fault(role: &str, effect: PathEffect) -> Fault {
    Fault {
        name: "cut".to_owned(),
        begins: Begin::At(Duration::ZERO),
        lasts: Some(LONG),
        target: Target {
            to: Some("bank".to_owned()),
            ..Target::role(role)
        },
        kind: FaultKind::Path(PathFault {
            effect,
            share: 1.0,
            direction: effect.default_direction(),
        }),
    }
}

fn share(mut fault: Fault, share: f64) -> Fault {
    if let FaultKind::Path(path) = &mut fault.kind {
        path.share = share;
    }
    fault
}

#[tokio::test]
async fn an_open_connection_is_slowed_only_in_the_window() {
    let echo = ProxiedEcho::open(&["payment->bank/0"]).await;
    let mut client = echo.client().await;
    let delay = Duration::from_millis(80);
    let latency = PathEffect::Latency {
        delay,
        jitter: Duration::ZERO,
    };
    let mut run = Run::start(&echo.shop, vec![fault("payment", latency)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let toxic = echo.shop.proxies().list()[0].toxics[0].clone();
    assert!(toxic.remaining.unwrap() <= LONG, "it has a time to live");
    for _ in 0..3 {
        let start = Instant::now();
        exchange(&mut client).await.unwrap();
        assert!(start.elapsed() >= delay);
    }
    run.until_hits("cut", 1).await;
    run.shutdown.cancel();
    assert_eq!(run.event(Ended).await.hits, Some(1), "one connection");
    assert_eq!(echo.toxics(), 0);
    exchange(&mut client).await.unwrap();
    let rows = run.stop().await;
    assert_eq!((rows[0].hits, rows[0].end_error.as_deref()), (1, None));
    assert_eq!(rows[0].target, "payment->bank");
}

#[tokio::test]
async fn idle_and_new_connections_are_reset_while_the_fault_is_in_force() {
    let echo = ProxiedEcho::open(&["payment->bank/0"]).await;
    let mut idle = echo.client().await;
    let mut run = Run::start(&echo.shop, vec![fault("payment", PathEffect::Reset)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let read = tokio::time::timeout(PATIENCE, idle.read_u8()).await;
    let error = read.expect("its end").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    run.until_hits("cut", 1).await;
    // It may be reset before the client has connected.
    if let Ok(mut new) = TcpStream::connect(echo.addresses[0]).await {
        exchange(&mut new).await.unwrap_err();
    }
    run.until_hits("cut", 2).await;
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, 2);
    echo.client().await;
}

#[tokio::test]
async fn a_share_affects_the_same_connections_in_both_directions() {
    let echo = ProxiedEcho::open(&["payment->bank/0"]).await;
    let mut clients = Vec::new();
    for _ in 0..24 {
        clients.push(echo.client().await);
    }
    let half = share(fault("payment", PathEffect::Timeout), 0.5);
    let mut run = Run::start(&echo.shop, vec![half]);
    run.event(Asked).await;
    run.event(InForce).await;
    for client in &mut clients {
        client.write_all(b"hello").await.unwrap();
    }
    // An unaffected client gets its reply. An affected one loses it, and its connection ends with the fault.
    let answered = Arc::new(AtomicU64::new(0));
    let ends = clients.into_iter().map(|mut client| {
        let answered = answered.clone();
        tokio::spawn(async move {
            if client.read_exact(&mut [0; 5]).await.is_ok() {
                answered.fetch_add(1, Relaxed);
            }
        })
    });
    let ends: Vec<_> = ends.collect();
    let all_decided = async {
        loop {
            let affected = echo.shop.proxies().list()[0].toxics[0].hits.connections;
            if affected + answered.load(Relaxed) == 24 {
                return affected;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let affected = tokio::time::timeout(PATIENCE, all_decided).await;
    let affected = affected.expect("each is either affected or answered");
    assert!((1..24).contains(&affected), "{affected}");
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, affected);
    for end in ends {
        let ended = tokio::time::timeout(PATIENCE, end).await;
        ended.expect("an answer or an end").unwrap();
    }
    assert_eq!(answered.load(Relaxed) + affected, 24);
}

#[tokio::test]
async fn a_fault_of_one_replica_affects_only_its_paths() {
    let paths = ["order/0->bank/0", "order/1->bank/0"];
    let echo = ProxiedEcho::open(&paths).await;
    let mut other = echo.client().await;
    let one = Fault {
        target: Target {
            replica: Some(1),
            ..fault("order", PathEffect::Reset).target
        },
        ..fault("order", PathEffect::Reset)
    };
    let mut run = Run::start(&echo.shop, vec![one]);
    run.event(Asked).await;
    run.event(InForce).await;
    exchange(&mut other).await.unwrap();
    let toxics: Vec<usize> = echo
        .shop
        .proxies()
        .list()
        .iter()
        .map(|p| p.toxics.len())
        .collect();
    assert_eq!(toxics, [0, 1]);
    assert_eq!(run.stop().await[0].hits, 0);
    assert_eq!(echo.toxics(), 0);
}

#[tokio::test]
async fn a_fault_on_a_way_without_a_proxy_is_refused() {
    let echo = ProxiedEcho::open(&["payment->bank/0"]).await;
    let mut run = Run::start(&echo.shop, vec![fault("cart", PathEffect::Reset)]);
    run.event(Asked).await;
    let reason = run.event(Refused).await.detail.unwrap();
    assert!(
        reason.starts_with("cart->bank: no proxy is on this edge"),
        "{reason}"
    );
    assert_eq!(run.stop().await[0].hits, 0);
}

#[tokio::test]
async fn a_refusal_on_one_path_removes_the_fault_from_the_others() {
    let echo = ProxiedEcho::open(&["payment->bank/0", "payment->bank/1"]).await;
    let taken = NewToxic::new(ToxicKind::Noop).named("cut_upstream");
    let proxies = echo.shop.proxies();
    proxies.add_toxic("payment->bank/1", taken).unwrap();
    let mut run = Run::start(&echo.shop, vec![fault("payment", PathEffect::Reset)]);
    run.event(Asked).await;
    let reason = run.event(Refused).await.detail.unwrap();
    assert!(reason.contains("toxic already exists"), "{reason}");
    assert_eq!(echo.toxics(), 1, "the existing toxic stays");
    run.stop().await;
}

#[tokio::test]
async fn nothing_is_left_on_the_path_when_the_run_is_dropped() {
    let echo = ProxiedEcho::open(&["payment->bank/0"]).await;
    let mut run = Run::start(&echo.shop, vec![fault("payment", PathEffect::Timeout)]);
    run.event(Asked).await;
    run.event(InForce).await;
    assert_eq!(echo.toxics(), 2);
    run.abandon().await;
    let gone = tokio::time::timeout(PATIENCE, async {
        while echo.toxics() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    gone.await.expect("the end of the fault");
    echo.client().await;
}

/// The example of each kind, with a client that sends much data, half-closes and reads the replies.
#[tokio::test]
async fn every_kind_of_path_fault_has_hits() {
    let shop = Shop {
        replicas: Role::ALL.map(|role| (role.name().to_owned(), 2)).into(),
        duration: LONG,
    };
    let path_kinds: Vec<_> = KINDS.iter().filter(|k| k.is_path_fault()).collect();
    assert_eq!(path_kinds.len(), 7);
    for info in path_kinds {
        let text = format!("- {}\n", info.example);
        let document = Document::parse("example", &text).unwrap();
        let mut read = spec::read(document.root(), &shop).unwrap();
        let mut fault = share(read.remove(0), 1.0);
        fault.begins = Begin::At(Duration::ZERO);
        fault.lasts = Some(LONG);
        let edge = fault.target.to_string();
        let echo = ProxiedEcho::open(&[&edge]).await;
        let mut client = echo.client().await;
        let name = fault.name.clone();
        let mut run = Run::start(&echo.shop, vec![fault]);
        run.event(Asked).await;
        run.event(InForce).await;
        let client = tokio::spawn(async move {
            let (mut read, mut write) = client.split();
            let send = async {
                let _ = write.write_all(&[7; 60_000]).await;
                let _ = write.shutdown().await;
            };
            let mut back = Vec::new();
            let _ = tokio::join!(send, read.read_to_end(&mut back));
        });
        run.until_hits(&name, 1).await;
        let rows = run.stop().await;
        assert_eq!(rows[0].hits, 1, "{}", info.name);
        let ended = tokio::time::timeout(PATIENCE, client).await;
        ended.expect("its end").unwrap();
    }
}

/// Golden: these lines are part of the digest that identifies a plan.
#[test]
fn the_lines_for_the_plans_digest_are_stable() {
    let latency = PathEffect::Latency {
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(20),
    };
    let slicer = PathEffect::Slicer {
        size: 100,
        variation: 50,
        delay: Duration::from_millis(1),
    };
    let line = |effect| {
        Schedule::new([fault("payment", effect)], SEED)
            .digest_lines()
            .remove(0)
    };
    let start = |kind: &str| {
        format!(
            "fault cut kind={kind} target=payment->bank from_us=0 to_us=600000000 seed=27da6f91582926d0 share=1 direction="
        )
    };
    assert_eq!(
        line(latency),
        start("tcp-latency") + "from delay_us=100000 jitter_us=20000"
    );
    assert_eq!(
        line(slicer),
        start("tcp-slicer") + "from size=100 variation=50 delay_us=1000"
    );
    assert_eq!(line(PathEffect::Reset), start("tcp-reset") + "both");
    assert_eq!(
        line(PathEffect::Limit { bytes: 5 }),
        start("tcp-limit") + "from bytes=5"
    );
}
