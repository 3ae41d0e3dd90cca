//! What is reported of a term, and what is not.

use goodwatt_units::MicroWatts;

use super::*;

const HOUR: Millis = Millis::from_secs(3_600);
const EPOCH: Epoch = Epoch::new(7);

/// So many minutes at 2.5 W with an error of so many thousandths.
fn account(minutes: u64, permille: u64) -> Account {
    let covered = Millis::from_secs(minutes * 60);
    let energy = MicroWatts::from_milliwatts(2_500).over(covered);
    let uncertainty = MicroJoules::new(energy.get() / 1_000 * permille);
    Account::new(energy, uncertainty, covered)
}

fn totals(measured: Account, scope: Option<Scope>, modelled: Account) -> EnergyTotals {
    let mut totals = EnergyTotals::default();
    (totals.measured, totals.measured_scope, totals.modelled) = (measured, scope, modelled);
    totals
}

/// No energy at all.
fn nothing() -> Account {
    Account::default()
}

#[test]
fn a_term_is_reported_with_method_and_error() {
    let check = |totals: EnergyTotals, method, permille| {
        let report = report(&totals, EPOCH, HOUR).expect("it can be reported");
        assert_eq!((report.epoch, report.method), (EPOCH, method));
        assert_eq!(report.error_permille, permille, "{totals:?}");
        assert_eq!(report.energy.get(), 9_000_000_000, "2.5 W for an hour");
    };
    let measured = |scope| totals(account(60, 35), Some(scope), nothing());
    check(measured(Scope::BoardInput), EnergyMethod::MeasuredBoardInput, 35);
    check(measured(Scope::Wall), EnergyMethod::MeasuredWall, 35);
    check(measured(Scope::Rails), EnergyMethod::MeasuredRails, 35);
    check(measured(Scope::CpuPackage), EnergyMethod::MeasuredCpuPackage, 35);
    check(totals(nothing(), None, account(60, 250)), EnergyMethod::Modelled, 250);
    // A model that claims to know better than the rules believe.
    check(totals(nothing(), None, account(60, 10)), EnergyMethod::Modelled, 50);
    // A part that was modelled makes the whole modelled; errors add up by energy.
    let mixed = totals(account(30, 30), Some(Scope::BoardInput), account(30, 250));
    check(mixed, EnergyMethod::Modelled, 140);
    // What was not covered is scaled by the mean, and its share is added to the bound.
    let short = totals(account(45, 35), Some(Scope::BoardInput), nothing());
    check(short, EnergyMethod::MeasuredBoardInput, 285);
    // A term that ended late is scaled the same way.
    check(
        totals(account(90, 35), Some(Scope::BoardInput), nothing()),
        EnergyMethod::MeasuredBoardInput,
        35,
    );
}

#[test]
fn what_cannot_be_believed_is_not_reported() {
    let check = |totals: EnergyTotals, want: NoReport| {
        assert_eq!(report(&totals, EPOCH, HOUR), Err(want));
    };
    let covered = Millis::from_secs(29 * 60);
    let short = totals(account(29, 35), Some(Scope::BoardInput), nothing());
    check(short, NoReport::TooShort { covered, term: HOUR });
    check(EnergyTotals::default(), NoReport::TooShort { covered: Millis::ZERO, term: HOUR });
    let scopes = totals(account(30, 35), Some(Scope::CpuPackage), account(30, 250));
    check(scopes, NoReport::Scopes);
    check(totals(nothing(), None, account(60, 1_001)), NoReport::Unsure);
}
