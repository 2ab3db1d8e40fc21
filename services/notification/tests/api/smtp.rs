//! A mail server that does as the test wants, over a real socket.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use shop_kit::net::{self, Lease};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// The server's reply to a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Accept,
    /// `451`, this many more times.
    Defer(u32),
    /// `550`.
    Reject,
}

/// An accepted mail.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub to: String,
    pub text: String,
}

struct State {
    reply: Reply,
    letters: Vec<Letter>,
    asked: u32,
}

/// The server. It has its port from the start, also while it is down.
pub(crate) struct MailServer {
    port: Lease,
    state: Arc<Mutex<State>>,
    serving: Option<AbortHandle>,
}

impl MailServer {
    /// A server that is still down.
    pub(crate) fn new(reply: Reply) -> Self {
        let state = State {
            reply,
            letters: Vec::new(),
            asked: 0,
        };
        Self {
            port: Lease::take(([127, 0, 0, 1], 0).into()).unwrap(),
            state: Arc::new(Mutex::new(state)),
            serving: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        let address: SocketAddr = self.port.address();
        format!("smtp://{address}")
    }

    pub(crate) fn start(&mut self) {
        let listener = net::listen(self.port.address()).unwrap();
        let state = self.state.clone();
        let serve = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, state.clone()));
            }
        });
        self.serving = Some(serve.abort_handle());
    }

    /// Stops accepting connections.
    pub(crate) fn stop(&mut self) {
        self.serving.take().unwrap().abort();
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.state.lock().unwrap().letters.clone()
    }

    /// How many mails it was offered.
    pub(crate) fn asked(&self) -> u32 {
        self.state.lock().unwrap().asked
    }
}

/// One conversation, after RFC 5321.
async fn talk(stream: TcpStream, state: Arc<Mutex<State>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut to = String::new();
    let mut answer = "220 mail.shop.example".to_owned();
    loop {
        if write
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
        let Ok(Some(line)) = lines.next_line().await else {
            return;
        };
        let verb = line.get(..4).unwrap_or_default().to_uppercase();
        answer = match verb.as_str() {
            "EHLO" => "250-mail.shop.example\r\n250 8BITMIME".to_owned(),
            "RCPT" => {
                to = line;
                recipient(&mut state.lock().unwrap())
            }
            "DATA" => {
                let go = "354 go on\r\n";
                if write.write_all(go.as_bytes()).await.is_err() {
                    return;
                }
                let mut text = String::new();
                loop {
                    match lines.next_line().await {
                        Ok(Some(line)) if line == "." => break,
                        Ok(Some(line)) => text += &format!("{line}\n"),
                        _ => return,
                    }
                }
                let letter = Letter {
                    to: std::mem::take(&mut to),
                    text,
                };
                state.lock().unwrap().letters.push(letter);
                "250 taken".to_owned()
            }
            "QUIT" => {
                let _ = write.write_all(b"221 bye\r\n").await;
                return;
            }
            _ => "250 ok".to_owned(),
        };
    }
}

fn recipient(state: &mut State) -> String {
    state.asked += 1;
    match &mut state.reply {
        Reply::Defer(times) if *times > 0 => {
            *times -= 1;
            "451 not now".to_owned()
        }
        Reply::Reject => "550 nobody of that name".to_owned(),
        Reply::Accept | Reply::Defer(_) => "250 ok".to_owned(),
    }
}
