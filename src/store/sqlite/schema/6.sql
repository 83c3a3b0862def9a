-- Version 6: being put back.

-- Another one whenever a snapshot is accepted. It stands outside of the store as well, so an old copy of the store that was
-- put back is known by saying something else. The one before it counts too: the other place is written after the commit.
ALTER TABLE state ADD COLUMN incarnation TEXT NOT NULL DEFAULT '';
ALTER TABLE state ADD COLUMN incarnation_before TEXT NOT NULL DEFAULT '';
