-- What is known of each evaluator's worth, thresholds that people's decisions propose, and sessions to be audited.
-- depends: 0009-learning

CREATE TABLE IF NOT EXISTS worths (  -- every evaluator that somebody decided or said something on; `powers` has those that moved
    evaluator text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    body jsonb NOT NULL  -- records.Worth
);

CREATE TABLE IF NOT EXISTS proposals (  -- thresholds that would not have fired on a false positive
    incident text PRIMARY KEY,
    detector text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL  -- records.ThresholdProposed
);

CREATE TABLE IF NOT EXISTS audits (  -- a random sample of sessions that an evaluator passed: was it right?
    evaluator text NOT NULL,
    session text NOT NULL,
    agent text NOT NULL,
    at timestamptz NOT NULL,
    labelled_at timestamptz,
    PRIMARY KEY (evaluator, session)
);
CREATE INDEX IF NOT EXISTS audits_open ON audits (at) WHERE labelled_at IS NULL;

CREATE TABLE IF NOT EXISTS judged (  -- how much each evaluator judged and flagged, per closed minute
    evaluator text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    generation integer NOT NULL,
    minute timestamptz NOT NULL,
    scored bigint NOT NULL,
    flagged bigint NOT NULL,
    PRIMARY KEY (evaluator, agent, release, environment, generation, minute)
);
