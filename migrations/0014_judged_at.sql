-- Who judged a finding is kept; now also when, so that an edit can be shown as a difference with both.
ALTER TABLE finding ADD COLUMN judged_at BIGINT;
