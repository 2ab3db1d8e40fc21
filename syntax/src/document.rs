//! A parsed YAML file, and cursors into it that report mistakes.

use std::cell::RefCell;
use std::collections::BTreeSet;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use crate::mistakes::{Mistake, Mistakes};
use crate::nearest::did_you_mean;

/// A YAML file with the mistakes found in it so far.
pub struct Document<'t> {
    file: String,
    root: MarkedYaml<'t>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Document<'t> {
    /// Parses `text`. `file` is the file name for messages.
    ///
    /// # Errors
    /// Text that is not YAML, or that has no document or several. This is one mistake, because nothing after it can be
    /// trusted.
    pub fn parse(file: &str, text: &'t str) -> Result<Self, Mistakes> {
        let refuse = |line, column, message: String| {
            let mistake = Mistake {
                line,
                column,
                message,
            };
            Mistakes::new(file, vec![mistake])
        };
        let mut documents = MarkedYaml::load_from_str(text).map_err(|e| {
            let at = e.marker();
            refuse(at.line(), at.col() + 1, format!("not YAML: {}", e.info()))
        })?;
        match documents.len() {
            0 => Err(refuse(1, 1, "the file is empty".to_owned())),
            1 => Ok(Self {
                file: file.to_owned(),
                root: documents.remove(0),
                mistakes: RefCell::default(),
            }),
            n => Err(refuse(
                1,
                1,
                format!("{n} YAML documents in one file; write one"),
            )),
        }
    }

    /// The whole document.
    pub fn root(&self) -> Node<'_> {
        Node {
            mistakes: &self.mistakes,
            yaml: &self.root,
        }
    }

    /// Ends reading.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn finish(self) -> Result<(), Mistakes> {
        let list = self.mistakes.into_inner();
        if list.is_empty() {
            Ok(())
        } else {
            Err(Mistakes::new(&self.file, list))
        }
    }
}

/// One value and its position. Reading it as another type adds a mistake and returns `None`.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    mistakes: &'d RefCell<Vec<Mistake>>,
    yaml: &'d MarkedYaml<'d>,
}

impl<'d> Node<'d> {
    /// Line, from 1.
    pub fn line(self) -> usize {
        self.yaml.span.start.line()
    }

    /// Column, from 1.
    pub fn column(self) -> usize {
        self.yaml.span.start.col() + 1
    }

    /// Adds a mistake at this position.
    pub fn mistake(self, message: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake {
            line: self.line(),
            column: self.column(),
            message: message.into(),
        });
    }

    /// This value as a mapping.
    pub fn map(self) -> Option<Map<'d>> {
        let YamlData::Mapping(entries) = &self.yaml.data else {
            self.mistake(format!(
                "expected `key: value` pairs, found {}",
                self.kind()
            ));
            return None;
        };
        let mut pairs = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = Node { yaml: key, ..self };
            let value = Node {
                yaml: value,
                ..self
            };
            if let Some(name) = key.text() {
                pairs.push((name, key, value));
            }
        }
        Some(Map {
            at: self,
            pairs,
            read_keys: BTreeSet::new(),
        })
    }

    /// This value as a list.
    pub fn list(self) -> Option<Vec<Node<'d>>> {
        let YamlData::Sequence(items) = &self.yaml.data else {
            self.mistake(format!("expected a list, found {}", self.kind()));
            return None;
        };
        Some(items.iter().map(|yaml| Node { yaml, ..self }).collect())
    }

    /// This value as text. Numbers and booleans are returned as text too.
    pub fn text(self) -> Option<String> {
        match &self.yaml.data {
            YamlData::Value(Scalar::String(s)) => Some(s.to_string()),
            YamlData::Value(Scalar::Integer(i)) => Some(i.to_string()),
            YamlData::Value(Scalar::FloatingPoint(x)) => Some(x.to_string()),
            YamlData::Value(Scalar::Boolean(b)) => Some(b.to_string()),
            _ => {
                self.mistake(format!("expected a value, found {}", self.kind()));
                None
            }
        }
    }

    /// This value as true or false.
    pub fn flag(self) -> Option<bool> {
        match &self.yaml.data {
            YamlData::Value(Scalar::Boolean(b)) => Some(*b),
            _ => {
                self.mistake(format!("expected true or false, found {}", self.kind()));
                None
            }
        }
    }

    /// This value as one of the given words.
    pub fn one_of(self, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text()?;
        let found = words.iter().copied().find(|w| *w == text);
        if found.is_none() {
            self.mistake(format!("unknown `{text}`; {}", did_you_mean(&text, words)));
        }
        found
    }

    /// Whether this is a list, for keys that accept several forms.
    pub fn is_list(self) -> bool {
        matches!(self.yaml.data, YamlData::Sequence(_))
    }

    /// Whether this is a mapping, for keys that accept several forms.
    pub fn is_map(self) -> bool {
        matches!(self.yaml.data, YamlData::Mapping(_))
    }

    /// The value as messages show it.
    pub fn kind(self) -> String {
        match &self.yaml.data {
            YamlData::Mapping(_) => "a mapping".to_owned(),
            YamlData::Sequence(_) => "a list".to_owned(),
            YamlData::Value(Scalar::Null) => "nothing".to_owned(),
            YamlData::Value(Scalar::String(s)) => format!("`{s}`"),
            YamlData::Value(Scalar::Integer(i)) => format!("`{i}`"),
            YamlData::Value(Scalar::FloatingPoint(x)) => format!("`{x}`"),
            YamlData::Value(Scalar::Boolean(b)) => format!("`{b}`"),
            _ => "a YAML feature that scenarios do not use".to_owned(),
        }
    }
}

/// A mapping that is read key by key. [`Map::finish`] then reports the keys that were not read.
pub struct Map<'d> {
    at: Node<'d>,
    pairs: Vec<(String, Node<'d>, Node<'d>)>,
    read_keys: BTreeSet<&'static str>,
}

impl<'d> Map<'d> {
    /// The mapping itself, for mistakes about the mapping as a whole.
    pub fn node(&self) -> Node<'d> {
        self.at
    }

    /// The value of `key`, if present.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'d>> {
        self.read_keys.insert(key);
        self.pairs
            .iter()
            .find(|(name, ..)| name == key)
            .map(|(.., value)| *value)
    }

    /// Reads the value of `key`. A missing key is a mistake.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Node<'d>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(node) => read(node),
            None => {
                self.at.mistake(format!("`{key}` is missing"));
                None
            }
        }
    }

    /// Reads the value of `key`, if present. Returns `None` also if the value has a mistake.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Node<'d>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).and_then(read)
    }

    /// Every key and value, for mappings whose keys are names chosen by the user.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Node<'d>, Node<'d>)> {
        self.pairs
            .iter()
            .map(|(name, k, v)| (name.as_str(), *k, *v))
    }

    /// Adds a mistake for each key that was not read.
    pub fn finish(self) {
        let known: Vec<&str> = self.read_keys.iter().copied().collect();
        for (name, key, _) in &self.pairs {
            if !self.read_keys.contains(name.as_str()) {
                key.mistake(format!(
                    "unknown key `{name}`; {}",
                    did_you_mean(name, &known)
                ));
            }
        }
    }
}
