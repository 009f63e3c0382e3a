-- Gates hear at once that an incident has another end. Mere sightings change the row too: not of them.
-- depends: 0009-learning

CREATE OR REPLACE FUNCTION tocsin_gate_hint() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_notify(''tocsin_gate_inputs'', ''''); RETURN NULL; END';

CREATE OR REPLACE TRIGGER incidents_decided AFTER UPDATE ON incidents FOR EACH ROW
    WHEN ((OLD.stage, OLD.outcome) IS DISTINCT FROM (NEW.stage, NEW.outcome)) EXECUTE FUNCTION tocsin_gate_hint();
