//! Progress for programs: every event as a JSON line on stderr.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::output;
use super::progress::{INTERVAL, Listener};
use crate::clock;
use crate::events::{Events, Happening, Stamp};

/// Every event as a JSON line; progress is summed up and said ten times a second at most.
pub(super) struct JsonLines {
    stamp: Stamp,
    state: Mutex<State>,
}

struct State {
    /// Bytes of progress that are not said yet.
    pending: u64,
    said: Instant,
    /// Whether the job has ended: what still runs on is not heard any more.
    ended: bool,
}

impl JsonLines {
    pub(super) fn new() -> JsonLines {
        let state = State { pending: 0, said: clock::instant(), ended: false };
        JsonLines { stamp: Stamp::new("cli"), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says the progress that is not said yet.
    fn flush(&self, state: &mut State) {
        let bytes = std::mem::take(&mut state.pending);
        if bytes > 0 {
            self.say(Happening::ItemProgress { bytes });
        }
    }

    fn say(&self, happening: Happening) {
        if let Ok(text) = serde_json::to_string(&self.stamp.stamp(happening)) {
            output::say(&text);
        }
    }
}

impl Events for JsonLines {
    fn emit(&self, happening: Happening) {
        let mut state = self.state();
        let is_error = matches!(happening, Happening::Error { .. });
        if state.ended && !is_error {
            return;
        }
        if let Happening::ItemProgress { bytes } = happening {
            state.pending += bytes;
            if state.said.elapsed() < INTERVAL {
                return;
            }
            state.said = clock::instant();
        }
        self.flush(&mut state);
        state.ended |= is_error || happening == Happening::Done;
        if !matches!(happening, Happening::ItemProgress { .. }) {
            self.say(happening);
        }
    }
}

impl Listener for JsonLines {
    /// Results go to stdout, where nothing is in their way; all that led to them is said before.
    fn make_room(&self) {
        self.flush(&mut self.state());
    }
}
