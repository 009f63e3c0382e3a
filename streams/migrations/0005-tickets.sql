-- A ticket is followed by its number: its key changes when a person moves it to another project.
-- depends: 0003-policy

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT '';
