-- What was heard from outside, so that what is told twice counts once; and tickets that somebody says have changed.
-- depends: 0003-policy

CREATE TABLE IF NOT EXISTS heard (
    source text NOT NULL,  -- slack: a press; slack_signature, jira_signature, jira_webhook: a delivery
    key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, key)
);
CREATE INDEX IF NOT EXISTS heard_by_age ON heard (at);

CREATE TABLE IF NOT EXISTS hinted (
    ticket text PRIMARY KEY,  -- its id or key
    at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE TRIGGER hinted_hint AFTER INSERT OR UPDATE ON hinted FOR EACH STATEMENT EXECUTE FUNCTION tocsin_hint();
