-- Whoever waits for a change of controls hears of it at once.
-- depends: 0009-learning

CREATE OR REPLACE TRIGGER controls_hint AFTER INSERT OR UPDATE ON controls
    FOR EACH STATEMENT EXECUTE FUNCTION tocsin_hint();
