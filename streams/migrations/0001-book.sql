-- The incident book: what was read, what is remembered, what people are owed, what is said to Kafka.

CREATE TABLE IF NOT EXISTS positions (
    reader text NOT NULL,
    part text NOT NULL,  -- <topic>/<partition>, or "turn": one more per transaction
    next bigint NOT NULL,
    PRIMARY KEY (reader, part)
);

CREATE TABLE IF NOT EXISTS seen (
    finding text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS seen_by_age ON seen (at);

CREATE TABLE IF NOT EXISTS memories (
    decider text NOT NULL,
    key text NOT NULL,
    version integer NOT NULL,
    memory bytea NOT NULL,
    PRIMARY KEY (decider, key)
);

CREATE TABLE IF NOT EXISTS due (
    decider text NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL,  -- wall clock
    PRIMARY KEY (decider, key)
);
CREATE INDEX IF NOT EXISTS due_by_time ON due (at);

CREATE TABLE IF NOT EXISTS incidents (
    id text PRIMARY KEY,
    fingerprint text NOT NULL,
    episode integer NOT NULL,
    stage text NOT NULL,
    severity text NOT NULL,
    owner text NOT NULL,
    detector text NOT NULL,
    agent text NOT NULL,
    releases text[] NOT NULL DEFAULT '{}',
    environment text NOT NULL DEFAULT '',
    parent text,
    ticket text,
    page text,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    count bigint NOT NULL,
    outcome text,
    body jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Asserts that the book decided well; it decides nothing itself.
CREATE UNIQUE INDEX IF NOT EXISTS incidents_one_open ON incidents (fingerprint)
    WHERE stage NOT IN ('resolved', 'closed', 'merged');
CREATE INDEX IF NOT EXISTS incidents_by_agent ON incidents (agent, environment, last_seen DESC);
CREATE INDEX IF NOT EXISTS incidents_by_time ON incidents (last_seen DESC);
CREATE INDEX IF NOT EXISTS incidents_by_parent ON incidents (parent) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS incidents_by_ticket ON incidents (ticket) WHERE ticket IS NOT NULL;

CREATE TABLE IF NOT EXISTS obligations (
    id text PRIMARY KEY,
    seq bigserial NOT NULL,  -- the order in which they were promised
    incident text NOT NULL,
    kind text NOT NULL,
    ordinal integer NOT NULL,
    receiver text NOT NULL,  -- the destination up to its colon
    destination text NOT NULL,
    body jsonb NOT NULL,
    after text[] NOT NULL DEFAULT '{}',
    at timestamptz,
    state text NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'attempting', 'done', 'refused', 'expired')),
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,  -- in a row: the exponent of the backoff
    nonce text,
    started timestamptz,  -- of the attempt: nothing of it can be older
    ask_after timestamptz,  -- nobody asks or repeats an unanswered attempt earlier
    not_before timestamptz NOT NULL DEFAULT now(),
    reference text,
    url text,
    why text,
    confirm_at timestamptz,  -- done, and the outside has yet to hear that it is the one
    audit_at timestamptz,  -- done after a doubt: look again for a second one
    audits integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz
);
CREATE INDEX IF NOT EXISTS obligations_open ON obligations (receiver, not_before, seq) WHERE state IN ('owed', 'attempting');
CREATE INDEX IF NOT EXISTS obligations_in_order ON obligations (incident, destination, seq) WHERE state IN ('owed', 'attempting');
CREATE INDEX IF NOT EXISTS obligations_after_care ON obligations (receiver) WHERE confirm_at IS NOT NULL OR audit_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS obligations_by_incident ON obligations (incident, seq);
CREATE INDEX IF NOT EXISTS obligations_refused ON obligations (receiver, seq) WHERE state = 'refused';
CREATE INDEX IF NOT EXISTS obligations_known ON obligations (destination, settled_at DESC) WHERE state = 'done';

CREATE TABLE IF NOT EXISTS attempts (
    id bigserial PRIMARY KEY,
    obligation text NOT NULL REFERENCES obligations (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    step text NOT NULL,  -- call, ask, confirm, audit
    nonce text,
    started timestamptz NOT NULL DEFAULT now(),
    answered timestamptz,
    answer text,  -- done, not_done, refused, unknown, absent, blind
    why text
);
CREATE INDEX IF NOT EXISTS attempts_by_obligation ON attempts (obligation, id);

CREATE TABLE IF NOT EXISTS inbox (
    id bigserial PRIMARY KEY,
    record jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS publish (
    id bigserial PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    value bytea,
    headers bytea  -- msgpack: a list of (name, value)
);

-- Hints only: whoever misses one polls a second later.
CREATE OR REPLACE FUNCTION tocsin_hint() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_notify(''tocsin_'' || TG_TABLE_NAME, ''''); RETURN NULL; END';

CREATE OR REPLACE TRIGGER inbox_hint AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION tocsin_hint();
CREATE OR REPLACE TRIGGER obligations_hint AFTER INSERT ON obligations FOR EACH STATEMENT EXECUTE FUNCTION tocsin_hint();
CREATE OR REPLACE TRIGGER publish_hint AFTER INSERT ON publish FOR EACH STATEMENT EXECUTE FUNCTION tocsin_hint();
