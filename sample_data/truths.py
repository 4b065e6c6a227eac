"""What is built into the feeds of engagement, with tolerances: whoever counts right finds it again.

Rows are distinct ones (``duplicates`` apart), and have a user unless it says otherwise; weeks are ISO weeks, shares are
fractions. They hold for samples of the default days with 2,000 users or more, whatever the seed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Truth:
    """A number that lies from ``low`` to ``high``, and what it counts."""

    low: float
    high: float
    meaning: str


# Cohorts are those of the week of the first event, all but the first one together; only whole weeks count.
_RETENTION = "users of the later weekly cohorts who are active again in week"
_FUNNEL = "in a week, of all who do the first, the apps one by one and added up"

ENGAGEMENT_TRUTHS = {
    "duplicates": Truth(0.008, 0.012, "rows of events and app_events that copy another one, of all rows"),
    "userless": Truth(0.0012, 0.0028, "rows without a user, of all distinct rows"),
    "late": Truth(0.002, 0.004, "rows that stand only in a file for later days, of all distinct rows"),
    "top_10_percent": Truth(0.45, 0.60, "events by the most active tenth of users, in the last 28 days"),
    "saturday_to_tuesday": Truth(1.22, 1.50, "events on Saturdays for each one on a Tuesday, in whole weeks"),
    "growth": Truth(3.5, 6.5, "users active in the last whole week for each one in the first"),
    "retention_week_1": Truth(0.57, 0.69, f"{_RETENTION} 1"),
    "retention_week_2": Truth(0.45, 0.57, f"{_RETENTION} 2"),
    "retention_week_4": Truth(0.33, 0.46, f"{_RETENTION} 4"),
    "retention_week_6": Truth(0.28, 0.41, f"{_RETENTION} 6"),
    "resurrected": Truth(0.07, 0.12, "of the users active in a week, those back who were not active the week before"),
    "long_absences": Truth(0.04, 0.08, "users who came back after three whole weeks or more without an event"),
    "cross_product": Truth(0.24, 0.33, "users of two products or more"),
    "both_feeds": Truth(0.11, 0.18, "users in both events and app_events"),
    "active_registered": Truth(0.83, 0.92, "users of conversions who are in events or app_events"),
    "like_after_view": Truth(0.45, 0.56, f"users who do the second of view, like, comment, share, create {_FUNNEL}"),
    "create_after_view": Truth(0.006, 0.03, f"users who do the last of view, like, comment, share, create {_FUNNEL}"),
    "redeemed_after_search": Truth(0.13, 0.28, "users who search, earn, then redeem in a week, of all who search"),
    "changed_users": Truth(0.08, 0.15, "users of extracts whose country, age_group or user_segment changes"),
    "deleted_users": Truth(0.008, 0.022, "users of extracts who are not in the last one"),
    "unknown_users": Truth(0.001, 0.011, "users of events and app_events who are in no extract"),
    "stayed_good": Truth(0.45, 0.70, "users registered by ORGANIC SEARCH or REFERRAL, active 15 to 28 days later"),
    "stayed_poor": Truth(0.27, 0.44, "users registered by IMPRESSION or PAID SOCIAL, active 15 to 28 days later"),
}
