//! A parsed file, and cursors into it that report what they do not understand.

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
    /// Parses `text`; `file` is the name that messages carry.
    ///
    /// # Errors
    /// Text that is not YAML, or holds no document or several: one mistake, since nothing after it can be trusted.
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

    /// To be asked when everything has been read.
    ///
    /// # Errors
    /// Every mistake that was noted on the way.
    pub fn finish(self) -> Result<(), Mistakes> {
        let list = self.mistakes.into_inner();
        if list.is_empty() {
            Ok(())
        } else {
            Err(Mistakes::new(&self.file, list))
        }
    }
}

/// One value and where it stands. Reading it as something it is not notes a mistake and gives `None`.
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

    /// Notes a mistake at this place.
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
            asked: BTreeSet::new(),
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

    /// This value as text; numbers and flags count as the text they are written as.
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

    /// This value as one of some known words.
    pub fn one_of(self, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text()?;
        let found = words.iter().copied().find(|w| *w == text);
        if found.is_none() {
            self.mistake(format!("unknown `{text}`; {}", did_you_mean(&text, words)));
        }
        found
    }

    /// Whether this is a list, to offer a shorter form beside it.
    pub fn is_list(self) -> bool {
        matches!(self.yaml.data, YamlData::Sequence(_))
    }

    /// Whether this is a mapping, to offer a shorter form beside it.
    pub fn is_map(self) -> bool {
        matches!(self.yaml.data, YamlData::Mapping(_))
    }

    /// What stands here, as messages call it.
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

/// A mapping being read key by key. [`Map::finish`] then refuses the keys that nobody asked for.
pub struct Map<'d> {
    at: Node<'d>,
    pairs: Vec<(String, Node<'d>, Node<'d>)>,
    asked: BTreeSet<&'static str>,
}

impl<'d> Map<'d> {
    /// The mapping itself, for mistakes that concern it as a whole.
    pub fn node(&self) -> Node<'d> {
        self.at
    }

    /// The value under `key`, if it is there.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'d>> {
        self.asked.insert(key);
        self.pairs
            .iter()
            .find(|(name, ..)| name == key)
            .map(|(.., value)| *value)
    }

    /// Reads the value under `key`; that it is missing is a mistake.
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

    /// Reads the value under `key` where there is one. `None` also stands for a value that was refused.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Node<'d>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).and_then(read)
    }

    /// Every key and value, for mappings whose keys are names the user chose.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Node<'d>, Node<'d>)> {
        self.pairs
            .iter()
            .map(|(name, k, v)| (name.as_str(), *k, *v))
    }

    /// Notes a mistake for each key that was never asked for.
    pub fn finish(self) {
        let known: Vec<&str> = self.asked.iter().copied().collect();
        for (name, key, _) in &self.pairs {
            if !self.asked.contains(name.as_str()) {
                key.mistake(format!(
                    "unknown key `{name}`; {}",
                    did_you_mean(name, &known)
                ));
            }
        }
    }
}
