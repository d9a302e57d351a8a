//! The Sentinel in the terminal: looks, keys and signals in, frames out.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::subscriber::NoSubscriber;

use super::lines::Tally;
use super::view::{self, Screen};
use super::{Look, Watch};
use crate::cli::{GOOD, interrupted};

/// Looks that can be drawn; more than any terminal is wide.
const DRAWN: usize = 1_024;
/// How often the keyboard is asked whether it may go.
const KEYBOARD: Duration = Duration::from_millis(100);

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Quit,
    Pause,
    Step,
    Advanced,
    /// Nothing but a new frame, as after a resize.
    Redraw,
}

/// Watches in the terminal until `q`, an interrupt, or so many looks; then says what was seen.
pub async fn watch(watch: Watch, poll: Duration, ticks: Option<u64>) -> Result<u8> {
    // Lines of the log would fall into the picture; it shows mode and trouble itself.
    let quiet = std::io::stderr().is_terminal().then(|| tracing::subscriber::set_default(NoSubscriber::default()));
    let mut terminal = ratatui::try_init()?;
    let mut run = Run { watch, screen: Screen::default(), tally: Tally::default() };
    let outcome = run.until(&mut terminal, poll, ticks).await;
    ratatui::try_restore()?;
    drop(quiet);
    outcome?;
    println!("{}", run.tally.summary());
    Ok(GOOD)
}

struct Run {
    watch: Watch,
    screen: Screen,
    tally: Tally,
}

impl Run {
    async fn until(
        &mut self,
        terminal: &mut ratatui::DefaultTerminal,
        poll: Duration,
        ticks: Option<u64>,
    ) -> Result<()> {
        let mut keys = keyboard()?;
        let mut due = tokio::time::interval(poll);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let interrupted = interrupted();
        tokio::pin!(interrupted);
        loop {
            terminal.draw(|frame| view::draw(frame, &self.screen))?;
            if ticks.is_some_and(|ticks| self.tally.looks >= ticks) {
                return Ok(());
            }
            tokio::select! {
                () = &mut interrupted => return Ok(()),
                key = keys.recv() => match key {
                    None | Some(Key::Quit) => return Ok(()),
                    Some(Key::Pause) => self.screen.is_paused = !self.screen.is_paused,
                    Some(Key::Step) if self.screen.is_paused => self.look().await?,
                    Some(Key::Advanced) => self.watch.turn_advanced(),
                    Some(Key::Step | Key::Redraw) => {}
                },
                _ = due.tick(), if !self.screen.is_paused => self.look().await?,
            }
        }
    }

    async fn look(&mut self) -> Result<()> {
        let look = self.watch.look().await?;
        self.tally.note(&look);
        self.screen.take_in(look);
        Ok(())
    }
}

impl Screen {
    fn take_in(&mut self, look: Look) {
        let drawn = &mut self.drawn;
        if drawn.len() == DRAWN {
            drawn.pop_front();
        }
        drawn.push_back(view::Point::of(&look.report));
        self.look = Some(look);
    }

    /// A screen as it is after these looks.
    #[cfg(test)]
    pub fn after(looks: Vec<Look>) -> Self {
        let mut screen = Self::default();
        looks.into_iter().for_each(|look| screen.take_in(look));
        screen
    }
}

/// Reads the keyboard on a thread of its own, for it can only be waited for; the thread ends with its listener.
fn keyboard() -> Result<mpsc::Receiver<Key>> {
    let (tell, told) = mpsc::channel(16);
    std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
        while !tell.is_closed() {
            match event::poll(KEYBOARD).and_then(|is_there| is_there.then(event::read).transpose()) {
                Ok(Some(event)) => {
                    if let Some(key) = key(&event)
                        && tell.blocking_send(key).is_err()
                    {
                        return;
                    }
                }
                Ok(None) => {}
                Err(_) => return,
            }
        }
    })?;
    Ok(told)
}

fn key(event: &Event) -> Option<Key> {
    if matches!(event, Event::Resize(..)) {
        return Some(Key::Redraw);
    }
    let pressed = event.as_key_event().filter(|pressed| pressed.kind == KeyEventKind::Press)?;
    if pressed.code == KeyCode::Esc {
        return Some(Key::Quit);
    }
    match (pressed.code.as_char()?, pressed.modifiers.contains(KeyModifiers::CONTROL)) {
        ('c', true) | ('q', false) => Some(Key::Quit),
        ('p' | ' ', false) => Some(Key::Pause),
        ('s', false) => Some(Key::Step),
        ('a', false) => Some(Key::Advanced),
        (_, true | false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    #[test]
    fn keys_are_what_the_last_line_says() {
        let press = |code, modifiers| key(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |letter| press(KeyCode::Char(letter), KeyModifiers::NONE);
        assert_eq!(
            ['q', 'p', ' ', 's', 'a'].map(plain).map(Option::unwrap),
            [Key::Quit, Key::Pause, Key::Pause, Key::Step, Key::Advanced]
        );
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Quit));
        assert_eq!((press(KeyCode::Esc, KeyModifiers::NONE), plain('x')), (Some(Key::Quit), None));
        assert_eq!(key(&Event::Resize(80, 24)), Some(Key::Redraw));
    }
}
