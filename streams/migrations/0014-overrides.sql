-- Who asks gates, who waits for them, and what went on without them.
-- depends: 0009-learning

CREATE TABLE IF NOT EXISTS gate_asked (  -- a release that nobody asks about waits for nothing, and bypasses nothing
    gate text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    told_since timestamptz,  -- the beginning of the wait that its owner heard of
    PRIMARY KEY (gate, agent, release, environment)
);

CREATE TABLE IF NOT EXISTS bypasses (
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    gate text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,  -- records.Bypassed
    PRIMARY KEY (agent, release, environment)
);

ALTER TABLE overrides ADD COLUMN IF NOT EXISTS state text NOT NULL DEFAULT 'requested';  -- what became of it last
ALTER TABLE overrides ADD COLUMN IF NOT EXISTS created_at timestamptz;
ALTER TABLE overrides ADD COLUMN IF NOT EXISTS approved_at timestamptz;
ALTER TABLE overrides ADD COLUMN IF NOT EXISTS used_by text;  -- the decision, of one that counts once: set where it is answered
ALTER TABLE overrides ADD COLUMN IF NOT EXISTS why text NOT NULL DEFAULT '';
