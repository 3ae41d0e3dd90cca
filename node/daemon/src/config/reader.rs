//! Reads a config file section by section and key by key, and collects every mistake on the way.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::value::{Value, Wrong, json, kind};
use super::{ConfigError, ConfigErrors, Origin, Position, Problem, Setting, Settings};
use crate::nearest::nearest;

/// A file being read.
pub(crate) struct Reader<'t> {
    file: String,
    lines: Lines<'t>,
    /// What was not read yet.
    root: DeTable<'t>,
    /// Whether it is TOML at all; else nothing that is missing says anything.
    is_toml: bool,
    sections: Vec<&'static str>,
    faults: Vec<(Position, Problem)>,
    settings: Vec<Setting>,
    /// What is left of each section when all known keys were taken out.
    unknown: Vec<(&'static str, Spanned<DeString<'t>>)>,
}

impl<'t> Reader<'t> {
    /// Starts to read `text`, which errors call `file`.
    pub(crate) fn new(text: &'t str, file: &str) -> Self {
        let lines = Lines::of(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let fault = |error: &toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            (lines.position(at), Problem::Syntax { reason: one_line(error.message()) })
        };
        Self {
            file: file.to_owned(),
            root: root.into_inner(),
            is_toml: errors.is_empty(),
            sections: Vec::new(),
            faults: errors.iter().map(fault).collect(),
            settings: Vec::new(),
            unknown: Vec::new(),
            lines,
        }
    }

    /// Reads a section; one that is missing reads as an empty one.
    pub(crate) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_, 't>) -> T,
    ) -> T {
        self.sections.push(name);
        let table = match self.root.remove_entry(name) {
            None => DeTable::new(),
            Some((key, value)) => match value.into_inner() {
                DeValue::Table(table) => table,
                other => {
                    let found = kind(&other);
                    self.fault(key.span().start, Problem::NotASection { section: name, found });
                    DeTable::new()
                }
            },
        };
        let mut section = Section { reader: self, name, table };
        let result = read(&mut section);
        let left = section.table.into_iter().map(|(key, _)| (name, key));
        self.unknown.extend(left);
        result
    }

    /// Whether there is no mistake so far.
    pub(crate) const fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Reports what is wrong with several values together, at the first of these keys that stands
    /// in the file.
    pub(crate) fn refuse(&mut self, section: &str, keys: &[&str], problem: Problem) {
        let place = |key: &&str| {
            let is_it = |setting: &&Setting| setting.section == section && setting.key == *key;
            match self.settings.iter().find(is_it)?.origin {
                Origin::File(at) => Some(at),
                Origin::Default => None,
            }
        };
        let start = Position { line: 1, column: 1 };
        self.faults.push((keys.iter().find_map(place).unwrap_or(start), problem));
    }

    /// All values, or all mistakes in their order.
    pub(crate) fn finish(mut self) -> Result<Settings, ConfigErrors> {
        if self.is_toml {
            self.refuse_unknown();
        }
        if self.faults.is_empty() {
            return Ok(Settings { file: self.file, entries: self.settings });
        }
        self.faults.sort_by_key(|(at, _)| *at);
        let error = |(at, problem)| ConfigError { file: self.file.clone(), at, problem };
        Err(ConfigErrors(self.faults.into_iter().map(error).collect()))
    }

    /// Reports what no section asked for.
    fn refuse_unknown(&mut self) {
        for (section, key) in std::mem::take(&mut self.unknown) {
            let problem = self.unknown_key(section, key.get_ref());
            self.fault(key.span().start, problem);
        }
        for (key, value) in std::mem::take(&mut self.root) {
            let problem = self.unknown_at_top(key.get_ref(), value.get_ref());
            self.fault(key.span().start, problem);
        }
    }

    /// What to say about a key that its section does not know.
    fn unknown_key(&self, section: &'static str, key: &str) -> Problem {
        if let Some(home) = self.home_of(key) {
            return Problem::Misplaced { section: home, key: key.to_owned() };
        }
        let of_section = |setting: &&Setting| setting.section == section;
        let known = self.settings.iter().filter(of_section).map(|setting| setting.key);
        Problem::UnknownKey { section, key: key.to_owned(), nearest: nearest(key, known) }
    }

    /// What to say about what stands outside of the known sections.
    fn unknown_at_top(&self, key: &str, value: &DeValue<'_>) -> Problem {
        let key = key.to_owned();
        if value.is_table() {
            let nearest = nearest(&key, self.sections.iter().copied());
            return Problem::UnknownSection { section: key, nearest };
        }
        match self.home_of(&key) {
            Some(section) => Problem::Misplaced { section, key },
            None => Problem::Stray { key },
        }
    }

    /// The section that knows this key.
    fn home_of(&self, key: &str) -> Option<&'static str> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.section)
    }

    fn fault(&mut self, at: usize, problem: Problem) {
        // In what is not TOML the reader finds only what the parser made of it.
        if self.is_toml {
            self.faults.push((self.lines.position(at), problem));
        }
    }
}

/// A section being read; each known key is taken out of it.
pub(crate) struct Section<'r, 't> {
    reader: &'r mut Reader<'t>,
    name: &'static str,
    table: DeTable<'t>,
}

impl<'t> Section<'_, 't> {
    /// The value of a key, or `default` where it is missing or wrong.
    pub(crate) fn value<T: Value>(&mut self, key: &'static str, default: T) -> T {
        let Some(found) = self.table.remove(key) else {
            self.show(key, &default, Origin::Default);
            return default;
        };
        let value = self.read(key, &found).unwrap_or(default);
        let at = self.reader.lines.position(found.span().start);
        self.show(key, &value, Origin::File(at));
        value
    }

    /// As [`Self::value`], and refuses what is not in `range`.
    pub(crate) fn within<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Value + Copy + PartialOrd,
    {
        let at = self.table.get(key).map_or(0, |found| found.span().start);
        let value = self.value(key, default);
        if range.contains(&value) {
            return value;
        }
        let plain = |value: T| value.show().to_string().replace('"', "");
        let (found, min, max) = (plain(value), plain(*range.start()), plain(*range.end()));
        self.reader.fault(at, Problem::OutOfRange { section: self.name, key, found, min, max });
        default
    }

    /// The values of a key that has several, none by default, at most `max`.
    pub(crate) fn list<T: Value>(&mut self, key: &'static str, max: usize) -> Vec<T> {
        let Some(found) = self.table.remove(key) else {
            self.set(key, Vec::<String>::new().into(), Origin::Default);
            return Vec::new();
        };
        let start = found.span().start;
        let section = self.name;
        let mut values = Vec::new();
        match found.get_ref().as_array() {
            None => {
                let found = kind(found.get_ref());
                let wanted = "a list in square brackets";
                self.reader.fault(start, Problem::WrongType { section, key, wanted, found });
            }
            Some(entries) if entries.len() > max => {
                let found = entries.len();
                self.reader.fault(start, Problem::TooMany { section, key, found, max });
            }
            Some(entries) => values.extend(entries.iter().filter_map(|one| self.read(key, one))),
        }
        let at = self.reader.lines.position(start);
        self.set(key, values.iter().map(Value::show).collect(), Origin::File(at));
        values
    }

    /// A section whose keys another crate reads: `keys` names them, with what is shown for one
    /// that is missing. Each key is read by itself first, so that each mistake is found.
    pub(crate) fn foreign<T: DeserializeOwned + Default>(
        &mut self,
        keys: &[(&'static str, Option<&str>)],
    ) -> T {
        let mut sound = DeTable::new();
        for (key, shown) in keys {
            let Some((name, found)) = self.table.remove_entry(*key) else {
                self.set(key, (*shown).into(), Origin::Default);
                continue;
            };
            let alone = DeTable::from_iter([(name.clone(), found.clone())]);
            if self.deserialize::<T>(key, found.span().start, alone).is_some() {
                let at = self.reader.lines.position(found.span().start);
                self.set(key, json(found.get_ref()), Origin::File(at));
                sound.insert(name, found);
            }
        }
        let at = sound.values().next().map_or(0, |first| first.span().start);
        self.deserialize(self.name, at, sound).unwrap_or_default()
    }

    /// Hands a table to another crate's reader.
    fn deserialize<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        start: usize,
        table: DeTable<'t>,
    ) -> Option<T> {
        let section = self.name;
        let refuse = |error: toml::de::Error| {
            let at = error.span().map_or(start, |span| span.start);
            let reason = one_line(error.message());
            self.reader.fault(at, Problem::Invalid { section, key, reason });
        };
        T::deserialize(Deserializer::from(Spanned::new(start..start, table))).map_err(refuse).ok()
    }

    /// Reads one value, or reports why not.
    fn read<T: Value>(&mut self, key: &'static str, found: &Spanned<DeValue<'t>>) -> Option<T> {
        let section = self.name;
        let problem = match T::read(found.get_ref()) {
            Ok(value) => return Some(value),
            Err(Wrong::Value(reason)) => Problem::Invalid { section, key, reason },
            Err(Wrong::Type(wanted)) => {
                Problem::WrongType { section, key, wanted, found: kind(found.get_ref()) }
            }
        };
        self.reader.fault(found.span().start, problem);
        None
    }

    fn show<T: Value>(&mut self, key: &'static str, value: &T, origin: Origin) {
        self.set(key, value.show(), origin);
    }

    fn set(&mut self, key: &'static str, value: serde_json::Value, origin: Origin) {
        self.reader.settings.push(Setting { section: self.name, key, value, origin });
    }
}

/// A message of another crate, without its line feeds.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the lines of a text start.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// The line and column of a byte.
    fn position(&self, at: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index));
        let before = self.text.get(start.copied().unwrap_or(0)..at).unwrap_or("");
        Position { line, column: before.chars().count() + 1 }
    }
}
