//! `goodwatt power plot`: a record as a picture, with axes, units and the band of the error.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;

use serde_json::json;

use super::trace::{Point, parse};
use crate::tool::context::Context;
use crate::tool::error::ToolError;

/// The picture, and the space around the axes.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;
/// Marks along an axis, about.
const TICKS: f64 = 6.0;
/// A gap longer than so many seconds is not drawn over.
const GAP_SECONDS: f64 = 30.0;
/// Colours of what was measured, and of what was modelled.
const MEASURED: &str = "#1b6f3a";
const MODELLED: &str = "#b5651d";

/// Draws a record.
pub(super) fn run(context: &Context, csv: &Path, svg: &Path) -> Result<(), ToolError> {
    let at = |path: &Path, what: &dyn fmt::Display| {
        ToolError::failed(format!("{}: {what}", path.display()))
    };
    let text = fs::read_to_string(csv).map_err(|error| at(csv, &error))?;
    let points = parse(&text).map_err(|error| at(csv, &error))?;
    let picture = draw(&points).map_err(|error| at(svg, &error))?;
    fs::write(svg, picture).map_err(|error| at(svg, &error))?;
    let name = svg.display().to_string();
    let text = |page: &mut String| writeln!(page, "{name}: {} figures drawn", points.len());
    Ok(context.output.print(&json!({ "file": name, "figures": points.len() }), text)?)
}

/// One axis: what is shown from where to where, and on which pixels.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: f64,
    to: f64,
    begin: f64,
    end: f64,
}

impl Axis {
    fn at(self, value: f64) -> f64 {
        let part = (value - self.from) / (self.to - self.from);
        self.begin + part * (self.end - self.begin)
    }

    /// Round numbers along the axis.
    fn ticks(self) -> Vec<f64> {
        let rough = (self.to - self.from) / TICKS;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * magnitude);
        let first = (self.from / step).ceil() as i64;
        let last = (self.to / step).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }
}

fn draw(points: &[Point]) -> Result<String, fmt::Error> {
    let times = points.iter().map(|point| point.seconds);
    let (first, last) = (times.clone().fold(f64::MAX, f64::min), times.fold(0.0, f64::max));
    let top = points.iter().map(|point| point.watts + point.error_watts).fold(0.0, f64::max);
    let x = Axis { from: first, to: last.max(first + 1.0), begin: LEFT, end: WIDTH - RIGHT };
    let y = Axis { from: 0.0, to: (top * 1.05).max(0.001), begin: HEIGHT - BOTTOM, end: TOP };
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"
    )?;
    axes(&mut svg, x, y)?;
    for run in runs(points) {
        curve(&mut svg, run, x, y)?;
    }
    head(&mut svg, points)?;
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn axes(svg: &mut String, x: Axis, y: Axis) -> fmt::Result {
    let (left, right, bottom, top) = (x.begin, x.end, y.begin, y.end);
    for watts in y.ticks() {
        let at = y.at(watts);
        writeln!(
            svg,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>"
        )?;
        let (beside, below) = (left - 8.0, at + 4.0);
        writeln!(
            svg,
            "<text x=\"{beside}\" y=\"{below:.1}\" text-anchor=\"end\">{watts:.3}</text>"
        )?;
    }
    for seconds in x.ticks() {
        let (at, foot, below) = (x.at(seconds), bottom + 5.0, bottom + 20.0);
        writeln!(
            svg,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{foot}\" stroke=\"black\"/>"
        )?;
        writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{seconds}</text>")?;
    }
    writeln!(
        svg,
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">time in s</text>\n\
         <text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">power in W</text>",
        (left + right) / 2.0,
        bottom + 42.0,
        (top + bottom) / 2.0
    )
}

/// Stretches of one method without a gap.
fn runs(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.chunk_by(|one, next| {
        one.method == next.method
            && one.scope == next.scope
            && next.seconds - one.seconds <= GAP_SECONDS
    })
}

/// The band of the error, and the figures in its middle.
fn curve(svg: &mut String, run: &[Point], x: Axis, y: Axis) -> fmt::Result {
    let colour = colour(&run[0]);
    let corner = |point: &Point, error: f64| {
        let watts = (point.watts + error).max(0.0);
        format!("{:.1},{:.1} ", x.at(point.seconds), y.at(watts))
    };
    let above = run.iter().map(|point| corner(point, point.error_watts));
    let below = run.iter().rev().map(|point| corner(point, -point.error_watts));
    let band: String = above.chain(below).collect();
    writeln!(
        svg,
        "<polygon points=\"{}\" fill=\"{colour}\" fill-opacity=\"0.2\"/>",
        band.trim_end()
    )?;
    let line: String = run.iter().map(|point| corner(point, 0.0)).collect();
    writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>", line.trim_end())
}

fn colour(point: &Point) -> &'static str {
    if point.method == "measured" { MEASURED } else { MODELLED }
}

/// What is shown: every sensor with its method and scope.
fn head(svg: &mut String, points: &[Point]) -> fmt::Result {
    let mut seen: Vec<(&str, &str, &str, &str)> = Vec::new();
    for point in points {
        let label = (&*point.sensor, &*point.method, &*point.scope, colour(point));
        if !seen.contains(&label) {
            seen.push(label);
        }
    }
    let mut at = LEFT;
    for (sensor, method, scope, colour) in seen {
        let text = format!("{sensor}: {method}, {scope}; band: error bound");
        let (y, x) = (TOP - 22.0, at + 18.0);
        writeln!(
            svg,
            "<rect x=\"{at}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>",
            y - 11.0
        )?;
        writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{}</text>", escaped(&text))?;
        at += 30.0 + 7.0 * text.len() as f64;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(seconds: f64, watts: f64, method: &str) -> Point {
        Point {
            seconds,
            watts,
            error_watts: watts / 10.0,
            method: method.to_owned(),
            scope: "board_input".to_owned(),
            sensor: "iio <ina219>".to_owned(),
        }
    }

    #[test]
    fn a_picture_has_axes_units_and_the_band() {
        let points = [point(0.0, 2.0, "measured"), point(10.0, 4.0, "measured")];
        let svg = draw(&points).expect("a picture");
        for want in [
            ">time in s<",
            ">power in W<",
            ">iio &lt;ina219&gt;: measured, board_input; band",
            // From 0 to 4.62 W over 315 pixels: 2.2, 4.4, 3.6 and 1.8 W.
            "<polygon points=\"70.0,215.0 880.0,65.0 880.0,119.5 70.0,242.3\"",
            "<polyline points=\"70.0,228.6 880.0,92.3\"",
            ">4.000<",
            ">10<",
        ] {
            assert!(svg.contains(want), "{want} is not in\n{svg}");
        }
        assert_eq!(svg.matches('<').count(), svg.matches('>').count(), "no stray bracket");
    }

    #[test]
    fn gaps_and_methods_are_drawn_apart() {
        let points = [
            point(0.0, 2.0, "measured"),
            point(1.0, 2.0, "measured"),
            point(2.0, 2.0, "modelled"),
            point(3.0, 2.0, "modelled"),
            point(60.0, 2.0, "modelled"),
        ];
        let lengths: Vec<usize> = runs(&points).map(<[Point]>::len).collect();
        assert_eq!(lengths, [2, 2, 1]);
        let svg = draw(&points).expect("a picture");
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert!(svg.contains(MEASURED) && svg.contains(MODELLED));
    }

    #[test]
    fn ticks_are_round_numbers() {
        let check = |to: f64, want: &[f64]| {
            let axis = Axis { from: 0.0, to, begin: 0.0, end: 1.0 };
            assert_eq!(axis.ticks(), want);
        };
        check(10.0, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        check(3_600.0, &[0.0, 1_000.0, 2_000.0, 3_000.0]);
    }
}
