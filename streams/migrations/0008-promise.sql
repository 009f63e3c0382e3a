-- What is owed is of three sorts, and each waits only for its own: what tells people that there is a trouble, what adds
-- to it, and what brings a page up to date. Carriers walk each in its order and stop when they have enough.
-- depends: 0003-policy

ALTER TABLE obligations ADD COLUMN IF NOT EXISTS sort text NOT NULL GENERATED ALWAYS AS (
    CASE
        WHEN kind = 'ticket' THEN 'opens'
        WHEN kind <> 'page' THEN 'adds'
        WHEN ordinal = 1 OR coalesce(body->>'mention', '') <> '' OR coalesce(body->>'oncall', '') <> ''
            OR coalesce(body->>'level', '0') <> '0' OR coalesce(body->>'wakes', 'false') <> 'false' THEN 'opens'
        ELSE 'edits'
    END
) STORED;

CREATE INDEX IF NOT EXISTS obligations_by_sort ON obligations (receiver, sort, seq) WHERE state IN ('owed', 'attempting');
-- Nothing walks it any more.
DROP INDEX IF EXISTS obligations_open;

-- Finished rows go after 90 days.
CREATE INDEX IF NOT EXISTS obligations_by_end ON obligations (settled_at) WHERE state IN ('done', 'refused', 'expired');
