//! Mail over SMTP.

use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};

use crate::retry::SendResult;
use crate::store::queue::Mail;

/// The sender.
const FROM: &str = "Doorbuster <orders@shop.example>";
/// The domain in the `Message-ID`.
const DOMAIN: &str = "notification.shop.example";
/// How long the server may take for each step of the conversation.
const STEP: Duration = Duration::from_secs(10);
/// How long a whole try may take. Shorter than the queue's lease.
const TRY: Duration = Duration::from_secs(30);
/// Connections to the server. More are not needed, and some servers allow no more.
const CONNECTIONS: u32 = 4;

/// Why mail cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The URL is wrong.
    #[error(
        "mail cannot go by `--smtp-url`: {0}; write smtp://host:25, smtps://user:password@host, or smtp://host:587?tls=required"
    )]
    Url(#[from] smtp::Error),
    /// The sender's address is wrong.
    #[error("the sender's address is none: {0}")]
    From(#[from] AddressError),
}

/// Sends mail to one server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// For the server at `url`. It does not connect yet.
    ///
    /// # Errors
    /// The URL is wrong.
    pub fn new(url: &str) -> Result<Self, MailError> {
        let pool = PoolConfig::new().max_size(CONNECTIONS);
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?
            .timeout(Some(STEP))
            .pool_config(pool)
            .build();
        Ok(Self {
            transport,
            from: FROM.parse()?,
        })
    }

    /// Tries to send a mail.
    pub async fn send(&self, mail: &Mail) -> SendResult {
        let letter = match letter(&self.from, mail) {
            Ok(letter) => letter,
            Err(why) => return SendResult::Rejected(why),
        };
        match tokio::time::timeout(TRY, self.transport.send(letter)).await {
            Ok(Ok(_)) => SendResult::Accepted,
            Ok(Err(e)) if is_final(&e) => SendResult::Rejected(e.to_string()),
            Ok(Err(e)) => SendResult::Deferred(e.to_string()),
            Err(_) => SendResult::Deferred("the mail server takes too long".to_owned()),
        }
    }
}

/// Whether the server refused this mail for good. A 53x answer refuses this client, not the mail (RFC 4954): the
/// password can be corrected.
fn is_final(e: &smtp::Error) -> bool {
    let about_us = e.status().is_some_and(|code| {
        let code = code.to_string();
        code.starts_with("53")
    });
    e.is_permanent() && !about_us
}

/// The message. Its `Message-ID` comes from the notification's id. A sender may die after the server accepted a mail
/// and before it noted that; the mail is then sent again, and mailboxes recognise the duplicate.
fn letter(from: &Mailbox, mail: &Mail) -> Result<Letter, String> {
    let to = mail.recipient.parse::<lettre::Address>();
    let to = to.map_err(|e| format!("`{}` is no address: {e}", mail.recipient))?;
    Letter::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.as_str())
        .message_id(Some(format!("<{}@{DOMAIN}>", mail.id)))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.body.clone())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(recipient: &str) -> Mail {
        Mail {
            id: "n-1".to_owned(),
            recipient: recipient.to_owned(),
            subject: "Grüße\r\nBcc: everyone@shop.example".to_owned(),
            body: "Zwei Töpfe".to_owned(),
            traceparent: None,
            attempts: 1,
            created_at_ms: 0,
        }
    }

    #[test]
    fn the_same_notification_is_the_same_message_id() {
        let from = FROM.parse().unwrap();
        let text = |m: &Mail| String::from_utf8(letter(&from, m).unwrap().formatted()).unwrap();
        let (one, again) = (text(&mail("a@shop.example")), text(&mail("a@shop.example")));
        let id = "Message-ID: <n-1@notification.shop.example>";
        assert!(one.contains(id) && again.contains(id), "{one}");
    }

    #[test]
    fn a_subject_cannot_add_a_header() {
        let letter = letter(&FROM.parse().unwrap(), &mail("a@shop.example")).unwrap();
        let text = String::from_utf8(letter.formatted()).unwrap();
        assert!(!text.lines().any(|l| l.starts_with("Bcc")), "{text}");
        assert_eq!(letter.envelope().to().len(), 1);
    }

    #[test]
    fn invalid_addresses_are_refused() {
        let from: Mailbox = FROM.parse().unwrap();
        for recipient in ["", "nobody", "a@b@c", "a@b\r\nRCPT TO:<c@d>"] {
            assert!(letter(&from, &mail(recipient)).is_err(), "{recipient:?}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_with_examples() {
        let result = Mailer::new("http://h").err().unwrap().to_string();
        assert!(result.contains("smtp://"), "{result}");
    }
}
