//! One frame of the terminal view: header, load and sigma, three sensors, the veto, the narrative, the keys.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline, SparklineBar, Wrap};
use sre_space_coherence::sentinel::{Condition, Mode, Report, Sense, Sensor, Status, Why};

use super::Look;
use super::lines::{clock, flags};

/// Sparklines are drawn in whole numbers: so many to a percentage point.
const STEPS: f64 = 100.0;

/// One look, as the sparklines draw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    load: Option<f64>,
    sigma: Option<f64>,
    is_red: bool,
}

impl Point {
    /// Of a report; red while the load sensor vetoes.
    pub fn of(report: &Report) -> Self {
        let [seizure, ..] = &report.sensors;
        let load = report.load;
        let is_red = seizure.condition == Condition::Veto;
        Self { load: load.map(|load| load.newest), sigma: load.map(|load| load.sigma), is_red }
    }
}

/// What there is to draw.
#[derive(Debug, Default)]
pub struct Screen {
    /// The newest look.
    pub look: Option<Look>,
    /// The last looks, oldest first.
    pub drawn: VecDeque<Point>,
    /// Whether time stands still.
    pub is_paused: bool,
}

/// Draws the screen.
pub fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let Some(look) = &screen.look else {
        frame.render_widget(Paragraph::new("The Sentinel waits for its source. q quits."), frame.area());
        return;
    };
    let rows = [
        Constraint::Length(3),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(5),
        Constraint::Length(3),
        Constraint::Max(6),
        Constraint::Length(1),
    ];
    let [head, load, sigma, sensors, veto, narrative, keys] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(header(look, screen.is_paused), head);
    draw_load(frame, load, screen, &look.report);
    draw_sigma(frame, sigma, screen, &look.report);
    frame.render_widget(sensor_rows(&look.report), sensors);
    frame.render_widget(veto_row(&look.report), veto);
    frame.render_widget(told(look), narrative);
    frame.render_widget(key_help(), keys);
}

fn bold(color: Color) -> Style {
    Style::new().fg(color).add_modifier(Modifier::BOLD)
}

fn color(status: Status) -> Color {
    match status {
        Status::NoData | Status::Warmup => Color::Cyan,
        Status::Stale => Color::Yellow,
        Status::Nominal => Color::Green,
        Status::Veto => Color::Red,
    }
}

fn header(look: &Look, is_paused: bool) -> Paragraph<'_> {
    let report = &look.report;
    let lag = report.lag_s.map_or_else(|| "?".to_owned(), |lag_s| format!("{lag_s:.0} s"));
    // The narrative says why, where there is room for it.
    let mode = match &report.mode {
        Mode::Advanced => "advanced",
        Mode::Basic { .. } => "basic",
    };
    let (source, host, at, tick) = (look.source, &report.host, clock(report.at), report.tick);
    let place = format!("  host {host}  source {source}  {at}  look {tick}  lag {lag}  {mode}");
    let mut line = vec![Span::styled(report.status.to_string(), bold(color(report.status))), Span::raw(place)];
    line.extend(is_paused.then(|| Span::styled("  PAUSED", bold(Color::Yellow))));
    Paragraph::new(Line::from(line)).block(Block::bordered().title(" SRE-Space: the Variance Sentinel "))
}

fn draw_load(frame: &mut Frame<'_>, area: Rect, screen: &Screen, report: &Report) {
    let title = report.load.map_or_else(
        || " load: not measured ".to_owned(),
        |load| format!(" load {:.1} %  mean {:.1}  (0 to 100) ", load.newest, load.mean),
    );
    sparkline(frame, area, (title, 100.0), screen.drawn.iter().map(|point| (point.load, point.is_red)));
}

fn draw_sigma(frame: &mut Frame<'_>, area: Rect, screen: &Screen, report: &Report) {
    let limit = report.sensors[0].limit;
    let most = screen.drawn.iter().filter_map(|point| point.sigma).fold(2.0 * limit, f64::max);
    let title = report.load.map_or_else(
        || " sigma: not measured ".to_owned(),
        |load| format!(" sigma {:.1}  variance {:.1}  limit {limit:.1}  (0 to {most:.0}) ", load.sigma, load.variance),
    );
    sparkline(frame, area, (title, most), screen.drawn.iter().map(|point| (point.sigma, point.is_red)));
}

/// The newest points that fit, red where the load sensor vetoed.
fn sparkline(
    frame: &mut Frame<'_>,
    area: Rect,
    (title, most): (String, f64),
    points: impl DoubleEndedIterator<Item = (Option<f64>, bool)> + ExactSizeIterator,
) {
    let fit = usize::from(area.width.saturating_sub(2));
    // The lowest of a row's eight steps: what is not nothing is seen, however little it is.
    let least = most / f64::from(8 * area.height.saturating_sub(2).max(1));
    let bar = |(value, is_red): (Option<f64>, bool)| {
        let style = Style::new().fg(if is_red { Color::Red } else { Color::Green });
        let drawn = value.map(|value| if value > 0.0 { value.max(least) } else { 0.0 });
        SparklineBar::from(drawn.map(|value| (value * STEPS).ceil() as u64)).style(style)
    };
    let bars: Vec<SparklineBar> = points.rev().take(fit).map(bar).collect();
    let drawn = Sparkline::default().block(Block::bordered().title(title)).max((most * STEPS) as u64);
    frame.render_widget(drawn.data(bars.into_iter().rev()).absent_value_symbol(" "), area);
}

fn sensor_rows(report: &Report) -> Paragraph<'_> {
    let lines: Vec<Line<'_>> = report.sensors.iter().map(|sense| sensor_row(sense, report)).collect();
    Paragraph::new(lines).block(Block::bordered().title(" sensors "))
}

fn sensor_row(sense: &Sense, report: &Report) -> Line<'static> {
    let name = match sense.sensor {
        Sensor::Seizure => "seizure      load swings",
        Sensor::Fever => "fever        memory grows",
        Sensor::AutoImmune => "auto-immune  more out than in",
    };
    let value = sense.value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
    let (style, word) = condition(sense);
    let lasted = sense.since.zip(report.at).map(|(since, at)| at.as_second().saturating_sub(since.as_second()));
    let lasted = lasted.map_or_else(String::new, |lasted_s| format!(" for {lasted_s} s"));
    Line::from(vec![
        Span::raw(format!("{name:<30}{value:>8} of {:<5} {:<7}", sense.limit, unit(sense.sensor))),
        Span::styled(format!("{word}{lasted}"), style),
    ])
}

fn unit(sensor: Sensor) -> &'static str {
    match sensor {
        Sensor::Seizure => "points",
        Sensor::Fever => "MB/s",
        Sensor::AutoImmune => "out/in",
    }
}

fn condition(sense: &Sense) -> (Style, String) {
    let color = match sense.condition {
        Condition::Warmup => Color::Cyan,
        Condition::Unknown | Condition::Stale | Condition::Bursts => Color::Yellow,
        Condition::Calm => Color::Green,
        Condition::Veto => Color::Red,
    };
    let why = sense.why.map_or("", |why| match why {
        Why::NotMeasured => ": not measured",
        Why::NoTraffic => ": no packets",
        Why::FewPackets => ": too few packets",
        Why::Undefined => ": beyond measure",
    });
    (bold(color), format!("{}{why}", sense.condition))
}

fn veto_row(report: &Report) -> Paragraph<'_> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    for (at, veto) in report.vetoes.iter().enumerate() {
        let style = if at == 0 { bold(Color::Red) } else { Style::new().fg(Color::Red) };
        spans.push(Span::styled(format!("{} {}", veto.domain, veto.action), style));
        spans.push(Span::raw("   "));
    }
    if spans.is_empty() {
        spans.push(Span::styled("none", bold(Color::Green)));
    }
    spans.push(Span::styled(flags(report), bold(Color::Yellow)));
    Paragraph::new(Line::from(spans)).block(Block::bordered().title(" veto and action (advice only) "))
}

fn told(look: &Look) -> Paragraph<'_> {
    let mut lines = vec![Line::raw(look.report.narrative.as_str())];
    lines.extend(look.trouble.as_ref().map(|trouble| Line::styled(format!("Source: {trouble}"), bold(Color::Yellow))));
    Paragraph::new(lines).wrap(Wrap { trim: true }).block(Block::bordered().title(" narrative "))
}

fn key_help() -> Paragraph<'static> {
    let keys = [("q", "quit"), ("p", "pause"), ("s", "one look while paused"), ("a", "advanced part on or off")];
    let spans = keys
        .into_iter()
        .flat_map(|(key, does)| [Span::styled(key, bold(Color::White)), Span::raw(format!(" {does}   "))]);
    Paragraph::new(Line::from_iter(spans))
}
