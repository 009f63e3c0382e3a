-- Which policies were in force, all that each of them said, and when one followed another.
-- depends: 0002-learn

CREATE TABLE IF NOT EXISTS policies (
    digest text PRIMARY KEY,
    content bytea NOT NULL,  -- JSON; bytes, because PostgreSQL's own JSON does not take every text that TOML takes
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS policy_changes (
    number bigint PRIMARY KEY,  -- one more each time: of two that notice the same change one fails
    before text,
    after text NOT NULL REFERENCES policies (digest),
    at timestamptz NOT NULL,
    record bytea NOT NULL
);
