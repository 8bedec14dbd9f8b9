-- The table that archiving.gate writes its markers to, beside the archive's own tables: in the same
-- database, and in the same tablespace, so that what stops the one stops the other.  A marker in the
-- table of messages itself would need the right to delete from it.
CREATE SCHEMA IF NOT EXISTS archive;
CREATE TABLE archive.resite_marker (
	id text PRIMARY KEY,
	written timestamptz NOT NULL DEFAULT now()
);
