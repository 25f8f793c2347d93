-- What people made of card lines is counted by method and version, without walking through all findings.
CREATE INDEX finding_judged ON finding (method, method_version, status) WHERE kind = 'card_line';
