//! The service's own settings.

/// How messages are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotificationConfig {
    /// The mail server, as an `smtp:` or `smtps:` URL. Without one, messages are kept and not sent.
    pub smtp_url: Option<String>,
}
