//! Toxicity is a share of connections, the same for open and for new ones, and the seed decides which.

use chaos::proxy::NewToxic;
use tokio::net::TcpStream;

use crate::house::{House, kind, rest};

/// Enough that a wrong share is outside of its bounds.
const CONNECTIONS: usize = 300;
const SHARE: f64 = 0.3;

/// Four standard deviations of a binomial distribution, 1 in 16,000 to be outside. As the seed is fixed it is always the
/// same draw.
fn is_share(touched: usize) -> bool {
    let mean = CONNECTIONS as f64 * SHARE;
    let deviation = (mean * (1.0 - SHARE)).sqrt();
    (touched as f64 - mean).abs() <= 4.0 * deviation
}

/// Which of them are reset; the others end in order.
async fn reset(clients: Vec<TcpStream>) -> Vec<usize> {
    let mut touched = vec![];
    for (n, mut client) in clients.into_iter().enumerate() {
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut client).await;
        if rest(&mut client).await.is_err() {
            touched.push(n);
        }
    }
    touched
}

async fn clients(house: &House) -> Vec<TcpStream> {
    let mut clients = vec![];
    for _ in 0..CONNECTIONS {
        // One after the other: the number of a connection decides.
        clients.push(house.met().await);
    }
    clients
}

async fn of_open() -> Vec<usize> {
    let house = House::open().await;
    let clients = clients(&house).await;
    house.add(NewToxic::new(kind("reset_peer", &[])).toxicity(SHARE));
    let touched = reset(clients).await;
    assert_eq!(house.hits().0, touched.len() as u64);
    touched
}

#[tokio::test]
async fn a_share_of_the_open_connections_is_touched_the_same_one_every_time() {
    let first = of_open().await;
    assert!(is_share(first.len()), "{}", first.len());
    assert_eq!(first, of_open().await);
}

#[tokio::test]
async fn a_share_of_the_new_connections_is_touched() {
    let house = House::open().await;
    // Nothing is sent downstream before the client's word, so each meets the toxic whole.
    house.add(NewToxic::new(kind("limit_data", &[("bytes", 0)])).toxicity(SHARE));
    let mut touched = 0;
    for _ in 0..CONNECTIONS {
        let mut client = house.client().await;
        tokio::io::AsyncWriteExt::write_all(&mut client, b"hello")
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut client)
            .await
            .unwrap();
        touched += usize::from(rest(&mut client).await.unwrap().is_empty());
    }
    assert!(is_share(touched), "{touched}");
    assert_eq!(house.hits().0, touched as u64);
}

#[tokio::test]
async fn edits_of_other_toxics_draw_nothing_anew() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind("reset_peer", &[])).toxicity(0.0));
    for n in 0..50 {
        let name = format!("other-{n}");
        let other = NewToxic::new(kind("latency", &[])).named(&name);
        house.proxies.add_toxic("p", other).unwrap();
        crate::house::exchange(&mut client, b"still there")
            .await
            .unwrap();
        house.proxies.remove_toxic("p", &name).unwrap();
    }
}
