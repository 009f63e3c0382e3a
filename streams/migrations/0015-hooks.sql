-- Who is told when a gate's answer changes: what waits for an answer at GitHub.
-- depends: 0009-learning

CREATE TABLE IF NOT EXISTS hooks (
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('rule', 'check')),
    body jsonb NOT NULL,  -- records.Hook
    at timestamptz NOT NULL,
    told jsonb NOT NULL DEFAULT '{}',  -- records.Told: what was said, and what GitHub called it
    attempt integer NOT NULL DEFAULT 0,  -- compare and set: an answer counts for the attempt that it belongs to
    doing jsonb,  -- records.Callback: the intent, written before the call; NULL: nothing is under way
    ask_after timestamptz,  -- of an intent without an answer; earlier nobody repeats it
    next_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,  -- in a row
    why text NOT NULL DEFAULT '',
    looked_at timestamptz,  -- whether it went on without an answer
    ended_at timestamptz
);
CREATE INDEX IF NOT EXISTS hooks_open ON hooks (next_at) WHERE ended_at IS NULL;
