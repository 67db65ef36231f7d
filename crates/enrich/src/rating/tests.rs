//! Prices as a person would work them out, and what holds of every tariff and call.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "prefix,name,band,connect_fee,rate_per_minute,minimum_seconds,first_increment,next_increment,days,from,to,valid_from,valid_to\n";

fn tariff(rows: &str) -> Tariff {
    let rows = rows_from_csv(format!("{HEAD}{rows}").as_bytes()).unwrap();
    Tariff::new("retail", "GBP", chrono_tz::Europe::London, rows)
}

/// Charged seconds and cost of a call that was answered then, by London's clock in RFC 3339.
#[track_caller]
fn check(tariff: &Tariff, answered: &str, seconds: i64, expected: &str) {
    let answered: chrono::DateTime<chrono::FixedOffset> = answered.parse().unwrap();
    let rated = tariff.rate("+442079460000", Timestamp::from_micros(answered.timestamp_micros()), seconds);
    let shown = rated.map_or("-".to_owned(), |rated| {
        let steps: Vec<String> =
            rated.steps.iter().map(|step| format!("{} {}", step.seconds, step.row.band)).collect();
        format!("{} s, {}: {}", rated.charged, rated.cost.normalize(), steps.join(", "))
    });
    assert_eq!(shown, expected);
}

#[test]
fn seconds_are_charged_in_increments_and_at_least_the_shortest_time() {
    let by_minutes = tariff("44,UK,day,0.05,0.12,0,60,60,,,,,\n");
    check(&by_minutes, "2026-03-10T09:00:00Z", 61, "120 s, 0.29: 120 day");
    check(&by_minutes, "2026-03-10T09:00:00Z", 0, "60 s, 0.17: 60 day");
    let by_seconds = tariff("44,UK,day,0,0.06,30,1,1,,,,,\n");
    check(&by_seconds, "2026-03-10T09:00:00Z", 7, "30 s, 0.03: 30 day");
    check(&by_seconds, "2026-03-10T09:00:00Z", 31, "31 s, 0.031: 31 day");
}

#[test]
fn the_longest_prefix_holds_and_then_day_and_time() {
    let tariff = tariff(
        "44,UK,peak,0,0.60,0,1,1,Mon-Fri,08:00,18:00,,\n44,UK,off,0,0.06,0,1,1,,,,,\n4420,London,london,0,0.30,0,1,1,Sat-Sun,,,,\n",
    );
    // London's rows are of the longest prefix: on a Tuesday none of them holds, and no other is asked.
    check(&tariff, "2026-03-10T09:00:00Z", 60, "-");
    check(&tariff, "2026-03-14T09:00:00Z", 60, "60 s, 0.3: 60 london");
    let name = tariff.rows_for("+441614960000").first().map(|row| row.name.to_string());
    assert_eq!((name.as_deref(), tariff.rows_for("+4930").len()), (Some("UK"), 0));
}

#[test]
fn a_call_over_a_border_is_split_there_and_its_increments_run_on() {
    let tariff = tariff("44,UK,peak,0,0.60,0,60,60,Mon-Fri,08:00,18:00,,\n44,UK,off,0,0.06,0,60,60,,,,,\n");
    check(&tariff, "2026-03-10T17:59:30Z", 70, "120 s, 0.39: 30 peak, 90 off");
    check(&tariff, "2026-03-10T07:59:30Z", 30, "60 s, 0.33: 30 off, 30 peak");
}

#[test]
fn bands_are_of_the_wall_clock_on_both_days_that_change_it() {
    // 01:30 to 02:30 by the wall clock: half an hour in March, when 01:00 to 02:00 is left out; in October 01:30 to
    // 02:00 comes twice.
    let tariff = tariff("44,UK,night,0,0.06,0,1,1,,01:30,02:30,,\n44,UK,day,0,0.60,0,1,1,,,,,\n");
    check(&tariff, "2026-03-29T00:30:00Z", 7_200, "7200 s, 55.8: 1800 day, 1800 night, 3600 day");
    check(&tariff, "2026-10-25T00:00:00Z", 7_200, "7200 s, 39.6: 1800 day, 1800 night, 1800 day, 1800 night");
}

#[test]
fn a_row_over_midnight_is_of_the_day_on_which_it_began() {
    let tariff = tariff("44,UK,fri,0,0.06,0,1,1,Fri,22:00,06:00,,\n44,UK,else,0,0.60,0,1,1,,,,,\n");
    check(&tariff, "2026-03-14T05:59:00Z", 120, "120 s, 0.66: 60 fri, 60 else");
    check(&tariff, "2026-03-13T05:59:00Z", 60, "60 s, 0.6: 60 else");
}

#[test]
fn a_row_holds_only_between_its_dates() {
    let tariff = tariff("44,UK,old,0,0.60,0,1,1,,,,,2026-03-10\n44,UK,new,0,0.06,0,1,1,,,,2026-03-11,\n");
    check(&tariff, "2026-03-10T23:59:30Z", 60, "60 s, 0.33: 30 old, 30 new");
}

#[test]
fn a_cost_is_rounded_once_and_capped() {
    let mut tariff = tariff("44,UK,day,0,0.01,0,1,1,,,,,\n");
    check(&tariff, "2026-03-10T09:00:00Z", 10, "10 s, 0.0017: 10 day");
    tariff.rounding = Rounding { decimals: 2, mode: RoundingMode::Up };
    check(&tariff, "2026-03-10T09:00:00Z", 10, "10 s, 0.01: 10 day");
    tariff.maximum = Some(Decimal::ONE);
    check(&tariff, "2026-03-10T09:00:00Z", 80_000, "80000 s, 1: 80000 day");
}

#[test]
fn each_mistake_of_a_file_has_its_line_and_column() {
    let text = "\u{feff}Prefix,Rate per minute,days,from\n44,0.1,Mon-Fri,08:00\n4x,-1,Someday,8\n,,,\n";
    let mistakes = rows_from_csv(text.as_bytes()).unwrap_err();
    let shown: Vec<String> =
        mistakes.iter().map(|it| format!("{} {}: {}", it.line, it.column, it.wrong)).collect();
    assert_eq!(
        shown,
        [
            "3 prefix: \"4x\" is no prefix: write digits, such as 4420",
            "3 rate_per_minute: \"-1\": write a number that is not negative, such as 0.0125",
            "3 days: \"Someday\": write days such as Mon-Fri or Sat,Sun",
            "3 from: \"8\": write a time of the day, 00:00 to 24:00",
            "4 rate_per_minute: write a number that is not negative, such as 0.0125",
        ]
    );
    let missing = rows_from_csv("prefix,price\n".as_bytes()).unwrap_err();
    assert_eq!(missing.iter().map(|it| it.column.as_str()).collect::<Vec<_>>(), ["price", "rate_per_minute"]);
}

fn row() -> impl Strategy<Value = Row> {
    let money = (0i64..1_000).prop_map(|number| Decimal::new(number, 3));
    let times = (0u32..96, 0u32..96).prop_map(|(from, to)| (TimeOfDay(from * 900), TimeOfDay(to * 900)));
    let seconds = (0i64..90, 1i64..90, 1i64..90);
    (money.clone(), money, seconds, times, 1u8..128).prop_map(
        |(fee, rate, (least, first, next), (from, to), days)| {
            let all = [
                Weekday::Mon,
                Weekday::Tue,
                Weekday::Wed,
                Weekday::Thu,
                Weekday::Fri,
                Weekday::Sat,
                Weekday::Sun,
            ];
            let days =
                all.into_iter().enumerate().filter(|(at, _)| days & (1 << at) != 0).map(|(_, day)| day);
            Row {
                prefix: "44".into(),
                name: "UK".into(),
                band: format!("{rate}").into(),
                connect_fee: fee,
                rate_per_minute: rate,
                minimum_seconds: least,
                first_increment: first,
                next_increment: next,
                days: Days::of(days),
                from,
                to,
                valid_from: None,
                valid_to: None,
            }
        },
    )
}

use chrono::Weekday;

/// Around both changes of the clocks in London, and some days without one.
fn moments() -> impl Strategy<Value = i64> {
    let days = prop::sample::select(vec![1_774_742_400_i64, 1_792_886_400, 1_773_133_200]);
    (days, -20_000i64..20_000).prop_map(|(day, seconds)| day + seconds)
}

proptest! {
    #[test]
    fn cost_and_charged_seconds_never_fall_when_a_call_gets_longer(
        rows in prop::collection::vec(row(), 1..5), at in moments(), seconds in 0i64..9_000, more in 1i64..3_000,
    ) {
        let tariff = Tariff::new("t", "GBP", chrono_tz::Europe::London, rows);
        let at = Timestamp::from_micros(at * 1_000_000);
        let (short, long) = (tariff.rate("+4420", at, seconds), tariff.rate("+4420", at, seconds + more));
        prop_assert_eq!(short.is_some(), long.is_some());
        if let (Some(short), Some(long)) = (short, long) {
            prop_assert!(long.cost >= short.cost && long.charged >= short.charged);
            prop_assert!(short.charged >= seconds);
        }
    }

    #[test]
    fn splitting_a_row_at_any_time_of_the_day_changes_no_total(
        row in row(), border in 1u32..95, at in moments(), seconds in 0i64..9_000,
    ) {
        let whole = Row { days: Days::ALL, from: TimeOfDay(0), to: TimeOfDay(0), ..row };
        let border = TimeOfDay(border * 900);
        let split = vec![Row { to: border, ..whole.clone() }, Row { from: border, ..whole.clone() }];
        let at = Timestamp::from_micros(at * 1_000_000);
        let [one, two] = [vec![whole], split].map(|rows| {
            Tariff::new("t", "GBP", chrono_tz::Europe::London, rows).rate("+4420", at, seconds).map(|it| (it.cost, it.charged))
        });
        prop_assert_eq!(one, two);
    }

    #[test]
    fn the_steps_are_the_charged_seconds_and_the_cost(rows in prop::collection::vec(row(), 1..5), at in moments(), seconds in 0i64..9_000) {
        let tariff = Tariff::new("t", "GBP", chrono_tz::Europe::London, rows);
        let Some(rated) = tariff.rate("+4420", Timestamp::from_micros(at * 1_000_000), seconds) else { return Ok(()) };
        let (mut from, mut sum) = (0, Decimal::ZERO);
        for step in &rated.steps {
            prop_assert_eq!(step.from, from);
            from += step.seconds;
            sum += step.row.rate_per_minute * Decimal::from(step.seconds);
        }
        prop_assert_eq!(from, rated.charged);
        let cost = rated.steps.first().map(|step| step.row.connect_fee).unwrap_or_default() + sum / Decimal::from(60);
        prop_assert_eq!(tariff.rounded(cost), rated.cost);
    }

    /// The row of each second, looked at one by one: slow, and beyond doubt.
    #[test]
    fn a_walk_meets_the_rows_that_each_second_meets(rows in prop::collection::vec(row(), 1..4), at in moments(), seconds in 1i64..5_000) {
        use chrono::TimeZone;
        let tariff = Tariff::new("t", "GBP", chrono_tz::Europe::London, rows);
        let Some(rated) = tariff.rate("+4420", Timestamp::from_micros(at * 1_000_000), seconds) else { return Ok(()) };
        let (mut current, mut plain) = (None, Vec::<(Text, i64)>::new());
        for second in 0..rated.charged {
            let utc = chrono::DateTime::from_timestamp(at + second, 0).unwrap().naive_utc();
            let wall = chrono_tz::Europe::London.from_utc_datetime(&utc).naive_local();
            current = tariff.rows_for("+4420").iter().find(|row| row.holds(wall)).or(current);
            let row = current.unwrap();
            match plain.last_mut() {
                Some((band, count)) if *band == row.band => *count += 1,
                _ => plain.push((row.band.clone(), 1)),
            }
        }
        let mut walked = Vec::<(Text, i64)>::new();
        for step in &rated.steps {
            match walked.last_mut() {
                Some((band, count)) if *band == step.row.band => *count += step.seconds,
                _ => walked.push((step.row.band.clone(), step.seconds)),
            }
        }
        prop_assert_eq!(plain, walked);
    }
}
