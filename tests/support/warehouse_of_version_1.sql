-- A warehouse of growth-analytics 0.1.0 as it was first (22 November 2026), with version 1 of schema raw: one session file,
-- replaced by one that was loaded as a large file, one file of conversions, one that was refused; built and published.
-- Made by pg_dump --inserts, without grants and settings.
CREATE SCHEMA dwh;
ALTER SCHEMA dwh OWNER TO transform;
CREATE SCHEMA mart;
ALTER SCHEMA mart OWNER TO transform;
CREATE SCHEMA mart_candidate;
ALTER SCHEMA mart_candidate OWNER TO transform;
CREATE SCHEMA raw;
ALTER SCHEMA raw OWNER TO ingest;
CREATE SCHEMA staging;
ALTER SCHEMA staging OWNER TO transform;
CREATE TABLE dwh._batches (
    invocation_id text NOT NULL,
    load_ids bigint[] NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE dwh._batches OWNER TO transform;
CREATE TABLE dwh._consumed_loads (
    model text NOT NULL,
    load_id bigint NOT NULL
);
ALTER TABLE dwh._consumed_loads OWNER TO transform;
CREATE TABLE dwh._model_versions (
    model text NOT NULL,
    version text NOT NULL
);
ALTER TABLE dwh._model_versions OWNER TO transform;
CREATE TABLE dwh.attribution_rules (
    priority integer,
    channel text,
    is_paid boolean,
    window_hours numeric,
    label text
);
ALTER TABLE dwh.attribution_rules OWNER TO transform;
CREATE TABLE dwh.dim_acquisition_users (
    user_id text,
    session_count bigint,
    first_session_at timestamp with time zone,
    last_session_at timestamp with time zone,
    registration_count bigint,
    first_registered_at timestamp with time zone,
    last_registered_at timestamp with time zone
);
ALTER TABLE dwh.dim_acquisition_users OWNER TO transform;
CREATE TABLE dwh.dim_channels (
    channel text,
    first_session_date date,
    last_session_date date
);
ALTER TABLE dwh.dim_channels OWNER TO transform;
CREATE TABLE dwh.dim_dates (
    calendar_date date,
    week_start date,
    month_start date,
    iso_year integer,
    iso_week integer,
    iso_weekday integer,
    is_weekend boolean
);
ALTER TABLE dwh.dim_dates OWNER TO transform;
CREATE TABLE dwh.dim_users (
    identity text,
    user_id text,
    domains text,
    first_date date,
    last_date date
);
ALTER TABLE dwh.dim_users OWNER TO transform;
CREATE TABLE dwh.fct_channel_activity_daily (
    activity_date date,
    channel text,
    session_count bigint,
    paid_session_count bigint
);
ALTER TABLE dwh.fct_channel_activity_daily OWNER TO transform;
CREATE TABLE dwh.fct_registrations (
    registration_sk uuid,
    user_id text,
    registered_at timestamp with time zone,
    registered_date date,
    attributed_channel text,
    attributed_session_sk uuid,
    attributed_session_started_at timestamp with time zone,
    attributed_session_channel text,
    is_attributed_session_paid boolean,
    attributed_age_hours numeric,
    touch_count bigint,
    unattributed_reason text
);
ALTER TABLE dwh.fct_registrations OWNER TO transform;
CREATE TABLE dwh.fct_sessions (
    session_sk uuid,
    user_id text,
    session_started_at timestamp with time zone,
    session_started_date date,
    is_paid boolean,
    channel text
);
ALTER TABLE dwh.fct_sessions OWNER TO transform;
CREATE TABLE dwh.fct_user_channels (
    user_id text,
    channel text,
    session_count bigint,
    first_session_at timestamp with time zone,
    last_session_at timestamp with time zone,
    converted_at timestamp with time zone,
    conversion_microseconds bigint
);
ALTER TABLE dwh.fct_user_channels OWNER TO transform;
CREATE TABLE dwh.int_acquisition__channel_rules (
    channel text,
    is_paid boolean,
    priority integer,
    rule_rank integer,
    label text,
    window_microseconds bigint,
    is_first_rule boolean
);
ALTER TABLE dwh.int_acquisition__channel_rules OWNER TO transform;
CREATE TABLE dwh.int_acquisition__registrations (
    registration_sk uuid,
    user_id text,
    registered_at timestamp with time zone,
    registered_date date
);
ALTER TABLE dwh.int_acquisition__registrations OWNER TO transform;
CREATE TABLE mart.acquisition_daily (
    activity_date date,
    channel text,
    session_count bigint,
    paid_session_count bigint,
    registration_count bigint
);
ALTER TABLE mart.acquisition_daily OWNER TO transform;
CREATE TABLE mart.channel_attribution (
    attribution_model text,
    channel text,
    registration_month date,
    registration_count numeric,
    registration_rate numeric
);
ALTER TABLE mart.channel_attribution OWNER TO transform;
CREATE TABLE mart.channel_conversion (
    channel text,
    session_count bigint,
    touched_user_count bigint,
    converted_user_count bigint,
    conversion_rate numeric,
    hours_to_conversion_avg numeric,
    hours_to_conversion_median numeric,
    hours_to_conversion_p90 numeric
);
ALTER TABLE mart.channel_conversion OWNER TO transform;
CREATE TABLE mart.publications (
    publication_id bigint NOT NULL,
    run_id text NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL,
    as_of_date date,
    rules_version text NOT NULL,
    row_counts jsonb NOT NULL
);
ALTER TABLE mart.publications OWNER TO transform;
ALTER TABLE mart.publications ALTER COLUMN publication_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME mart.publications_publication_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE mart_candidate.acquisition_daily (
    activity_date date,
    channel text,
    session_count bigint,
    paid_session_count bigint,
    registration_count bigint
);
ALTER TABLE mart_candidate.acquisition_daily OWNER TO transform;
CREATE TABLE mart_candidate.channel_attribution (
    attribution_model text,
    channel text,
    registration_month date,
    registration_count numeric,
    registration_rate numeric
);
ALTER TABLE mart_candidate.channel_attribution OWNER TO transform;
CREATE TABLE mart_candidate.channel_conversion (
    channel text,
    session_count bigint,
    touched_user_count bigint,
    converted_user_count bigint,
    conversion_rate numeric,
    hours_to_conversion_avg numeric,
    hours_to_conversion_median numeric,
    hours_to_conversion_p90 numeric
);
ALTER TABLE mart_candidate.channel_conversion OWNER TO transform;
CREATE TABLE raw._changed_days (
    feed text NOT NULL,
    event_date date NOT NULL,
    load_id bigint NOT NULL
);
ALTER TABLE raw._changed_days OWNER TO ingest;
CREATE TABLE raw._loads (
    load_id bigint NOT NULL,
    feed text NOT NULL,
    source_file text NOT NULL,
    sha256 text,
    size_bytes bigint NOT NULL,
    record_count bigint DEFAULT 0 NOT NULL,
    loaded_count bigint DEFAULT 0 NOT NULL,
    rejected_count bigint DEFAULT 0 NOT NULL,
    status text NOT NULL,
    error text,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    run_id text,
    CONSTRAINT _loads_status_check CHECK ((status = ANY (ARRAY['loaded'::text, 'replaced'::text, 'refused'::text])))
);
ALTER TABLE raw._loads OWNER TO ingest;
ALTER TABLE raw._loads ALTER COLUMN load_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME raw._loads_load_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE raw._removed_users (
    feed text NOT NULL,
    user_id text NOT NULL,
    load_id bigint NOT NULL
);
ALTER TABLE raw._removed_users OWNER TO ingest;
CREATE TABLE raw.conversions (
    userid bigint NOT NULL,
    registration_time timestamp with time zone NOT NULL,
    _load_id bigint DEFAULT (current_setting('growth.load_id'::text))::bigint NOT NULL,
    CONSTRAINT registration_time_range CHECK (((registration_time >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (registration_time < '10000-01-01 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE raw.conversions OWNER TO ingest;
CREATE TABLE raw.sessions (
    userid bigint NOT NULL,
    time_started timestamp with time zone NOT NULL,
    is_paid boolean NOT NULL,
    medium text,
    _load_id bigint DEFAULT (current_setting('growth.load_id'::text))::bigint NOT NULL,
    CONSTRAINT time_started_range CHECK (((time_started >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (time_started < '10000-01-01 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE raw.sessions OWNER TO ingest;
CREATE TABLE raw.sessions_load_5 (
    userid bigint CONSTRAINT sessions_userid_not_null NOT NULL,
    time_started timestamp with time zone CONSTRAINT sessions_time_started_not_null NOT NULL,
    is_paid boolean CONSTRAINT sessions_is_paid_not_null NOT NULL,
    medium text,
    _load_id bigint DEFAULT 5 CONSTRAINT sessions__load_id_not_null NOT NULL,
    CONSTRAINT time_started_range CHECK (((time_started >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (time_started < '10000-01-01 00:00:00+00'::timestamp with time zone)))
)
INHERITS (raw.sessions);
ALTER TABLE raw.sessions_load_5 OWNER TO ingest;
CREATE VIEW staging.stg_acquisition__conversions AS
 WITH source AS (
         SELECT conversions.userid,
            conversions.registration_time,
            conversions._load_id
           FROM raw.conversions
        ), final AS (
         SELECT DISTINCT ((source.registration_time AT TIME ZONE 'UTC'::text))::date AS registered_date,
            source.registration_time AS registered_at,
            (source.userid)::text AS user_id
           FROM source
        )
 SELECT registered_date,
    registered_at,
    user_id
   FROM final;
ALTER VIEW staging.stg_acquisition__conversions OWNER TO transform;
CREATE VIEW staging.stg_acquisition__sessions AS
 WITH source AS (
         SELECT sessions.userid,
            sessions.time_started,
            sessions.is_paid,
            sessions.medium,
            sessions._load_id
           FROM raw.sessions
        ), final AS (
         SELECT DISTINCT ((source.time_started AT TIME ZONE 'UTC'::text))::date AS session_started_date,
            source.time_started AS session_started_at,
            (source.userid)::text AS user_id,
            source.is_paid,
            upper(NULLIF(TRIM(BOTH ' 	
'::text FROM source.medium), ''::text)) AS channel
           FROM source
        )
 SELECT session_started_date,
    session_started_at,
    user_id,
    is_paid,
    channel
   FROM final;
ALTER VIEW staging.stg_acquisition__sessions OWNER TO transform;
INSERT INTO dwh._batches VALUES ('cc000d45-2c08-4c97-be6f-9d4feca83617', '{1,4}', '2026-11-27 17:21:21.933059+00');
INSERT INTO dwh._batches VALUES ('791c9802-bbc0-4979-8c2d-7a16d6d7c7a5', '{1,4,5}', '2026-11-27 17:21:28.520098+00');
INSERT INTO dwh._consumed_loads VALUES ('int_acquisition__registrations', 1);
INSERT INTO dwh._consumed_loads VALUES ('int_acquisition__registrations', 4);
INSERT INTO dwh._consumed_loads VALUES ('fct_sessions', 1);
INSERT INTO dwh._consumed_loads VALUES ('fct_sessions', 4);
INSERT INTO dwh._consumed_loads VALUES ('fct_channel_activity_daily', 1);
INSERT INTO dwh._consumed_loads VALUES ('fct_channel_activity_daily', 4);
INSERT INTO dwh._consumed_loads VALUES ('fct_user_channels', 1);
INSERT INTO dwh._consumed_loads VALUES ('fct_user_channels', 4);
INSERT INTO dwh._consumed_loads VALUES ('dim_acquisition_users', 1);
INSERT INTO dwh._consumed_loads VALUES ('dim_acquisition_users', 4);
INSERT INTO dwh._consumed_loads VALUES ('fct_registrations', 1);
INSERT INTO dwh._consumed_loads VALUES ('fct_registrations', 4);
INSERT INTO dwh._consumed_loads VALUES ('int_acquisition__registrations', 5);
INSERT INTO dwh._consumed_loads VALUES ('fct_sessions', 5);
INSERT INTO dwh._consumed_loads VALUES ('fct_channel_activity_daily', 5);
INSERT INTO dwh._consumed_loads VALUES ('dim_channels', 1);
INSERT INTO dwh._consumed_loads VALUES ('dim_channels', 4);
INSERT INTO dwh._consumed_loads VALUES ('dim_channels', 5);
INSERT INTO dwh._consumed_loads VALUES ('fct_user_channels', 5);
INSERT INTO dwh._consumed_loads VALUES ('dim_dates', 1);
INSERT INTO dwh._consumed_loads VALUES ('dim_dates', 4);
INSERT INTO dwh._consumed_loads VALUES ('dim_dates', 5);
INSERT INTO dwh._consumed_loads VALUES ('int_acquisition__channel_rules', 1);
INSERT INTO dwh._consumed_loads VALUES ('int_acquisition__channel_rules', 4);
INSERT INTO dwh._consumed_loads VALUES ('int_acquisition__channel_rules', 5);
INSERT INTO dwh._consumed_loads VALUES ('dim_acquisition_users', 5);
INSERT INTO dwh._consumed_loads VALUES ('dim_users', 1);
INSERT INTO dwh._consumed_loads VALUES ('dim_users', 4);
INSERT INTO dwh._consumed_loads VALUES ('dim_users', 5);
INSERT INTO dwh._consumed_loads VALUES ('fct_registrations', 5);
INSERT INTO dwh._model_versions VALUES ('int_acquisition__channel_rules', '2c9aeffe6908b8f2791c0ed982584fc4');
INSERT INTO dwh._model_versions VALUES ('fct_registrations', '2c9aeffe6908b8f2791c0ed982584fc4');
INSERT INTO dwh.attribution_rules VALUES (1, 'PAID SEARCH', NULL, 3, 'PAID_SEARCH');
INSERT INTO dwh.attribution_rules VALUES (2, 'IMPRESSION', NULL, 1, 'PAID_IMPRESSION');
INSERT INTO dwh.attribution_rules VALUES (3, 'ORGANIC SEARCH', NULL, 12, 'ORGANIC_SEARCH');
INSERT INTO dwh.attribution_rules VALUES (4, 'DIRECT', NULL, NULL, 'DIRECT');
INSERT INTO dwh.attribution_rules VALUES (5, '*', NULL, NULL, 'OTHERS');
INSERT INTO dwh.dim_acquisition_users VALUES ('1', 1, '2024-01-05 10:00:00+00', '2024-01-05 10:00:00+00', 1, '2024-01-05 11:00:00+00', '2024-01-05 11:00:00+00');
INSERT INTO dwh.dim_channels VALUES ('PAID SEARCH', '2024-01-05', '2024-01-05');
INSERT INTO dwh.dim_dates VALUES ('2024-01-05', '2024-01-01', '2024-01-01', 2024, 1, 5, false);
INSERT INTO dwh.dim_users VALUES ('acquisition', '1', 'acquisition', '2024-01-05', '2024-01-05');
INSERT INTO dwh.fct_channel_activity_daily VALUES ('2024-01-05', 'PAID SEARCH', 1, 1);
INSERT INTO dwh.fct_registrations VALUES ('58f2d0ee-d3c3-964c-9cef-73e9719e8466', '1', '2024-01-05 11:00:00+00', '2024-01-05', 'PAID_SEARCH', 'dc0ec279-a3d5-1f4f-660b-dba91c488808', '2024-01-05 10:00:00+00', 'PAID SEARCH', true, 1.0000000000, 1, NULL);
INSERT INTO dwh.fct_sessions VALUES ('dc0ec279-a3d5-1f4f-660b-dba91c488808', '1', '2024-01-05 10:00:00+00', '2024-01-05', true, 'PAID SEARCH');
INSERT INTO dwh.fct_user_channels VALUES ('1', 'PAID SEARCH', 1, '2024-01-05 10:00:00+00', '2024-01-05 10:00:00+00', '2024-01-05 11:00:00+00', 3600000000);
INSERT INTO dwh.int_acquisition__channel_rules VALUES ('PAID SEARCH', false, 1, 1, 'PAID_SEARCH', 10800000000, true);
INSERT INTO dwh.int_acquisition__channel_rules VALUES ('PAID SEARCH', true, 1, 1, 'PAID_SEARCH', 10800000000, true);
INSERT INTO dwh.int_acquisition__registrations VALUES ('58f2d0ee-d3c3-964c-9cef-73e9719e8466', '1', '2024-01-05 11:00:00+00', '2024-01-05');
INSERT INTO mart.acquisition_daily VALUES ('2024-01-05', 'PAID SEARCH', 1, 1, 1);
INSERT INTO mart.channel_attribution VALUES ('rule_based', 'PAID_SEARCH', '2024-01-01', 1, 1.00000000000000000000);
INSERT INTO mart.channel_conversion VALUES ('PAID SEARCH', 1, 1, 1, 1.00000000000000000000, 1.0000000000, 1.0000000000, 1.0000000000);
INSERT INTO mart.publications OVERRIDING SYSTEM VALUE VALUES (1, 'test', '2026-11-27 17:21:33.616129+00', '2024-01-05', '2c9aeffe6908b8f2791c0ed982584fc4', '{"acquisition_daily": 1, "channel_conversion": 1, "channel_attribution": 1}');
INSERT INTO mart_candidate.acquisition_daily VALUES ('2024-01-05', 'PAID SEARCH', 1, 1, 1);
INSERT INTO mart_candidate.channel_attribution VALUES ('rule_based', 'PAID_SEARCH', '2024-01-01', 1, 1.00000000000000000000);
INSERT INTO mart_candidate.channel_conversion VALUES ('PAID SEARCH', 1, 1, 1, 1.00000000000000000000, 1.0000000000, 1.0000000000, 1.0000000000);
INSERT INTO raw._changed_days VALUES ('conversions', '2024-01-05', 1);
INSERT INTO raw._changed_days VALUES ('sessions', '2024-01-04', 4);
INSERT INTO raw._changed_days VALUES ('sessions', '2024-01-05', 4);
INSERT INTO raw._changed_days VALUES ('sessions', '2024-01-05', 5);
INSERT INTO raw._changed_days VALUES ('sessions', '2024-01-04', 5);
INSERT INTO raw._loads OVERRIDING SYSTEM VALUE VALUES (1, 'conversions', 'conversions/a.csv', 'ca02f1c9f0c11d6e1e6a1997f8222b8c7905a8abc4bafb4cd390e5d6132906e2', 47, 1, 1, 0, 'loaded', NULL, '2026-11-27 17:21:04.519971+00', '2026-11-27 17:21:04.550066+00', 'test');
INSERT INTO raw._loads OVERRIDING SYSTEM VALUE VALUES (3, 'conversions', 'conversions/bad.csv', '06a49a2e2a95b685830039c3187eeaff255b7ba65bd435715fd72506b5e0fbe5', 40, 0, 0, 0, 'refused', 'line 2, column registration_time: invalid input syntax for type timestamp with time zone: "yesterdayish"', '2026-11-27 17:21:04.542141+00', '2026-11-27 17:21:04.556137+00', 'test');
INSERT INTO raw._loads OVERRIDING SYSTEM VALUE VALUES (4, 'sessions', 'sessions/a.csv', 'f050ced7154890c98f3ddb4468b2d3c2011fe755799f098688d1baef287d71a9', 101, 2, 2, 0, 'replaced', NULL, '2026-11-27 17:21:04.576641+00', '2026-11-27 17:21:04.609342+00', 'test');
INSERT INTO raw._loads OVERRIDING SYSTEM VALUE VALUES (5, 'sessions', 'sessions/a.csv', '8c65fa7320dc0b5e660907efef08cdf2771013a7f55f8da8abba4e090753c9cc', 74, 1, 1, 0, 'loaded', NULL, '2026-11-27 17:21:27.206249+00', '2026-11-27 17:21:27.236596+00', 'test');
INSERT INTO raw._removed_users VALUES ('sessions', '1', 5);
INSERT INTO raw._removed_users VALUES ('sessions', '2', 5);
INSERT INTO raw.conversions VALUES (1, '2024-01-05 11:00:00+00', 1);
INSERT INTO raw.sessions_load_5 VALUES (1, '2024-01-05 10:00:00+00', true, 'PAID SEARCH', 5);
SELECT pg_catalog.setval('mart.publications_publication_id_seq', 1, true);
SELECT pg_catalog.setval('raw._loads_load_id_seq', 5, true);
ALTER TABLE ONLY dwh._batches
    ADD CONSTRAINT _batches_pkey PRIMARY KEY (invocation_id);
ALTER TABLE ONLY dwh._consumed_loads
    ADD CONSTRAINT _consumed_loads_pkey PRIMARY KEY (model, load_id);
ALTER TABLE ONLY dwh._model_versions
    ADD CONSTRAINT _model_versions_pkey PRIMARY KEY (model);
ALTER TABLE ONLY mart.publications
    ADD CONSTRAINT publications_pkey PRIMARY KEY (publication_id);
ALTER TABLE ONLY raw._changed_days
    ADD CONSTRAINT _changed_days_pkey PRIMARY KEY (feed, event_date, load_id);
ALTER TABLE ONLY raw._loads
    ADD CONSTRAINT _loads_pkey PRIMARY KEY (load_id);
ALTER TABLE ONLY raw._removed_users
    ADD CONSTRAINT _removed_users_pkey PRIMARY KEY (feed, user_id, load_id);
CREATE INDEX "3ad23f353d9e32625f55011a0e78d713" ON dwh.fct_user_channels USING btree (user_id);
CREATE INDEX "3ccab9880874941d5d1f2d27b67cb0a9" ON dwh.int_acquisition__registrations USING btree (registered_date);
CREATE INDEX "69f476fb43446f85fb278f9ded4880dc" ON dwh.fct_registrations USING btree (user_id);
CREATE INDEX "777a47428f4eb62d3c1f46a9bbc3c574" ON dwh.fct_sessions USING btree (session_started_date);
CREATE INDEX "81c979a0c01a0c99ff98af739ac20b17" ON dwh.fct_sessions USING btree (user_id, session_started_at);
CREATE UNIQUE INDEX "8407fe31d4faa5cb71875dbe924b80a7" ON dwh.dim_users USING btree (identity, user_id);
CREATE INDEX "887e8e25c6a8c6a75aaa8928872c3836" ON dwh.int_acquisition__registrations USING btree (user_id, registered_at);
CREATE UNIQUE INDEX "8bb03d5c38f54b5d3d2562c326044ec9" ON dwh.dim_dates USING btree (calendar_date);
CREATE UNIQUE INDEX e7e95348932590971c2bf00652e0f3d1 ON dwh.dim_acquisition_users USING btree (user_id);
CREATE INDEX _conversions_by_time ON raw.conversions USING brin (registration_time, _load_id);
CREATE UNIQUE INDEX _loads_one_loaded ON raw._loads USING btree (source_file) WHERE (status = 'loaded'::text);
CREATE UNIQUE INDEX _loads_one_refused ON raw._loads USING btree (source_file, sha256) NULLS NOT DISTINCT WHERE (status = 'refused'::text);
CREATE INDEX _sessions_by_time ON raw.sessions USING brin (time_started, _load_id);
CREATE INDEX sessions_load_5_time_started_idx ON raw.sessions_load_5 USING brin (time_started);
