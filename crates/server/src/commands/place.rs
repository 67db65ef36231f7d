//! `ringpost place`: where numbers are from, as records say it.

use std::io::{BufRead, BufReader};

use clap::Args;
use ringpost_enrich::Places;
use ringpost_numbers::{Region, normalise};
use serde::Serialize;

use crate::cli::{Failure, Io, Outcome};

/// Arguments of `place`.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints a line of JSON for each number, in order: number, cliLoc, cliArea, cliState, cliCtry. What is \
not known is left out. Without numbers, lines of standard input are read.

Examples:
  ringpost place +441614960000
  ringpost place --region GB '0161 496 0000'
  cut -d, -f2 calls.csv | ringpost place")]
pub struct Place {
    /// Numbers, in E.164: +441614960000
    #[arg(value_name = "NUMBER")]
    pub numbers: Vec<String>,
    /// Read numbers without a country code as of this country
    #[arg(long, value_name = "GB")]
    pub region: Option<String>,
}

/// One line of output. The keys are those of a record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    number: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cli_loc: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cli_area: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cli_state: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cli_ctry: &'a str,
}

/// Says where numbers are from.
///
/// # Errors
/// A region that does not exist; input that cannot be read.
pub fn run(args: &Place, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let region = args.region.as_deref().map(Region::new).transpose().map_err(anyhow::Error::new)?;
    let mut places = Places::default();
    if !args.numbers.is_empty() {
        for number in &args.numbers {
            print(number, region, &mut places, io.stdout)?;
        }
        return Ok(Outcome::Fine);
    }
    let mut input = BufReader::new(&mut *io.stdin);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // What is no text is no number either, and has its line all the same.
        let number = String::from_utf8_lossy(&line);
        print(number.trim(), region, &mut places, io.stdout)?;
        line.clear();
    }
    Ok(Outcome::Fine)
}

fn print(
    typed: &str,
    region: Option<Region>,
    places: &mut Places,
    out: &mut dyn std::io::Write,
) -> Result<(), Failure> {
    let read = region.and_then(|region| normalise(typed, region));
    let number = read.as_ref().map_or(typed, |number| number.as_str());
    let place = places.of(number);
    let line = Line {
        number,
        cli_loc: place.location,
        cli_area: place.area.as_str(),
        cli_state: place.state,
        cli_ctry: place.country,
    };
    serde_json::to_writer(&mut *out, &line).map_err(anyhow::Error::new)?;
    out.write_all(b"\n")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::ringpost;

    #[test]
    fn each_number_has_its_line_in_order() {
        let arguments =
            ["place", "+441614960000", "+12125551234", "+447000000000", "+18005551234", "201", ""];
        insta::assert_snapshot!(ringpost(&arguments, "").1, @r#"
        {"number":"+441614960000","cliLoc":"Manchester","cliArea":"161","cliCtry":"GB"}
        {"number":"+12125551234","cliLoc":"New York, NY","cliArea":"212","cliState":"NY","cliCtry":"US"}
        {"number":"+447000000000","cliLoc":"United Kingdom","cliCtry":"GB"}
        {"number":"+18005551234","cliLoc":"United States","cliCtry":"US"}
        {"number":"201"}
        {"number":""}
        "#);
    }

    #[test]
    fn lines_of_standard_input_are_numbers_too() {
        let output = ringpost(&["place", "--region", "GB"], "0161 496 0000\r\n+390612345678");
        insta::assert_snapshot!(output.1, @r#"
        {"number":"+441614960000","cliLoc":"Manchester","cliArea":"161","cliCtry":"GB"}
        {"number":"+390612345678","cliLoc":"Rome","cliArea":"06","cliCtry":"IT"}
        "#);
    }
}
