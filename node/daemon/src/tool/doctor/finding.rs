//! What an examination finds.

use serde::Serialize;

/// How a thing stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::tool) enum Verdict {
    /// As it should be.
    Good,
    /// It could not be looked at; why stands beside it.
    Unknown,
    /// It works, and could be better.
    Notice,
    /// It keeps the board from its work, or soon will.
    Wrong,
}

impl Verdict {
    /// The word that people read.
    pub(in crate::tool) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Notice => "notice",
            Self::Wrong => "WRONG",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(in crate::tool) struct Finding {
    /// What was looked at, in one word.
    pub(in crate::tool) check: &'static str,
    /// How it stands.
    pub(in crate::tool) verdict: Verdict,
    /// What was found, with its figures.
    pub(in crate::tool) found: String,
    /// What to do; there whenever something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::tool) remedy: Option<String>,
}

/// All that was found, in the order of the examination.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(in crate::tool) struct Findings {
    findings: Vec<Finding>,
}

impl Findings {
    /// It is as it should be.
    pub(super) fn good(&mut self, check: &'static str, found: impl Into<String>) {
        let (verdict, found) = (Verdict::Good, found.into());
        self.findings.push(Finding { check, verdict, found, remedy: None });
    }

    /// Nobody can tell.
    pub(super) fn unknown(&mut self, check: &'static str, why: impl Into<String>) {
        let (verdict, found) = (Verdict::Unknown, why.into());
        self.findings.push(Finding { check, verdict, found, remedy: None });
    }

    /// It could be better.
    pub(super) fn notice(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Verdict::Notice, check, found.into(), remedy.into());
    }

    /// It keeps the board from its work.
    pub(super) fn wrong(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Verdict::Wrong, check, found.into(), remedy.into());
    }

    fn add(&mut self, verdict: Verdict, check: &'static str, found: String, remedy: String) {
        self.findings.push(Finding { check, verdict, found, remedy: Some(remedy) });
    }

    /// Each finding.
    pub(in crate::tool) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter()
    }

    /// How many stand so.
    pub(in crate::tool) fn count(&self, verdict: Verdict) -> usize {
        self.iter().filter(|finding| finding.verdict == verdict).count()
    }
}
