-- Version 4: going back.

-- Which generations a channel has shown, newest first, among the many that clients make in hosted repositories.
CREATE INDEX generation_shown ON generation (source, state, id);
