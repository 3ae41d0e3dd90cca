//! A TOML document as sections with known keys, in which every fault has its place.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use goodwatt_units::{MicroWatts, Millis};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::GENESIS_TEXT_BYTES_MAX;
use super::fields::Field;
use super::quantity::{self, QuantityError, Unit};
use super::time::TimeError;
use crate::address::AddressError;
use crate::genesis::GenesisError;
use crate::hash::ParseDigestError;
use crate::signature::PublicKey;
use crate::units::{Grains, ParseGrainsError};
use crate::validators::VALIDATORS_MAX;

/// A place in the text, in bytes from its beginning.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct At(pub(super) usize);

/// A fault and its place.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) fault: Fault,
    pub(super) at: At,
}

/// What is wrong with a genesis file, and what to write.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Larger than is read.
    #[error("{len} bytes are more than a genesis file may have ({GENESIS_TEXT_BYTES_MAX})")]
    TextTooLong { len: usize },
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A key that means nothing here.
    #[error("{section} knows no `{key}`: {advice}")]
    UnknownKey { section: &'static str, key: String, advice: Advice },
    /// A key that has to be there.
    #[error("{section} lacks `{name}`: write `{name} = {example}`")]
    Missing { section: &'static str, name: &'static str, example: &'static str },
    /// A value of another kind or form.
    #[error("`{name}`: {cause}: write `{name} = {example}`", name = field.name, example = field.example)]
    Value { field: &'static Field, cause: ValueError },
    /// More founders than a set can hold.
    #[error("more than {VALIDATORS_MAX} founders: take this one out")]
    TooManyFounders,
    /// No chain can begin from it.
    #[error(transparent)]
    Unfit(GenesisError),
}

impl Fault {
    pub(super) const fn at(self, at: At) -> Located {
        Located { fault: self, at }
    }
}

/// Why a value is not what its field needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum ValueError {
    #[error("{found} stands where {wanted} has to stand")]
    Kind { found: &'static str, wanted: &'static str },
    #[error("not one of the words known here")]
    Word,
    #[error(
        "hash puzzles exist in the simulator only (`goodwatt sim --rule work`), no chain runs on them"
    )]
    Work,
    #[error("not a whole number from 0 to {0}")]
    Integer(u64),
    #[error("{len} bytes are more than the {limit} it may have")]
    TooLong { len: usize, limit: usize },
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    #[error(transparent)]
    Money(ParseGrainsError),
    #[error(transparent)]
    Address(AddressError),
    #[error(transparent)]
    Digest(ParseDigestError),
    #[error(transparent)]
    Time(TimeError),
}

/// What to write instead of an unknown key.
#[derive(Debug)]
pub(super) enum Advice {
    Nearest(&'static str),
    Known(&'static [Field]),
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(name) => write!(f, "did you mean `{name}`?"),
            Self::Known(fields) => {
                f.write_str("take it out, or write one of")?;
                fields.iter().try_for_each(|field| write!(f, " `{}`", field.name))
            }
        }
    }
}

/// A table whose keys are all known.
#[derive(Debug)]
pub(super) struct Section<'t> {
    name: &'static str,
    table: &'t DeTable<'t>,
    at: At,
    fields: &'static [Field],
}

impl<'t> Section<'t> {
    /// Refuses the first unknown key.
    pub(super) fn new(
        name: &'static str,
        table: &'t DeTable<'t>,
        at: At,
        fields: &'static [Field],
    ) -> Result<Self, Located> {
        let unknown = table
            .keys()
            .filter(|key| fields.iter().all(|field| field.name != key.get_ref()))
            .min_by_key(|key| key.span().start);
        match unknown {
            None => Ok(Self { name, table, at, fields }),
            Some(key) => {
                let advice = nearest(key.get_ref(), fields);
                let advice = advice.map_or(Advice::Known(fields), Advice::Nearest);
                let key_at = At(key.span().start);
                Err(Fault::UnknownKey { section: name, key: key.get_ref().to_string(), advice }
                    .at(key_at))
            }
        }
    }

    /// Where it begins.
    pub(super) const fn at(&self) -> At {
        self.at
    }

    /// Where a key stands, or the section itself where there is no such key.
    pub(super) fn key_at(&self, name: &str) -> At {
        self.table.get_key_value(name).map_or(self.at, |(key, _)| At(key.span().start))
    }

    /// Where the element of an array stands.
    pub(super) fn element_at(&self, name: &str, index: usize) -> At {
        let array = self.table.get(name).and_then(|value| value.get_ref().as_array());
        let element = array.and_then(|array| array.get(index));
        element.map_or(self.key_at(name), |element| At(element.span().start))
    }

    pub(super) fn optional(&self, name: &str) -> Option<Item<'t>> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        let (key, value) = self.table.get_key_value(name)?;
        Some(Item { field, key, value })
    }

    pub(super) fn required(&self, name: &'static str) -> Result<Item<'t>, Located> {
        self.optional(name).ok_or_else(|| {
            let field = self.fields.iter().find(|field| field.name == name);
            let example = field.map_or("...", |field| field.example);
            Fault::Missing { section: self.name, name, example }.at(self.at)
        })
    }

    /// Reads a value over its default, where there is one.
    pub(super) fn set<T>(
        &self,
        name: &str,
        to: &mut T,
        read: impl FnOnce(&Item<'t>) -> Result<T, Located>,
    ) -> Result<(), Located> {
        if let Some(item) = self.optional(name) {
            *to = read(&item)?;
        }
        Ok(())
    }
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Item<'t> {
    field: &'static Field,
    key: &'t Spanned<alloc::borrow::Cow<'t, str>>,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Item<'t> {
    pub(super) fn value(&self) -> &'t DeValue<'t> {
        self.value.get_ref()
    }

    fn fault(&self, cause: ValueError) -> Located {
        Fault::Value { field: self.field, cause }.at(At(self.value.span().start))
    }

    fn kind(&self, wanted: &'static str) -> Located {
        self.fault(ValueError::Kind { found: kind_of(self.value()), wanted })
    }

    fn text(&self) -> Result<&'t str, Located> {
        self.value().as_str().ok_or_else(|| self.kind("text in quotes"))
    }

    pub(super) fn parse<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Result<T, Located> {
        parse(self.text()?).map_err(|cause| self.fault(cause))
    }

    /// The key itself, where keys are names of accounts, and its place.
    pub(super) fn key<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Result<(At, T), Located> {
        let at = At(self.key.span().start);
        let read = parse(self.key.get_ref());
        read.map(|key| (at, key)).map_err(|cause| Fault::Value { field: self.field, cause }.at(at))
    }

    pub(super) fn bounded_text<const N: usize>(&self) -> Result<heapless::String<N>, Located> {
        self.parse(|text| {
            text.try_into().map_err(|_| ValueError::TooLong { len: text.len(), limit: N })
        })
    }

    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Located> {
        self.parse(|text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or(ValueError::Word)
        })
    }

    pub(super) fn integer<T: TryFrom<u64> + Bounded>(&self) -> Result<T, Located> {
        let DeValue::Integer(integer) = self.value() else {
            return Err(self.kind("a whole number"));
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.fault(ValueError::Integer(T::LARGEST)))
    }

    fn quantity(&self, units: &[Unit]) -> Result<u64, Located> {
        self.parse(|text| Ok(quantity::parse(text, units)?))
    }

    pub(super) fn duration(&self) -> Result<Millis, Located> {
        self.quantity(quantity::TIME).map(Millis::new)
    }

    pub(super) fn epochs(&self) -> Result<u64, Located> {
        self.quantity(quantity::EPOCHS)
    }

    pub(super) fn power(&self) -> Result<MicroWatts, Located> {
        let microwatts = u32::try_from(self.quantity(quantity::POWER)?);
        microwatts.map(MicroWatts::new).map_err(|_| self.fault(QuantityError::TooLarge.into()))
    }

    pub(super) fn money(&self) -> Result<Grains, Located> {
        self.parse(|text| text.parse().map_err(ValueError::Money))
    }

    pub(super) fn address(&self) -> Result<PublicKey, Located> {
        self.parse(|text| text.parse().map_err(ValueError::Address))
    }

    fn table(&self) -> Result<&'t DeTable<'t>, Located> {
        self.value().as_table().ok_or_else(|| self.kind("a section"))
    }

    pub(super) fn section(
        &self,
        name: &'static str,
        fields: &'static [Field],
    ) -> Result<Section<'t>, Located> {
        Section::new(name, self.table()?, At(self.key.span().start), fields)
    }

    /// The sections of an array of tables.
    pub(super) fn sections(
        &self,
        name: &'static str,
        fields: &'static [Field],
    ) -> Result<impl Iterator<Item = Result<Section<'t>, Located>>, Located> {
        let array = self.value().as_array().ok_or_else(|| self.kind("a list of sections"))?;
        let elements: Vec<_> = array.iter().collect();
        let (field, key) = (self.field, self.key);
        Ok(elements.into_iter().map(move |value| {
            let table = Item { field, key, value }.table()?;
            Section::new(name, table, At(value.span().start), fields)
        }))
    }

    /// The entries of a table whose keys are free.
    pub(super) fn entries(
        &self,
        field: &'static Field,
    ) -> Result<impl Iterator<Item = Item<'t>>, Located> {
        Ok(self.table()?.iter().map(move |(key, value)| Item { field, key, value }))
    }
}

/// An integer type with its largest value, for messages.
pub(super) trait Bounded {
    const LARGEST: u64;
}

impl Bounded for u8 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Bounded for u16 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Bounded for u32 {
    const LARGEST: u64 = Self::MAX as u64;
}

impl Bounded for u64 {
    const LARGEST: Self = Self::MAX;
}

const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// The field whose name is nearest, if it is near at all: a third of its letters wrong at most.
fn nearest(key: &str, fields: &[Field]) -> Option<&'static str> {
    let near = fields.iter().map(|field| (distance(key, field.name), field.name));
    let (distance, name) = near.min()?;
    (distance * 3 <= name.len().max(3)).then_some(name)
}

/// How many letters have to be put in, taken out or replaced (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // A key as long as the file would cost its length times that of the names: it is not near.
    if a.len() > 64 {
        return a.len();
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, other) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::fields::{PARAMETERS, ROOT};
    use super::*;

    #[test]
    fn the_nearest_name_is_told() {
        let check = |key, fields, want| assert_eq!(nearest(key, fields), want, "{key}");
        check("founder", ROOT, Some("founders"));
        check("ballances", ROOT, Some("balances"));
        check("vote_windows", PARAMETERS, Some("vote_window"));
        check("slot_price", PARAMETERS, Some("slot_price_min"));
        check("colour", ROOT, None);
        check("", ROOT, None);
        check(&"x".repeat(1_000), ROOT, None);
    }
}
