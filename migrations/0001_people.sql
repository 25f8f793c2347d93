-- Who works here, what they register with, and how work is shared out.
-- One portable dialect: BIGINT and TEXT only, ids are UUIDv7 text, times are Unix milliseconds, booleans 0/1.

CREATE TABLE team (
    team TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE agent (
    agent TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    username TEXT NOT NULL UNIQUE,              -- folded
    password_hash TEXT,                         -- PHC string (argon2id); NULL cannot log in
    role TEXT NOT NULL,                         -- agent | supervisor | admin
    team TEXT REFERENCES team (team),
    demo BIGINT NOT NULL DEFAULT 0,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE agent_state (
    agent TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    to_at BIGINT,
    PRIMARY KEY (agent, from_at, state)
);
CREATE INDEX agent_state_open ON agent_state (agent) WHERE to_at IS NULL;

CREATE TABLE phone (
    phone TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,              -- digest user, compared octet by octet
    extension TEXT NOT NULL UNIQUE,
    realm TEXT NOT NULL,
    ha1_md5 TEXT NOT NULL,                      -- hex, RFC 7616 H(A1)
    ha1_sha256 TEXT NOT NULL,                   -- hex
    agent TEXT REFERENCES agent (agent),
    demo BIGINT NOT NULL DEFAULT 0,
    disabled_at BIGINT,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX phone_agent ON phone (agent);

CREATE TABLE binding (
    phone TEXT NOT NULL,
    contact TEXT NOT NULL,
    source TEXT NOT NULL,
    listener TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    cseq BIGINT NOT NULL,
    user_agent TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (phone, contact)
);

CREATE TABLE queue (
    queue TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    priority BIGINT NOT NULL DEFAULT 5,
    service_level_ms BIGINT NOT NULL DEFAULT 20000,
    wrap_up_ms BIGINT NOT NULL DEFAULT 120000,
    version BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE queue_agent (
    queue TEXT NOT NULL REFERENCES queue (queue),
    agent TEXT NOT NULL REFERENCES agent (agent),
    PRIMARY KEY (queue, agent)
);
CREATE INDEX queue_agent_agent ON queue_agent (agent);

CREATE TABLE disposition (
    disposition TEXT NOT NULL PRIMARY KEY,
    label TEXT NOT NULL,
    contact BIGINT NOT NULL DEFAULT 1,          -- 0: nobody was reached, no ticket
    cues TEXT NOT NULL DEFAULT '',              -- folded words that suggest it, separated by blanks
    place BIGINT NOT NULL,
    retired_at BIGINT,
    version BIGINT NOT NULL DEFAULT 1
);

-- Desk log-ins. The key is the SHA-256 of the cookie, so that a copy of the database opens nothing.
CREATE TABLE session (
    session TEXT NOT NULL PRIMARY KEY,
    agent TEXT NOT NULL REFERENCES agent (agent),
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_expires ON session (expires_at);
