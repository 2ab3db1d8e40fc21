//! Faults of a path, in real proxies between real sockets: open connections are hit as new ones are, what was hit is
//! counted, and afterwards the way is as it was.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use chaos::proxy::{Hits, NewToxic, Proxies, ProxyError};
use chaos::spec::{self, Shop};
use chaos::{
    Begin, BoxFuture, Fault, FaultKind, InjectError, KINDS, PathEffect, PathFault, Paths, Schedule,
    Target,
};
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

/// Proxies by the names of their paths are the paths of this shop.
impl Paths for FakeShop {
    fn on_way(&self, way: &Target) -> Vec<String> {
        let list = self.proxies.iter().flat_map(|proxies| proxies.list());
        let names = list.map(|p| p.spec.name);
        names.filter(|n| n.starts_with(&way.to_string())).collect()
    }

    fn add<'a>(&'a self, path: &'a str, toxic: NewToxic) -> BoxFuture<'a, Result<(), InjectError>> {
        let added = self.proxies().add_toxic(path, toxic);
        Box::pin(async move { added.map(drop).map_err(|e| failure(path, &e)) })
    }

    fn remove<'a>(
        &'a self,
        path: &'a str,
        toxic: &'a str,
    ) -> BoxFuture<'a, Result<(), InjectError>> {
        let removed = self.proxies().remove_toxic(path, toxic);
        Box::pin(async move { removed.map(drop).map_err(|e| failure(path, &e)) })
    }

    fn hits<'a>(
        &'a self,
        path: &'a str,
        toxic: &'a str,
    ) -> BoxFuture<'a, Result<Hits, InjectError>> {
        let hits = self.proxies().toxic_hits(path, toxic);
        Box::pin(async move { hits.map_err(|e| failure(path, &e)) })
    }
}

impl FakeShop {
    fn proxies(&self) -> &Proxies {
        self.proxies.as_ref().unwrap()
    }
}

fn failure(path: &str, error: &ProxyError) -> InjectError {
    InjectError::Path {
        way: path.to_owned(),
        reason: error.to_string(),
    }
}

/// A server that sends back what it gets, and a proxy before it for each path.
struct Line {
    shop: Arc<FakeShop>,
    addresses: Vec<SocketAddr>,
}

impl Line {
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

    /// A client whose connection is known to have come through.
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
            direction: effect.usual_direction(),
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
async fn an_open_connection_is_slowed_for_the_window_and_then_no_more() {
    let line = Line::open(&["payment->bank/0"]).await;
    let mut client = line.client().await;
    let delay = Duration::from_millis(80);
    let latency = PathEffect::Latency {
        delay,
        jitter: Duration::ZERO,
    };
    let mut run = Run::start(&line.shop, vec![fault("payment", latency)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let toxic = line.shop.proxies().list()[0].toxics[0].clone();
    assert!(toxic.remaining.unwrap() <= LONG, "it ends by itself");
    for _ in 0..3 {
        let begun = Instant::now();
        exchange(&mut client).await.unwrap();
        assert!(begun.elapsed() >= delay);
    }
    run.until_hits("cut", 1).await;
    run.shutdown.cancel();
    assert_eq!(run.event(Ended).await.hits, Some(1), "one connection");
    assert_eq!(line.toxics(), 0);
    exchange(&mut client).await.unwrap();
    let rows = run.stop().await;
    assert_eq!((rows[0].hits, rows[0].end_error.as_deref()), (1, None));
    assert_eq!(rows[0].target, "payment->bank");
}

#[tokio::test]
async fn idle_and_new_connections_are_reset_until_it_is_over() {
    let line = Line::open(&["payment->bank/0"]).await;
    let mut idle = line.client().await;
    let mut run = Run::start(&line.shop, vec![fault("payment", PathEffect::Reset)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let read = tokio::time::timeout(PATIENCE, idle.read_u8()).await;
    let cut = read.expect("its end").unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::ConnectionReset);
    run.until_hits("cut", 1).await;
    // It may be gone before the client knows that it is there.
    if let Ok(mut new) = TcpStream::connect(line.addresses[0]).await {
        exchange(&mut new).await.unwrap_err();
    }
    run.until_hits("cut", 2).await;
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, 2);
    line.client().await;
}

#[tokio::test]
async fn a_share_of_both_ways_touches_the_same_connections_on_each() {
    let line = Line::open(&["payment->bank/0"]).await;
    let mut clients = Vec::new();
    for _ in 0..24 {
        clients.push(line.client().await);
    }
    let half = share(fault("payment", PathEffect::Timeout), 0.5);
    let mut run = Run::start(&line.shop, vec![half]);
    run.event(Asked).await;
    run.event(InForce).await;
    for client in &mut clients {
        client.write_all(b"hello").await.unwrap();
    }
    // Whoever is spared gets its answer; whoever is not has lost it, and its connection ends with the fault.
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
    let each_has_met_it = async {
        loop {
            let touched = line.shop.proxies().list()[0].toxics[0].hits.connections;
            if touched + answered.load(Relaxed) == 24 {
                return touched;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let touched = tokio::time::timeout(PATIENCE, each_has_met_it).await;
    let touched = touched.expect("each is either touched or answered");
    assert!((1..24).contains(&touched), "{touched}");
    let rows = run.stop().await;
    assert_eq!(rows[0].hits, touched);
    for end in ends {
        let ended = tokio::time::timeout(PATIENCE, end).await;
        ended.expect("an answer or an end").unwrap();
    }
    assert_eq!(answered.load(Relaxed) + touched, 24);
}

#[tokio::test]
async fn a_role_is_all_of_its_replicas_and_one_of_them_is_only_that() {
    let paths = ["order/0->bank/0", "order/1->bank/0"];
    let line = Line::open(&paths).await;
    let mut other = line.client().await;
    let one = Fault {
        target: Target {
            replica: Some(1),
            ..fault("order", PathEffect::Reset).target
        },
        ..fault("order", PathEffect::Reset)
    };
    let mut run = Run::start(&line.shop, vec![one]);
    run.event(Asked).await;
    run.event(InForce).await;
    exchange(&mut other).await.unwrap();
    let toxics: Vec<usize> = line
        .shop
        .proxies()
        .list()
        .iter()
        .map(|p| p.toxics.len())
        .collect();
    assert_eq!(toxics, [0, 1]);
    assert_eq!(run.stop().await[0].hits, 0);
    assert_eq!(line.toxics(), 0);
}

#[tokio::test]
async fn a_way_that_has_no_proxy_voids_the_fault_and_says_why() {
    let line = Line::open(&["payment->bank/0"]).await;
    let mut run = Run::start(&line.shop, vec![fault("cart", PathEffect::Reset)]);
    run.event(Asked).await;
    let why = run.event(Refused).await.detail.unwrap();
    assert!(
        why.starts_with("cart->bank: no proxy is on this way"),
        "{why}"
    );
    assert_eq!(run.stop().await[0].hits, 0);
}

#[tokio::test]
async fn what_was_placed_before_another_path_refused_is_taken_back() {
    let line = Line::open(&["payment->bank/0", "payment->bank/1"]).await;
    let taken = NewToxic::new(chaos::proxy::Kind::Noop).named("cut_upstream");
    let proxies = line.shop.proxies();
    proxies.add_toxic("payment->bank/1", taken).unwrap();
    let mut run = Run::start(&line.shop, vec![fault("payment", PathEffect::Reset)]);
    run.event(Asked).await;
    let why = run.event(Refused).await.detail.unwrap();
    assert!(why.contains("toxic already exists"), "{why}");
    assert_eq!(line.toxics(), 1, "that of somebody else is left");
    run.stop().await;
}

#[tokio::test]
async fn nothing_is_left_on_the_path_when_the_run_is_dropped() {
    let line = Line::open(&["payment->bank/0"]).await;
    let mut run = Run::start(&line.shop, vec![fault("payment", PathEffect::Timeout)]);
    run.event(Asked).await;
    run.event(InForce).await;
    assert_eq!(line.toxics(), 2);
    run.drop_it().await;
    let gone = tokio::time::timeout(PATIENCE, async {
        while line.toxics() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    gone.await.expect("the end of the fault");
    line.client().await;
}

/// Each as its example has it, between a client that sends much, ends, and reads what comes.
#[tokio::test]
async fn every_kind_of_path_hits_what_it_is_meant_for() {
    let shop = Shop {
        replicas: Role::ALL.map(|role| (role.name().to_owned(), 2)).into(),
        duration: LONG,
    };
    let of_paths: Vec<_> = KINDS.iter().filter(|k| k.is_of_a_path()).collect();
    assert_eq!(of_paths.len(), 7);
    for info in of_paths {
        let text = format!("- {}\n", info.example);
        let document = Document::parse("example", &text).unwrap();
        let mut read = spec::read(document.root(), &shop).unwrap();
        let mut fault = share(read.remove(0), 1.0);
        fault.begins = Begin::At(Duration::ZERO);
        fault.lasts = Some(LONG);
        let way = fault.target.to_string();
        let line = Line::open(&[&way]).await;
        let mut client = line.client().await;
        let name = fault.name.clone();
        let mut run = Run::start(&line.shop, vec![fault]);
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
        let over = tokio::time::timeout(PATIENCE, client).await;
        over.expect("its end").unwrap();
    }
}

/// Golden: these lines go into the digest that tells whether two runs had the same plan.
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
