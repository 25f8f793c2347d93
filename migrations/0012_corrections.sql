-- What people put right in a transcript: patches, never an overwrite. And what a job was asked to do it with.

CREATE TABLE correction (
    correction TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    place BIGINT NOT NULL,                      -- the order in which they were made, from 1
    revision BIGINT NOT NULL,                   -- the words that were read when it was made
    leg TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    before TEXT NOT NULL,                       -- what stood there; empty: not understood
    after TEXT NOT NULL,                        -- what stands there; empty: nothing was said
    undoes TEXT,                                -- the correction that this one takes back
    by_agent TEXT NOT NULL,
    at BIGINT NOT NULL,
    UNIQUE (interaction, place)
);

ALTER TABLE job ADD COLUMN detail TEXT;         -- JSON: {"model": name}
