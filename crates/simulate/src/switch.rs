//! Calls of a FreeSWITCH, told by the documents of its `mod_json_cdr`: some platforms write one a leg, stock ones
//! only those of A legs. What a far leg's record then holds is in enrichment-and-dialects.md, Rules of the dialects;
//! the scenarios here are those in which these documents say all that the record needs.

mod calls;
mod document;
mod queue;
mod variables;

use crate::company::Pbx;
use crate::dice::Dice;
use crate::script::{LegNo, Micros, Script, truth};

/// What only a document holds, beside the script's leg.
pub(crate) struct Paper {
    leg: LegNo,
    /// The oldest first.
    profiles: Vec<Profile>,
    apps: Vec<App>,
    /// Further channel variables.
    variables: Vec<(&'static str, String)>,
    /// The leg that placed this one.
    originator: Option<LegNo>,
    bridged: Option<Micros>,
    /// With whom it was bridged last.
    last_bridge: Option<LegNo>,
    /// Whom it placed, and with what result (`NONE` = answered).
    placed: Vec<(LegNo, &'static str)>,
}

/// A stay in the dialplan.
struct Profile {
    begin: Micros,
    transferred: Option<Micros>,
    destination: String,
    context: &'static str,
    progress: Option<Micros>,
    /// First answer of the leg; later profiles inherit it.
    answered: Option<Micros>,
    bridged: Option<Micros>,
    originatees: Vec<LegNo>,
}

/// An application that ran.
struct App {
    name: &'static str,
    data: String,
    at: Micros,
}

/// The documents of one call, and its expected record.
pub(crate) struct SwitchCall {
    pub(crate) script: Script,
    pub(crate) documents: Vec<(Micros, Vec<u8>)>,
}

/// Makes up one call of such a switch.
pub(crate) fn call(dice: &mut Dice, begin: Micros, tag: &str) -> SwitchCall {
    let pbx = dice.pick(&crate::company::PBXS);
    let (script, papers) = calls::call(dice, pbx, begin, tag);
    debug_assert!(truth::record(&script, 0).dur < 86_400);
    let mut documents = Vec::new();
    for paper in &papers {
        let is_far = paper.originator.is_some() || paper.leg.0 > 0;
        if is_far && !writes_far_legs(pbx) {
            continue;
        }
        let ended = script.leg(paper.leg).ended.expect("every leg of these scripts ends");
        let body = document::print(&script, paper, Shape::of(pbx));
        let at = ended + dice.between(2_000, 1_500_000);
        documents.push((at, body.clone()));
        // The switch posts again when the answer was lost.
        if dice.percent(2) {
            documents.push((at + dice.between(1, 30_000_000), body));
        }
    }
    documents.sort();
    SwitchCall { script, documents }
}

/// `log-b-leg` is on.
fn writes_far_legs(pbx: &Pbx) -> bool {
    ["k1", "us-east", "pune", "main"].contains(&pbx.key)
}

/// How a platform writes its documents.
#[derive(Clone, Copy)]
struct Shape {
    /// `encode-values`: url-encoded variables.
    encodes_values: bool,
    /// Switches before 2015 write `callflow` as a key several times.
    repeats_callflow: bool,
    /// Posted as a form, `cdr=…`.
    is_form: bool,
}

impl Shape {
    fn of(pbx: &Pbx) -> Self {
        Self {
            encodes_values: ["k1", "us-west", "lord-howe"].contains(&pbx.key),
            repeats_callflow: ["us-west", "pune"].contains(&pbx.key),
            is_form: pbx.key == "berlin-1",
        }
    }
}
