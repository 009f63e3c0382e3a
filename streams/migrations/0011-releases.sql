-- What releases were seen to run with, and sums of what else is counted of their minutes.
-- depends: 0009-learning

CREATE TABLE IF NOT EXISTS release_configs (
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    body jsonb NOT NULL,  -- records.RanWith
    PRIMARY KEY (agent, release, environment)
);

CREATE TABLE IF NOT EXISTS exposed_more (  -- sums of exposure.evaluated and exposure.more, kept beside them
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    generation integer NOT NULL,
    what text NOT NULL,  -- ended, evaluated, call:<tool>, measure:<cost, steps, duration>
    count bigint NOT NULL,
    total double precision NOT NULL DEFAULT 0,  -- of a measure: see records.Measure
    squares double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (agent, release, environment, generation, what)
);

CREATE INDEX IF NOT EXISTS incidents_by_fingerprint ON incidents (fingerprint, episode);
