-- rules: what can be said of any version, and of two of the same rule. The rows that break a rule.
WITH version AS (
    SELECT *, lead(effective_from) OVER following AS next_from, lead(valid_from) OVER following AS next_valid_from
    FROM rules
    WINDOW following AS (PARTITION BY rule_id ORDER BY effective_from)
)
SELECT rule_id, effective_from, broken
FROM version,
     LATERAL (VALUES
        ('it ends after it began', effective_until > effective_from),
        ('it ends unless it is the last', effective_until IS NOT NULL OR next_from IS NULL),
        ('it has ended when the next begins', effective_until <= next_from),
        ('the next was wanted no earlier', valid_from <= next_valid_from),
        ('it does not begin before it was wanted', effective_from >= valid_from),
        ('it has an id', rule_id <> ''),
        ('it is about what it says', kind = definition ->> 'on'),
        ('its severity is that of its definition', severity = coalesce(definition ->> 'severity', 'warning'))
     ) AS rules (broken, holds)
WHERE NOT holds;
