//! The texts, pure: `templates/` has one file per kind of message and channel. A file's first line is the subject; the
//! body follows an empty line.

use minijinja::{Environment, UndefinedBehavior, Value};

use crate::channel::Channel;

/// Name and source of every template.
const SOURCES: &[(&str, &str)] = &[
    (
        "order.confirmed.email",
        include_str!("../templates/order.confirmed.email.txt"),
    ),
    (
        "order.confirmed.sms",
        include_str!("../templates/order.confirmed.sms.txt"),
    ),
    (
        "order.confirmed.push",
        include_str!("../templates/order.confirmed.push.txt"),
    ),
    (
        "order.cancelled.email",
        include_str!("../templates/order.cancelled.email.txt"),
    ),
    (
        "order.cancelled.sms",
        include_str!("../templates/order.cancelled.sms.txt"),
    ),
    (
        "order.cancelled.push",
        include_str!("../templates/order.cancelled.push.txt"),
    ),
];

/// A text for a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The first line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// All templates.
pub struct Templates(Environment<'static>);

impl Templates {
    /// Reads the templates.
    ///
    /// # Errors
    /// A template has a mistake.
    pub fn read() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        // A value that is missing is an error, not a gap in a letter.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in SOURCES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// The text of a kind of message on a channel.
    ///
    /// # Errors
    /// There is no such template, or it needs a value that `values` lacks.
    pub fn text(
        &self,
        kind: &str,
        channel: Channel,
        values: Value,
    ) -> Result<Text, minijinja::Error> {
        let name = format!("{kind}.{}", channel.name());
        let text = self.0.get_template(&name)?.render(values)?;
        let (subject, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        Ok(Text {
            subject: subject.to_owned(),
            body: body.to_owned(),
        })
    }
}
