//! A trace of power in a file: lines of comma-separated values with their units in the head.

use std::fmt;

use crate::protocol::PowerInfo;

/// The first line of every file.
pub(super) const HEAD: &str = "time_s,power_W,error_W,method,scope,sensor";

/// The most lines of a file that is drawn: two days of seconds.
const LINES_MAX: usize = 200_000;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) seconds: f64,
    pub(super) watts: f64,
    pub(super) error_watts: f64,
    pub(super) method: String,
    pub(super) scope: String,
    pub(super) sensor: String,
}

impl Point {
    /// What was seen at a time since the beginning.
    pub(super) fn of(seconds: f64, power: &PowerInfo) -> Self {
        let watts = power.power_microwatts as f64 / 1e6;
        Self {
            seconds,
            watts,
            error_watts: watts * f64::from(power.power_error_ppm) / 1e6,
            method: power.power_method.clone(),
            scope: power.power_scope.clone(),
            // A name with a comma in it would be two.
            sensor: power.sensor.replace(',', ";"),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, watts, error_watts, method, scope, sensor } = self;
        write!(f, "{seconds:.3},{watts:.6},{error_watts:.6},{method},{scope},{sensor}")
    }
}

/// Reads a file; names the line that is wrong. A last line that is cut off is left out, as a record
/// may have been broken off.
pub(super) fn parse(text: &str) -> Result<Vec<Point>, String> {
    let mut lines = text.lines().enumerate();
    if lines.next().is_none_or(|(_, head)| head.trim_end() != HEAD) {
        return Err(format!("line 1: not a record of goodwatt power, which begins with {HEAD}"));
    }
    let whole = text.ends_with('\n');
    let last = text.lines().count();
    let mut points: Vec<Point> = Vec::new();
    for (index, line) in lines {
        let point = match point(line) {
            None if index + 1 == last && !whole => break,
            None => return Err(format!("line {}: no figure: {line:.60}", index + 1)),
            Some(point) => point,
        };
        if points.last().is_some_and(|before| before.seconds > point.seconds) {
            return Err(format!("line {}: its time is before that of the line before", index + 1));
        }
        if points.len() == LINES_MAX {
            return Err(format!("more than {LINES_MAX} figures: cut the file"));
        }
        points.push(point);
    }
    if points.len() < 2 {
        return Err("fewer than two figures: nothing can be drawn".to_owned());
    }
    Ok(points)
}

fn point(line: &str) -> Option<Point> {
    let cells: Vec<&str> = line.trim_end().split(',').collect();
    let [seconds, watts, error_watts, method, scope, sensor] = cells[..] else { return None };
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    Some(Point {
        seconds: number(seconds)?,
        watts: number(watts)?,
        error_watts: number(error_watts).filter(|error| *error >= 0.0)?,
        method: method.to_owned(),
        scope: scope.to_owned(),
        sensor: sensor.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        format!("{HEAD}\n{lines}")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let lines = [
            "0.000,2.500000,0.087500,measured,board_input,iio ina219",
            "1.000,3.000000,0.100000,measured,board_input,iio ina219",
        ];
        let points = parse(&file(&lines)).expect("a record");
        let again: Vec<String> = points.iter().map(ToString::to_string).collect();
        assert_eq!(again, lines);
        // A record that was broken off in the middle of a line.
        let cut = format!("{}2.000,3.1", file(&lines));
        assert_eq!(parse(&cut).map(|points| points.len()), Ok(2));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let check = |text: &str, want: &str| {
            let error = parse(text).expect_err(text);
            assert!(error.contains(want), "{error}");
        };
        check("", "line 1: not a record");
        check("a,b\n", "line 1: not a record");
        check(&file(&[]), "fewer than two");
        check(&file(&["0,1,0,m,s,x", "1,NaN,0,m,s,x"]), "line 3: no figure: 1,NaN");
        check(&file(&["0,1,0,m,s,x", "1,1,-1,m,s,x"]), "line 3: no figure");
        check(&file(&["0,1,0,m,s,x", "1,1,0,m,s"]), "line 3: no figure");
        check(&file(&["5,1,0,m,s,x", "1,1,0,m,s,x"]), "line 3: its time is before");
    }
}
