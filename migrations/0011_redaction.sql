-- Where numbers were taken out of words and audio. Never what they were.

CREATE TABLE redaction (
    seq BIGINT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    leg TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,                         -- card number | security code | expiry date | account number | name of a pattern
    at BIGINT NOT NULL,
    audio_at BIGINT,                            -- when the recording was overwritten; NULL before
    UNIQUE (interaction, leg, from_ms, to_ms)
);
