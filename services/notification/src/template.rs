//! The texts, pure: `templates/` holds one file per kind of message and channel. A file's first line is the subject,
//! the rest after an empty line the body.

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

/// What a customer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The first line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// All templates, read.
pub struct Templates(Environment<'static>);

impl Templates {
    /// Reads the templates.
    ///
    /// # Errors
    /// A template with a mistake in it.
    pub fn read() -> Result<Self, minijinja::Error> {
        let mut environment = Environment::new();
        // A name that is not there is a mistake, not an empty place in a letter.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in SOURCES {
            environment.add_template(name, source)?;
        }
        Ok(Self(environment))
    }

    /// The text of a kind of message on a channel.
    ///
    /// # Errors
    /// No such template, or a value that it needs and `values` lacks.
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
