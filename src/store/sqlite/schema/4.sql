-- Version 4: going back, and being put back.

-- Which generations a channel has shown, newest first, among the many that clients make in hosted repositories.
CREATE INDEX generation_shown ON generation (source, state, id);

-- Another one whenever a snapshot is accepted. It stands outside of the store as well, so an old copy of the store that was
-- put back is known by saying something else. The one before it counts too: the other place is written after the commit.
ALTER TABLE state ADD COLUMN incarnation TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN incarnation_before TEXT NOT NULL DEFAULT '';
