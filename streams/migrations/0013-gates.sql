-- What gates look at beside each other, each with a version of its own, so that little is read again when little changed.
-- depends: 0009-learning

INSERT INTO gate_inputs VALUES ('releases', 0), ('exposed', 0) ON CONFLICT DO NOTHING;

CREATE OR REPLACE TRIGGER exposed_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON exposed
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('exposed');
-- By row: each minute says again that a release was seen, which changes nothing.
CREATE OR REPLACE TRIGGER releases_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON releases
    FOR EACH ROW EXECUTE FUNCTION tocsin_gate_inputs('releases');
CREATE OR REPLACE TRIGGER deployments_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON deployments
    FOR EACH ROW EXECUTE FUNCTION tocsin_gate_inputs('releases');
CREATE OR REPLACE TRIGGER case_scores_gate_inputs AFTER INSERT OR UPDATE OR DELETE ON case_scores
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_gate_inputs('learn');

CREATE INDEX IF NOT EXISTS exposure_by_agent ON exposure (agent, minute);

DROP INDEX IF EXISTS incidents_for_gates;
CREATE INDEX IF NOT EXISTS incidents_for_gates_now ON incidents (severity, last_seen DESC)
    WHERE stage NOT IN ('resolved', 'closed') OR outcome IN (
        'fixed', 'unspecified', 'accepted_risk', 'wont_fix', 'cannot_reproduce', 'duplicate', 'false_positive');
