//! `goodwatt energy`: what the network draws, by its own reports.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::Serialize;

use super::context::Context;
use super::error::ToolError;
use crate::protocol::{Call, EnergyInfo, ReportInfo};

/// Bitcoin's consumption: 118 `TWh` a year, Cambridge Bitcoin Electricity Consumption Index, May
/// 2021. A yardstick, and no comparison of what the two do.
const BITCOIN_WATT_HOURS_A_YEAR: f64 = 118e12;
const HOURS_A_YEAR: f64 = 8_766.0;

/// What is printed with `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    info: &'a EnergyInfo,
    /// Watts by what they cover; figures of different scopes are never added up.
    watts_by_scope: BTreeMap<&'a str, f64>,
    /// Of the validators that reported, those that measured, in percent.
    measured_percent: Option<f64>,
    /// Validators without a report, for which the rule takes the assumed power.
    silent: usize,
    /// Of the boards that reported, for each transaction of the term.
    joules_per_transaction: Option<f64>,
    bitcoin_watts: f64,
}

/// What a report covers. A model is of the board's input, like a sensor there.
fn scope(report: &ReportInfo) -> &str {
    match report.method.as_str() {
        "modelled" => "board_input",
        method => method.strip_prefix("measured_").unwrap_or(method),
    }
}

fn summary(info: &EnergyInfo) -> Summary<'_> {
    let reports: Vec<&ReportInfo> =
        info.validators.iter().filter_map(|validator| validator.report.as_ref()).collect();
    let mut watts_by_scope = BTreeMap::new();
    let mut joules = BTreeMap::new();
    for report in &reports {
        *watts_by_scope.entry(scope(report)).or_insert(0.0) += report.microwatts as f64 / 1e6;
        *joules.entry(scope(report)).or_insert(0.0) += report.microjoules as f64 / 1e6;
    }
    let measured = reports.iter().filter(|report| report.method != "modelled").count();
    // With more than one scope, or nothing sealed, there is no such figure.
    let joules = match joules.values().collect::<Vec<_>>().as_slice() {
        [joules] if info.transactions > 0 => Some(**joules / info.transactions as f64),
        _ => None,
    };
    Summary {
        info,
        watts_by_scope,
        measured_percent: (!reports.is_empty())
            .then(|| measured as f64 * 100.0 / reports.len() as f64),
        silent: info.validators.len() - reports.len(),
        joules_per_transaction: joules,
        bitcoin_watts: BITCOIN_WATT_HOURS_A_YEAR / HOURS_A_YEAR,
    }
}

/// `goodwatt energy`.
pub(super) fn run(context: &Context) -> Result<(), ToolError> {
    let info: EnergyInfo = context.connect()?.call(Call::Energy)?;
    let summary = summary(&info);
    Ok(context.output.print(&summary, |page| text(page, &summary))?)
}

fn text(page: &mut String, summary: &Summary<'_>) -> fmt::Result {
    let info = summary.info;
    let Some(epoch) = info.epoch else {
        return writeln!(page, "no term has ended yet: reports come at the end of each");
    };
    writeln!(
        page,
        "epoch     {epoch}, {} s, {} transactions",
        info.term_ms / 1_000,
        info.transactions
    )?;
    for validator in &info.validators {
        let ours = if validator.ours { " (this board)" } else { "" };
        match &validator.report {
            Some(report) => writeln!(
                page,
                "          {}{ours}  {:.3} W, {}, +-{:.1} %",
                validator.owner,
                report.microwatts as f64 / 1e6,
                report.method,
                f64::from(report.error_permille) / 10.0
            )?,
            None => writeln!(page, "          {}{ours}  no report", validator.owner)?,
        }
    }
    for (scope, watts) in &summary.watts_by_scope {
        writeln!(page, "sum       {watts:.3} W, {scope}")?;
    }
    if summary.silent > 0 {
        let assumed = info.assumed_microwatts as f64 / 1e6;
        let silent = summary.silent;
        writeln!(
            page,
            "silent    {silent} without a report: the rule takes {assumed:.3} W for each"
        )?;
    }
    if let Some(measured) = summary.measured_percent {
        writeln!(
            page,
            "measured  {measured:.0} % of the reports, {:.0} % are modelled",
            100.0 - measured
        )?;
    }
    match summary.joules_per_transaction {
        Some(joules) => writeln!(page, "each      {joules:.3} J a transaction, whole boards")?,
        None => writeln!(page, "each      no figure: nothing was sealed, or scopes differ")?,
    }
    writeln!(
        page,
        "yardstick Bitcoin: {:.1} GW, 118 TWh a year (Cambridge index, May 2021)",
        summary.bitcoin_watts / 1e9
    )?;
    writeln!(page, "note      each figure is its validator's own word")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ReportedEnergy;

    fn validator(method: Option<&str>, watts: u64) -> ReportedEnergy {
        let report = method.map(|method| ReportInfo {
            method: method.to_owned(),
            microwatts: watts * 1_000_000,
            microjoules: watts * 3_600_000_000,
            error_permille: 35,
        });
        ReportedEnergy { owner: "good1".to_owned(), ours: false, report }
    }

    fn info(transactions: u64, validators: Vec<ReportedEnergy>) -> EnergyInfo {
        let (term_ms, assumed_microwatts) = (3_600_000, 10_000_000);
        EnergyInfo { epoch: Some(7), term_ms, transactions, assumed_microwatts, validators }
    }

    fn page(info: &EnergyInfo) -> String {
        let mut page = String::new();
        text(&mut page, &summary(info)).expect("a page");
        page
    }

    #[test]
    fn watts_are_added_within_a_scope_alone() {
        let board = Some("measured_board_input");
        let same = info(900, vec![validator(board, 2), validator(Some("modelled"), 3)]);
        let printed = page(&same);
        assert!(printed.contains("sum       5.000 W, board_input\n"), "{printed}");
        assert!(printed.contains("measured  50 % of the reports"), "{printed}");
        // 18 kJ over 900.
        assert!(printed.contains("each      20.000 J a transaction"), "{printed}");
        let mixed =
            page(&info(900, vec![validator(board, 2), validator(Some("measured_wall"), 3)]));
        assert!(
            mixed.contains("sum       2.000 W, board_input\nsum       3.000 W, wall\n"),
            "{mixed}"
        );
        assert!(mixed.contains("each      no figure"), "{mixed}");
    }

    #[test]
    fn who_is_silent_is_named_and_not_zero() {
        let printed = page(&info(0, vec![validator(None, 0), validator(Some("modelled"), 3)]));
        assert!(printed.contains("good1  no report"), "{printed}");
        assert!(
            printed.contains("silent    1 without a report: the rule takes 10.000 W"),
            "{printed}"
        );
        assert!(printed.contains("each      no figure"), "no transaction, no figure: {printed}");
        assert!(printed.contains("13.5 GW, 118 TWh a year"), "{printed}");
    }
}
