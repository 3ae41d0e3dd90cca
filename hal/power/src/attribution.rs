//! Whose work the energy was for.

use goodwatt_units::{MicroJoules, MicroWatts, Millis};

use crate::cpu::CpuTime;

/// Energy over a span of time, to be divided among those who kept the CPUs busy in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// Energy of the whole board.
    pub energy: MicroJoules,
    /// The span it was used in.
    pub span: Millis,
    /// What the board draws with all its CPUs idle.
    pub idle: MicroWatts,
    /// Busy time of all CPUs in that span.
    pub busy: CpuTime,
}

impl Window {
    /// The energy above idle: `E - P_idle * t`, or zero where the board drew less than idle.
    #[must_use]
    pub fn active(&self) -> MicroJoules {
        self.energy.saturating_sub(self.idle.over(self.span))
    }

    /// Each user's share of [`Self::active`] by its CPU time; each rounds down.
    ///
    /// The parts never sum to more than the energy of the board. Where the users claim more CPU
    /// time than the kernel counted as busy (it counts in ticks of 10 ms), their sum counts.
    #[must_use]
    pub fn attribute<const N: usize>(&self, users: [CpuTime; N]) -> [MicroJoules; N] {
        let claimed: u128 = users.iter().map(|user| u128::from(user.get())).sum();
        let whole = claimed.max(u128::from(self.busy.get())).max(1);
        let active = u128::from(self.active().get());
        // At most `active`, so it fits.
        users.map(|user| MicroJoules::new((active * u128::from(user.get()) / whole) as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn idle_power_is_nobodys() {
        let check = |milliwatts: u32, busy: u64, own: u64, want: u64| {
            let span = Millis::from_secs(10);
            let window = Window {
                energy: MicroWatts::from_milliwatts(milliwatts).over(span),
                span,
                idle: MicroWatts::from_milliwatts(2_000),
                busy: CpuTime::from_micros(busy),
            };
            let [part] = window.attribute([CpuTime::from_micros(own)]);
            assert_eq!(part.get(), want, "{milliwatts} mW, {own} of {busy} us");
        };
        check(3_000, 1_000_000, 250_000, 2_500_000);
        check(3_000, 1_000_000, 0, 0);
        check(2_000, 1_000_000, 1_000_000, 0);
        check(1_900, 1_000_000, 1_000_000, 0);
        check(3_000, 0, 3_000, 10_000_000);
        check(3_000, 0, 0, 0);
    }

    proptest! {
        #[test]
        fn parts_never_sum_to_more_than_the_board_used(
            energy: u64, span: u64, idle: u32, busy: u64, users: [u64; 4],
        ) {
            let window = Window {
                energy: MicroJoules::new(energy),
                span: Millis::new(span),
                idle: MicroWatts::new(idle),
                busy: CpuTime::from_micros(busy),
            };
            let parts = window.attribute(users.map(CpuTime::from_micros));
            let sum: u128 = parts.iter().map(|part| u128::from(part.get())).sum();
            prop_assert!(sum <= u128::from(energy));
        }
    }
}
