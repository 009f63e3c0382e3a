-- What people say under tickets, and who stands by what was said in bulk or under pressure.
-- depends: 0009-learning

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS updated text NOT NULL DEFAULT '';  -- as the tracker wrote it, when it was last read
ALTER TABLE tickets ADD COLUMN IF NOT EXISTS heard jsonb NOT NULL DEFAULT '{}';  -- comment -> what was heard in it
ALTER TABLE tickets ADD COLUMN IF NOT EXISTS detail text NOT NULL DEFAULT '';  -- what else the ticket said: a due date, a link

ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS confirmed_by text;  -- a person stands by it: it counts for calibration
ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS confirmed_at timestamptz;
CREATE INDEX IF NOT EXISTS outcomes_by_actor ON outcomes (actor, at);  -- how much one person decides at once
