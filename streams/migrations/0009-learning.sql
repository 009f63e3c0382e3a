-- What learn is told, and what it makes of it: power, fixes, overrides, freezes, controls, cases, approvals.
-- depends: 0008-promise

CREATE TABLE IF NOT EXISTS learn_inbox (
    id bigserial PRIMARY KEY,
    record jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE OR REPLACE TRIGGER learn_inbox_hint AFTER INSERT ON learn_inbox FOR EACH STATEMENT EXECUTE FUNCTION tocsin_hint();

CREATE TABLE IF NOT EXISTS powers (  -- what each evaluator may cause now; who is not here has what the policy starts with
    evaluator text PRIMARY KEY,  -- detector:cost.session@1, LLM:grounded@4
    power text NOT NULL CHECK (power IN ('shadow', 'ticket', 'page', 'block')),
    since timestamptz NOT NULL,
    body jsonb NOT NULL  -- records.Worth: the numbers
);

CREATE TABLE IF NOT EXISTS power_changes (  -- history: each with its numbers
    evaluator text NOT NULL,
    number bigint NOT NULL,  -- 1, 2, 3, … of this evaluator
    at timestamptz NOT NULL,
    record jsonb NOT NULL,  -- records.PowerChanged
    PRIMARY KEY (evaluator, number)
);

CREATE TABLE IF NOT EXISTS fixes (  -- what is known of an incident's fix in a release that contains it
    incident text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    state text NOT NULL CHECK (state IN ('unverified', 'verified', 'failed', 'unreliable')),
    how text NOT NULL DEFAULT '',  -- case, calls
    detail jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL,
    PRIMARY KEY (incident, agent, release)
);

CREATE TABLE IF NOT EXISTS overrides (
    id text PRIMARY KEY,
    gate text NOT NULL,
    agent text NOT NULL,
    release text NOT NULL,
    environment text NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    body jsonb NOT NULL  -- records.Override
);

CREATE TABLE IF NOT EXISTS freezes (
    id text PRIMARY KEY,
    begins timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    ended_at timestamptz,
    body jsonb NOT NULL  -- records.Freeze
);

CREATE TABLE IF NOT EXISTS controls (  -- what agents are told; a scope that is closed again stays for its history
    scope text PRIMARY KEY,  -- records.Scope.key
    state text NOT NULL,
    seq bigint NOT NULL,
    not_after timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    body jsonb NOT NULL  -- records.Control
);

CREATE TABLE IF NOT EXISTS control_changes (
    id bigserial PRIMARY KEY,
    scope text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,  -- a person, or the detector
    record jsonb NOT NULL  -- records.Control as it was from then on
);
CREATE INDEX IF NOT EXISTS control_changes_by_scope ON control_changes (scope, id DESC);

CREATE TABLE IF NOT EXISTS approvals (  -- questions that a person answers: of agents, and of our own before a control
    id text PRIMARY KEY,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused', 'expired')),
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    answered_at timestamptz,
    actor text,
    body jsonb NOT NULL  -- records.ApprovalAsked
);
CREATE INDEX IF NOT EXISTS approvals_pending ON approvals (expires_at) WHERE state = 'pending';

CREATE TABLE IF NOT EXISTS cases (
    id text PRIMARY KEY,
    incident text NOT NULL,
    agent text NOT NULL,
    state text NOT NULL CHECK (state IN ('draft', 'ready', 'retired')),
    at timestamptz NOT NULL,
    body jsonb NOT NULL  -- records.RegressionCase
);
CREATE INDEX IF NOT EXISTS cases_by_incident ON cases (incident);

-- What else was counted of a minute: see records.Exposure.
ALTER TABLE exposure ADD COLUMN IF NOT EXISTS evaluated bigint NOT NULL DEFAULT 0;
ALTER TABLE exposure ADD COLUMN IF NOT EXISTS more jsonb NOT NULL DEFAULT '{}';

ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS body jsonb;  -- records.Outcome, whole

CREATE OR REPLACE TRIGGER powers_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON powers
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
CREATE OR REPLACE TRIGGER fixes_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON fixes
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
CREATE OR REPLACE TRIGGER overrides_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON overrides
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
CREATE OR REPLACE TRIGGER freezes_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON freezes
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
CREATE OR REPLACE TRIGGER controls_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON controls
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
CREATE OR REPLACE TRIGGER cases_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON cases
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');
