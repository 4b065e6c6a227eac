-- Of those who came in a month, how many still come one, two, three months later?
select
    cohort_start,
    cohort_size,
    round(max(case when period_offset = 1 then retention_rate end), 3) as retention_rate_month_1,
    round(max(case when period_offset = 2 then retention_rate end), 3) as retention_rate_month_2,
    round(max(case when period_offset = 3 then retention_rate end), 3) as retention_rate_month_3,
    bool_and(is_complete_cohort) as is_complete_cohort
from mart.retention_cohorts
where period_type = 'month' and product = 'all' and country = 'all' and is_complete
group by cohort_start, cohort_size
order by cohort_start
