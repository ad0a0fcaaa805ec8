//! Every type, there and back.

use super::{failure, fixture, row, shown};
use crate::host::spin::postgres::postgres::{
    DbDataType, DbValue as V, Error, Interval, ParameterValue as P, QueryError, RangeBoundKind,
};

const IN: RangeBoundKind = RangeBoundKind::Inclusive;
const EX: RangeBoundKind = RangeBoundKind::Exclusive;

#[tokio::test]
async fn every_parameter_comes_back_as_the_value_it_was() {
    let fixture = fixture().await;
    let open = fixture.open().await;
    let time = (23, 59, 59, 123_456_000);
    for (ty, given, back) in [
        ("bool", P::Boolean(true), V::Boolean(true)),
        ("\"char\"", P::Int8(65), V::Int8(65)),
        ("int2", P::Int16(-2), V::Int16(-2)),
        ("int4", P::Int32(i32::MIN), V::Int32(i32::MIN)),
        ("int8", P::Int64(i64::MAX), V::Int64(i64::MAX)),
        ("float4", P::Floating32(1.5), V::Floating32(1.5)),
        ("float8", P::Floating64(f64::MIN_POSITIVE), V::Floating64(f64::MIN_POSITIVE)),
        ("text", P::Str("ü '\"\\".into()), V::Str("ü '\"\\".into())),
        ("varchar(3)", P::Str("abc".into()), V::Str("abc".into())),
        ("bytea", P::Binary(vec![0, 255]), V::Binary(vec![0, 255])),
        ("date", P::Date((2024, 2, 29)), V::Date((2024, 2, 29))),
        ("date", P::Date((-44, 3, 15)), V::Date((-44, 3, 15))),
        ("date", P::Date((12024, 1, 1)), V::Date((12024, 1, 1))),
        ("time", P::Time(time), V::Time(time)),
        (
            "timestamp",
            P::Datetime((1969, 12, 31, 23, 59, 59, 999_999_999)),
            V::Datetime((1969, 12, 31, 23, 59, 59, 999_999_000)),
        ),
        (
            "timestamptz",
            P::Datetime((2024, 6, 1, 12, 0, 0, 0)),
            V::Datetime((2024, 6, 1, 12, 0, 0, 0)),
        ),
        ("timestamptz", P::Timestamp(0), V::Datetime((1970, 1, 1, 0, 0, 0, 0))),
        ("int8", P::Timestamp(7), V::Int64(7)),
        (
            "uuid",
            P::Uuid("0190163D-8694-739B-AEA5-966C26F8AD90".into()),
            V::Uuid("0190163d-8694-739b-aea5-966c26f8ad90".into()),
        ),
        ("jsonb", P::Jsonb(b"{\"a\":  1}".to_vec()), V::Jsonb(b"{\"a\": 1}".to_vec())),
        ("json", P::Jsonb(b"{\"a\":  1}".to_vec()), V::Jsonb(b"{\"a\":  1}".to_vec())),
        ("numeric", P::Decimal("-12345.6700".into()), V::Decimal("-12345.6700".into())),
        (
            "int4range",
            P::RangeInt32((Some((1, IN)), Some((5, IN)))),
            V::RangeInt32((Some((1, IN)), Some((6, EX)))),
        ),
        ("int4range", P::RangeInt32((None, None)), V::RangeInt32((None, None))),
        (
            "int4range",
            P::RangeInt32((Some((3, EX)), Some((3, EX)))),
            V::RangeInt32((Some((0, EX)), Some((0, EX)))),
        ),
        ("int8range", P::RangeInt64((Some((-9, IN)), None)), V::RangeInt64((Some((-9, IN)), None))),
        (
            "numrange",
            P::RangeDecimal((Some(("0.5".into(), EX)), Some(("1".into(), IN)))),
            V::RangeDecimal((Some(("0.5".into(), EX)), Some(("1".into(), IN)))),
        ),
        ("int4[]", P::ArrayInt32(vec![Some(1), None]), V::ArrayInt32(vec![Some(1), None])),
        ("int8[]", P::ArrayInt64(vec![]), V::ArrayInt64(vec![])),
        (
            "numeric[]",
            P::ArrayDecimal(vec![Some("1.10".into()), None]),
            V::ArrayDecimal(vec![Some("1.10".into()), None]),
        ),
        (
            "text[]",
            P::ArrayStr(vec![Some("a,\"b\\{}".into()), Some("NULL".into()), None, Some("".into())]),
            V::ArrayStr(vec![Some("a,\"b\\{}".into()), Some("NULL".into()), None, Some("".into())]),
        ),
        (
            "interval",
            P::Interval(Interval { micros: -1, days: 2, months: 3 }),
            V::Interval(Interval { micros: -1, days: 2, months: 3 }),
        ),
        ("text", P::DbNull, V::DbNull),
        ("int4[]", P::DbNull, V::DbNull),
    ] {
        let got = row(&open, &format!("select $1::{ty}"), vec![given]).await;
        assert_eq!(shown(&got[0]), shown(&back), "{ty}");
    }
    drop(open);
    fixture.end().await;
}

#[tokio::test]
async fn the_server_converts_what_is_not_just_the_type_it_wants() {
    let fixture = fixture().await;
    let host = fixture.database.host().await.unwrap();
    host.batch(
        "create type alpha.mood as enum ('sad', 'glad'); \
                create domain alpha.percent as int check (value between 0 and 100)",
    )
    .await
    .unwrap();
    let open = fixture.open().await;
    for (ty, given, text) in [
        ("int8", P::Int32(7), "7"),
        ("int2", P::Int64(7), "7"),
        ("numeric", P::Int64(7), "7"),
        ("numeric", P::Floating64(0.1), "0.1"),
        ("float8", P::Int32(7), "7"),
        ("float8", P::Decimal("1e3".into()), "1000"),
        ("text", P::Int32(7), "7"),
        (
            "uuid",
            P::Str("0190163d-8694-739b-aea5-966c26f8ad90".into()),
            "0190163d-8694-739b-aea5-966c26f8ad90",
        ),
        ("alpha.mood", P::Str("glad".into()), "glad"),
        ("alpha.percent", P::Int32(50), "50"),
        ("timestamptz", P::Date((2024, 1, 2)), "2024-01-02 00:00:00+00"),
        ("date", P::Datetime((2024, 1, 2, 23, 0, 0, 0)), "2024-01-02"),
        ("timestamptz", P::Datetime((0, 1, 2, 3, 4, 5, 0)), "0001-01-02 03:04:05+00 BC"),
        ("inet", P::Str("10.0.0.1/8".into()), "10.0.0.1/8"),
        ("jsonb", P::Str("[1, 2]".into()), "[1, 2]"),
        ("uuid[]", P::ArrayStr(vec![None]), "{NULL}"),
        ("int4range", P::Str("[1,3)".into()), "[1,3)"),
    ] {
        let got = row(&open, &format!("select ($1::{ty})::text"), vec![given]).await;
        assert_eq!(shown(&got[0]), shown(&V::Str(text.into())), "{ty}");
    }
    drop(open);
    fixture.end().await;
}

#[tokio::test]
async fn types_without_a_case_come_as_text_where_that_is_clear() {
    let fixture = fixture().await;
    let host = fixture.database.host().await.unwrap();
    host.batch(
        "create type alpha.mood as enum ('sad', 'glad'); \
                create domain alpha.percent as int; create type alpha.pair as (a int, b text)",
    )
    .await
    .unwrap();
    let open = fixture.open().await;
    for (sql, expected) in [
        ("'glad'::alpha.mood", "Str(\"glad\")"),
        ("array['sad', 'glad']::alpha.mood[]", "ArrayStr([Some(\"sad\"), Some(\"glad\")])"),
        ("5::alpha.percent", "Int32(5)"),
        ("array[5, 6]::alpha.percent[]", "ArrayInt32([Some(5), Some(6)])"),
        ("'a'::name", "Str(\"a\")"),
        ("'<a/>'::xml", "Str(\"<a/>\")"),
        ("'10.1.2.3'::inet", "Str(\"10.1.2.3\")"),
        ("'10.0.0.0/8'::cidr", "Str(\"10.0.0.0/8\")"),
        ("'::1/64'::inet", "Str(\"::1/64\")"),
        ("4294967295::oid", "Int64(4294967295)"),
        ("array[1, 2]::int2[]", "ArrayInt32([Some(1), Some(2)])"),
        ("array[[1, 2], [3, 4]]", "ArrayInt32([Some(1), Some(2), Some(3), Some(4)])"),
        ("array[true, null]", "ArrayStr([Some(\"true\"), None])"),
        ("array['2024-01-02'::date]", "ArrayStr([Some(\"2024-01-02\")])"),
        ("array['infinity'::timestamptz]", "ArrayStr([Some(\"infinity\")])"),
        (
            "array['2024-01-02 03:04:05.5'::timestamptz]",
            "ArrayStr([Some(\"2024-01-02 03:04:05.5+00\")])",
        ),
        (
            "array['0190163d-8694-739b-aea5-966c26f8ad90'::uuid]",
            "ArrayStr([Some(\"0190163d-8694-739b-aea5-966c26f8ad90\")])",
        ),
        ("daterange('2024-01-01', '2024-02-01')", "Str(\"[2024-01-01,2024-02-01)\")"),
        ("tsrange(null, '2024-01-01 00:00:00')", "Str(\"(,\\\"2024-01-01 00:00:00\\\")\")"),
        ("'empty'::daterange", "Str(\"empty\")"),
        ("'infinity'::date", "Unsupported([127, 255, 255, 255])"),
        ("pg_sleep(0)", "DbNull"),
    ] {
        let got = row(&open, &format!("select {sql}"), vec![]).await;
        assert_eq!(shown(&got[0]).trim_start_matches("DbValue::"), expected, "{sql}");
    }
    for sql in ["'(1,2)'::point", "row(1, 'a')::alpha.pair", "'a b'::tsvector"] {
        let got = row(&open, &format!("select {sql}"), vec![]).await;
        assert!(matches!(got[0], V::Unsupported(_)), "{sql}: {got:?}");
    }
    drop(open);
    fixture.end().await;
}

#[tokio::test]
async fn decimals_and_dates_read_as_the_server_writes_them() {
    let fixture = fixture().await;
    let open = fixture.open().await;
    let sql = "select n, n::text from (select (case when i % 3 = 0 then -1 else 1 end) \
               * (i::numeric * i * i * 7919 / (10 ^ (i % 23))::numeric)::numeric(60, 20) * \
               (10 ^ (i % 17))::numeric as n from generate_series(0, 2000) i) x \
               union all select x, x::text from (values (0::numeric), (0.000), ('NaN'), \
               ('Infinity'), ('-Infinity'), (10000), (9999.9999), (0.0001), (100000000), \
               (-0.5), (1e-20), (123456789012345678901234567890.123)) v(x)";
    let set = open.line.query(sql, vec![]).await.unwrap();
    assert_eq!(set.rows.len(), 2013);
    for row in &set.rows {
        let (V::Decimal(decoded), V::Str(text)) = (&row[0], &row[1]) else { panic!("{row:?}") };
        assert_eq!(decoded, text);
    }
    let sql = "select array_agg(d), array_agg(d::text), array_agg(t), array_agg(t::text) from \
               (select '0044-03-15 BC'::date + 1234 * i as d, \
               '0044-03-15 01:02:03.000456 BC'::timestamptz + i * interval '1234 days 1 second' \
               as t from generate_series(0, 1000) i) x";
    let got = row(&open, sql, vec![]).await;
    assert_eq!(shown(&got[0]), shown(&got[1]));
    assert_eq!(shown(&got[2]), shown(&got[3]));
    drop(open);
    fixture.end().await;
}

#[tokio::test]
async fn columns_are_described_also_without_a_row() {
    let fixture = fixture().await;
    let open = fixture.open().await;
    let sql = "select 1 as a, 'x'::text as b, now() as c, '{}'::jsonb as d, null::int4[] as e, \
               '1'::money as f where false";
    let set = open.line.query(sql, vec![]).await.unwrap();
    assert!(set.rows.is_empty());
    let columns: Vec<_> =
        set.columns.iter().map(|c| (c.name.as_str(), shown(&c.data_type))).collect();
    let expected = [
        ("a", DbDataType::Int32),
        ("b", DbDataType::Str),
        ("c", DbDataType::Datetime),
        ("d", DbDataType::Jsonb),
        ("e", DbDataType::ArrayInt32),
        ("f", DbDataType::Other("money".into())),
    ];
    assert_eq!(columns, expected.map(|(name, ty)| (name, shown(&ty))));
    drop(open);
    fixture.end().await;
}

#[tokio::test]
async fn errors_say_what_the_server_said_and_whose_fault_it_is() {
    let fixture = fixture().await;
    let host = fixture.database.host().await.unwrap();
    host.batch("create table alpha.t (id int constraint just_one unique)").await.unwrap();
    let open = fixture.open().await;
    open.line.execute("insert into t values (1)", vec![]).await.unwrap();
    let Error::QueryFailed(QueryError::DbError(error)) =
        failure(&open, "insert into t values (1)", vec![]).await
    else {
        panic!("no db-error")
    };
    assert_eq!((error.code.as_str(), error.severity.as_str()), ("23505", "ERROR"));
    assert_eq!(error.detail.as_deref(), Some("Key (id)=(1) already exists."));
    for (name, value) in [("constraint", "just_one"), ("table", "t"), ("schema", "alpha")] {
        let extra = (name.to_owned(), value.to_owned());
        assert!(error.extras.contains(&extra), "{:?}", error.extras);
    }
    for (sql, params, expected) in [
        ("select $1::int", vec![], "BadParameter"),
        ("select 1", vec![P::Int32(1)], "BadParameter"),
        ("select $1::int", vec![P::Binary(vec![1])], "BadParameter"),
        ("select $1::date", vec![P::Date((2024, 13, 1))], "BadParameter"),
        ("select $1::text", vec![P::Str("a\0b".into())], "BadParameter"),
        ("select $1::uuid", vec![P::Uuid("no".into())], "QueryFailed(QueryError::DbError"),
        ("select nonsense", vec![], "QueryFailed(QueryError::DbError"),
        ("create table x ()", vec![], "code: \"42501\""),
        ("select repeat('x', 100000000)", vec![], "QueryFailed(QueryError::Text"),
    ] {
        let told = shown(&failure(&open, sql, params).await);
        assert!(told.contains(expected), "{sql}: {told}");
    }
    drop(open);
    fixture.end().await;
}
