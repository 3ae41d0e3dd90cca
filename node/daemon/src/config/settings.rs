//! The values in force, and where each one came from.

use std::fmt;

use serde_json::{Value as Json, json};

use super::Position;

/// Every value in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub(super) file: String,
    pub(super) entries: Vec<Setting>,
}

/// One value in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its section.
    pub section: &'static str,
    /// Its key.
    pub key: &'static str,
    /// Its value as it can be written in the file; null where it has none.
    pub value: Json,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// It stands in the file, here.
    File(Position),
}

impl Settings {
    /// Each value, in the order of the example.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.entries.iter()
    }

    /// The same for programs: `{"api": {"http": {"value": "off", "from": "goodwatt.toml:7"}}}`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut sections = json!({});
        for setting in &self.entries {
            sections[setting.section][setting.key] =
                json!({ "value": setting.value, "from": self.origin(setting) });
        }
        sections
    }

    /// What stands in the file under the sections that `is_wanted`, as a file of its own.
    pub(crate) fn to_toml(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        let stated = |setting: &&Setting| setting.origin != Origin::Default;
        let mut text = String::new();
        let mut section = "";
        for setting in self.entries.iter().filter(stated).filter(|one| is_wanted(one.section)) {
            if setting.section != section {
                section = setting.section;
                text.push_str(&format!("\n[{section}]\n"));
            }
            text.push_str(&format!("{} = {}\n", setting.key, literal(&setting.value)));
        }
        text
    }

    /// Whether a key stands in the file.
    pub(crate) fn states(&self, section: &str, key: &str) -> bool {
        self.entries
            .iter()
            .any(|one| one.section == section && one.key == key && one.origin != Origin::Default)
    }

    /// Where a value came from, as text.
    fn origin(&self, setting: &Setting) -> String {
        match setting.origin {
            Origin::Default => "default".to_owned(),
            Origin::File(at) => format!("{}:{}", self.file, at.line),
        }
    }
}

/// A config file that says all of it, with where each value came from behind it.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = "";
        for setting in &self.entries {
            if setting.section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                section = setting.section;
                writeln!(f, "{gap}[{section}]")?;
            }
            let line = match &setting.value {
                Json::Null => format!("# {} is not set", setting.key),
                value => format!("{} = {}", setting.key, literal(value)),
            };
            writeln!(f, "{line:<48} # {}", self.origin(setting))?;
        }
        Ok(())
    }
}

/// A value as TOML writes it.
fn literal(value: &Json) -> String {
    match value {
        // JSON allows the one control character that TOML does not.
        Json::String(_) => value.to_string().replace('\u{7f}', "\\u007f"),
        Json::Array(entries) => {
            let entries: Vec<_> = entries.iter().map(literal).collect();
            format!("[{}]", entries.join(", "))
        }
        Json::Object(table) => {
            let entry = |(key, value): (&String, &Json)| format!("{key} = {}", literal(value));
            let entries: Vec<_> = table.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}
