-- What was said, what was read out of it, and where that stands.

CREATE TABLE transcript (
    transcript TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,                         -- live | final
    model TEXT NOT NULL,
    language TEXT NOT NULL,
    coverage TEXT NOT NULL,                     -- JSON: one LegCoverage per leg, in samples
    at BIGINT NOT NULL,
    UNIQUE (interaction, revision)
);

CREATE TABLE utterance (
    seq BIGINT NOT NULL PRIMARY KEY,
    transcript TEXT NOT NULL,
    place BIGINT NOT NULL,
    leg TEXT NOT NULL,
    party TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    confidence BIGINT NOT NULL,
    rejected TEXT,
    words TEXT NOT NULL,                        -- JSON: text, from_ms, to_ms, confidence
    UNIQUE (transcript, place)
);

CREATE TABLE finding (
    finding TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    place BIGINT NOT NULL,
    value TEXT NOT NULL,                        -- JSON
    proposed TEXT,                              -- JSON as first read, where an agent edited it
    method TEXT NOT NULL,
    method_version TEXT NOT NULL,
    confidence BIGINT NOT NULL,
    status TEXT NOT NULL,                       -- proposed | confirmed | edited | rejected
    at BIGINT NOT NULL,
    by_agent TEXT,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX finding_interaction ON finding (interaction, kind, place);

CREATE TABLE evidence (
    finding TEXT NOT NULL,
    place BIGINT NOT NULL,
    leg TEXT,
    from_ms BIGINT,
    to_ms BIGINT,
    message TEXT,
    char_from BIGINT,
    char_to BIGINT,
    hash TEXT,                                  -- of the quoted text
    expired_at BIGINT,
    PRIMARY KEY (finding, place)
);

CREATE TABLE note (
    note TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    text TEXT NOT NULL,
    by_agent TEXT NOT NULL,
    at BIGINT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX note_interaction ON note (interaction, at);

CREATE TABLE draft (
    interaction TEXT NOT NULL,
    agent TEXT NOT NULL,
    text TEXT NOT NULL,
    at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (interaction, agent)
);
