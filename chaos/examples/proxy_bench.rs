//! The benchmark behind `bench/proxy.sh`. `serve` runs this crate's proxy. `measure OURS THEIRS` takes the addresses of two
//! proxy APIs and compares small exchanges and bulk transfers through each with a direct connection, in alternation.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use chaos::proxy::{Proxies, api};
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 30;
const EXCHANGES: usize = 1000;
const MESSAGE: usize = 100;
const BULK: usize = 64 << 20;
const PATHS: [&str; 3] = ["direct", "ours", "toxiproxy"];

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(),
        ["measure", ours, theirs] => measure(ours, theirs),
        _ => Err(io::Error::other(
            "usage: proxy_bench serve | measure OURS THEIRS",
        )),
    }
}

#[tokio::main]
async fn serve() -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    api::serve(listener, Proxies::new(1, shutdown.clone()), shutdown).await
}

fn measure(ours: &str, theirs: &str) -> io::Result<()> {
    let echo = server(|mut stream| {
        let mut message = [0; MESSAGE];
        while stream.read_exact(&mut message).is_ok() {
            stream.write_all(&message)?;
        }
        Ok(())
    })?;
    let sink = server(|mut stream| {
        let mut buffer = vec![0; 256 << 10];
        let mut left = BULK;
        while left > 0 {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                read => left -= read.min(left),
            }
        }
        stream.write_all(b"!")
    })?;
    let through = |upstream: SocketAddr, name: &str| -> io::Result<[SocketAddr; 3]> {
        let [ours, theirs] = [proxy(ours, name, upstream)?, proxy(theirs, name, upstream)?];
        Ok([upstream, ours, theirs])
    };
    let (echoes, sinks) = (through(echo, "echo")?, through(sink, "sink")?);

    let mut times = [const { Vec::<Duration>::new() }; 3];
    let mut rates = [const { Vec::<f64>::new() }; 3];
    for round in 0..ROUNDS {
        for turn in 0..3 {
            // Rotated, so that no path is always first.
            let path = (round + turn) % 3;
            times[path].extend(exchanges(echoes[path])?);
            rates[path].push(bulk(sinks[path])?);
        }
    }
    report(times, rates);
    Ok(())
}

fn exchanges(address: SocketAddr) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut message = [7; MESSAGE];
    let mut times = Vec::with_capacity(EXCHANGES);
    for n in 0..EXCHANGES + 100 {
        let start = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        // The first ones warm up caches and the buffers of the server.
        if n >= 100 {
            times.push(start.elapsed());
        }
    }
    Ok(times)
}

/// The throughput in megabytes a second.
fn bulk(address: SocketAddr) -> io::Result<f64> {
    let mut stream = TcpStream::connect(address)?;
    let data = vec![7; 256 << 10];
    let start = Instant::now();
    for _ in 0..BULK / data.len() {
        stream.write_all(&data)?;
    }
    stream.read_exact(&mut [0])?;
    Ok(BULK as f64 / 1e6 / start.elapsed().as_secs_f64())
}

fn report(mut times: [Vec<Duration>; 3], mut rates: [Vec<f64>; 3]) {
    println!(
        "{:<10} {:>10} {:>10} {:>12}",
        "", "p50", "p99", "throughput"
    );
    let mut quantiles = [[0.0; 2]; 3];
    let mut throughput = [0.0; 3];
    for path in 0..3 {
        times[path].sort();
        rates[path].sort_by(f64::total_cmp);
        let at = |q: f64| times[path][(times[path].len() as f64 * q) as usize].as_secs_f64() * 1e6;
        quantiles[path] = [at(0.5), at(0.99)];
        throughput[path] = rates[path][rates[path].len() / 2];
        println!(
            "{:<10} {:>7.1} µs {:>7.1} µs {:>7.0} MB/s",
            PATHS[path], quantiles[path][0], quantiles[path][1], throughput[path]
        );
    }
    for (n, name) in ["p50", "p99"].iter().enumerate() {
        let added = |path: usize| quantiles[path][n] - quantiles[0][n];
        println!(
            "added at {name}: ours {:.1} µs, toxiproxy {:.1} µs, ratio {:.2}",
            added(1),
            added(2),
            added(1) / added(2)
        );
    }
    println!(
        "throughput (median of {ROUNDS}): ours / toxiproxy {:.2}, ours / direct {:.2}",
        throughput[1] / throughput[2],
        throughput[1] / throughput[0]
    );
}

fn server(
    serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            let _ = stream.set_nodelay(true);
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// Creates a proxy through an API. Returns its listen address.
fn proxy(api: &str, name: &str, upstream: SocketAddr) -> io::Result<SocketAddr> {
    let body = format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{upstream}"}}"#);
    let mut stream = TcpStream::connect(api)?;
    write!(
        stream,
        "POST /proxies HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let listen = response.split(r#""listen":""#).nth(1);
    listen
        .and_then(|rest| rest.split('"').next()?.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no address in {response:?}")))
}
