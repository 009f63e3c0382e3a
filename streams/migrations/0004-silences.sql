-- What people did not want to hear of, past ones too; and pages that are not sent because it was over meanwhile.
-- depends: 0003-policy

CREATE TABLE IF NOT EXISTS silences (
    id text PRIMARY KEY,
    kind text NOT NULL,  -- silence, maintenance, rollout
    matchers jsonb NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX IF NOT EXISTS silences_by_time ON silences (at DESC);

-- Of an attempt that nobody has answered yet: should it turn out that nothing happened, it is not made again.
ALTER TABLE obligations ADD COLUMN IF NOT EXISTS expires text;
CREATE INDEX IF NOT EXISTS obligations_expiring ON obligations (incident) WHERE expires IS NOT NULL;

CREATE OR REPLACE FUNCTION tocsin_expired() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN
    NEW.state := ''expired'';
    NEW.why := NEW.expires;
    NEW.settled_at := now();
    IF NEW.kind = ''page'' AND NEW.receiver = ''slack'' AND NOT EXISTS (
        SELECT 1 FROM obligations o WHERE o.incident = NEW.incident AND o.kind = ''page'' AND o.receiver = ''slack''
            AND o.id <> NEW.id AND o.state IN (''owed'', ''attempting'', ''done'')
            AND (o.state <> ''owed'' OR NOT NEW.id = ANY(o.after))
    ) THEN
        INSERT INTO inbox (record) VALUES (jsonb_build_object(
            ''record'', ''expired'', ''incident'', NEW.incident, ''ordinal'', NEW.ordinal, ''at'', now()));
    END IF;
    RETURN NEW;
END';

CREATE OR REPLACE TRIGGER obligations_expired BEFORE UPDATE ON obligations FOR EACH ROW
    WHEN (NEW.expires IS NOT NULL AND NEW.state = 'owed') EXECUTE FUNCTION tocsin_expired();
