-- Who contacts us, and by which addresses.

CREATE TABLE organisation (
    organisation TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX organisation_name ON organisation (name_folded);

CREATE TABLE customer (
    customer TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    organisation TEXT REFERENCES organisation (organisation),
    vip BIGINT NOT NULL DEFAULT 0,
    language TEXT,
    since BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    erased_at BIGINT,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX customer_name ON customer (name_folded, customer);

-- One address. Provisional (no row in identity_customer) until somebody says whose it is.
CREATE TABLE identity (
    identity TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,                         -- phone | email | whatsapp | chat | social | web
    normalised TEXT NOT NULL,
    raw TEXT NOT NULL,
    country TEXT,
    first_seen BIGINT NOT NULL,
    UNIQUE (kind, normalised)
);

CREATE TABLE identity_customer (
    identity TEXT NOT NULL REFERENCES identity (identity),
    customer TEXT NOT NULL REFERENCES customer (customer),
    since BIGINT NOT NULL,
    until BIGINT,
    why TEXT NOT NULL,
    by_agent TEXT,
    confidence BIGINT NOT NULL,                 -- percent
    PRIMARY KEY (identity, customer, since)
);
CREATE UNIQUE INDEX identity_customer_current ON identity_customer (identity, customer) WHERE until IS NULL;
CREATE INDEX identity_customer_customer ON identity_customer (customer, since);

-- A merge is an edge and the field choices; root(customer) is computed, facts never move, undo ends the edge.
CREATE TABLE customer_link (
    link TEXT NOT NULL PRIMARY KEY,
    child TEXT NOT NULL REFERENCES customer (customer),
    parent TEXT NOT NULL REFERENCES customer (customer),
    fields TEXT NOT NULL,                       -- JSON
    at BIGINT NOT NULL,
    by_agent TEXT,
    why TEXT NOT NULL,
    undone_at BIGINT
);
CREATE UNIQUE INDEX customer_link_child ON customer_link (child) WHERE undone_at IS NULL;
CREATE INDEX customer_link_parent ON customer_link (parent) WHERE undone_at IS NULL;
