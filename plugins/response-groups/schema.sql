-- Response groups of one pool, as an open twin of Lync's RgsConfig database.  Rows keep
-- their id and their owner wherever they are imported.  Constraints on names are
-- deferred: a whole configuration changes in one transaction.
CREATE SCHEMA IF NOT EXISTS rgs;

-- Once for each pool: default music on hold, grace period of ringing back, call context.
CREATE TABLE rgs.settings (
	id text PRIMARY KEY, owner text NOT NULL, name text NOT NULL, value text);

CREATE TABLE rgs.business_hours (
	id uuid PRIMARY KEY, owner text NOT NULL, name text NOT NULL,
	monday text, tuesday text, wednesday text, thursday text, friday text, saturday text,
	sunday text);

CREATE TABLE rgs.holiday_sets (
	id uuid PRIMARY KEY, owner text NOT NULL, name text NOT NULL,
	holidays jsonb NOT NULL DEFAULT '[]');

CREATE TABLE rgs.agent_groups (
	id uuid PRIMARY KEY, owner text NOT NULL, name text NOT NULL,
	participation text NOT NULL CHECK (participation IN ('formal', 'informal')),
	routing text NOT NULL CHECK (routing IN
		('parallel', 'serial', 'round-robin', 'longest-idle', 'attendant')),
	alert_seconds integer NOT NULL CHECK (alert_seconds BETWEEN 10 AND 180),
	agents text[] NOT NULL DEFAULT '{}');

CREATE TABLE rgs.queues (
	id uuid PRIMARY KEY, owner text NOT NULL, name text NOT NULL,
	groups uuid[] NOT NULL DEFAULT '{}',
	timeout_seconds integer, overflow_threshold integer, overflow_action jsonb,
	CONSTRAINT queues_name UNIQUE (name) DEFERRABLE);

CREATE TABLE rgs.workflows (
	id uuid PRIMARY KEY, owner text NOT NULL, name text NOT NULL,
	address text NOT NULL, line text, language text NOT NULL DEFAULT 'en-US',
	queue uuid NOT NULL REFERENCES rgs.queues DEFERRABLE,
	hours uuid REFERENCES rgs.business_hours DEFERRABLE,
	holidays uuid REFERENCES rgs.holiday_sets DEFERRABLE,
	welcome text, active boolean NOT NULL DEFAULT true,
	CONSTRAINT workflows_name UNIQUE (name) DEFERRABLE,
	CONSTRAINT workflows_address UNIQUE (address) DEFERRABLE);

-- What a proxy rings, in the form that Kamailio's dispatcher reads: one set for each agent
-- group, by its place in the order of names.
CREATE VIEW rgs.dispatcher AS
	SELECT row_number() OVER (ORDER BY g.id, a.place)::int AS id,
	       dense_rank() OVER (ORDER BY g.name, g.id)::int AS setid,
	       a.agent AS destination, 0 AS flags,
	       CASE g.routing WHEN 'serial' THEN (1000 - a.place)::int ELSE 0 END AS priority,
	       ''::text AS attrs, g.name AS description
	FROM rgs.agent_groups g, unnest(g.agents) WITH ORDINALITY AS a(agent, place);
