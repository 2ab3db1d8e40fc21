//! Toxicity is a share of the open and of the new connections, and the seed selects them.

use chaos::proxy::NewToxic;
use tokio::net::TcpStream;

use crate::fixture::{ProxiedEcho, kind, read_all};

/// Enough for a wrong share to be out of bounds.
const CONNECTIONS: usize = 300;
const SHARE: f64 = 0.3;

/// Within four standard deviations of a binomial distribution; 1 in 16,000 is outside. The seed is fixed, so the result
/// is always the same.
fn is_share(affected: usize) -> bool {
    let mean = CONNECTIONS as f64 * SHARE;
    let deviation = (mean * (1.0 - SHARE)).sqrt();
    (affected as f64 - mean).abs() <= 4.0 * deviation
}

/// The numbers of the clients that are reset. The others must be closed normally.
async fn reset(clients: Vec<TcpStream>) -> Vec<usize> {
    let mut affected = vec![];
    for (n, mut client) in clients.into_iter().enumerate() {
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut client).await;
        if read_all(&mut client).await.is_err() {
            affected.push(n);
        }
    }
    affected
}

async fn clients(fixture: &ProxiedEcho) -> Vec<TcpStream> {
    let mut clients = vec![];
    for _ in 0..CONNECTIONS {
        // In sequence, since the draws depend on the connection's number.
        clients.push(fixture.connected().await);
    }
    clients
}

async fn affected_open_connections() -> Vec<usize> {
    let fixture = ProxiedEcho::open().await;
    let clients = clients(&fixture).await;
    fixture.add(NewToxic::new(kind("reset_peer", &[])).toxicity(SHARE));
    let affected = reset(clients).await;
    assert_eq!(fixture.hits().0, affected.len() as u64);
    affected
}

#[tokio::test]
async fn a_share_of_the_open_connections_is_affected_and_always_the_same_one() {
    let first = affected_open_connections().await;
    assert!(is_share(first.len()), "{}", first.len());
    assert_eq!(first, affected_open_connections().await);
}

#[tokio::test]
async fn a_share_of_the_new_connections_is_affected() {
    let fixture = ProxiedEcho::open().await;
    // The server sends nothing first, so the toxic applies to all downstream data.
    fixture.add(NewToxic::new(kind("limit_data", &[("bytes", 0)])).toxicity(SHARE));
    let mut affected = 0;
    for _ in 0..CONNECTIONS {
        let mut client = fixture.client().await;
        tokio::io::AsyncWriteExt::write_all(&mut client, b"hello")
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut client)
            .await
            .unwrap();
        affected += usize::from(read_all(&mut client).await.unwrap().is_empty());
    }
    assert!(is_share(affected), "{affected}");
    assert_eq!(fixture.hits().0, affected as u64);
}

#[tokio::test]
async fn changes_of_other_toxics_do_not_change_draws() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind("reset_peer", &[])).toxicity(0.0));
    for n in 0..50 {
        let name = format!("other-{n}");
        let other = NewToxic::new(kind("latency", &[])).named(&name);
        fixture.proxies.add_toxic("p", other).unwrap();
        crate::fixture::exchange(&mut client, b"still there")
            .await
            .unwrap();
        fixture.proxies.remove_toxic("p", &name).unwrap();
    }
}
