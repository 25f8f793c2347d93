-- Calls to the outside: by which trunk each leg went, and whether help was called.
ALTER TABLE leg ADD COLUMN trunk TEXT;
ALTER TABLE interaction ADD COLUMN emergency BIGINT NOT NULL DEFAULT 0;
