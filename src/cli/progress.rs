//! Progress on stderr: bars on a terminal, lines elsewhere, JSON lines on request.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::json_lines::JsonLines;
use super::output::{self, colour, printable};
use super::{Global, Progress};
use crate::clock;
use crate::events::{Events, Happening};
use crate::units;

/// How often progress is said at most.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// Who shows what happens.
pub(super) trait Listener: Events {
    /// The work is over, and its result will be printed: what moves on the terminal makes room.
    fn make_room(&self);
}

/// The listener that the options ask for.
pub(super) fn listener(global: &Global) -> Arc<dyn Listener> {
    let terminal = std::io::stderr().is_terminal();
    match global.progress {
        Progress::Json => Arc::new(JsonLines::new()),
        Progress::Auto if terminal && !global.quiet => {
            Arc::new(Bars { lines: Lines::new(global, false), bar: Mutex::new(None) })
        }
        Progress::Auto | Progress::Plain => Arc::new(Lines::new(global, !global.quiet)),
        Progress::None => Arc::new(Lines::new(global, false)),
    }
}

/// Says what matters line by line.
struct Lines {
    stages: bool,
    verbose: u8,
    quiet: bool,
    colour: bool,
    stage: Mutex<Option<Stage>>,
}

struct Stage {
    name: String,
    started: Instant,
    bytes: u64,
    items: u64,
}

impl Lines {
    fn new(global: &Global, stages: bool) -> Lines {
        let (verbose, quiet, colour) = (global.verbose, global.quiet, colour(global));
        Lines { stages, verbose, quiet, colour, stage: Mutex::new(None) }
    }

    /// The text for a happening, if it gets one.
    fn text(&self, happening: &Happening) -> Option<String> {
        match happening {
            Happening::Error { problem } => Some(output::problem(problem, self.colour)),
            Happening::Serving { address } => Some(format!("serving on {address}")),
            Happening::Message { message } if !self.quiet => Some(printable(message)),
            Happening::Warning { message, .. } if !self.quiet => {
                let mark = output::paint(self.colour, "1;33", "warning:");
                Some(format!("{mark} {}", printable(message)))
            }
            Happening::Resolved { request, artifacts } if self.verbose > 0 => {
                Some(format!("{} is {}", printable(request), units::count(*artifacts, "artifact")))
            }
            Happening::Preflight(preflight) if !self.quiet => {
                let downloads = match (preflight.downloads, preflight.unknown_sizes) {
                    (0, _) => "nothing to download".to_owned(),
                    (files, unknown) => {
                        let (files, bytes) =
                            (units::count(files, "file"), units::bytes(preflight.download_bytes));
                        let unknown =
                            if unknown == 0 { String::new() } else { format!(", {unknown} of unknown size") };
                        format!("{files} to download (about {bytes}{unknown})")
                    }
                };
                Some(format!(
                    "{}: {downloads}, a bundle of about {}",
                    units::count(preflight.artifacts, "artifact"),
                    units::bytes(preflight.bundle_bytes),
                ))
            }
            Happening::ItemDone { item } if self.verbose > 1 => Some(format!("  {}", printable(item))),
            Happening::ItemSkip { item, reason: why } | Happening::ItemState { item, state: why }
                if self.verbose > 0 =>
            {
                Some(format!("  {}: {}", printable(item), printable(why)))
            }
            _ => None,
        }
    }

    /// Follows stages; returns what to say of the one that ended.
    fn follow(&self, happening: &Happening) -> Option<String> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        match happening {
            // What is done file by file is one stage to whoever reads of it.
            Happening::Stage { name, .. } if stage.as_ref().is_some_and(|stage| stage.name == *name) => None,
            Happening::Stage { name, .. } => {
                let fresh = Stage { name: name.clone(), started: clock::instant(), bytes: 0, items: 0 };
                stage.replace(fresh).map(|ended| ended.summary())
            }
            Happening::ItemProgress { bytes } => {
                if let Some(stage) = stage.as_mut() {
                    stage.bytes += bytes;
                }
                None
            }
            Happening::ItemDone { .. } => {
                if let Some(stage) = stage.as_mut() {
                    stage.items += 1;
                }
                None
            }
            // What follows was measured after it.
            Happening::Preflight(_) => stage.take().map(|ended| ended.summary()),
            // What took how long no longer matters.
            Happening::Error { .. } => {
                *stage = None;
                None
            }
            _ => None,
        }
    }

    /// Ends the stage under way; returns what to say of it.
    fn end(&self) -> Option<String> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        stage.take().map(|ended| ended.summary())
    }
}

impl Stage {
    fn summary(&self) -> String {
        let time = self.started.elapsed();
        let rate = match self.bytes {
            0 => String::new(),
            bytes => {
                let rate = (bytes as f64 / time.as_secs_f64().max(0.001)) as u64;
                format!(", {} at {}/s", units::bytes(bytes), units::bytes(rate))
            }
        };
        let items = match self.items {
            0 | 1 => String::new(),
            items => format!(", {}", units::count(items, "item")),
        };
        format!("{}: {}{items}{rate}", self.name, units::duration(time))
    }
}

impl Events for Lines {
    fn emit(&self, happening: Happening) {
        let ended = self.follow(&happening);
        if let (true, Some(ended)) = (self.stages, ended) {
            output::say(&ended);
        }
        if let Some(text) = self.text(&happening) {
            output::say(&text);
        }
    }
}

impl Listener for Lines {
    fn make_room(&self) {
        if let (true, Some(ended)) = (self.stages, self.end()) {
            output::say(&ended);
        }
    }
}

/// One bar for the stage under way, and lines above it.
struct Bars {
    lines: Lines,
    bar: Mutex<Option<Bar>>,
}

/// A bar and what it counts.
struct Bar {
    shown: ProgressBar,
    name: String,
    done: u64,
    items: Option<u64>,
}

impl Bar {
    fn new(name: &str, items: Option<u64>, bytes: Option<u64>) -> Bar {
        let shown = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr_with_hz(10));
        let template = if bytes.is_some() {
            "{prefix:>10} [{wide_bar}] {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}"
        } else {
            "{prefix:>10} {spinner} {elapsed} {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            shown.set_style(style.progress_chars("=> "));
        }
        shown.enable_steady_tick(INTERVAL * 2);
        let bar = Bar { shown, name: name.to_owned(), done: 0, items };
        bar.count();
        bar
    }

    /// Says how many of how many items are done.
    fn count(&self) {
        self.shown.set_prefix(match self.items {
            Some(items) if items > 1 => format!("{} {}/{items}", self.name, self.done),
            _ => self.name.clone(),
        });
    }
}

impl Bars {
    fn bar(&self) -> MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for Bars {
    fn emit(&self, happening: Happening) {
        let mut bar = self.bar();
        let ended = self.lines.follow(&happening);
        match &happening {
            Happening::Stage { name, items, bytes } => {
                if let Some(bar) = bar.take() {
                    bar.shown.finish_and_clear();
                }
                *bar = Some(Bar::new(name, *items, *bytes));
            }
            Happening::Preflight(_) | Happening::Done | Happening::Error { .. } => {
                if let Some(bar) = bar.take() {
                    bar.shown.finish_and_clear();
                }
            }
            Happening::ItemDone { .. } => {
                if let Some(bar) = bar.as_mut() {
                    bar.done += 1;
                    bar.count();
                }
            }
            Happening::ItemProgress { bytes } => {
                if let Some(bar) = bar.as_ref() {
                    bar.shown.inc(*bytes);
                }
            }
            Happening::ItemStart { item, .. } => {
                if let Some(bar) = bar.as_ref() {
                    bar.shown.set_message(printable(item));
                }
            }
            _ => {}
        }
        for text in ended.into_iter().chain(self.lines.text(&happening)) {
            match bar.as_ref() {
                Some(bar) => bar.shown.suspend(|| output::say(&text)),
                None => output::say(&text),
            }
        }
    }
}

impl Listener for Bars {
    fn make_room(&self) {
        if let Some(bar) = self.bar().take() {
            bar.shown.finish_and_clear();
        }
        if let Some(ended) = self.lines.end() {
            output::say(&ended);
        }
    }
}
