-- What learn counts, what people decided, and what gates answered.
-- depends: 0001-book

CREATE TABLE IF NOT EXISTS exposure (
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    generation integer NOT NULL,  -- a new generation counts the retained events again: sums are never added across
    minute timestamptz NOT NULL,
    sessions bigint NOT NULL,
    bad bigint NOT NULL,
    PRIMARY KEY (agent, release, environment, generation, minute)
);
CREATE INDEX IF NOT EXISTS exposure_by_age ON exposure (minute);

CREATE TABLE IF NOT EXISTS exposed (  -- sums of exposure, kept beside it, so that a gate costs what it asks for
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    generation integer NOT NULL,
    sessions bigint NOT NULL,
    bad bigint NOT NULL,
    PRIMARY KEY (agent, release, environment, generation)
);

CREATE TABLE IF NOT EXISTS releases (
    agent text NOT NULL,
    release text NOT NULL,
    first_seen timestamptz NOT NULL,
    registered_at timestamptz,
    parents text[] NOT NULL DEFAULT '{}',
    aliases text[] NOT NULL DEFAULT '{}',
    body jsonb,  -- as CI registered it
    PRIMARY KEY (agent, release)
);

CREATE TABLE IF NOT EXISTS deployments (
    source text NOT NULL,
    id text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    op text NOT NULL,
    result text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX IF NOT EXISTS deployments_by_release ON deployments (agent, release, at DESC);

CREATE TABLE IF NOT EXISTS case_scores (
    source text NOT NULL,
    id text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    case_id text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX IF NOT EXISTS case_scores_by_release ON case_scores (agent, release, at DESC);

CREATE TABLE IF NOT EXISTS tickets (  -- each ticket as it was read last
    incident text PRIMARY KEY,
    reference text NOT NULL,
    key text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT '',
    done boolean NOT NULL DEFAULT false,
    outcome text,  -- what the ticket itself means, whether or not it counted
    fixed_in text,
    read_at timestamptz,
    missing_since timestamptz,
    gone_at timestamptz,
    turn bigint NOT NULL DEFAULT 0  -- compare and set: two readers never both say the same thing
);

CREATE TABLE IF NOT EXISTS outcomes (  -- history; the last one of an incident counts
    id bigserial PRIMARY KEY,
    incident text NOT NULL,
    outcome text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    source text NOT NULL,
    fixed_in text,
    reason text,
    reopened boolean NOT NULL DEFAULT false,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS outcomes_by_incident ON outcomes (incident, id DESC);

CREATE TABLE IF NOT EXISTS decisions (  -- immutable; values, inputs and as_of give the same document again
    id text PRIMARY KEY,
    gate text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    state text NOT NULL,
    inputs_digest text NOT NULL,
    policy text NOT NULL,
    as_of timestamptz NOT NULL,
    document bytea NOT NULL,
    gate_values bytea NOT NULL,
    inputs bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS decisions_by_release ON decisions (agent, release, environment, gate, as_of DESC);
CREATE INDEX IF NOT EXISTS decisions_by_age ON decisions (as_of);

CREATE TABLE IF NOT EXISTS gate_states (  -- the last recorded state of each gate and release: a change is published once
    gate text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    state text NOT NULL,
    decision text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (gate, agent, release, environment)
);

CREATE TABLE IF NOT EXISTS gauges (  -- what learn sees of the pipeline's own health
    name text PRIMARY KEY,
    value double precision NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

-- The version of everything a gate looks at. One row for each writer, so that they never wait for each other.
CREATE TABLE IF NOT EXISTS gate_inputs (writer text PRIMARY KEY, version bigint NOT NULL);
INSERT INTO gate_inputs VALUES ('book', 0), ('learn', 0) ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION tocsin_gate_inputs() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN UPDATE gate_inputs SET version = version + 1 WHERE writer = TG_ARGV[0]; RETURN NULL; END';

CREATE OR REPLACE TRIGGER incidents_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON incidents
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('book');
CREATE OR REPLACE TRIGGER exposed_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON exposed
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
CREATE OR REPLACE TRIGGER releases_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON releases
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');

CREATE INDEX IF NOT EXISTS incidents_for_gates ON incidents (severity, last_seen DESC)
    WHERE stage NOT IN ('resolved', 'closed') OR outcome IN ('fixed', 'unspecified');
